"""Settings of the requests this server makes to others: what it may reach, whom it trusts."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from keyturn.settings_syntax import HIGHEST_PORT, Section

_PLACE = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_HTTPS = 443


def _place(value: str) -> str:
    """Return `host:port`, the port of https when none is named."""
    match = _PLACE.fullmatch(value)
    if match is None or int(match[2] or 0) > HIGHEST_PORT:
        raise ValueError("write host or host:port in lower case, without scheme, path or wildcard")
    return f"{match[1]}:{match[2] or _HTTPS}"


Place = Annotated[str, AfterValidator(_place)]


class OutgoingSettings(Section):
    """Requests to clients: logout tokens."""

    private_hosts: tuple[Place, ...] = Field(
        (), description="Clients' host[:port] that may have private addresses; default none."
    )
    ca_file: Path | None = Field(
        None, description="PEM certificates trusted besides the system's; default none."
    )

    @field_validator("private_hosts", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(",") if part.strip()]
