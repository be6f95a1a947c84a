-- name: ping
-- Ask whether the database answers at all, and what time it is there.
select clock_timestamp() as now;
