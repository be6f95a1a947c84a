"""Revocation: sessions and access tokens that ended early are refused within seconds everywhere.

`record`       writes the rows, in the transaction that takes the right away
`revocations`  the one question, "has this ended?", and the one act on a single token
`cache`        the copy in Redis: one sorted set, and how far it is complete
`freshness`    when a process may believe that copy
`copier`       keeps the copy complete, whatever happens to Redis (`scripts`: in Lua)

PostgreSQL is the truth. The set in Redis has a member `kind:id` for each revocation, scored with
its expiry, and two more, scored with times of the database (all in Unix microseconds):

`upto`         when the set was last known to be complete
`settled`      before which nothing is missing, nor will be: what a transaction that is still open
               writes comes later, however late it commits. From there the copier reads on.

As all live in one key, a flush, an eviction, a promoted replica or a restart takes the claim of
completeness along with what was lost. A member that is there means revoked; one that is missing
means not revoked only while `upto` is seen to move; otherwise PostgreSQL is asked, and with both
away nobody knows: `Unavailable`, never yes and never no.
"""
