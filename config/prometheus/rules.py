"""The recording rules and alerts: `python config/prometheus/rules.py` writes rules.yaml anew.

What is promised stands in `SLOS`, what is told to people in alerts.py; docs/slo.md explains the
one and docs/runbooks.md the other. The chart gets a copy of the same bytes.

Windows longer than five minutes are averages of recorded five-minute rates, of what went wrong and
of all: two series a promise are read for a month, however many replicas, routes and buckets. The
ratio of two averages weighs each request the same; an average of ratios would not.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from alerts import ALERTS, Alert

HERE = Path(__file__).parent
CHART = HERE.parents[1] / "helm" / "keyturn" / "files"

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
BUDGET_WINDOW = "30d"
BY = "by (namespace, job)"
LEAST = "1e-9"
"""Requests a second below which there are none: a ratio of nothing to nothing is 0 then."""

HTTP = "http_server_request_duration_seconds"
TOKENS = 'http_route=~"/oauth2/token|/auth/refresh"'
LOGINS = 'http_request_method="POST", http_route=~"/auth/login|/login"'
DOCUMENTS = (
    'http_route=~"/[.]well-known/(jwks[.]json|openid-configuration|oauth-authorization-server)"'
)
FAILED = 'http_response_status_code=~"5.."'
SERVED = 'http_response_status_code!~"5.."'


def rate(series: str) -> str:
    """Return the sum of a counter's five-minute rates over the replicas of one job."""
    return f"sum {BY} (rate({series}[5m]))"


def slow(histogram: str, labels: str, limit: str) -> str:
    """Return the rate of what took longer than `limit`, which must be a bucket."""
    within = f'{labels}, le="{limit}"'.removeprefix(", ")
    of = f"{{{labels}}}" if labels else ""
    everything, quick = rate(f"{histogram}_count{of}"), rate(f"{histogram}_bucket{{{within}}}")
    return f"clamp_min({everything}\n  - {quick}, 0)"


@dataclass(frozen=True)
class Slo:
    """A promise for 30 days: of `requests`, at most `1 - target` are among `errors`."""

    name: str
    title: str
    target: str
    errors: str
    requests: str
    guard: str
    """Events a second over the long window below which nobody is called."""
    page: str
    dashboard: str
    pages: bool = True
    """Whether a fast burn has an alert of its own here; the documents have a stricter one."""

    @property
    def budget(self) -> str:
        """The share that may go wrong."""
        places = len(self.target.partition(".")[2])
        return f"{1 - float(self.target):.{places}f}"

    def ratio(self, window: str) -> str:
        """Return the name of the recorded share of what went wrong."""
        return f"job:keyturn_{self.name}:error_ratio_rate{window}"

    def recorded(self) -> list[dict[str, Any]]:
        """Return the rules of the two rates and of the windows alerts look at."""
        rates = [
            _rule(f"job:keyturn_{self.name}_errors:rate5m", _or_none(self.errors)),
            _rule(f"job:keyturn_{self.name}_requests:rate5m", _or_none(self.requests)),
        ]
        return rates + [self._window(window) for window in WINDOWS]

    def month(self) -> list[dict[str, Any]]:
        """Return the rules of the whole budget: spent, and left (1 all of it, 0 none, then less)."""
        left = f"1 - {self.ratio(BUDGET_WINDOW)} / {self.budget}"
        return [
            self._window(BUDGET_WINDOW),
            _rule(f"job:keyturn_{self.name}:error_budget_remaining30d", left),
        ]

    def _window(self, window: str) -> dict[str, Any]:
        errors = f"job:keyturn_{self.name}_errors:rate5m"
        requests = f"job:keyturn_{self.name}_requests:rate5m"
        if window != "5m":
            errors = f"avg_over_time({errors}[{window}])"
            requests = f"avg_over_time({requests}[{window}])"
        return _rule(self.ratio(window), f"{errors}\n/ clamp_min({requests}, {LEAST})")

    def burning(self, factor: str, long: str, short: str) -> str:
        """Return what holds while the budget burns `factor` times as fast as it may."""
        return (
            f"  {self.ratio(long)} > {factor} * {self.budget}\n"
            f"  and {self.ratio(short)} > {factor} * {self.budget}\n"
            f"  and avg_over_time(job:keyturn_{self.name}_requests:rate5m[{long}]) >= {self.guard}\n"
        )

    def alerts(self) -> list[Alert]:
        """Return the alerts of a fast and of a slow burn."""
        fast = self._alert("Fast", "page", "2m", (("14.4", "1h", "5m"), ("6", "6h", "30m")))
        slow = self._alert("Slow", "ticket", "15m", (("3", "1d", "2h"), ("1", "3d", "6h")))
        return [fast, slow] if self.pages else [slow]

    def _alert(self, speed: str, severity: str, held: str, pairs: Any) -> Alert:
        budget = f"{float(self.budget) * 100:g}"
        end = "within days" if speed == "Fast" else "before its 30 days are over"
        return Alert(
            name=f"Keyturn{self.page}Budget{speed}Burn",
            severity=severity,
            held=held,
            expression=") or (\n".join(self.burning(*pair) for pair in pairs).join(("(\n", ")")),
            summary=f"{self.title}: the error budget burns {'fast' if speed == 'Fast' else 'slowly'}",
            description=(
                f"{{{{ $value | humanizePercentage }}}} goes wrong; {budget} % may, over 30 days."
                f" At this rate the budget is spent {end}."
            ),
            dashboard=self.dashboard,
        )


