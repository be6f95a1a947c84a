"""What the service tells about itself; imports no rule, knows no user.

`metrics`      every Prometheus metric, on one page
`status_list_metrics`  those of the status lists
`worker_metrics`  those of a server of several processes
`labels`       the values their labels take
`instruments`  how they are made: label children bound once, zero from the start
`logs`         JSON lines on stdout, with the request id, without secrets
`tracing`      what a request waited for, as plain facts, if it is traced
`traceparent`  in which trace a caller says to be
`trace_export` the thread in which traces leave, and what becomes of those that cannot
`trace_spans`  what OpenTelemetry makes of them: imported only when it is configured
`audit`        typed events, batched to PostgreSQL, never on the refresh path
`event_types`  what those are called
`callers`      who causes them, from where, in which request
`build`        which release, commit and interpreter this is
`vitals`       what a process knows of its own health

Labels are enums: nothing a caller can choose ever becomes a label value.
"""
