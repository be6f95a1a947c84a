"""What a verifier does, for Prometheus. Needs the extra `metrics`.

    verifier = Verifier(issuer, audience, observer=PrometheusObserver())

- `keyturn_verifier_verifications_total`: tokens looked at. `result` is `verified`, `cached`,
  `unavailable`, or why a token was refused: a value of `Reason`.
- `keyturn_verifier_jwks_fetches_total`, `keyturn_verifier_status_list_fetches_total`: how often
  each document was asked for. `result` is `ok` or `failed`.
- `keyturn_verifier_jwks_timestamp_seconds`, `keyturn_verifier_status_list_timestamp_seconds`: when
  each was last confirmed; its age is `time()` less that.

No metric holds a part of a token, a subject or a client.
"""

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
except ModuleNotFoundError as missing:
    raise ImportError(
        "needs prometheus-client: pip install 'keyturn-verifier[metrics]'"
    ) from missing

from keyturn_verifier.clock import Clock, SystemClock
from keyturn_verifier.errors import Reason

_PREFIX = "keyturn_verifier"


class PrometheusObserver:
    """Counts; an `Observer`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY, clock: Clock | None = None) -> None:
        """Register the metrics; once for each registry."""
        self._clock = clock or SystemClock()
        self._verifications = Counter(
            f"{_PREFIX}_verifications", "Access tokens looked at.", ["result"], registry=registry
        )
        for result in ("verified", "cached", "unavailable", *(one.value for one in Reason)):
            self._verifications.labels(result)
        self._jwks = _Copies("jwks", "Keys", registry)
        self._status_lists = _Copies("status_list", "Status lists", registry)

    def verified(self, *, cached: bool) -> None:
        """Count a good token."""
        self._verifications.labels("cached" if cached else "verified").inc()

    def refused(self, reason: Reason) -> None:
        """Count a refused one."""
        self._verifications.labels(reason.value).inc()

    def unavailable(self) -> None:
        """Count one of which nothing could be said."""
        self._verifications.labels("unavailable").inc()

    def jwks_fetched(self, *, ok: bool, age: float | None) -> None:
        """Note that the keys were asked for."""
        self._jwks.fetched(self._clock.now(), age, ok=ok)

    def status_list_fetched(self, *, ok: bool, age: float | None) -> None:
        """Note that a status list was asked for."""
        self._status_lists.fetched(self._clock.now(), age, ok=ok)


class _Copies:
    """How fresh our copy of a document is."""

    def __init__(self, name: str, title: str, registry: CollectorRegistry) -> None:
        self._fetches = Counter(
            f"{_PREFIX}_{name}_fetches", f"{title} asked for.", ["result"], registry=registry
        )
        for result in ("ok", "failed"):
            self._fetches.labels(result)
        self._confirmed = Gauge(
            f"{_PREFIX}_{name}_timestamp_seconds", f"{title} last confirmed.", registry=registry
        )

    def fetched(self, now: float, age: float | None, *, ok: bool) -> None:
        """Count a fetch, and keep when the copy was confirmed rather than an age that ages."""
        self._fetches.labels("ok" if ok else "failed").inc()
        if age is not None:
            self._confirmed.set(now - age)
