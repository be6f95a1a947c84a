"""Settings of requests that clients push before they send a browser (RFC 9126)."""

from pydantic import Field

from keyturn.settings_syntax import Section


class PushedRequestsSettings(Section):
    """Pushed authorization requests."""

    lifetime: int = Field(90, ge=5, le=599, description="Until a browser must have come with it.")
    required: bool = Field(
        default=False, description="No client's request comes by browser alone any more."
    )
