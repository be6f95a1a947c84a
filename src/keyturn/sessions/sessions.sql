-- name: rotate
-- Move a session from the presented token to its child: the one statement that decides the race.
update sessions
   set token_hash = $8,
       next_hash = $9,
       generation = generation + 1,
       rotated_at = now(),
       idle_expires_at = least(now() + idle_lifetime, expires_at)
 where id = $1
   and token_hash = $2
   and revoked_at is null
   and idle_expires_at > now()
   and expires_at > now()
   and scopes @> $3
   and audiences @> $4
   and audiences && $5
   and (dpop_jkt is null or dpop_jkt = $6)
   and not step_up
   and (generation = 0 or rotated_at <= now() - $7::interval or rotated_at > now() + $7::interval)
returning id, user_id, client_id, scopes, audiences, claims, auth_time, acr, amr, dpop_jkt,
          remembered, idle_expires_at, expires_at, status_index, now() as decided_at;

-- name: keep
-- Slide the idle expiry of a session whose client does not rotate.
update sessions
   set idle_expires_at = least(now() + idle_lifetime, expires_at)
 where id = $1
   and token_hash = $2
   and revoked_at is null
   and idle_expires_at > now()
   and expires_at > now()
   and scopes @> $3
   and audiences @> $4
   and audiences && $5
   and (dpop_jkt is null or dpop_jkt = $6)
   and not step_up
returning id, user_id, client_id, scopes, audiences, claims, auth_time, acr, amr, dpop_jkt,
          remembered, idle_expires_at, expires_at, status_index, now() as decided_at;

-- name: read
-- Read everything the decision needs, when the happy path found no row.
select id, user_id, client_id, scopes, audiences, claims, auth_time, acr, amr, dpop_jkt,
       remembered, idle_expires_at, expires_at, status_index, now() as decided_at,
       token_hash, next_hash, generation, rotated_at, idle_lifetime, revoked_at, step_up
  from sessions
 where id = $1;

-- name: heal
-- Move a session whose last commit was lost to the token its client already holds.
update sessions
   set token_hash = $3,
       next_hash = $4,
       generation = generation + 1,
       rotated_at = now(),
       idle_expires_at = least(now() + idle_lifetime, expires_at)
 where id = $1
   and next_hash = $3
   and generation = $2
   and revoked_at is null
   and expires_at > now()
   and idle_expires_at + idle_lifetime > now()
returning id, user_id, client_id, scopes, audiences, claims, auth_time, acr, amr, dpop_jkt,
          remembered, idle_expires_at, expires_at, status_index, now() as decided_at;

-- name: end_for_reuse
-- End a session one of whose superseded tokens was used, unless it changed since it was read.
update sessions
   set revoked_at = now(), revoke_reason = 'reuse'
 where id = $1
   and generation = $2
   and token_hash = $3
   and revoked_at is null
returning id;

-- name: end_one
-- End one live session, whoever holds it.
update sessions
   set revoked_at = now(), revoke_reason = $2
 where id = $1 and revoked_at is null and expires_at > now()
returning id, user_id, client_id;

-- name: end_one_of_user
-- End one live session of this user; somebody else's is not found.
update sessions
   set revoked_at = now(), revoke_reason = $3
 where id = $1 and user_id = $2 and revoked_at is null and expires_at > now()
returning id, user_id, client_id;

-- name: end_all_of_user
-- End every live session of a user but one (or none).
update sessions
   set revoked_at = now(), revoke_reason = $2
 where user_id = $1
   and revoked_at is null
   and expires_at > now()
   and id is distinct from $3
returning id, user_id, client_id;

-- name: end_all_of_login
-- End the live sessions that a browser login gave, but those meant to outlive it.
-- By the user, of whom there are few: an index on login_id would be built while nobody rotates.
update sessions
   set revoked_at = now(), revoke_reason = $3
 where user_id = $1
   and login_id = $2
   and not offline
   and revoked_at is null
   and expires_at > now()
returning id, user_id, client_id;

-- name: end_all_of_other_logins
-- End the live sessions of a user that do not hang on one browser login.
update sessions
   set revoked_at = now(), revoke_reason = $3
 where user_id = $1
   and login_id is distinct from $2
   and revoked_at is null
   and expires_at > now()
