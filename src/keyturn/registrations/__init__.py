"""Clients that register themselves (RFC 7591), and manage what they registered (RFC 7592).

`model`           a registration, and an initial access token
`metadata`        the members they may send, and what these become; nothing else is looked at
`answer`          what was registered, as it is told
`quota`           how many may be registered
`registrations`   register, read, replace, delete
`initial_tokens`  the tokens operators give out, which let somebody register
`first_use`       noting that a client was used, once
`expiry`          closing those that never were

Whoever registers is a stranger: what they may have, settings say, and everything that is power
over people or over this server stays an operator's to give. A registration ends with its client,
which is closed for good; neither row is ever deleted, so no id is given out twice.
"""
