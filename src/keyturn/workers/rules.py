"""What each gauge of several processes is together; a gauge without a rule fails a test.

Counters, histograms and summaries are sums, always. A gauge says how things stand, and only its
meaning tells whether those add up.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum


class Rule(StrEnum):
    """How the values of several processes become one."""

    SUM = "sum"
    """What each process holds of its own: connections, things that wait, memory."""
    MOST = "largest"
    """What several processes measure of the same thing, or what only one of them knows."""
    LEAST = "smallest"
    """What is well only if it is well in each."""
    OLDEST = "oldest"
    """Moments, of which the earliest tells of trouble; 0 is a process that has none yet."""
    FARTHEST = "farthest from zero"
    """Deviations to either side."""
    PARENT = "the parent's"
    """What the parent says for all of them."""

    def of(self, values: Sequence[float]) -> float:
        """Return the one value of several, of which there is at least one."""
        if self is Rule.SUM:
            return sum(values)
        if self is Rule.LEAST:
            return min(values)
        if self is Rule.OLDEST:
            return min((one for one in values if one > 0), default=0.0)
        if self is Rule.FARTHEST:
            return max(values, key=abs)
        return max(values)


RULES: Mapping[str, Rule] = {
    "http_server_active_requests": Rule.SUM,
    "keyturn_logout_queue_length": Rule.MOST,
    "keyturn_logout_queue_oldest_seconds": Rule.MOST,
    "keyturn_password_hash_queue_length": Rule.SUM,
    "keyturn_db_pool_connections": Rule.SUM,
    "keyturn_dependency_up": Rule.LEAST,
    "keyturn_clock_skew_seconds": Rule.FARTHEST,
    "keyturn_signing_keys": Rule.LEAST,
    "keyturn_signing_keys_unopened": Rule.MOST,
    "keyturn_signing_key_not_after_timestamp_seconds": Rule.OLDEST,
    "keyturn_keyring_last_load_timestamp_seconds": Rule.OLDEST,
    "keyturn_purge_last_success_timestamp_seconds": Rule.MOST,
    "keyturn_audit_events_waiting": Rule.SUM,
    # Each process counts the same table, as of when it was last asked.
    "keyturn_status_list_revoked": Rule.MOST,
    "keyturn_sessions_active": Rule.MOST,
    "keyturn_expired_rows": Rule.MOST,
    "keyturn_schema_version": Rule.MOST,
    "keyturn_ready": Rule.PARENT,
    "keyturn_draining": Rule.PARENT,
    "keyturn_workers": Rule.PARENT,
    "process_virtual_memory_bytes": Rule.SUM,
    "process_resident_memory_bytes": Rule.SUM,
    # Files are limited in each process: the fullest one counts, against its limit.
    "process_open_fds": Rule.MOST,
    "process_max_fds": Rule.LEAST,
    # When the server was started: a worker that is replaced does not change that.
    "process_start_time_seconds": Rule.OLDEST,
    "python_info": Rule.MOST,
}


def rule_of(gauge: str) -> Rule:
    """Return the rule of a gauge.

    One that a newer client library brings along has none, and a scrape must not fail for it.
    """
    return RULES.get(gauge, Rule.MOST)
