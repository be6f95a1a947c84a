"""JSON as signed text must be: one reading only.

Two parsers that disagree about a repeated member or about `NaN` are how a token says one thing
where it is checked and another where it is used (RFC 8725 section 2.4, RFC 7519 section 4).
"""

from json import JSONDecoder
from typing import Any


def parse_object(text: bytes) -> dict[str, Any]:
    """Return the object that `text` holds. Raises `ValueError` for anything else."""
    try:
        parsed = _DECODER.decode(text.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(parsed, dict):
        raise ValueError("not an object")  # noqa: TRY004 - the text is wrong, not a type of ours
    return parsed


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=_unrepeated, parse_constant=_refuse)
