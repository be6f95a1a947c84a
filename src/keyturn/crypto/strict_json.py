"""JSON as a verifier must read it: one meaning or none (RFC 8725 section 2.4, RFC 7515 section 4).

A repeated member name means one thing to a parser that keeps the first and another to one that
keeps the last; whoever signs for one reader could be heard by the other.
"""

import json
from typing import Any, NoReturn


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data`.

    Raises `ValueError` for anything else: not UTF-8, not JSON, not an object, a member named
    twice (at any depth), NaN or Infinity, nesting that exhausts the parser.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one kind of error for one kind of reader
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is named twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
