"""Tokens: what is signed, and how it is checked.

`scope`         RFC 6749 section 3.3: scopes read, allowed, written
`access_token`  RFC 9068: the claims, signed last, after every decision and every commit
`id_token`      OpenID Connect Core section 2: who signed in, for the client alone
`logout_token`  OpenID Connect Back-Channel Logout section 2.4: a session has ended
`claims`        which members of an account each scope shows
`exchange`      RFC 8693: what a new token may say of what an older one says
`dpop_proof`    RFC 9449: what a proof of possession must be; `dpop_nonce` the nonces in it
`verify`        our own access tokens presented to our own endpoints (RFC 9068 section 4)

Signing uses the key `keys.keyring` hands out; checking uses the keys it publishes, in memory,
so both go on without the database. Nothing here decides who may have a token.
"""
