"""The alerts beside those of the error budgets; rules.py writes them into rules.yaml.

`page` wakes somebody, `ticket` can wait for the morning; `topic: security` is for those who look
after abuse. Thresholds are of the default settings: docs/runbooks.md says which setting moves them.
"""

from dataclasses import dataclass
from typing import Any

RUNBOOKS = "https://github.com/keyturn/keyturn/blob/main/docs/runbooks.md"
BY = "by (namespace, job)"
REFRESHES = "keyturn_refresh_rotations_total"
SIGN_INS = "keyturn_authentications_total"


@dataclass(frozen=True)
class Alert:
    """One alert; `dashboard` is the page of config/grafana that shows what it is about."""

    name: str
    severity: str
    held: str
    expression: str
    summary: str
    description: str
    dashboard: str
    topic: str = ""

    def rule(self) -> dict[str, Any]:
        """Return it as the file has it."""
        labels = {"severity": self.severity} | ({"topic": self.topic} if self.topic else {})
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.held,
            "labels": labels,
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{RUNBOOKS}#{self.name.lower()}",
                "dashboard_url": f"/d/keyturn-{self.dashboard}"
                "?var-namespace={{ $labels.namespace }}&var-job={{ $labels.job }}",
            },
        }


def surge(counter: str, least: str) -> str:
    """Return what holds while a counter rises thrice as fast as a week ago, and notably."""
    now = f"sum {BY} (rate({counter}[15m]))"
    return (
        f"{now} > {least}\n"
        f"and {now}\n"
        f"  > 3 * (sum {BY} (rate({counter}[1h] offset 1w)) or 0 * {now})"
    )


AVAILABILITY = (
    Alert(
        "KeyturnDown", "page", "2m",
        "absent(keyturn_ready)",
        "Prometheus sees no keyturn server at all",
        "No target delivers keyturn_ready: all are down, or none is scraped any more.",
        "overview",
    ),
    Alert(
        "KeyturnNoReadyReplica", "page", "2m",
        f"sum {BY} (keyturn_ready) == 0",
        "No replica of keyturn is ready for traffic",
        "Every replica answers /health/ready with 503: nobody gets a token or a key.",
        "overview",
    ),
    Alert(
        "KeyturnJwksUnavailable", "page", "5m",
        f"sum {BY} (rate(http_server_request_duration_seconds_count"
        '{http_request_method=~"GET|HEAD", http_route="/.well-known/jwks.json",'
        ' http_response_status_code!~"2..|304"}[5m]))\n'
        f"/ sum {BY} (rate(http_server_request_duration_seconds_count"
        '{http_request_method=~"GET|HEAD", http_route="/.well-known/jwks.json"}[5m])) > 0.001',
        "APIs do not get the public keys",
        "{{ $value | humanizePercentage }} of the requests for the JWKS failed for five minutes.",
        "overview",
    ),
    Alert(
        "KeyturnMigrationPending", "ticket", "15m",
        f'max {BY} (keyturn_schema_version{{kind="applied"}})\n'
        f'< max {BY} (keyturn_schema_version{{kind="required"}})',
        "The database's schema is older than the servers need",
        "Schema {{ $value }} is applied; a server that runs wants a later one.",
        "housekeeping",
    ),
    Alert(
        "KeyturnWorkersRestart", "ticket", "0m",
        f"sum {BY} (increase(keyturn_worker_restarts_total[30m])) > 2",
        "Workers of keyturn die again and again",
        "{{ $value | humanize }} workers were started anew within half an hour.",
        "overview",
    ),
    Alert(
        "KeyturnWorkersMissing", "ticket", "5m",
        'keyturn_workers{state="ready"} < ignoring (state) keyturn_workers{state="configured"}',
        "Fewer workers of keyturn are ready than should be",
        "{{ $value }} are ready on {{ $labels.instance }}; the others carry its load.",
        "overview",
    ),
)  # fmt: skip

