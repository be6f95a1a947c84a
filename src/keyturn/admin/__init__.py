"""The admin API, `/admin/v1` on the management port: JSON for operators' programs.

`operation`  one request as a row of a table: what it reads, answers and demands
`gate`       the only way from a row to a route: bearer token, scope, input, audit, answer
`bearer`     who calls: a machine with an administrative scope, and nobody else
`cursors`    where the next page begins, as text that only we can make
`messages`   what is read and answered; `shapes` what that is made of; `audit_messages`
`users` `clients` `sessions` `keys` `audit_events` `registration_tokens`   the rows, a noun a file
`declared_clients`   a clients file, applied
`openapi`    the document, made of the rows

A door here is handed what has been checked. It has no route of its own, so none can be open by
oversight: what is not in a table is not there, and what is, is behind the gate.
"""
