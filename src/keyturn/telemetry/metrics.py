"""Every metric of the service, on one page: docs/metrics.md tells the same to operators.

`labels` has the values, `instruments` how children are bound. Nothing here asks the database: a
gauge of its contents is set by a job, so that a scrape costs the same whatever they are.
"""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from keyturn.telemetry import labels
from keyturn.telemetry.instruments import OTHER, Declare
from keyturn.telemetry.status_list_metrics import StatusListMetrics
from keyturn.telemetry.worker_metrics import WorkerMetrics

HTTP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
STORE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.5)
SLOW_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0)
LONG_BUCKETS = (0.25, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0)
FAST_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)

MOST_SERIES = 2000
"""What one process may ever show: a replica is to cost a Prometheus little."""

MOST_REQUEST_TIMES = 72
"""So many combinations of method, route and status have a histogram of their own."""


@dataclass(eq=False)
class Metrics:
    """The catalogue; one instance a process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        """Declare everything."""
        declare = Declare(self.registry)
        self._http(declare)
        self._tokens(declare)
        self._people(declare)
        self._revocation(declare)
        self._keys(declare)
        self._clients(declare)
        self._stores(declare)
        self._housekeeping(declare)
        self._process(declare)
        self.workers = WorkerMetrics(self.registry)

    def _http(self, declare: Declare) -> None:
        self.requests = declare.request_times(
            "http_server_request_duration_seconds",
            "Time to answer one request (OpenTelemetry's name).",
            HTTP_BUCKETS,
            MOST_REQUEST_TIMES,
        )
        self.active_requests = declare.gauges(
            "http_server_active_requests",
            "Requests being answered now.",
            "http_request_method",
            labels.METHODS,
        )
        self.unreadable_requests = declare.counts(
            "keyturn_unreadable_requests",
            "Requests the HTTP parser refused, before any endpoint.",
            "status",
            labels.UNREADABLE,
        )

    def _tokens(self, declare: Declare) -> None:
        self.token_requests = declare.pairs(
            "keyturn_token_requests",
            "Token requests by grant and OAuth result.",
            ("grant_type", "result"),
            [(grant, result) for grant in labels.GRANTS for result in labels.TOKEN_RESULTS],
            rest=("unsupported", "server_error"),
        )
        self.tokens_issued = declare.pairs(
            "keyturn_tokens_issued",
            "Tokens answered, by kind and by what they were answered to.",
            ("type", "grant_type"),
            labels.TOKENS_ISSUED,
        )
        self.authorizations = declare.counts(
            "keyturn_authorizations",
            "How requests for authorization ended.",
            "result",
            labels.AUTHORIZATION_RESULTS,
            rest="server_error",
        )
        self.pushes = declare.counts(
            "keyturn_pushed_requests",
            "Requests pushed by clients.",
            "result",
            labels.PUSH_RESULTS,
            rest="server_error",
        )
        self.refreshes = declare.counts(
            "keyturn_refresh_rotations", "Refreshes by outcome.", "result", labels.REFRESH_RESULTS
        )

    def _people(self, declare: Declare) -> None:
        self.authentications = declare.pairs(
            "keyturn_authentications",
            "Checks of a credential, by kind and result.",
            ("method", "result"),
            [("password", result) for result in labels.SIGN_IN_RESULTS],
        )
        self.step_ups = declare.counts(
            "keyturn_step_ups",
            "Proofs asked of people who were signed in, by result.",
            "result",
            labels.SIGN_IN_RESULTS,
        )
        self.throttled = declare.counts(
            "keyturn_throttled", "Attempts refused by a limit.", "rule", labels.LIMITS
        )
        self.lockouts = declare.counts(
            "keyturn_lockouts", "Times a limit began to hold.", "scope", labels.LOCKOUT_SCOPES
        )
        self.hash_duration = declare.times_by(
            {"algorithm": labels.HASH_ALGORITHMS},
            "keyturn_password_hash_duration_seconds",
            "Time of one password hash, waiting included.",
            SLOW_BUCKETS,
        )
        self.hash_refused = declare.counts(
            "keyturn_password_hash_refused",
            "Password hashes given up: the queue was full, or the deadline passed.",
            "reason",
            ("queue", "deadline"),
        )
        self.hash_queue = declare.gauge(
            "keyturn_password_hash_queue_length", "Password hashes waiting."
        )

    def _revocation(self, declare: Declare) -> None:
        self.revocations = declare.pairs(
            "keyturn_revocations",
            "What was ended before its expiry, and at whose wish.",
            ("kind", "source"),
            labels.REVOCATIONS,
        )
        self.sessions_revoked = declare.counts(
            "keyturn_sessions_revoked",
            "Sessions ended before their expiry.",
            "reason",
            labels.REVOKE_REASONS,
        )
        self.introspections = declare.pairs(
            "keyturn_introspections",
            "Introspection answers, and what they rest on.",
            ("result", "source"),
            labels.INTROSPECTIONS,
        )
        self.revocation_lookups = declare.counts(
            "keyturn_revocation_cache_lookups",
            "Revocation checks by what the cache said.",
            "result",
            labels.CACHE_RESULTS,
        )
        self.revocation_propagation = declare.times(
            "keyturn_revocation_propagation_seconds",
            "From a revocation's commit to its copy in Redis.",
            SLOW_BUCKETS,
        )
        self.revocation_copies = declare.counts(
            "keyturn_revocation_copies", "Rounds of the copier.", "result", labels.COPY_RESULTS
        )
        self.status_lists = StatusListMetrics(declare, SLOW_BUCKETS)

    def _keys(self, declare: Declare) -> None:
        self.signing = declare.times_by(
            {"alg": labels.SIGNING_ALGORITHMS},
            "keyturn_signing_duration_seconds",
            "Time of one signature.",
            FAST_BUCKETS,
        )
        self.signing_keys = declare.open_gauge(
            "keyturn_signing_keys", "Signing keys by state.", "state"
        )
        self.signing_key_not_after = declare.open_gauge(
            "keyturn_signing_key_not_after_timestamp_seconds",
            "When the oldest key of a state is due to leave it, Unix seconds.",
            "state",
        )
        self.signing_keys_unopened = declare.gauge(
            "keyturn_signing_keys_unopened", "Private halves that no listed secret opens."
        )
        self.keyring_loaded = declare.gauge(
            "keyturn_keyring_last_load_timestamp_seconds",
            "When the signing keys were last read, Unix seconds.",
        )

    def _clients(self, declare: Declare) -> None:
        self.client_key_reads = declare.counts(
            "keyturn_client_key_reads",
            "Attempts to read the keys a client publishes.",
            "result",
            labels.KEY_READ_RESULTS,
        )
        self.logout_deliveries = declare.counts(
            "keyturn_logout_deliveries",
            "Attempts to tell a client of a logout.",
            "result",
            labels.LOGOUT_RESULTS,
        )
        self.logout_delay = declare.times(
            "keyturn_logout_delay_seconds",
            "From the end of a session to the attempt that its client acknowledged.",
            LONG_BUCKETS,
        )
        self.logout_queue = declare.gauge(
            "keyturn_logout_queue_length", "Logouts clients are to be told of."
        )
        self.logout_oldest = declare.gauge(
            "keyturn_logout_queue_oldest_seconds", "How long the oldest of those has waited."
        )

    def _stores(self, declare: Declare) -> None:
        self.database_connections = declare.gauges(
            "keyturn_db_pool_connections",
            "Connections by state, and how many there may be.",
            "state",
            ("used", "idle", "max"),
        )
        self.database_wait = declare.times(
            "keyturn_db_pool_wait_seconds", "Wait for a connection.", STORE_BUCKETS
        )
        self.database_operations = declare.times_by(
            {"operation": labels.DATABASE_OPERATIONS},
            "keyturn_db_operation_duration_seconds",
            "Time of one statement, by the name of the query.",
            STORE_BUCKETS,
        )
        self.database_errors = declare.counts(
            "keyturn_db_errors", "Database trouble.", "kind", ("connect", "pool", "statement")
        )
        self.redis_operations = declare.times_by(
            {"operation": labels.REDIS_OPERATIONS},
            "keyturn_redis_operation_duration_seconds",
            "Time of one command or script that was answered.",
            STORE_BUCKETS,
        )
        self.redis_errors = declare.pairs(
            "keyturn_redis_errors",
            "Redis trouble.",
            ("operation", "kind"),
            [(one, kind) for one in labels.REDIS_OPERATIONS for kind in labels.REDIS_ERRORS],
            rest=(OTHER, "reply"),
        )
        self.dependency_up = declare.open_gauge(
            "keyturn_dependency_up", "1 while the last probe was answered.", "dependency"
        )
        self.clock_skew = declare.gauge(
            "keyturn_clock_skew_seconds",
            "The database's clock minus this process's, at the last probe.",
        )

    def _housekeeping(self, declare: Declare) -> None:
        self.sessions_active = declare.gauge(
            "keyturn_sessions_active", "Live sessions, counted by the leader each minute."
        )
        self.expired_rows = declare.gauges(
            "keyturn_expired_rows",
            "Rows the purge has left, counted by the leader each minute.",
            "table",
            labels.EXPIRING,
        )
        self.purged = declare.counts(
            "keyturn_purge_rows_deleted", "Expired rows deleted.", "table", labels.PURGED
        )
        self.purge_success = declare.gauge(
            "keyturn_purge_last_success_timestamp_seconds",
            "When the last purge finished, Unix seconds.",
        )
        self.audit_events = declare.counts(
            "keyturn_audit_events", "Audit events written.", "type", labels.AUDIT_TYPES
        )
        self.audit_failures = declare.counts(
            "keyturn_audit_write_failures", "Audit events lost.", "reason", labels.AUDIT_LOSSES
        )
        self.audit_waiting = declare.gauge(
            "keyturn_audit_events_waiting", "Audit events in memory, for the database to take."
        )
        self.audit_months_dropped = declare.count(
            "keyturn_audit_partitions_dropped", "Months of audit events dropped by retention."
        )

    def _process(self, declare: Declare) -> None:
        self.loop_lag = declare.times(
            "keyturn_event_loop_lag_seconds", "How late the event loop wakes up.", FAST_BUCKETS
        )
        self.schema_version = declare.open_gauge(
            "keyturn_schema_version", "The newest migration applied, and the one needed.", "kind"
        )
        self.ready = declare.gauge("keyturn_ready", "1 while ready for traffic.")
        self.draining = declare.gauge("keyturn_draining", "1 while shutting down.")
        self.build = declare.info("keyturn_build", "What is running.")
        declare.process()
