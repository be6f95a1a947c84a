"""Scopes as they travel (RFC 6749 section 3.3): one grammar, and one rule, for every door."""

import re
from collections.abc import Iterable, Mapping

from keyturn.errors import InvalidScope

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")


def parse(text: str | None) -> frozenset[str] | None:
    """Return the scopes asked for; None when none are named. Raises `InvalidScope`."""
    if text is None:
        return None
    if not _SCOPE.fullmatch(text):
        raise InvalidScope("scope: malformed")
    return frozenset(text.split(" "))


def granted(asked: frozenset[str] | None, allowed: frozenset[str]) -> frozenset[str]:
    """Return what is asked for, all that is allowed when nothing is named.

    Raises `InvalidScope` when more is asked for than is allowed.
    """
    if asked is None:
        return allowed
    if not asked <= allowed:
        raise InvalidScope("scope: not allowed for this client")
    return asked


def member(scopes: Iterable[str]) -> Mapping[str, str]:
    """Return the member `scope` of claims and answers: none without scopes.

    The grammar has no text for no scopes, and strict readers refuse `"scope": ""`.
    """
    text = " ".join(sorted(scopes))
    return {"scope": text} if text else {}
