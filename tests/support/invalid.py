"""Experiments that did not come about, told from promises that were broken."""


def only_invalid(group: BaseExceptionGroup[BaseException]) -> AssertionError | None:
    """Return why an experiment is invalid, if all that failed in a group of tasks says that it is.

    An experiment is asked again by the message of what its test raises: a group has another.
    """
    invalid, others = group.split(_is_invalid)
    while isinstance(invalid, BaseExceptionGroup):
        invalid = invalid.exceptions[0]
    return invalid if others is None and isinstance(invalid, AssertionError) else None


def _is_invalid(error: BaseException) -> bool:
    return isinstance(error, AssertionError) and str(error).startswith("invalid:")
