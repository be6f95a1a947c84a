"""The shapes of settings: of groups, of secrets, and of URLs the drivers would read differently.

Each function raises `ValueError` with a constant sentence: the text of a driver's or of the
standard library's error repeats part of the URL, and that part may be a password.
"""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

SECRET_BYTES = 32
WEAK_WORDS = ("changeme", "secret", "password", "example", "keyturn", "0123456789", "abcdef")
DISTINCT_BYTES = 12
MOST_SECRETS = 255
HIGHEST_PORT = 65535

LONGEST_LIFETIME = 400 * 86400
"""Seconds; browsers cap cookies there (RFC 6265bis), and a longer sign-in is a mistake."""

ENCODED = "with blanks and / ? # @ : [ ] % of the password percent-encoded"

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_ISSUER = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_ID = re.compile(r"[0-9]{1,3}")
_HOST = re.compile(r"(\[[^\]@]+\]|[^\[\]@:/,]+)(?::([0-9]{1,5}))?")


# A bound given beside one of these two would be ignored: write `int` or `float` with both then.
Seconds = Annotated[int, Field(ge=1, le=LONGEST_LIFETIME)]
Fraction = Annotated[float, Field(ge=0.001, le=3600)]
"""Seconds; less than a millisecond would be 0 to PostgreSQL, which means no limit at all."""


def _listed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_listed)]
"""A list, or one text with commas, as the environment has it."""


class Section(BaseModel):
    """A group of settings; unknown members are refused, values never change after start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretInFile(SecretStr):
    """A secret that stands in a file, which may say another one later.

    `path` is where whoever wants the present one reads again (`configuration.read_secret_file`).
    """

    def __init__(self, value: str, path: Path) -> None:
        super().__init__(value)
        self.path = path


def issuer(value: str) -> tuple[str, str]:
    """Return scheme and host of an issuer: an origin, so that every path below it is ours.

    Stricter than RFC 8414 section 2: no path, and only one way to write it, because verifiers
    compare issuers letter by letter.
    """
    match = _ISSUER.fullmatch(value)
    if not match or int(match[3] or 0) > HIGHEST_PORT:
        raise ValueError("the issuer is https://host or https://host:port in lower case, no more")
    return match[1], match[2].strip("[]")


def postgres_url(value: SecretStr) -> SecretStr:
    """Return a connection URL, checked as the PostgreSQL driver would read it."""
    if _is_postgres_url(value.get_secret_value()):
        return value
    raise ValueError(f"write postgresql://user:password@host:port/database, {ENCODED}")


def _is_postgres_url(text: str) -> bool:
    try:
        parts, options = split(text)
        ports = [int(port) for port in options.get("port", "1").split(",")]
    except ValueError:
        return False
    return (
        parts.scheme in {"postgresql", "postgres"}
        and _has_hosts(parts.netloc)
        and all(0 < port <= HIGHEST_PORT for port in ports)
        and options.get("sslmode", "prefer") in SSL_MODES
    )


def split(text: str) -> tuple[SplitResult, dict[str, str]]:
    """Return a URL's parts and options; whatever is out of place was part of a password."""
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    if "@" in parts.path or re.search(r"[#\s]", text):
        raise ValueError("a character that must be encoded")
    return parts, options


def _has_hosts(netloc: str) -> bool:
    # This driver ends the login at the first `@`, and takes none as the host of its environment.
    hosts = netloc.partition("@")[2] if "@" in netloc else netloc
    return not hosts or all(map(_is_host, hosts.split(",")))


def read_host(text: str, port: int) -> tuple[str, int]:
    """Return host and port of `host:port`, or of `host` with the usual `port`."""
    match = _HOST.fullmatch(text)
    if match is None or not 0 < int(match[2] or port) <= HIGHEST_PORT:
        raise ValueError("not a host")
    return match[1].strip("[]"), int(match[2] or port)


def _is_host(text: str) -> bool:
    try:
        read_host(text, 1)
    except ValueError:
        return False
    return True


def master_secrets(text: str) -> dict[int, bytes]:
    """Read `id: value` by line or comma, in the operator's order; refuse what can be guessed."""
    values: dict[int, bytes] = {}
    for entry in filter(None, (part.strip() for part in re.split(r"[\n,]", text))):
        number, colon, value = entry.partition(":")
        if not colon or not _ID.fullmatch(number.strip()):
            raise ValueError("write each secret as `id: value`")
        secret_id, raw = int(number), value.strip().encode()
        if not 1 <= secret_id <= MOST_SECRETS or secret_id in values:
            raise ValueError("secret ids are different numbers from 1 to 255")
        if len(raw) < SECRET_BYTES:
            raise ValueError(f"secret {secret_id} is shorter than {SECRET_BYTES} bytes")
        weak = any(word in value.lower() for word in WEAK_WORDS)
        if weak or len(set(raw)) < DISTINCT_BYTES:
            raise ValueError(
                f"secret {secret_id} looks guessable; `keyturn config secret` makes one"
            )
        values[secret_id] = raw
    if not values:
        raise ValueError("at least one secret is needed; `keyturn config secret` makes one")
    return values
