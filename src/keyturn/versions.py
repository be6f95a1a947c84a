"""Versions of a row, for changes decided on what was read before (RFC 9110 section 13.1.1).

A version is the row's `xmin`: the transaction that wrote it. So whatever writes a row changes it,
another release or a hand in the database as well, and none of them has to know.
"""

from collections.abc import Sequence
from typing import TypeAlias

Versions: TypeAlias = Sequence[str] | None
"""The versions a caller has seen, one of which the row must still have; None: any."""
