"""Sessions: one row for each sign-in of one user at one client on one device.

To understand how people stay signed in, open this room and nothing else:

`model`          the row, and what a refresh answers
`refresh_token`  the wire format: who can read which part, how a child is derived
`decision`       the pure verdict over a row and a presented token, case by case
`rotation`       the heart: one statement on the happy path, one read when it finds no row;
                 also a token checked without being rotated (logout, password change, ...)
`start`          a session begins, unless the account was closed in between
`step_up`        a session of a fresh proof takes an older one's place
`unproven`       a token of a bound session came without its key
`active`         where a person is signed in; `inventory` all sessions, for operators
`end`            sessions end, with their revocations, in one transaction
`purge`          what has expired is deleted
`lifetimes`      how long: remembered, not remembered, idle

Case numbers in comments are those of README's rotation page. Rules here raise refusals; they
never sign, never speak HTTP, never touch Redis.
"""
