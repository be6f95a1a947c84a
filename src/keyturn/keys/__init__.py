"""Signing keys: made, published, promoted, retired, removed; sealed while they rest.

`model`      the three states and a row
`decision`   pure: what should happen, given the rows and the database's time
`rotation`   does it, one replica at a time (the job, `keys rotate`, `--now`, `--compromised`)
`sealing`    private halves at rest: AES-256-GCM under a key derived from a master secret
`keyring`    the keys in memory: what signs, what verifies, the JWKS as bytes

A key is `next` (published, not yet signing), `signing`, then `retired` (published until the last
token it signed has expired). Serves `/.well-known/jwks.json` (RFC 7517) through `oauth.jwks`.
A private half leaves the database sealed or not at all, is wiped when its key retires, and never
appears in a log, a metric or a representation. Nothing here decides by this machine's clock.
"""