SLOS = (
    Slo(
        "token", "Tokens are answered", "0.9995",
        rate(f"{HTTP}_count{{{TOKENS}, {FAILED}}}"), rate(f"{HTTP}_count{{{TOKENS}}}"),
        "0.1", "TokenError", "tokens",
    ),
    Slo(
        "token_latency", "Tokens are answered within 100 ms", "0.99",
        slow(HTTP, f"{TOKENS}, {SERVED}", "0.1"), rate(f"{HTTP}_count{{{TOKENS}, {SERVED}}}"),
        "0.1", "TokenLatency", "tokens",
    ),
    Slo(
        "login_latency", "Log-ins are answered within 500 ms", "0.99",
        slow(HTTP, f"{LOGINS}, {SERVED}", "0.5"), rate(f"{HTTP}_count{{{LOGINS}, {SERVED}}}"),
        "0.01", "LoginLatency", "security",
    ),
    Slo(
        "documents", "Keys and metadata are served", "0.9999",
        rate(f"{HTTP}_count{{{DOCUMENTS}, {FAILED}}}"), rate(f"{HTTP}_count{{{DOCUMENTS}}}"),
        "0.1", "DocumentsError", "overview", pages=False,
    ),
    Slo(
        "login", "Passwords are judged", "0.999",
        rate('keyturn_authentications_total{result="error"}'),
        rate("keyturn_authentications_total"),
        "0.01", "LoginError", "security",
    ),
    Slo(
        "revocation", "Revocations are copied within 2 s", "0.999",
        slow("keyturn_revocation_propagation_seconds", "", "2.0"),
        rate("keyturn_revocation_propagation_seconds_count"),
        "0.01", "RevocationFreshness", "tokens",
    ),
)  # fmt: skip


def _rule(record: str, expression: str) -> dict[str, Any]:
    return {"record": record, "expr": expression}


def _or_none(expression: str) -> str:
    """Return 0, and not nothing, for a server that nobody has asked yet."""
    return f"{expression}\nor 0 * max {BY} (keyturn_ready)"


def groups() -> list[dict[str, Any]]:
    """Return the groups of the file; a month is added up every five minutes only."""
    recorded = [
        {"name": f"keyturn-slo-{one.name.replace('_', '-')}", "rules": one.recorded()}
        for one in SLOS
    ]
    month = [rule for one in SLOS for rule in one.month()]
    burning = [alert.rule() for one in SLOS for alert in one.alerts()]
    return [
        *recorded,
        {"name": "keyturn-slo-month", "interval": "5m", "rules": month},
        {"name": "keyturn-slo-alerts", "rules": burning},
        {"name": "keyturn-alerts", "rules": [alert.rule() for alert in ALERTS]},
    ]


class _Dumper(yaml.SafeDumper):
    """Writes expressions as blocks, as people do."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)

HEAD = """\
# Written by config/prometheus/rules.py; change that, and run it. Targets: docs/slo.md; what to do
# when one of these fires: docs/runbooks.md.
"""


def rendered() -> str:
    """Return the file."""
    return HEAD + yaml.dump(
        {"groups": groups()}, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True
    )


def main() -> None:
    """Write the file and the chart's copy of it."""
    for place in (HERE, CHART):
        place.mkdir(parents=True, exist_ok=True)
        (place / "rules.yaml").write_text(rendered(), encoding="utf-8")


if __name__ == "__main__":
    main()
