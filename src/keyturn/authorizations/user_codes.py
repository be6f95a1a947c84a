"""Codes that people read off one screen and type into another (RFC 8628 section 6.1).

Eight letters of an alphabet without vowels, which spells no words, shown as `WDJB-MJHT`: 20^8, or
34.6 bits. So few can be searched through, so the database holds keyed hashes, and guessing is
limited: only people who are signed in may try, and all of them together `device.wrong_codes` times
(300) in `throttle.window` (5 min); while Redis is away, in each process.

Whoever tries without pause, from any number of accounts and addresses, makes 86,400 guesses a day.
While 100 codes are live at any time, that hits one of them with a chance of
86,400 * 100 / 20^8 = 0.03 % a day: once in eight years. One given code lives for ten minutes, and
is hit with a chance of 600 / 20^8, or 1 in 42 million. A hit shows which application waits there,
and lets its finder refuse it or connect it to their own account, never to somebody else's.
"""

import hmac
import unicodedata
from typing import Final

from keyturn.crypto import opaque
from keyturn.crypto.secrets import DEVICE_CODES, MasterSecrets

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
SIZE: Final = 8
GROUP: Final = 4
LONGEST: Final = 64
"""Characters of what a person may have typed, separators and all."""

_MISREAD: Final = str.maketrans("0O1I2568U", "QQLLZSGBV")
"""What looks like a letter of ours and is none: it can mean nothing else."""


def new() -> str:
    """Return a random code without its separator."""
    return "".join(opaque.pick(ALPHABET) for _ in range(SIZE))


def read(typed: str) -> str | None:
    """Return the code a person means: any separator, any case, look-alikes too; None for none."""
    if len(typed) > LONGEST:
        return None
    plain = unicodedata.normalize("NFKC", typed).upper()
    letters = "".join(one for one in plain if one.isalnum()).translate(_MISREAD)
    return letters if len(letters) == SIZE and set(letters) <= set(ALPHABET) else None


def shown(code: str) -> str:
    """Return a code as people see it: in groups."""
    return "-".join(code[at : at + GROUP] for at in range(0, len(code), GROUP))


def hashes(code: str, secrets: MasterSecrets) -> list[bytes]:
    """Return what the database may hold of a code: a keyed hash a secret, the current one first."""
    return [
        hmac.digest(secrets.purpose_key(DEVICE_CODES, one), code.encode(), "sha256")
        for one in secrets.ids
    ]
