"""Words and tools of cryptography; no protocol, no storage.

`secrets`   the server's master secrets and the purpose keys derived from them (HKDF)
`opaque`    the only source of randomness: tokens, ids, hashes, constant-time comparison
`strict_json`  JSON with one meaning or none, for what others signed
`jose`      keys in and out of JWK form, verification of a JWT of ours
`client_jws`  the same of what clients sign by keys of their own; only these two import joserfc
`pkce`      proof keys of codes (RFC 7636)

Nothing here logs, and no representation of an object here shows key material.
"""
