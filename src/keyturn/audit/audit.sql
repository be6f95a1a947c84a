-- name: clock
-- Tell the database's time: events are dated by their age at this moment.
select clock_timestamp() as now;

-- name: write
-- Append a batch of events; those a lost answer made us send twice are kept once.
insert into audit_events
  (id, at, type, result, user_id, client_id, session_id, ip, request_id, detail, actor)
select * from unnest(
  $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::uuid[],
  $8::inet[], $9::text[], $10::jsonb[], $11::text[])
on conflict (at, id) do nothing;

-- name: make_partitions
-- Make the monthly partitions of the near future.
select make_audit_partitions($1) as made;

-- name: drop_month
-- Drop the oldest month that is older than what is kept, and tell its name.
select drop_audit_month($1::interval) as month;

-- name: allow_deletion
-- Say, for the rest of this transaction, that old events are deleted on purpose.
select set_config('keyturn.audit_retention', 'on', true);

-- name: delete_unsorted
-- Delete a batch of what is older than what is kept, and that no month took.
delete from audit_events_default
 where ctid = any(array(select ctid
                          from audit_events_default
                         where at < audit_events_kept_since($1::interval)
                         limit $2));

-- name: plan_for_values
-- Have the rest of this transaction planned for the values it is given.
select set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: page
-- Read events, the newest first, that happened before one.
select id, at, type, result, actor, user_id, client_id, session_id, ip, request_id, detail, seq
  from audit_events
 where ($1::text[] is null or type = any($1))
   and ($2::uuid is null or user_id = $2)
   and ($3::text is null or client_id = $3)
   and ($4::uuid is null or session_id = $4)
   and ($5::text is null or actor = $5)
   and ($6::inet is null or ip <<= $6)
   and ($7::text is null or result = $7)
   and at >= coalesce($8::timestamptz, '-infinity')
   and at < coalesce($9::timestamptz, 'infinity')
   and (at, id) < (coalesce($11::timestamptz, 'infinity'),
                   coalesce($12::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
 order by at desc, id desc
 limit $10;

-- name: newest
-- Find the event that became visible last: everything before it is visible, too.
select seq, at, id from audit_events order by seq desc, at desc, id desc limit 1;

-- name: since
-- Read events in the order they became visible, between two of them.
select id, at, type, result, actor, user_id, client_id, session_id, ip, request_id, detail, seq
  from audit_events
 where ($1::text[] is null or type = any($1))
   and ($2::uuid is null or user_id = $2)
   and ($3::text is null or client_id = $3)
   and ($4::uuid is null or session_id = $4)
   and ($5::text is null or actor = $5)
   and ($6::inet is null or ip <<= $6)
   and ($7::text is null or result = $7)
   and at >= coalesce($8::timestamptz, '-infinity')
   and at < coalesce($9::timestamptz, 'infinity')
   and (seq, at, id) > (coalesce($11::bigint, -1), coalesce($12::timestamptz, '-infinity'),
                        coalesce($13::uuid, '00000000-0000-0000-0000-000000000000'))
   and (seq, at, id) <= ($14::bigint, $15::timestamptz, $16::uuid)
 order by seq, at, id
 limit $10;
