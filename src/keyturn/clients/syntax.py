"""The shapes of what describes a client.

Each function returns its argument, or raises `ValueError` with a sentence that says what would
be right.
"""

import re
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import urlsplit

import orjson

from keyturn.crypto import client_jws
from keyturn.outgoing.destination import Destination
from keyturn.settings import LOOPBACK

LONGEST_URI = 512
LONGEST_SCOPE = 128
LONGEST_NAME = 200

_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
_UUID = re.compile(r"[0-9A-Fa-f]{32}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?@!$&'()+,;=%\[\]-]+")
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_REDIRECT = re.compile(
    r"([a-z][a-z0-9+.-]*):(?:[A-Za-z0-9._~:/?@!$&'()+,;=\[\]-]|%[0-9A-Fa-f]{2})+", re.IGNORECASE
)
_DEFAULT_PORT = {"https": 443, "http": 80}
_HIGHEST_PORT = 65535


def client_id(value: str) -> str:
    """Check a client id: safe in URLs, logs and `Basic`, and never a user's id."""
    if not _CLIENT_ID.fullmatch(value):
        raise ValueError(
            "1 to 128 letters, digits, `.`, `_`, `~` or `-`, the first a letter or digit"
        )
    # A client is the `sub` of its own tokens: one named like a user would be taken for them.
    if _UUID.fullmatch(value.replace("-", "")):
        raise ValueError("a client id must not look like a UUID: those are the ids of users")
    return value


def name(value: str) -> str:
    """Check a display name."""
    if not value.isprintable() or not value.strip() or len(value) > LONGEST_NAME:
        raise ValueError(f"1 to {LONGEST_NAME} printable characters")
    return value


def scope(value: str) -> str:
    """Check one scope token (RFC 6749 section 3.3)."""
    if not _SCOPE.fullmatch(value) or len(value) > LONGEST_SCOPE:
        raise ValueError("one scope: printable ASCII without space, quote or backslash")
    return value


def audience(value: str) -> str:
    """Check a resource indicator: an absolute URI without fragment (RFC 8707 section 2)."""
    # No `*`: an audience is exact, a wildcard would be good everywhere. A scheme is demanded, so
    # that no audience equals a client id either.
    if not _URI.fullmatch(value) or len(value) > LONGEST_URI:
        raise ValueError("an absolute URI without fragment or `*`, such as https://api.example")
    if value.lower().startswith(("https:", "http:")) and not _host(value):
        raise ValueError("an http(s) URI names a host, such as https://api.example")
    return value


def origin(value: str) -> str:
    """Check a web origin: exactly what browsers send in `Origin` (RFC 6454 section 6.2)."""
    match = _ORIGIN.fullmatch(value)
    if not match:
        raise ValueError("scheme://host[:port] in lower case, no path, such as https://app.example")
    scheme, host, port = match[1], match[2].strip("[]"), int(match[3] or 0)
    if match[2].startswith("[") and not _is_canonical_ipv6(host):
        raise ValueError("the IPv6 address is not written as browsers write it")
    if scheme == "http" and host not in LOOPBACK:
        raise ValueError("https; http is accepted for localhost, 127.0.0.1 and [::1] only")
    if port == _DEFAULT_PORT[scheme] or port > _HIGHEST_PORT:
        raise ValueError("browsers leave the default port away, and 65535 is the highest")
    return value


def redirect_uri(value: str) -> str:
    """Check where a browser may be sent: https, http on loopback, or an app's own scheme."""
    match = _REDIRECT.fullmatch(value)
    if not match or len(value) > LONGEST_URI:
        raise ValueError("an absolute URI without fragment or `*`, such as https://app.example/cb")
    scheme = match[1].lower()
    if scheme not in _DEFAULT_PORT:
        # RFC 8252 section 7.1: a domain the app's maker holds, reversed. It also keeps out
        # `javascript:`, `data:` and everything else that a browser would act upon.
        if "." not in scheme or not value[len(scheme) + 1 :].startswith("/"):
            raise ValueError("https, or an app's own scheme like com.example.app:/callback")
        if not _is_readable(value):
            raise ValueError("names a host that browsers can read, or none")
        return value
    host = _host(value)
    if not value[len(scheme) :].startswith("://") or not host or "@" in urlsplit(value).netloc:
        raise ValueError("names a host, and no user")
    if scheme == "http" and host not in LOOPBACK:
        raise ValueError("https; http is accepted for localhost, 127.0.0.1 and [::1] only")
    return value


def link(value: str) -> str:
    """Check an address that people may open: shown to them, never fetched by this server."""
    match = _REDIRECT.fullmatch(value.replace("#", "", 1))
    if not match or match[1].lower() != "https" or len(value) > LONGEST_URI or not _host(value):
        raise ValueError("an https address, such as https://app.example/about")
    # People are told whose it is: `bank.example@evil.example` reads like the bank's.
    if "@" in urlsplit(value).netloc:
        raise ValueError("names no user")
    return value


def jwks(value: dict[str, Any]) -> dict[str, Any]:
    """Check a JWK set of public keys (RFC 7517 section 5), and that it can be kept."""
    client_jws.keys_of(value)
    try:
        kept = orjson.dumps(value)
    except TypeError:
        raise ValueError("no half of a character, and no number beyond 64 bits") from None
    if b"\\u0000" in kept:
        raise ValueError("no NUL, in whatever spelling")
    return value


def server_uri(value: str) -> str:
    """Check where this server calls a client; which hosts, the rules say."""
    if len(value) > LONGEST_URI:
        raise ValueError(f"at most {LONGEST_URI} characters")
    Destination.parse(value)
    return value


def _is_readable(uri: str) -> bool:
    # Pages and policies are made of its parts.
    try:
        return urlsplit(uri).port != 0
    except ValueError:
        return False


def _host(uri: str) -> str | None:
    try:
        split = urlsplit(uri)
        port = split.port
    except ValueError:
        return None
    return None if port == 0 else split.hostname


def _is_canonical_ipv6(text: str) -> bool:
    try:
        return str(IPv6Address(text)) == text
    except ValueError:
        return False
