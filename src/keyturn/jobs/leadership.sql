-- name: apply
-- Become the leader of a job if nobody is; the lock lasts as long as this connection.
select pg_try_advisory_lock(1801812340, hashtext($1)) as leads;

-- name: confirm
-- Hear from the connection that holds the locks that it is still there.
select true as leads;

-- name: leave
-- Let another process have a job.
select not pg_advisory_unlock(1801812340, hashtext($1)) as leads;
