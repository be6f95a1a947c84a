"""Status lists: what APIs that check tokens offline read to refuse, within seconds, what has ended.

`index`        the place of a session: which list, which bit, and the claim that says so
`bits`         the revoked places of one list, and when each may be forgotten
`known`        what one process knows of all lists
`reading`      brings that up to date from PostgreSQL, and nothing but the news where it can
`document`     one list, signed and compressed as it is sent
`published`    the one question: list n, as of less than a second ago

The lists are a view: of the sessions that have a row in `revocations`. Revoking writes nothing for
them, and no list has a row of its own. A revocation outlives every access token that was signed
before it, so a bit that falls out belongs to tokens that have expired.

Nothing runs by itself here. A server that nobody asks for a list never reads one.

The standard is the IETF's Token Status List, cited by the sections of its draft 17
(draft-ietf-oauth-status-list-17).
"""
