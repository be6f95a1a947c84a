"""The place of a session: an index, which names a list and a bit in it (Token Status List 4.1)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from keyturn.paths import STATUS_LIST

SIZE_BITS: Final = 20
SIZE: Final = 1 << SIZE_BITS
"""Sessions one list tells of: with none of them revoked it has some hundred bytes, at worst
128 KiB before base64."""

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,11}")


def uri(issuer: str, number: int) -> str:
    """Return the address of a list; also its `sub`."""
    return issuer + STATUS_LIST.format(number=number)


def reference(issuer: str, index: int) -> Mapping[str, Any]:
    """Return the claim `status` of a token that stands for the session of this index (6.2)."""
    number, place = divmod(index, SIZE)
    return {"status_list": {"idx": place, "uri": uri(issuer, number)}}


def number_of(text: str) -> int | None:
    """Return the number of a list in its one spelling; None for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None
