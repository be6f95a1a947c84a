"""`keyturn doctor`: say what is wrong with a deployment and how to mend it."""

import asyncio
import ssl
from itertools import groupby
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from keyturn.cli.context import AWAY, REFUSED, WRONG, ConfigOption, JsonOption, fail, print_json
from keyturn.clock import SystemClock
from keyturn.configuration import environment
from keyturn.doctor.examination import Order, examine, read
from keyturn.doctor.finding import Finding, Report, Severity

MARKS = {
    Severity.OK: "ok      ",
    Severity.SKIPPED: "-       ",
    Severity.WARNING: "warning ",
    Severity.ERROR: "ERROR   ",
}


def doctor(
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Connect here instead of to the issuer, and expect it."),
    ] = None,
    management_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Look at this management port, too."),
    ] = None,
    outside: Annotated[
        bool, typer.Option("--outside", help="Only as a client sees it; with --url, no settings.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Look at a deployment from inside and from outside; it changes nothing.

    Exit 0 when it is well, 1 when something is wrong, 2 for wrong usage, 3 when nothing answers.
    """
    order, found = _order(_url("--url", url), _url("--management-url", management_url), config,
                          outside=outside)  # fmt: skip
    report = asyncio.run(examine(order, SystemClock(), trusted(), found))
    if json:
        print_json(_document(report, strict=strict))
    else:
        _print(report)
    raise typer.Exit(_code(report, strict=strict))


def trusted() -> ssl.SSLContext:
    """Return what certificates are checked by: the system's authorities, or `SSL_CERT_FILE`."""
    return ssl.create_default_context()


def _order(
    url: str | None, management_url: str | None, config: Path | None, *, outside: bool
) -> tuple[Order, list[Finding]]:
    if outside and url is not None:
        return Order(None, url, management_url, inside=False), []
    settings, found = read(environment(), config)
    if outside and settings is None:
        fail("--outside needs --url, or settings that name the issuer", WRONG)
    return Order(settings, url, management_url, inside=not outside), [] if outside else found


def _url(option: str, url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query or parts.username is not None:
        fail(f"{option}: takes an http or https URL without a path", WRONG)
    return url.rstrip("/")


def _code(report: Report, *, strict: bool) -> int:
    if not report.reached:
        return AWAY
    return 0 if _is_well(report, strict=strict) else REFUSED


def _is_well(report: Report, *, strict: bool) -> bool:
    counted = report.count(Severity.ERROR) + (report.count(Severity.WARNING) if strict else 0)
    return report.reached and counted == 0


def _document(report: Report, *, strict: bool) -> dict[str, object]:
    return {
        "ok": _is_well(report, strict=strict),
        "reached": report.reached,
        "errors": report.count(Severity.ERROR),
        "warnings": report.count(Severity.WARNING),
        "findings": [
            {
                "id": one.id,
                "severity": one.severity.value,
                "sentence": one.sentence,
                "remedy": one.remedy or None,
            }
            for one in report.findings
        ],
    }


def _print(report: Report) -> None:
    for group, findings in groupby(report.findings, lambda one: one.group):
        print(group)
        for _, alike in groupby(findings, lambda one: (one.severity, one.sentence)):
            _print_alike(list(alike))
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    skipped = report.count(Severity.SKIPPED)
    print(f"errors: {errors}; warnings: {warnings}; not looked at: {skipped}")


def _print_alike(findings: list[Finding]) -> None:
    """Print findings of one sentence: several were skipped for one reason."""
    (one, *_), names = findings, ", ".join(each.id for each in findings)
    print(f"  {MARKS[one.severity]}{names}: {visible(one.sentence)}")
    if one.remedy:
        print(f"          {visible(one.remedy)}")


def visible(text: str) -> str:
    """Return what a terminal may be given: findings quote what a stranger may have answered."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
