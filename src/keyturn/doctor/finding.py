"""What an examination finds: one sentence, how bad it is, and how to mend it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is, the best first."""

    OK = "ok"
    SKIPPED = "skipped"
    """Not looked at, and why: it may be good or bad."""
    WARNING = "warning"
    """It works; it costs something, or will one day."""
    ERROR = "error"
    """Somebody is refused, or somebody gets in who should not, or will be at the next trouble."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one deployment; nothing in it is secret."""

    id: str
    severity: Severity
    sentence: str
    remedy: str = ""
    """The command or the setting that mends it; empty where nothing is wrong."""

    @property
    def group(self) -> str:
        """What it is about: `postgres` of `postgres.version`."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at; `severity` is how bad it is when it is not as it should be."""

    id: str
    severity: Severity

    def ok(self, sentence: str) -> Finding:
        """Say that it is as it should be."""
        return Finding(self.id, Severity.OK, sentence)

    def skipped(self, why: str) -> Finding:
        """Say that it was not looked at."""
        return Finding(self.id, Severity.SKIPPED, why)

    def wrong(self, sentence: str, remedy: str) -> Finding:
        """Say what is wrong, and how to mend it."""
        return Finding(self.id, self.severity, sentence, remedy)


def error(name: str) -> Check:
    """Return a check whose failure is an error."""
    return Check(name, Severity.ERROR)


def warning(name: str) -> Check:
    """Return a check whose failure is a warning."""
    return Check(name, Severity.WARNING)


def skip(checks: Iterable[Check], why: str) -> list[Finding]:
    """Say of several checks that they were not made, for one reason."""
    return [check.skipped(why) for check in checks]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, and whether there was anything to look at."""

    findings: Sequence[Finding]
    reached: bool
    """Whether anybody who was asked answered: the database, the issuer, the management port."""

    def count(self, severity: Severity) -> int:
        """Return how many findings are of that severity."""
        return sum(one.severity is severity for one in self.findings)