SECURITY = (
    Alert(
        "KeyturnRefreshReuseSpike", "ticket", "10m",
        f'sum {BY} (rate({REFRESHES}{{result="reuse"}}[10m])) > 0.05\n'
        f'and sum {BY} (rate({REFRESHES}{{result="reuse"}}[10m]))\n'
        f'  > 5 * sum {BY} (rate({REFRESHES}{{result="reuse"}}[1d] offset 10m))',
        "Far more superseded refresh tokens come back than yesterday",
        "{{ $value | humanize }} a second: stolen tokens, or a client that keeps old ones.",
        "tokens", "security",
    ),
    Alert(
        "KeyturnRefreshAlarm", "ticket", "0m",
        f'sum {BY} (increase({REFRESHES}{{result="alarm"}}[1h])) > 0',
        "Somebody presents refresh tokens that this server made and never gave to anybody",
        'keyturn_refresh_rotations_total{result="alarm"} moved, which it should never do.',
        "tokens", "security",
    ),
    Alert(
        "KeyturnCredentialStuffing", "ticket", "10m",
        f'sum {BY} (rate({SIGN_INS}{{result="bad_credentials"}}[10m])) > 5\n'
        f'and sum {BY} (rate({SIGN_INS}{{result="bad_credentials"}}[10m]))\n'
        f"  > 0.6 * sum {BY} (rate({SIGN_INS}[10m]))",
        "Most passwords that are tried are wrong, and many are tried",
        "{{ $value | humanize }} wrong passwords a second: lists of stolen ones are tried out.",
        "security", "security",
    ),
    Alert(
        "KeyturnLockoutSurge", "ticket", "15m",
        surge("keyturn_lockouts_total", "0.05"),
        "Far more accounts or addresses are locked than a week ago",
        "{{ $value | humanize }} limits a second begin to hold.",
        "security", "security",
    ),
    Alert(
        "KeyturnThrottleSurge", "ticket", "15m",
        surge("keyturn_throttled_total", "1"),
        "Far more attempts are refused by a limit than a week ago",
        "{{ $value | humanize }} attempts a second are refused: an attack, or limits too tight.",
        "security", "security",
    ),
    Alert(
        "KeyturnAuditLoss", "page", "0m",
        f"sum {BY} (increase(keyturn_audit_write_failures_total[10m])) > 0",
        "Audit events are lost",
        "{{ $value | humanize }} events of the last ten minutes are not in the audit trail.",
        "housekeeping", "security",
    ),
    Alert(
        "KeyturnAuditQueueFilling", "ticket", "1m",
        f"max {BY} (keyturn_audit_events_waiting) > 2000",
        "Audit events wait in memory for the database",
        "{{ $value | humanize }} wait in one replica; at audit.queue_limit (10000) they are lost.",
        "housekeeping", "security",
    ),
    Alert(
        "KeyturnRevocationCopierStalled", "ticket", "5m",
        f'sum {BY} (rate(keyturn_revocation_copies_total{{result="copied"}}[5m])) < 1\n'
        f'and max {BY} (keyturn_dependency_up{{dependency="redis"}}) == 1',
        "Revocations are not copied to Redis",
        "{{ $value | humanize }} rounds a second instead of 2; each check asks PostgreSQL.",
        "tokens",
    ),
)  # fmt: skip

DEPENDENCIES = (
    Alert(
        "KeyturnPostgresDown", "page", "1m",
        f'max {BY} (keyturn_dependency_up{{dependency="postgres"}}) == 0',
        "No replica reaches PostgreSQL",
        "Whatever needs the database is answered 503; keys and metadata are still served.",
        "dependencies",
    ),
    Alert(
        "KeyturnRedisDegraded", "ticket", "5m",
        f'min {BY} (keyturn_dependency_up{{dependency="redis"}}) == 0',
        "A replica does not reach Redis",
        "Limits are counted in each process and revocations asked from PostgreSQL.",
        "dependencies",
    ),
    Alert(
        "KeyturnDatabasePoolSaturated", "ticket", "10m",
        "histogram_quantile(0.95,\n"
        "  sum by (namespace, job, le) (rate(keyturn_db_pool_wait_seconds_bucket[5m]))) > 0.05\n"
        'or max by (namespace, job) (keyturn_db_pool_connections{state="used"}\n'
        '  / ignoring (state) keyturn_db_pool_connections{state="max"}) > 0.9',
        "Requests wait for connections to PostgreSQL",
        "The 95th percentile of waiting is above 50 ms, or a pool is used by more than 90 %.",
        "dependencies",
    ),
    Alert(
        "KeyturnPasswordHashQueueing", "ticket", "5m",
        f"max {BY} (avg_over_time(keyturn_password_hash_queue_length[5m])) > 8\n"
        f"or sum {BY} (increase(keyturn_password_hash_refused_total[5m])) > 0",
        "Password checks wait for a core",
        "{{ $value | humanize }} hashes wait in one replica, or were refused with 503.",
        "dependencies",
    ),
    Alert(
        "KeyturnEventLoopLag", "ticket", "10m",
        "histogram_quantile(0.99,\n"
        "  sum by (namespace, job, le) (rate(keyturn_event_loop_lag_seconds_bucket[5m]))) > 0.1",
        "The servers do not keep up",
        "The event loop wakes up {{ $value | humanizeDuration }} late (99th percentile).",
        "dependencies",
    ),
    Alert(
        "KeyturnClockSkew", "ticket", "5m",
        f"max {BY} (abs(keyturn_clock_skew_seconds)) > 30",
        "A server's clock and the database's differ",
        "By {{ $value | humanizeDuration }}; beyond 60 s tokens are refused.",
        "dependencies",
    ),
    Alert(
        "KeyturnClientKeysUnreadable", "ticket", "15m",
        f'sum {BY} (increase(keyturn_client_key_reads_total{{result!="ok"}}[30m])) > 10',
        "Keys that clients publish cannot be read",
        "{{ $value | humanize }} attempts of half an hour failed; those clients get 503.",
        "dependencies",
    ),
    Alert(
        "KeyturnLogoutsDelayed", "ticket", "15m",
        f"max {BY} (keyturn_logout_queue_oldest_seconds) > 900",
        "A client does not take its logout tokens",
        "The oldest logout has waited for {{ $value | humanizeDuration }}.",
        "dependencies",
    ),
    Alert(
        "KeyturnLogoutsLost", "ticket", "0m",
        f'sum {BY} (increase(keyturn_logout_deliveries_total{{result=~"refused|given_up"}}[1h]))'
        " > 0",
        "Clients were not told of logouts, and will not be",
        "{{ $value | humanize }} logouts of the last hour were refused or given up.",
        "dependencies",
    ),
)  # fmt: skip

