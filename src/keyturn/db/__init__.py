"""PostgreSQL, the only truth.

`pool`       held connections with every named query prepared, and deadlines
`connection` how one is opened       `trouble`  which errors are the server's
`turns`      who waits for a connection, in order
`queries`    loads the named queries of a room's `.sql` file
`migrate`    applies `migrations/*.sql` in order under an advisory lock
`inspection` a connection that only looks, at any server
`listen`     one connection that hears NOTIFY, so that caches follow within seconds

Only rules and jobs come here; a door never does. Whatever goes wrong with the server is
`errors.Unavailable`, because a caller who reads 4xx throws a good token away.
"""
