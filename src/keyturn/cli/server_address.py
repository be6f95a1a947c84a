"""Where a server is, and whose it is: where a token, and where a secret, may be sent."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from keyturn import paths
from keyturn.cli.context import WRONG, fail

PINNED: Final = "unencrypted: anybody on the way could say whose it is; name that with --issuer"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A management URL, and the issuer it was said to belong to."""

    url: str
    issuer: str | None

    @classmethod
    def of(cls, url: str, issuer: str | None) -> "ServerAddress":
        """Check what was typed. Leaves for anything but http and https.

        http beyond this machine is for networks that encrypt by themselves, or are trusted: the
        token is warned of, and the secret goes only to the issuer that was named.
        """
        parts = _parts("--server", url)
        if parts.scheme == "http" and not _is_here(parts):
            if not issuer:
                fail(f"--server {url}: {PINNED}", WRONG)
            print(f"keyturn: the access token is sent to {url} unencrypted", file=sys.stderr)
        if issuer:
            _check_secure("--issuer", issuer)
        return cls(url.rstrip("/"), issuer.rstrip("/") if issuer else None)

    def issuer_of(self, document: Mapping[str, Any]) -> str:
        """Return whose tokens the server takes, by its document. Leaves when it is another's."""
        try:
            schemes = document["components"]["securitySchemes"]
            told = str(schemes["admin"]["flows"]["clientCredentials"]["tokenUrl"])
        except (KeyError, TypeError):
            fail(f"--server {self.url}: is no admin API of ours", WRONG)
        said = told.removesuffix(paths.TOKEN)
        if self.issuer is not None and said != self.issuer:
            fail(f"--server {self.url}: belongs to the issuer {said}, not {self.issuer}", WRONG)
        _check_secure("the token endpoint", said)
        return said


def _check_secure(what: str, url: str) -> None:
    """Let a secret travel encrypted, or within this machine."""
    parts = _parts(what, url)
    if parts.scheme == "http" and not _is_here(parts):
        fail(f"{what} {url}: a secret is sent by https only", WRONG)


def _parts(what: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment or parts.username is not None:
        fail(f"{what}: takes an http or https URL, such as http://127.0.0.1:8081", WRONG)
    return parts


def _is_here(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