HOUSEKEEPING = (
    Alert(
        "KeyturnNoNextKey", "ticket", "10m",
        f'max {BY} (keyturn_signing_keys{{state="next"}}) == 0',
        "No next signing key is published",
        "The rotation of keys is broken: nothing can take the signing key's place.",
        "housekeeping",
    ),
    Alert(
        "KeyturnSigningKeyExpiresSoon", "page", "10m",
        f'max {BY} (keyturn_signing_key_not_after_timestamp_seconds{{state="signing"}})'
        " - time() < 86400\n"
        f'and max {BY} (keyturn_signing_keys{{state="next"}}) == 0',
        "The signing key's time ends within a day, and there is no next one",
        "{{ $value | humanizeDuration }} are left, and a new key needs 15 minutes before it signs.",
        "housekeeping",
    ),
    Alert(
        "KeyturnSigningKeyOverdue", "ticket", "10m",
        f"time() - max {BY}"
        ' (keyturn_signing_key_not_after_timestamp_seconds{state="signing"}) > 3600',
        "The signing key signs for longer than it should",
        "Its period ended {{ $value | humanizeDuration }} ago, and no key took its place.",
        "housekeeping",
    ),
    Alert(
        "KeyturnSigningKeysUnopened", "ticket", "5m",
        f"max {BY} (keyturn_signing_keys_unopened) > 0",
        "A signing key is sealed by a secret that a server does not have",
        "{{ $value }} private keys cannot be opened with the master secrets listed there.",
        "housekeeping",
    ),
    Alert(
        "KeyturnKeyringStale", "ticket", "5m",
        f"time() - min {BY} (keyturn_keyring_last_load_timestamp_seconds) > 60",
        "A server has not read the signing keys for a while",
        "For {{ $value | humanizeDuration }}; it may serve a JWKS that lacks the newest key.",
        "housekeeping",
    ),
    Alert(
        "KeyturnPurgeStalled", "ticket", "1h",
        f"time() - max {BY} (keyturn_purge_last_success_timestamp_seconds) > 3600",
        "Expired rows are not deleted",
        "The last purge finished {{ $value | humanizeDuration }} ago; one is due each 5 minutes.",
        "housekeeping",
    ),
    Alert(
        "KeyturnTableGrowth", "ticket", "1h",
        "max by (namespace, job, table) (min_over_time(keyturn_expired_rows[6h])) > 10000\n"
        "and max by (namespace, job, table) (deriv(keyturn_expired_rows[1d])) > 0",
        "Expired rows become more and more",
        "{{ $value | humanize }} expired rows in {{ $labels.table }}, rising for a day.",
        "housekeeping",
    ),
)  # fmt: skip

ALERTS = (*AVAILABILITY, *SECURITY, *DEPENDENCIES, *HOUSEKEEPING)
