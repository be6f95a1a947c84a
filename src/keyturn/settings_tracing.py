"""Settings of traces, which are off until an endpoint is named. Needs the extra `otel`."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from keyturn.settings_syntax import Networks, Section

PATH = "/v1/traces"
"""Where OTLP over HTTP is received, unless the endpoint names a path itself."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[\x20-\x7e]{1,4096}")
_OURS = frozenset({"content-type", "content-length", "content-encoding", "host", "user-agent"})
_SERVICE = re.compile(r"[A-Za-z0-9._/-]{1,64}")


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    # A login or a key in the URL would be printed with it: by us, and by the library.
    if not usable or "@" in value or re.search(r"[?#\s\\]", value) or not value.isascii():
        raise ValueError("write http(s)://host:port/v1/traces; what is secret belongs in headers")
    return value if parts.path.strip("/") else value.rstrip("/") + PATH


def _headers(value: SecretStr) -> SecretStr:
    read_headers(value.get_secret_value())
    return value


def _service(value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise ValueError("write up to 64 letters, digits and . _ / -")
    return value


def read_headers(text: str) -> dict[str, str]:
    """Read lines of `name: value`. Raises `ValueError`, never with a value."""
    headers: dict[str, str] = {}
    for line in filter(None, (part.strip() for part in text.split("\n"))):
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("write each header as `name: value`, each on a line of its own")
        if name in _OURS or name in headers:
            raise ValueError("a header is given twice, or is one the exporter sets itself")
        headers[name] = value
    return headers


class TracingSettings(Section):
    """OpenTelemetry traces, sent as OTLP over HTTP."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        None, description="URL of an OTLP/HTTP receiver; none: no traces."
    )
    headers: Annotated[SecretStr, AfterValidator(_headers)] | None = Field(
        None, description="What the receiver wants to see, `name: value` by line."
    )
    ca_file: Path | None = Field(
        None, description="PEM file of the authorities to trust instead of the usual ones."
    )
    sample_ratio: float = Field(
        0.1, ge=0, le=1, description="Share of requests that are traced, drawn here."
    )
    service_name: Annotated[str, AfterValidator(_service)] = Field(
        "keyturn", description="What traces call this server."
    )
    trusted_callers: Networks = Field(
        (), description="Networks whose `traceparent` is continued; default nobody."
    )

    def sent_headers(self) -> dict[str, str]:
        """Return the headers by name: for the exporter only."""
        return {} if self.headers is None else read_headers(self.headers.get_secret_value())
