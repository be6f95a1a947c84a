"""A browser by the name its owner knows it by.

What a browser says of itself is made for servers, and anybody may say anything: this is for a
person to recognise their own devices, and decides nothing.
"""

from collections.abc import Sequence
from typing import Final

from keyturn.pages.languages import Language

BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""What stands for which browser, the first that fits: most of them claim to be Safari, too."""

SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
MOST: Final = 60
"""Characters that are shown of what nobody knows."""


def name_of(device: str | None, language: Language) -> str:
    """Return `Firefox on Linux`; what is unknown as it calls itself, and `unknown` for nothing."""
    if device is None:
        return language.say("account.unknown_device")
    browser, system = _first(BROWSERS, device), _first(SYSTEMS, device)
    if browser and system and device.startswith(("(", "Mozilla/")):
        return language.say("account.device", browser=browser, system=system)
    return device if len(device) <= MOST else f"{device[:MOST]}…"


def _first(known: Sequence[tuple[str, str]], device: str) -> str | None:
    return next((name for mark, name in known if mark in device), None)
