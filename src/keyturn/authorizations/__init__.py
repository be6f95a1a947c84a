"""Authorizations: what applications ask for, what people answer, and the code that says so.

`model`      a checked request, and the same while a person signs in or decides
`requests`   requests in progress: kept for one browser, finished once
`codes`      authorization codes: issued, redeemed once; a second redemption ends what they gave
`consents`   what a person has allowed an application, and taking it back

A code, a handle and a cookie value are random and kept as hashes, each in a table of its own: one
is rubbish where another is expected. Whether a request is acceptable, and what it needs, the door
decides (`oauth.authorize`). Never here: HTTP, signing, which client is asking.
"""
