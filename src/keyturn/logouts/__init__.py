"""Back-channel logout: clients are told of sessions that ended (OpenID Connect, 1.0 of that name).

`model`      what is to be delivered, and what an answer means
`queue`      written in the transaction that ends a session; claimed by whoever delivers
`receivers`  what a process knows of the clients it calls: who is busy, who fails, for how long

Nobody waits for a client: what is told is a row, `jobs.deliver_logouts` does the telling. A
delivery is made at least once, and never by two at the same time. Never here: calls, tokens.
"""
