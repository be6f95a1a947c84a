"""Browser logins: one browser signed in at this server, whichever applications it then opens.

`model`    a login, what it starts from, and the value of its cookie, shown once
`logins`   start, find, prove again, end: with the sessions that hang on it

A login is what lets the next application in without a password; a session (`sessions`) is what
that application holds. Logging the browser out ends the login and its sessions, but those with
`offline_access`, which were meant to outlive it. Never here: cookies, HTTP, passwords.
"""
