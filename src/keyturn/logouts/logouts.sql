-- name: write
-- Queue the ends of sessions whose clients want to hear of them; a mere step-up is no logout.
insert into logout_deliveries (session_id, client_id, user_id)
select sessions.id, sessions.client_id, sessions.user_id
  from sessions join clients on clients.id = sessions.client_id
 where sessions.id = any($1::uuid[])
   and sessions.revoke_reason <> 'step_up'
   and clients.backchannel_logout_uri is not null
    on conflict (session_id) do nothing;

-- name: claim
-- Take for one attempt the longest due delivery of each client, but of $1; in random order, $2 at most.
-- The attempt is counted and the next one set before anything is sent, so that a process that dies
-- loses nothing, and nobody else takes the row meanwhile. Client by client along the index: one with
-- a long queue hides nobody, and costs no more than one with a single row.
with recursive waiting as (
  (select client_id from logout_deliveries order by client_id limit 1)
  union all
  select (select following.client_id
            from logout_deliveries as following
           where following.client_id > waiting.client_id
           order by following.client_id
           limit 1)
    from waiting
   where waiting.client_id is not null
), due as materialized (
  select longest.session_id
    from waiting
   cross join lateral (select one.session_id
                         from logout_deliveries as one
                        where one.client_id = waiting.client_id and one.due_at <= now()
                        order by one.due_at
                        limit 1
                          for update skip locked) as longest
   where waiting.client_id <> all($1::text[])
   order by random()
   limit $2
)
update logout_deliveries as delivery
   set attempts = attempts + 1,
       due_at = now() + ($3::interval[])[least(attempts + 1, cardinality($3))]
                        * (0.75 + random() / 2)
  from due
 where delivery.session_id = due.session_id
returning delivery.session_id, user_id, client_id, attempts, now() as claimed_at,
          now() - created_at as waited,
          created_at + $4::interval <= now() as is_late,
          created_at + $4::interval <= due_at as is_last,
          (select backchannel_logout_uri
             from clients
            where clients.id = delivery.client_id and disabled_at is null) as uri,
          (select profile from clients where clients.id = delivery.client_id) as profile;

-- name: finish
-- Forget a delivery, whatever became of it.
delete from logout_deliveries where session_id = $1;

-- name: measure
-- Count what waits, up to $1, and say since when the oldest of it does.
select count(*) as waiting,
       coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest
  from (select created_at from logout_deliveries order by client_id, due_at limit $1) as counted;