returning id, user_id, client_id;

-- name: end_all_at_client
-- End every live session of a user at one client.
update sessions
   set revoked_at = now(), revoke_reason = $3
 where user_id = $1 and client_id = $2 and revoked_at is null and expires_at > now()
returning id, user_id, client_id;

-- name: end_some_of_client
-- End a client's live sessions among the next rows after an id: a part of a large sweep.
-- The end of the next range, then the range. The planner does not know $2 and would take it for a
-- tenth of the table, not worth an index; the constant limit inside it keeps every part on the key.
with range as materialized (
  select id as last
    from (select id from (select id from sessions where id > $1 order by id limit 10000) as next
           limit $2) as scanned
   order by id desc
   limit 1
), ended as (
  update sessions
     set revoked_at = now(), revoke_reason = $3
   where id > $1 and id <= (select last from range)
     and client_id = $4 and revoked_at is null and expires_at > now()
  returning id
)
select (select last from range) as last, array(select id from ended) as ended;

-- name: end_some_before
-- End what started before a moment among the next rows after an id: a part of a large sweep.
-- Its two steps are those of end_some_of_client.
with range as materialized (
  select id as last
    from (select id from (select id from sessions where id > $1 order by id limit 10000) as next
           limit $2) as scanned
   order by id desc
   limit 1
), ended as (
  update sessions
     set revoked_at = now(), revoke_reason = $3
   where id > $1 and id <= (select last from range)
     and created_at < $4 and revoked_at is null and expires_at > now()
  returning id
)
select (select last from range) as last, array(select id from ended) as ended;

-- name: lock_active_user
-- Hold the account open while its session starts; nothing if it was closed since the proof.
select id
  from users
 where id = $1 and disabled_at is null and deleted_at is null and valid_after < $2
   for share;

-- name: lock_live_login
-- Hold a browser login open while a session starts from it; nothing if it has ended.
select id
  from logins
 where id = $1 and user_id = $2 and ended_at is null and expires_at > now()
   for share;

-- name: start
-- Begin a session.
insert into sessions (id, user_id, client_id, scopes, audiences, claims, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, remembered, auth_time, amr,
                      device, ip, login_id, offline, dpop_jkt)
values ($1, $2, $3, $4, $5, $6, $7, $8,
        $9, least(now() + $9::interval, now() + $10::interval), now() + $10::interval, $11, $12,
        $13, $14, $15, $16, $17, $18)
returning id, user_id, client_id, scopes, audiences, claims, auth_time, acr, amr, dpop_jkt,
          remembered, idle_expires_at, expires_at, status_index, now() as decided_at;

-- name: note_step_up
-- Note that a session just begun will take the place of older ones, if there are any.
with stepping_up as (
  update sessions as new
     set step_up = true
   where id = $1
     and exists (select from sessions as old
                  where old.user_id = new.user_id
                    and old.client_id = new.client_id
                    and old.login_id = new.login_id
                    and old.auth_time < new.auth_time
                    and (new.offline or not old.offline)
                    and old.revoked_at is null
                    and old.expires_at > now())
  returning id
)
insert into step_ups (session_id, due_at) select id, now() + $2::interval from stepping_up;

-- name: lock_for_step_up
-- Hold a session and those whose place it takes, in the order in which others end them.
-- The new one first, and then the older ones, would be another order than that of whoever ends all
-- of a login, an account or a client here: each would wait for the other.
select one.id
  from sessions as new
  join sessions as one on one.user_id = new.user_id
                      and one.client_id = new.client_id
                      and one.login_id = new.login_id
 where new.id = $1 and one.revoked_at is null and one.expires_at > now()
   for no key update of one;

-- name: settle_step_up
-- The moment a session takes the place of older ones; of two who try, one does.
update sessions
   set step_up = false
 where id = $1 and step_up and revoked_at is null and expires_at > now()
returning id, user_id, client_id, login_id, auth_time, offline;

-- name: end_replaced_by_step_up
-- End the older sessions whose place another has taken, but none that was to outlive it.
update sessions
   set revoked_at = now(), revoke_reason = 'step_up'
 where id <> $1
   and user_id = $2
   and client_id = $3
   and login_id = $4
   and auth_time < $5
   and ($6 or not offline)
   and revoked_at is null
   and expires_at > now()
