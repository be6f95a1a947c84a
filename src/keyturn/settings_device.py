"""How devices without a keyboard are connected (RFC 8628)."""

from pydantic import Field

from keyturn.settings_syntax import Section


class DeviceSettings(Section):
    """Codes that a person types in one place for a device in another."""

    lifetime: int = Field(600, ge=1, le=1800, description="Seconds a person has to answer.")
    interval: int = Field(5, ge=1, le=60, description="Seconds between two questions of a device.")
    codes_per_address: int = Field(
        30, ge=1, description="Codes for one public client and address in throttle.window."
    )
    wrong_codes: int = Field(
        300, ge=1, description="Wrong codes altogether in throttle.window, typed by anybody."
    )
