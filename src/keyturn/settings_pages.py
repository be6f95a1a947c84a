"""How the hosted pages look: a name, a logo, and colours that everybody can read.

Colours whose contrast is too low are refused at start (WCAG 2.2, 1.4.3): a person who cannot read
the sign-in page cannot tell it from a forged one either. Two pairs decide in each scheme, because
the pages use nothing but them: text and accent, each on the background; buttons swap the latter.
"""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from keyturn.settings_syntax import Section

ENOUGH = 4.5
"""The least contrast of text (WCAG 2.2, 1.4.3); more than controls need (1.4.11: 3)."""

MOST_NAME = 60

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_PLAIN_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._~/%-]*")


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - of sRGB


def _colour(value: str) -> str:
    if not _COLOUR.fullmatch(value.lower()):
        raise ValueError("write a colour as #rrggbb")
    return value.lower()


def _logo(value: str) -> str:
    # It becomes a source in a Content-Security-Policy: nothing that could end one there.
    if not _PLAIN_URL.fullmatch(value):
        raise ValueError("write https://host/path, without query or fragment")
    return value


def _printable(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > MOST_NAME:
        raise ValueError(f"write 1 to {MOST_NAME} printable characters")
    return value.strip()


Colour = Annotated[str, AfterValidator(_colour)]


class PagesSettings(Section):
    """The pages people see: sign-in, consent, signed out, errors."""

    name: Annotated[str, AfterValidator(_printable)] = Field(
        "keyturn", description="Whose pages these are, as people know it."
    )
    logo_url: Annotated[str, AfterValidator(_logo)] | None = Field(
        None, description="https URL of a logo; absent: the name alone."
    )
    light_background: Colour = Field("#ffffff", description="Behind everything, light scheme.")
    light_text: Colour = Field("#1b1f24", description="Text, light scheme.")
    light_accent: Colour = Field("#1d4ed8", description="Buttons and links, light scheme.")
    dark_background: Colour = Field("#14171c", description="Behind everything, dark scheme.")
    dark_text: Colour = Field("#e6e9ee", description="Text, dark scheme.")
    dark_accent: Colour = Field("#9dbcff", description="Buttons and links, dark scheme.")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for scheme in ("light", "dark"):
            background = getattr(self, f"{scheme}_background")
            for name in (f"{scheme}_text", f"{scheme}_accent"):
                found = contrast(getattr(self, name), background)
                if found < ENOUGH:
                    raise ValueError(
                        f"{name} has a contrast of {found:.1f} on {scheme}_background;"
                        f" at least {ENOUGH} can be read"
                    )
        return self

    @property
    def logo_origin(self) -> str | None:
        """Where the logo comes from, as a source of a Content-Security-Policy."""
        if self.logo_url is None:
            return None
        return f"https://{urlsplit(self.logo_url).netloc}"
