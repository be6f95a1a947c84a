"""Authorizations: what applications ask for, what people answer, and the code that says so.

`model`      a checked request, and the same while a person signs in or decides
`sealed`     the handle of a request: the request itself, for one browser or one client
`pushed`     requests that clients push before they send a browser (RFC 9126), used up once
`requests`   requests in progress: begun by anybody, proven, answered, finished once
`codes`      authorization codes: issued, redeemed once; a second redemption ends what they gave
`device_codes`      codes of devices: issued, asked about, redeemed once
`device_approvals`  what a person says to a device, found by the user code they type
`device_model`      what both of them speak of
`user_codes`        the codes that people read and type
`consents`   what a person has allowed an application, and taking it back

A code and a cookie value are random and kept as hashes, a handle is sealed, each in a table of
its own: one is rubbish where another is expected. Whether a request is acceptable, and what it
needs, the door decides (`oauth.authorize`). Never here: HTTP, signing, which client is asking.
"""
