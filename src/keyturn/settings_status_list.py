"""Settings of the status lists, by which APIs hear within seconds of what has ended."""

from pydantic import Field

from keyturn.settings_syntax import Section


class StatusListSettings(Section):
    """Status lists (Token Status List, IETF OAuth)."""

    enabled: bool = Field(default=True, description="Access tokens say where their status is.")
    ttl: int = Field(10, ge=2, le=600, description="Seconds an API may rely on what it fetched.")
