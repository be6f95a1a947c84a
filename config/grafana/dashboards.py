"""The dashboards: `python config/grafana/dashboards.py` writes each of them anew.

The chart gets copies of the same bytes. Every query names metrics of docs/metrics.md or recorded
ones of ../prometheus/rules.yaml, and returns something in a system in which nothing is wrong.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from panels import Dashboard, Panel, quantile, rate, series, share

HERE = Path(__file__).parent
CHART = HERE.parents[1] / "helm" / "keyturn" / "files" / "dashboards"

HTTP = "http_server_request_duration_seconds"
NOT_AFTER = "keyturn_signing_key_not_after_timestamp_seconds"
FAILED = 'http_response_status_code=~"5.."'
TOKENS = 'http_route=~"/oauth2/token|/auth/refresh"'
LOGINS = 'http_route=~"/auth/login|/login"'
OBJECTIVES = {
    "token": ("tokens answered", "0.0005"),
    "token_latency": ("tokens in 100 ms", "0.01"),
    "login_latency": ("log-ins in 500 ms", "0.01"),
    "documents": ("keys and metadata", "0.0001"),
    "login": ("passwords judged", "0.001"),
    "revocation": ("revocations in 2 s", "0.001"),
}
"""Recorded objectives: what they are called, and the share that may go wrong."""


def recorded(name: str) -> str:
    """Return a recorded series, by its own name."""
    return series(name)


OVERVIEW = Dashboard(
    "overview", "Overview", "Are the promises kept, and is everything there?",
    (
        Panel(
            "Error budget left, 30 days", "1 is all of it, 0 none: then change nothing but faults.",
            "percentunit",
            tuple(
                (recorded(f"job:keyturn_{name}:error_budget_remaining30d"), title)
                for name, (title, _) in OBJECTIVES.items()
            ),
            "KeyturnTokenErrorBudgetFastBurn", "bargauge", 1,
        ),
        Panel(
            "Burn rate, 1 hour", "1 spends the budget in 30 days; 14.4 calls somebody.", "none",
            tuple(
                (f"{recorded(f'job:keyturn_{name}:error_ratio_rate1h')} / {budget}", title)
                for name, (title, budget) in OBJECTIVES.items()
            ),
            "KeyturnTokenErrorBudgetFastBurn",
        ),
        Panel(
            "Replicas", "Ready for traffic, and shutting down.", "none",
            ((f"sum({series('keyturn_ready')})", "ready"),
             (f"sum({series('keyturn_draining')})", "draining")),
            "KeyturnNoReadyReplica",
        ),
        Panel(
            "Releases", "How many processes run which; two of them while one rolls out.", "none",
            ((f"count by (version, commit) ({series('keyturn_build_info')})",
              "{{version}} {{commit}}"),),
        ),
        Panel(
            "Requests by route", "Requests a second.", "reqps",
            ((rate(f"{HTTP}_count", "http_route"), "{{http_route}}"),),
        ),
        Panel(
            "Failures by route", "The share of answers that are 5xx.", "percentunit",
            ((share(rate(f"{HTTP}_count", "http_route", FAILED),
                    rate(f"{HTTP}_count", "http_route")), "{{http_route}}"),),
            "KeyturnTokenErrorBudgetFastBurn", most=1,
        ),
        Panel(
            "Time to answer", "Of all requests; the points are traces.", "s",
            tuple((quantile(one, HTTP), f"p{one * 100:g}") for one in (0.5, 0.95, 0.99)),
            "KeyturnTokenLatencyBudgetFastBurn",
        ),
        Panel(
            "Time to answer by route", "The 99th percentile.", "s",
            ((quantile(0.99, HTTP, "http_route"), "{{http_route}}"),),
        ),
        Panel(
            "Keys and metadata", "Answers by status; every API needs the keys.", "reqps",
            ((rate(f"{HTTP}_count", "http_route, http_response_status_code",
                   'http_route=~"/[.]well-known/.*"'),
              "{{http_route}} {{http_response_status_code}}"),),
            "KeyturnJwksUnavailable",
        ),
        Panel(
            "Being answered now", "Requests that have begun and not ended.", "none",
            ((f"sum by (http_request_method) ({series('http_server_active_requests')})",
              "{{http_request_method}}"),),
        ),
        Panel(
            "Unreadable requests", "Refused by the parser, so that no route sees them.", "reqps",
            ((rate("keyturn_unreadable_requests_total", "status"), "{{status}}"),),
        ),
        Panel(
            "Processor and memory", "Cores used, by replica; one process uses one at most.", "none",
            ((f"rate({series('process_cpu_seconds_total')}[$__rate_interval])",
              "{{instance}} cores"),
             (f"{series('process_resident_memory_bytes')} / 2^30", "{{instance}} GiB")),
        ),
        Panel(
            "Workers started anew", "After one died; only with several workers.", "none",
            ((f"sum by (reason) (increase({series('keyturn_worker_restarts_total')}[1h]))",
              "{{reason}}"),),
            "KeyturnWorkersRestart",
        ),
        Panel(
            "Workers", "With serve --workers: how many there should be, run, and are ready.",
            "none",
            ((f"sum by (state) ({series('keyturn_workers')})", "{{state}}"),
             (rate("keyturn_worker_snapshots_late_total"), "late to tell, a second")),
            "KeyturnWorkersMissing",
        ),
    ),
)  # fmt: skip

TOKENS_BOARD = Dashboard(
    "tokens", "Tokens", "Grants, refreshes, revocations, and what APIs ask.",
    (
        Panel(
            "Token requests by grant", "At /oauth2/token.", "reqps",
            ((rate("keyturn_token_requests_total", "grant_type"), "{{grant_type}}"),),
            "KeyturnTokenErrorBudgetFastBurn",
        ),
        Panel(
            "Token requests by result", "Other than ok, by the code of OAuth.", "reqps",
            ((rate("keyturn_token_requests_total", "result", 'result!="ok"'), "{{result}}"),),
            "KeyturnTokenErrorBudgetFastBurn",
        ),
        Panel(
            "Tokens issued", "By kind; the session API counts too.", "ops",
            ((rate("keyturn_tokens_issued_total", "type"), "{{type}}"),),
        ),
        Panel(
            "Time to answer tokens", "/oauth2/token and /auth/refresh.", "s",
            tuple(
                (quantile(one, HTTP, labels=TOKENS), f"p{one * 100:g}") for one in (0.5, 0.95, 0.99)
            ),
            "KeyturnTokenLatencyBudgetFastBurn",
        ),
        Panel(
            "Refreshes", "What became of them: docs/rotation.md.", "ops",
            ((rate("keyturn_refresh_rotations_total", "result"), "{{result}}"),),
        ),
        Panel(
            "Refresh reuse", "Superseded tokens that came back outside the grace; alarm is never.",
            "ops",
            ((rate("keyturn_refresh_rotations_total", "result", 'result=~"reuse|alarm"'),
              "{{result}}"),),
            "KeyturnRefreshReuseSpike",
        ),
        Panel(
            "Sessions ended early", "By reason.", "ops",
            ((rate("keyturn_sessions_revoked_total", "reason"), "{{reason}}"),),
        ),
        Panel(
            "Revocations", "Of what, and at whose wish.", "ops",
            ((rate("keyturn_revocations_total", "kind, source"), "{{kind}} by {{source}}"),),
        ),
        Panel(
            "From a revocation to its copy", "The promise is 2 s.", "s",
            tuple(
                (quantile(one, "keyturn_revocation_propagation_seconds"), f"p{one * 100:g}")
                for one in (0.5, 0.999)
            ),
            "KeyturnRevocationFreshnessBudgetFastBurn",
        ),
        Panel(
            "Rounds of the copier", "Two copied ones a second, from one replica.", "ops",
            ((rate("keyturn_revocation_copies_total", "result"), "{{result}}"),),
            "KeyturnRevocationCopierStalled",
        ),
        Panel(
            "Introspections", "By result.", "reqps",
            ((rate("keyturn_introspections_total", "result"), "{{result}}"),),
        ),
        Panel(
            "Revocation checks answered by Redis", "The others asked PostgreSQL.", "percentunit",
            ((share(rate("keyturn_revocation_cache_lookups_total", "",
                         'result=~"hit|miss"'),
                    rate("keyturn_revocation_cache_lookups_total")), "answered"),),
            "KeyturnRevocationCopierStalled", most=1,
        ),
        Panel(
            "Sessions", "Live ones; counted each minute by the replica that leads.", "none",
            ((f"max({series('keyturn_sessions_active')})", "live"),),
        ),
        Panel(
            "Signatures", "Time of one, by algorithm, 99th percentile.", "s",
            ((quantile(0.99, "keyturn_signing_duration_seconds", "alg"), "{{alg}}"),),
        ),
        Panel(
            "Pushed requests", "By what they were answered.", "reqps",
            ((rate("keyturn_pushed_requests_total", "result"), "{{result}}"),),
        ),
        Panel(
            "Revoked in the status lists", "Sessions; the lists grow with them.", "none",
            ((f"max({series('keyturn_status_list_revoked')})", "revoked"),),
        ),
        Panel(
            "Reading for the status lists", "News once a second; all after a start or trouble.", "s",
            ((quantile(0.99, "keyturn_status_list_read_seconds", "what"), "{{what}}"),),
        ),
    ),
)  # fmt: skip

SECURITY = Dashboard(
    "security", "Log-in and security", "Who gets in, who is kept out, and who tries.",
    (
        Panel(
            "Passwords", "By result.", "ops",
            ((rate("keyturn_authentications_total", "method, result"), "{{method}} {{result}}"),),
            "KeyturnLoginErrorBudgetFastBurn",
        ),
        Panel(
            "Wrong passwords", "Their share; above 60 %, and many, somebody tries lists.",
            "percentunit",
            ((share(rate("keyturn_authentications_total", "", 'result="bad_credentials"'),
                    rate("keyturn_authentications_total")), "wrong"),),
            "KeyturnCredentialStuffing", most=1,
        ),
        Panel(
            "Time to log in", "/auth/login and the page; the promise is 500 ms.", "s",
            tuple(
                (quantile(one, HTTP, labels=LOGINS), f"p{one * 100:g}") for one in (0.5, 0.95, 0.99)
            ),
            "KeyturnLoginLatencyBudgetFastBurn",
        ),
        Panel(
            "Limits that begin to hold", "For an account, or for an address.", "ops",
            ((rate("keyturn_lockouts_total", "scope"), "{{scope}}"),),
            "KeyturnLockoutSurge",
        ),
        Panel(
            "Attempts refused by a limit", "By the rule that refused.", "ops",
            ((rate("keyturn_throttled_total", "rule"), "{{rule}}"),),
            "KeyturnThrottleSurge",
        ),
        Panel(
            "Step-ups", "Fresh proofs of people who were signed in.", "ops",
            ((rate("keyturn_step_ups_total", "result"), "{{result}}"),),
        ),
        Panel(
            "Requests for authorization", "How they ended.", "reqps",
            ((rate("keyturn_authorizations_total", "result"), "{{result}}"),),
        ),
        Panel(
            "Clients refused", "Wrong secrets and assertions, proofs, and what they may not.",
            "reqps",
            ((rate("keyturn_token_requests_total", "result",
                   'result=~"invalid_client|unauthorized_client|invalid_dpop_proof"'),
              "{{result}}"),),
        ),
        Panel(
            "Refresh reuse", "Stolen tokens, or clients restored to older ones.", "ops",
            ((rate("keyturn_refresh_rotations_total", "", 'result="reuse"'), "reuse"),
             (rate("keyturn_sessions_revoked_total", "", 'reason=~"reuse|code_reuse"'),
              "sessions ended by it")),
            "KeyturnRefreshReuseSpike",
        ),
        Panel(
            "Audit events", "By type.", "ops",
            ((rate("keyturn_audit_events_total", "type"), "{{type}}"),),
        ),
        Panel(
            "Audit events waiting", "In memory; the largest of a replica. 10,000 fit.", "none",
            ((f"max({series('keyturn_audit_events_waiting')})", "waiting"),),
            "KeyturnAuditQueueFilling",
        ),
        Panel(
            "Audit events lost", "By reason; each is an incident.", "none",
            ((f"sum by (reason) (increase({series('keyturn_audit_write_failures_total')}[1h]))",
              "{{reason}}"),),
            "KeyturnAuditLoss",
        ),
    ),
)  # fmt: skip

DEPENDENCIES = Dashboard(
    "dependencies", "Dependencies", "PostgreSQL, Redis, cores, and the servers of clients.",
    (
        Panel(
            "Reached", "Replicas whose last probe was answered.", "none",
            ((f"sum by (dependency) ({series('keyturn_dependency_up')})", "{{dependency}}"),),
            "KeyturnPostgresDown",
        ),
        Panel(
            "Connections to PostgreSQL", "Of all replicas.", "none",
            ((f"sum by (state) ({series('keyturn_db_pool_connections')})", "{{state}}"),),
            "KeyturnDatabasePoolSaturated",
        ),
        Panel(
            "Waiting for a connection", "Above 50 ms the pool is too small, or queries too slow.",
            "s",
            tuple(
                (quantile(one, "keyturn_db_pool_wait_seconds"), f"p{one * 100:g}")
                for one in (0.5, 0.95, 0.99)
            ),
            "KeyturnDatabasePoolSaturated",
        ),
        Panel(
            "Slowest queries", "By name, 95th percentile.", "s",
            ((f"topk(8, {quantile(0.95, 'keyturn_db_operation_duration_seconds', 'operation')})",
              "{{operation}}"),),
        ),
        Panel(
            "Queries", "A second, by name.", "ops",
            ((f"topk(8, {rate('keyturn_db_operation_duration_seconds_count', 'operation')})",
              "{{operation}}"),),
        ),
        Panel(
            "Database trouble", "By kind.", "ops",
            ((rate("keyturn_db_errors_total", "kind"), "{{kind}}"),),
            "KeyturnPostgresDown",
        ),
        Panel(
            "Redis", "Time of a command, 99th percentile.", "s",
            ((quantile(0.99, "keyturn_redis_operation_duration_seconds", "operation"),
              "{{operation}}"),),
            "KeyturnRedisDegraded",
        ),
        Panel(
            "Redis trouble", "By kind; open: not asked, because it failed just now.", "ops",
            ((rate("keyturn_redis_errors_total", "kind"), "{{kind}}"),),
            "KeyturnRedisDegraded",
        ),
        Panel(
            "Event loop", "How late it wakes up.", "s",
            tuple(
                (quantile(one, "keyturn_event_loop_lag_seconds"), f"p{one * 100:g}")
                for one in (0.5, 0.99)
            ),
            "KeyturnEventLoopLag",
        ),
        Panel(
            "Password hashes waiting", "The largest queue of a replica.", "none",
            ((f"max({series('keyturn_password_hash_queue_length')})", "waiting"),),
            "KeyturnPasswordHashQueueing",
        ),
        Panel(
            "Password hashes", "Time of one, waiting included, 95th percentile.", "s",
            ((quantile(0.95, "keyturn_password_hash_duration_seconds", "algorithm"),
              "{{algorithm}}"),),
            "KeyturnPasswordHashQueueing",
        ),
        Panel(
            "Password hashes given up", "503: the queue was full, or the deadline passed.", "ops",
            ((rate("keyturn_password_hash_refused_total", "reason"), "{{reason}}"),),
            "KeyturnPasswordHashQueueing",
        ),
        Panel(
            "Clock skew", "The database's clock minus the server's.", "s",
            ((series("keyturn_clock_skew_seconds"), "{{instance}}"),),
            "KeyturnClockSkew",
        ),
        Panel(
            "Keys read from clients", "Attempts, by result.", "ops",
            ((rate("keyturn_client_key_reads_total", "result"), "{{result}}"),),
            "KeyturnClientKeysUnreadable",
        ),
        Panel(
            "Logout tokens", "Attempts to deliver them, by result.", "ops",
            ((rate("keyturn_logout_deliveries_total", "result"), "{{result}}"),),
            "KeyturnLogoutsLost",
        ),
        Panel(
            "Logouts to tell", "How many wait.", "none",
            ((f"max({series('keyturn_logout_queue_length')})", "waiting"),),
            "KeyturnLogoutsDelayed",
        ),
        Panel(
            "Oldest logout to tell", "How long it has waited.", "s",
            ((f"max({series('keyturn_logout_queue_oldest_seconds')})", "oldest"),),
            "KeyturnLogoutsDelayed",
        ),
        Panel(
            "From a logout to its acknowledgement", "By the client that was told.", "s",
            ((quantile(0.95, "keyturn_logout_delay_seconds"), "p95"),),
            "KeyturnLogoutsDelayed",
        ),
    ),
)  # fmt: skip

HOUSEKEEPING = Dashboard(
    "housekeeping", "Keys and housekeeping", "What time does: keys, expiry, schema, audit months.",
    (
        Panel(
            "Signing keys", "By state; there is always one next.", "none",
            ((f"max by (state) ({series('keyturn_signing_keys')})", "{{state}}"),),
            "KeyturnNoNextKey",
        ),
        Panel(
            "Until keys change state", "Below 0: it should have happened already.", "s",
            ((f"max by (state) ({series(NOT_AFTER)}) - time()", "{{state}}"),),
            "KeyturnSigningKeyOverdue",
        ),
        Panel(
            "Keys that cannot be opened", "Sealed by a secret that a replica does not have.",
            "none",
            ((series("keyturn_signing_keys_unopened"), "{{instance}}"),),
            "KeyturnSigningKeysUnopened",
        ),
        Panel(
            "Age of the keys in memory", "Read anew each 5 s.", "s",
            ((f"time() - {series('keyturn_keyring_last_load_timestamp_seconds')}",
              "{{instance}}"),),
            "KeyturnKeyringStale",
        ),
        Panel(
            "Since the last purge", "One is due each 5 minutes.", "s",
            ((f"time() - max({series('keyturn_purge_last_success_timestamp_seconds')})",
              "since"),),
            "KeyturnPurgeStalled",
        ),
        Panel(
            "Expired rows deleted", "A second, by table.", "ops",
            ((rate("keyturn_purge_rows_deleted_total", "table"), "{{table}}"),),
            "KeyturnPurgeStalled",
        ),
        Panel(
            "Expired rows", "That are still there, by table.", "none",
            ((f"max by (table) ({series('keyturn_expired_rows')})", "{{table}}"),),
            "KeyturnTableGrowth",
        ),
        Panel(
            "Schema", "The newest migration applied, and the one that servers need.", "none",
            ((f"max by (kind) ({series('keyturn_schema_version')})", "{{kind}}"),),
            "KeyturnMigrationPending",
        ),
        Panel(
            "Audit months dropped", "By retention.", "none",
            ((f"sum({series('keyturn_audit_partitions_dropped_total')})", "months"),),
        ),
        Panel(
            "Processes", "How long each runs.", "s",
            ((f"time() - {series('process_start_time_seconds')}", "{{instance}}"),),
        ),
        Panel(
            "Open files", "Of what a process may have.", "percentunit",
            ((f"{series('process_open_fds')} / {series('process_max_fds')}", "{{instance}}"),),
            most=1,
        ),
        Panel(
            "Garbage collection", "Runs a second, by generation.", "ops",
            ((rate("python_gc_collections_total", "generation"), "{{generation}}"),),
        ),
    ),
)  # fmt: skip

BOARDS = (OVERVIEW, TOKENS_BOARD, SECURITY, DEPENDENCIES, HOUSEKEEPING)


def rendered() -> dict[str, str]:
    """Return the files by name."""
    return {
        f"{one.name}.json": json.dumps(one.rendered(), indent=2, ensure_ascii=False) + "\n"
        for one in BOARDS
    }


def main() -> None:
    """Write the files and the chart's copies of them."""
    for place in (HERE, CHART):
        place.mkdir(parents=True, exist_ok=True)
        for name, content in rendered().items():
            (place / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
