"""Registered applications (RFC 6749 section 2, RFC 7591): what they are, may do, and know.

`model`           one client, frozen, as every process holds it
`statements`      what is read from and written to PostgreSQL
`registry`        the copy in memory that every request asks: no SQL on the way
`definition`      a client as an operator describes it, field by field
`rules`           which descriptions are safe and make sense, in one place
`syntax`          the shapes of ids, scopes, audiences, origins and redirect URIs
`redirect_uris`   whether a browser may be sent there
`secrets`         client secrets: made, hashed, compared
`client_keys`     the public keys a client signs with; `published_keys` reads them at its address
`administration`  add, list, show, disable, enable, rotate a secret
`clients_file`    clients.yaml, read          `plan`   what applying it would change
`declarative`     applying it: idempotent, all or nothing

Every door may ask the registry; commands and the admin API use the rest. Nothing here speaks
HTTP or checks a request (`oauth.client_authentication` does), and nothing here ever deletes a
client, gives an id out a second time, or keeps a secret in clear.
"""
