"""What the service tells about itself; imports no rule, knows no user.

`metrics`   every Prometheus metric, on one page, label children bound once
`labels`    the values those labels take
`logs`      JSON lines on stdout, with the request id, without secrets
`audit`     typed events, batched to PostgreSQL, never on the refresh path
`callers`   who causes them, from where, in which request
`vitals`    what a process knows of its own health

Labels are enums: nothing a caller can choose ever becomes a label value.
"""
