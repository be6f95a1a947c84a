"""Requests that this server makes, to addresses that others have given it (SSRF).

`destination`  a URL, read strictly
`addresses`    which addresses are public
`policy`       where may be called: https and public, but for what the operator lists
`resolver`     names to addresses, without ever holding up the event loop
`trouble`      why there was no answer
`client`       the call: to the very address that was checked, without redirects, within bounds

Whoever registers a client, or one day registers itself, says where to send logout tokens or fetch
keys. None of that may reach what only this server's network can: metadata services, databases,
dashboards. Nothing here knows what a call is for.
"""
