"""`keyturn doctor`: what is wrong with a deployment, and how to mend it. It only looks.

`examination`    everything at once, each side bounded in time, and the report
`finding`        what a check says: a sentence, a severity, a remedy

A family of checks is a file of small functions from facts to findings, which ask nobody:

`configuration`  settings and secrets       `postgres`      the server, and what a failover costs
`schema`         migrations                 `signing_keys`  at rest
`clients`        switches that cost         `upkeep`        purges, audit months, logouts
`redis`          the cache                  `tls`           the way to the issuer
`documents`      metadata and JWKS          `answers`       what proxies do to them
`exposure`       the management port        `status_list`   the first one, as an API fetches it

Who asks: `sources` the files, `inside` PostgreSQL (by `doctor.sql`, in read-only transactions),
`cache` Redis, `outside` the public URL and the management port, over `wire`.

What cannot be looked at is a finding, too (`skipped`). Every id is explained in docs/doctor.md; a
test compares the two. Nothing here prints a secret: sentences hold names, numbers and addresses.
"""
