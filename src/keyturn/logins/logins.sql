-- name: lock_active_user
-- Hold the account open while a browser signs in; nothing if it was closed since the proof.
select id
  from users
 where id = $1 and disabled_at is null and deleted_at is null and valid_after < $2
   for share;

-- name: start
-- Sign a browser in.
insert into logins (id, user_id, value_hash, auth_time, amr, remembered, idle_lifetime,
                    idle_expires_at, expires_at, device, ip)
values ($1, $2, $3, $4, $5, $6, $7, least(now() + $7::interval, now() + $8::interval),
        now() + $8::interval, $9, $10)
returning id, user_id, auth_time, amr, remembered, expires_at, idle_expires_at,
          now() as decided_at;

-- name: find
-- The live login of a cookie's value, and whether its idle expiry has not moved for a minute.
select logins.id, user_id, auth_time, amr, remembered, expires_at, idle_expires_at,
       now() as decided_at,
       idle_expires_at < least(now() + idle_lifetime - least($2::interval, idle_lifetime / 10),
                               expires_at) as slides
  from logins join users on users.id = logins.user_id
 where value_hash = $1
   and ended_at is null
   and expires_at > now()
   and idle_expires_at > now()
   and users.disabled_at is null
   and users.deleted_at is null
   and users.valid_after < logins.auth_time;

-- name: slide
-- Note that a login is in use.
update logins
   set idle_expires_at = least(now() + idle_lifetime, expires_at)
 where id = $1 and ended_at is null and expires_at > now() and idle_expires_at > now()
returning id, user_id, auth_time, amr, remembered, expires_at, idle_expires_at,
          now() as decided_at;

-- name: prove_again
-- Record a new proof, and put another cookie value in the place of the one before.
update logins
   set value_hash = $3, auth_time = $4, amr = $5,
       idle_expires_at = least(now() + idle_lifetime, expires_at)
 where id = $1 and user_id = $2 and ended_at is null and expires_at > now()
   and idle_expires_at > now()
returning id, user_id, auth_time, amr, remembered, expires_at, idle_expires_at,
          now() as decided_at;

-- name: end_one
-- End one live login.
update logins
   set ended_at = now(), end_reason = $2
 where id = $1 and ended_at is null
returning id, user_id;

-- name: end_all_of_user
-- End every login of a user but one (or none).
update logins
   set ended_at = now(), end_reason = $2
 where user_id = $1 and ended_at is null and id is distinct from $3
returning id, user_id;

-- name: lock_live
-- Hold a login open while the others of its user end; nothing if it has ended itself.
select id
  from logins
 where id = $1 and user_id = $2 and ended_at is null and expires_at > now()
   for update;

-- name: purge_expired
-- Delete a batch of logins whose time is over, ended or not.
delete from logins
 where id = any(array(select id
                        from logins
                       where expires_at < now()
                       order by expires_at
                       limit $1
                         for update skip locked));
