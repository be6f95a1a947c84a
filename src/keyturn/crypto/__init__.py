"""Words and tools of cryptography; no protocol, no storage.

`secrets`   the server's master secrets and the purpose keys derived from them (HKDF)
`opaque`    the only source of randomness: tokens, ids, hashes, constant-time comparison
`strict_json`  JSON with one meaning or none, for what others signed
`jose`      the only importer of joserfc: keys in and out of JWK form, verification of a JWT

Nothing here logs, and no representation of an object here shows key material.
"""