returning id, user_id, client_id;

-- name: due_step_ups
-- The sessions that were not refreshed in time to take the older ones' place themselves.
select session_id from step_ups where due_at <= now() order by due_at limit $1;

-- name: forget_step_up
-- What has been settled, or has become void, waits no longer.
delete from step_ups where session_id = $1;

-- name: end_overflow
-- End a user's oldest live sessions beyond the most that are allowed.
update sessions
   set revoked_at = now(), revoke_reason = 'overflow'
 where id in (select id
                from sessions
               where user_id = $1 and revoked_at is null and expires_at > now()
               order by created_at desc, id desc
              offset $2)
returning id, user_id, client_id;

-- name: list_of_user
-- The live sessions of a user, the latest first.
select id, client_id, login_id, offline, device, host(ip) as ip, created_at,
       greatest(rotated_at, idle_expires_at - idle_lifetime) as last_used_at
  from sessions
 where user_id = $1 and revoked_at is null and expires_at > now() and idle_expires_at > now()
 order by created_at desc, id desc;

-- name: describe
-- One session for an operator, live or not.
select id, user_id, client_id, login_id, scopes, audiences, offline, dpop_jkt is not null as bound,
       auth_time, amr, device, host(ip) as ip, created_at,
       greatest(rotated_at, idle_expires_at - idle_lifetime) as last_used_at,
       least(idle_expires_at, expires_at) as ends_at, revoked_at, revoke_reason
  from sessions
 where id = $1;

-- name: page_of_user
-- A user's live sessions in the order of their ids, after an id, at one client (null: at any).
select id, user_id, client_id, login_id, scopes, audiences, offline, dpop_jkt is not null as bound,
       auth_time, amr, device, host(ip) as ip, created_at,
       greatest(rotated_at, idle_expires_at - idle_lifetime) as last_used_at,
       least(idle_expires_at, expires_at) as ends_at, revoked_at, revoke_reason
  from sessions
 where user_id = $1
   and id > $2
   and ($3::text is null or client_id = $3)
   and revoked_at is null and expires_at > now() and idle_expires_at > now()
 order by id
 limit $4;

-- name: range_after
-- The end of the next rows after an id, and how many there are: what one page looks at.
-- Its two limits are those of end_some_of_client.
select count(*) as rows, (array_agg(id order by id desc))[1] as last
  from (select id from (select id from sessions where id > $1 order by id limit 10000) as next
         limit $2) as scanned;

-- name: page_in_range
-- The live sessions in a range of ids, in their order, at one client (null: at any).
-- No index on client_id: it would cost every sign-in, so a page looks at one range of the key.
select id, user_id, client_id, login_id, scopes, audiences, offline, dpop_jkt is not null as bound,
       auth_time, amr, device, host(ip) as ip, created_at,
       greatest(rotated_at, idle_expires_at - idle_lifetime) as last_used_at,
       least(idle_expires_at, expires_at) as ends_at, revoked_at, revoke_reason
  from sessions
 where id > $1 and id <= $2
   and ($3::text is null or client_id = $3)
   and revoked_at is null and expires_at > now() and idle_expires_at > now()
 order by id
 limit $4;

-- name: reauthenticate
-- Record that the person proved themselves again; later refreshes carry it.
update sessions
   set auth_time = $2, amr = $3
 where id = $1 and revoked_at is null and expires_at > now()
returning id, user_id, client_id, scopes, audiences, claims, auth_time, acr, amr, dpop_jkt,
          remembered, idle_expires_at, expires_at, status_index, now() as decided_at;

-- name: purge_expired
-- Delete what has expired among the next rows after an id: a part of the purge.
-- Its two steps are those of end_some_of_client.
with range as materialized (
  select id as last
    from (select id from (select id from sessions where id > $1 order by id limit 10000) as next
           where id < $2
           limit $3) as scanned
   order by id desc
   limit 1
), gone as (
  delete from sessions
   where id in (select id
                  from sessions
                 where id > $1 and id <= (select last from range) and expires_at < now()
                   for update skip locked)
  returning id
)
select (select last from range) as last, (select count(*) from gone) as deleted;
