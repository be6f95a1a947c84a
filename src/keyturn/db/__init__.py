"""PostgreSQL, the only truth.

`pool`       held connections, lent one by one
`line`       one of them: every named query prepared, and deadlines
`connection` how one is opened       `trouble`  which errors are the server's
`address`    where, and the login, read again from its file
`session`    what is asked of the server: once, or in each transaction behind a pooler
`persistence` asking again when connections are ended
`turns`      who waits for a connection, in order
`queries`    loads the named queries of a room's `.sql` file
`migrate`    applies `migrations/*.sql` in order under an advisory lock
`inspection` a connection that only looks, at any server
`listen`     one connection that hears NOTIFY, so that caches follow within seconds

Only rules and jobs come here; a door never does. Whatever goes wrong with the server is
`errors.Unavailable`, because a caller who reads 4xx throws a good token away.
"""
