"""Time's own door: what has to happen although nobody asks.

`runner`              runs jobs until the process stops: spread out, surviving any outage
`leader`              which process does a job that one should do: an advisory lock, held
`copy_revocations`    the leader keeps the revocations in Redis complete; everybody watches
`deliver_logouts`     every process tells clients of sessions that ended, as far as they answer
`purge`               the leader deletes what has expired, in small batches
`census`              each minute: live sessions, expired rows, the schema
`forget_audit`        the leader drops months of the audit trail
`expire_registrations`  the leader closes clients that registered themselves and were never used
`settle_step_ups`     older sessions end that a fresh proof has replaced
`start_up`            what is done before the first request
`rotate_keys`, `reload_keyring`   the life of signing keys, and every process's knowledge of it
`write_audit`, `probe`            the audit trail's writer; what `/health/dependencies` tells

A job decides nothing itself: it calls a rule on time. A job that fails says so once, tries again
and never takes the server down. Leadership only saves work: every job would be harmless if two
processes did it at once, because a leader may lose its lock without noticing.
"""
