-- name: clock
-- Tell the database's time: events are dated by their age at this moment.
select clock_timestamp() as now;

-- name: write
-- Append a batch of events; those a lost answer made us send twice are kept once.
insert into audit_events
  (id, at, type, result, user_id, client_id, session_id, ip, request_id, detail)
select * from unnest(
  $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[],
  $8::inet[], $9::text[], $10::jsonb[])
on conflict (at, id) do nothing;

-- name: make_partitions
-- Make the monthly partitions of the near future.
select make_audit_partitions($1) as made;
