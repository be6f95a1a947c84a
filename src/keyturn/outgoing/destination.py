"""A URL to call, read in one way only: what another parser might read differently is refused."""

import re
from dataclasses import dataclass
from typing import Final, Self

HIGHEST_PORT: Final = 65535
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_NAME: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_URL: Final = re.compile(
    rf"(https?)://((?:{_NAME})(?:\.{_NAME})*|\[[0-9A-Fa-f:.]+\])(?::([1-9][0-9]{{0,4}}))?"
    r"((?:[/?](?:[A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})*)?)"
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes. No user, no fragment: none would be sent."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query, as they are sent."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an absolute http(s) URL. Raises `ValueError` with a sentence for people."""
        match = _URL.fullmatch(url)
        if match is None or int(match[3] or 0) > HIGHEST_PORT:
            raise ValueError("an https URL without user or fragment, such as https://app.example/x")
        target = match[4] if match[4].startswith("/") else f"/{match[4]}"
        port = int(match[3] or _DEFAULT_PORT[match[1]])
        return cls(match[1], match[2].strip("[]").lower(), port, target)

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def place(self) -> str:
        """Host and port: what the operator's list names."""
        return f"{self._bracketed}:{self.port}"

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the scheme's own: the header `Host`."""
        return self._bracketed if self.port == _DEFAULT_PORT[self.scheme] else self.place

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host
