"""The registered clients: who cannot come in, and who has a switch that costs something."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keyturn.doctor.finding import Check, Finding, warning

SWITCHES = warning("clients.switches")
CREDENTIALS = warning("clients.credentials")

CHECKS: tuple[Check, ...] = (SWITCHES, CREDENTIALS)

MOST = 10_000
"""Clients that are looked at."""
SHOWN = 5

Row = Mapping[str, Any]

_RISKS: Mapping[str, Callable[[Row], bool]] = {
    "require_pkce: false": lambda row: not row["require_pkce"],
    "skip_consent with self-registration": lambda row: (
        row["skip_consent"] and row["self_registered"]
    ),
    "rotation: off without require_dpop": lambda row: (
        not row["rotation"] and not row["require_dpop"]
    ),
    "grace over 10 s": lambda row: bool(row["long_grace"]),
    "personal data in its tokens": lambda row: row["personal"],
}
"""What docs/clients.md tells the risk of, where nothing else about the client makes up for it."""


def clients(rows: Sequence[Row]) -> list[Finding]:
    """Judge the clients that may be used."""
    risky = [_switched(name, rows, has) for name, has in _RISKS.items() if any(map(has, rows))]
    shut = [row["id"] for row in rows if not _can_prove_itself(row)]
    looked = f"clients: {len(rows)}"
    return [
        *(risky or [SWITCHES.ok(f"{looked}, none with a switch that costs something")]),
        CREDENTIALS.wrong(
            f"confidential clients that have nothing to prove themselves by: {_named(shut)}",
            "`keyturn clients rotate-secret CLIENT_ID`, or give it `jwks` or `jwks_uri`",
        )
        if shut
        else CREDENTIALS.ok("every confidential client can prove itself"),
    ]


def _switched(name: str, rows: Sequence[Row], has: Callable[[Row], bool]) -> Finding:
    sentence = f"{name}: {_named([row['id'] for row in rows if has(row)])}"
    return SWITCHES.wrong(
        sentence, "turn it off where the application can do without: docs/clients.md"
    )


def _can_prove_itself(row: Row) -> bool:
    if row["auth_method"] == "private_key_jwt":
        return bool(row["has_keys"])
    return row["kind"] != "confidential" or bool(row["has_secret"])


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if ids[SHOWN:] else ""
    return ", ".join(ids[:SHOWN]) + more
