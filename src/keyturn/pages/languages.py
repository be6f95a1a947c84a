"""Which language a person reads, and what the pages say in it.

One catalogue a language, in gettext's format, so that translators have their tools; a file in
`catalogues/` is a language. English is complete and stands in for what another one lacks (a test
fails on that). Values put into a message are escaped like everything else on a page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from io import BytesIO
from typing import Final, Self

from babel.core import Locale, negotiate_locale
from babel.dates import format_timedelta
from babel.messages.pofile import read_po
from babel.units import format_unit
from markupsafe import Markup, escape

ENGLISH: Final = "en"
A_MOMENT: Final = timedelta(minutes=1)
MOST_WANTED: Final = 20
"""Languages of one request that are looked at."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its code (BCP 47), and every message by its key."""

    code: str
    messages: Mapping[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        """Its name in itself: who looks for a language may read no other."""
        return (self._locale.get_display_name() or self.code).capitalize()

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return self._locale.text_direction

    def say(self, key: str, **values: object) -> Markup:
        """Return a message, ready for a page; its values are escaped. Raises `KeyError`."""
        return Markup(escape(self.messages[key])).format(**values)  # noqa: S704 - it is escaped

    def knows(self, key: str) -> bool:
        """Whether there is such a message."""
        return key in self.messages

    def amount(self, number: int, unit: str) -> str:
        """Return `3 days`, in this language; units as in CLDR: `day`, `hour`, `second`."""
        return format_unit(number, f"duration-{unit}", locale=self._locale)

    def ago(self, age: timedelta) -> str:
        """Return `5 minutes ago`, in this language: true in every time zone."""
        if age < A_MOMENT:
            return self.say("time.now")
        return format_timedelta(-age, add_direction=True, locale=self._locale)

    @property
    def _locale(self) -> Locale:
        return Locale.parse(self.code, sep="-")


@dataclass(frozen=True, slots=True)
class Languages:
    """Every language there is a catalogue for, English first."""

    known: Mapping[str, Language]

    @classmethod
    def load(cls) -> Self:
        """Read the catalogues of this package."""
        read = dict(sorted(_catalogues()))
        english = read.pop(ENGLISH)
        others = {code: Language(code, english | said) for code, said in read.items()}
        return cls({ENGLISH: Language(ENGLISH, english), **others})

    def choose(self, *wanted: Sequence[str]) -> Language:
        """Return the language of the first list that names a known one, else English."""
        for codes in wanted:
            tidy = [code.replace("_", "-") for code in codes[:MOST_WANTED] if code.isascii()]
            found = negotiate_locale(tidy, list(self.known), sep="-")
            if found:
                return self._spelt(found)
        return self.known[ENGLISH]

    def _spelt(self, code: str) -> Language:
        """Return a known language however its code is spelt: `DE` is German (RFC 5646 2.1.1)."""
        return next(one for known, one in self.known.items() if known.lower() == code.lower())


def accepted(header: str) -> list[str]:
    """Return the languages of `Accept-Language`, the best first (RFC 9110 section 12.5.4)."""
    weighed = []
    for part in header.split(",")[:MOST_WANTED]:
        code, _, parameters = part.strip().partition(";")
        try:
            weight = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        if weight > 0 and code:
            weighed.append((weight, code.strip()))
    return [code for _, code in sorted(weighed, key=lambda pair: -pair[0])]


def _catalogues() -> Iterator[tuple[str, dict[str, str]]]:
    folder = resources.files(__package__).joinpath("catalogues")
    for entry in folder.iterdir():
        code, _, kind = entry.name.partition(".")
        if kind == "po":
            catalogue = read_po(BytesIO(entry.read_bytes()), abort_invalid=True)
            yield code, {str(one.id): str(one.string) for one in catalogue if one.id and one.string}
