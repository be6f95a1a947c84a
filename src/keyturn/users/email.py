"""The one parser of e-mail addresses (RFC 5321 section 4.1.2, RFC 6531, RFC 5891).

An address is normalised once, here, into a key: whoever signs in, is added or is imported is
compared by that key, so one person cannot hold two accounts that look alike in another case,
another Unicode form or another spelling of the domain. What is *written to* is always the
stored address, never one that merely has the same key.
"""

import unicodedata
from dataclasses import dataclass

import idna

from keyturn.errors import InvalidEmail

MOST_OCTETS = 254
"""The longest address that fits the path of RFC 5321 section 4.5.3.1.3."""

_SPECIALS = frozenset('()<>[]:;@\\,"')
_REFUSED_CATEGORIES = ("C", "Z")
"""Controls, invisible formats, surrogates, unassigned; spaces and separators."""


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """An address as entered (without surrounding blanks), and the key it is compared by."""

    text: str
    key: str


def parse_email(entered: str) -> EmailAddress:
    """Parse one address in time linear in 254 characters.

    Raises `InvalidEmail`: longer than 254 octets, not exactly one `@`, a local part that needs
    quotes, a domain that is not one by IDNA.
    """
    # Before the blanks go: an address followed by a page of them and another one is not the first.
    if len(entered) > 2 * MOST_OCTETS:
        raise InvalidEmail("email: longer than an address with its blanks may be")
    text = entered.strip(" \t\r\n")
    if len(text) > MOST_OCTETS:
        raise InvalidEmail("email: longer than 254 characters")
    local, at, domain = text.partition("@")
    if not at or not local or not domain:
        raise InvalidEmail("email: not of the form local@domain")
    if any(_is_refused(character) for character in local):
        raise InvalidEmail("email: a character that may not stand before the @")
    key = f"{_fold(local)}@{_domain(domain)}"
    if max(len(text.encode()), len(key.encode())) > MOST_OCTETS:
        raise InvalidEmail("email: longer than 254 octets")
    return EmailAddress(text, key)


def _is_refused(character: str) -> bool:
    category = unicodedata.category(character)
    return character in _SPECIALS or category.startswith(_REFUSED_CATEGORIES)


def _fold(local: str) -> str:
    """Fold case by canonical caseless matching (Unicode 3.13, D145): folding again is the same."""
    decomposed = unicodedata.normalize("NFD", local).casefold()
    return unicodedata.normalize("NFC", decomposed)


def _domain(domain: str) -> str:
    """Return the domain in lower case, as A-labels: `bücher.example` is `xn--bcher-kva.example`."""
    try:
        labels = idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidEmail("email: not a domain") from error
    if labels.endswith("."):
        raise InvalidEmail("email: the domain ends with a dot")
    return labels.lower()
