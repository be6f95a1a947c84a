"""Which texts may be passwords: 8 to 128 characters, in one Unicode form, never cut.

The bounds are checked before anything is hashed, so that a megabyte costs nothing. There are
no composition rules: they make passwords worse (OWASP Authentication Cheat Sheet).
"""

import unicodedata

from keyturn.errors import WeakPassword

LEAST_CHARACTERS = 8
MOST_CHARACTERS = 128
MOST_OCTETS = 1024


def presented(text: str) -> tuple[str, ...]:
    """Return the spellings under which a presented password is compared: NFC, then as typed.

    Our own hashes are of the NFC form; an imported one may be of whatever the keyboard sent.
    Most passwords have one spelling. A short one is let through: it may have been imported.
    Raises `WeakPassword` for what no password can be.
    """
    if len(text) > MOST_OCTETS:
        raise WeakPassword("password: longer than 1024 octets")
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        raise WeakPassword("password: not text (a lone surrogate)") from None
    if len(octets) > MOST_OCTETS:
        raise WeakPassword("password: longer than 1024 octets")
    if "\0" in text:
        raise WeakPassword("password: holds a NUL, at which other systems stop reading")
    composed = unicodedata.normalize("NFC", text)
    if len(composed) > MOST_CHARACTERS:
        raise WeakPassword("password: longer than 128 characters")
    return (composed,) if composed == text else (composed, text)


def chosen(text: str) -> str:
    """Return the form in which a new password is hashed; raises `WeakPassword`."""
    composed = presented(text)[0]
    if len(composed) < LEAST_CHARACTERS:
        raise WeakPassword("password: shorter than 8 characters")
    return composed
