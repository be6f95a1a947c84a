"""What happened to accounts, sessions, clients and keys, as PostgreSQL keeps it: append only.

`trail`      read it: newest first by page, or oldest first from a cursor on, losing nothing
`retention`  forget whole months
`cursors`    where a reader has got to, as opaque text

Events are made by `telemetry.audit` and brought here by `jobs.write_audit`. Each has a place in the
order of its becoming visible (`seq`), besides the time it happened (`at`): see `audit.sql`.
"""
