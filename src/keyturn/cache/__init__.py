"""Redis (or Valkey), which may vanish at any time: nothing is lost and nobody is let in.

`client`     one command or script at a time, each within a deadline, behind a breaker
`breaker`    asks nothing of a server that has failed several times in a row, then probes it
`lines`      connections to the one server that has our keys
`discovery`  which server that is, looked up beside the calls: `sentinel`, `cluster`

Rules come here, doors never do. Everything that can go wrong is `errors.CacheUnavailable`, which
no caller of ours ever sees: whoever asks falls back to PostgreSQL or to counters of its own.
What is kept here may be missing, so no rule may read "absent" as "allowed" without further proof.
Keys are made by `keyspace` only: two issuers can share a server, and all keys of one issuer
share a hash slot, so that a script may touch several.
"""
