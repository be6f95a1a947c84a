-- name: ping
-- Ask whether the database answers at all.
select 1;
