-- name: moment
-- The database's time, for what is dated outside of it.
select now() as at;

-- name: request_progress
-- What was done with a request so far; it is finished with the pushed one it came from, if any.
select now() as at, one.proven_login_id, one.answer,
       coalesce(one.finished_at, (select pushed.finished_at
                                    from authorization_requests as pushed
                                   where pushed.handle_hash = $2)) as finished_at
  from (select 1) as always
  left join authorization_requests as one on one.handle_hash = $1;

-- name: prove_request
-- Note which login was proven for this very request.
insert into authorization_requests (handle_hash, proven_login_id, expires_at)
values ($1, $2, now() + $3::interval)
    on conflict (handle_hash) do update
   set proven_login_id = excluded.proven_login_id
 where authorization_requests.finished_at is null;

-- name: answer_request
-- Note what the person said to this very request.
insert into authorization_requests (handle_hash, answer, expires_at)
values ($1, $2, now() + $3::interval)
    on conflict (handle_hash) do update
   set answer = excluded.answer
 where authorization_requests.finished_at is null;

-- name: finish_request
-- Finish a request, and the pushed one it came from; of two who try, one does.
insert into authorization_requests (handle_hash, finished_at, expires_at)
select handle_hash, now(), now() + $2::interval from unnest($1::bytea[]) as handle_hash
    on conflict (handle_hash) do update
   set finished_at = now()
 where authorization_requests.finished_at is null;

-- name: purge_requests
-- Delete a batch of what was done with requests that nobody can come back with any more.
delete from authorization_requests
 where handle_hash = any(array(select handle_hash
                                 from authorization_requests
                                where expires_at < now()
                                order by expires_at
                                limit $1
                                  for update skip locked));

-- name: issue_code
-- Keep a code, and everything it is bound to.
insert into authorization_codes
       (code_hash, client_id, redirect_uri, code_challenge, nonce, user_id, login_id, scopes,
        audiences, id_token_claims, auth_time, amr, remembered, device, ip, expires_at, proven,
        dpop_jkt)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
        now() + $16::interval, $17, $18);

-- name: read_code
-- What a code is bound to, whether or not its time is over.
select client_id, redirect_uri, code_challenge, nonce, user_id, login_id, scopes, audiences,
       id_token_claims, auth_time, amr, proven, remembered, device, host(ip) as ip, dpop_jkt
  from authorization_codes
 where code_hash = $1;

-- name: consume_code
-- Redeem a code: the one statement that decides who does.
update authorization_codes
   set consumed_at = now()
 where code_hash = $1 and consumed_at is null and expires_at > now();

-- name: suspect_code
-- Note that a code came from somebody it was not issued to; of two who try, one does.
update authorization_codes
   set suspected_at = now()
 where code_hash = $1 and suspected_at is null;

-- name: link_code
-- Remember the session a code gave, for whoever redeems it again.
update authorization_codes set session_id = $2 where code_hash = $1;

-- name: session_of_code
-- The session a redeemed code gave.
select session_id from authorization_codes where code_hash = $1 and session_id is not null;

-- name: void_codes
-- Let the codes of a user at one client give nothing any more.
update authorization_codes
   set consumed_at = now()
 where user_id = $1 and client_id = $2 and consumed_at is null;

-- name: purge_codes
-- Delete a batch of codes that expired so long ago that nobody redeems them again.
delete from authorization_codes
 where code_hash = any(array(select code_hash
                               from authorization_codes
                              where expires_at < now() - $1::interval
                              order by expires_at
                              limit $2
                                for update skip locked));

-- name: consent
-- What a person has allowed an application.
select client_id, scopes, granted_at from consents where user_id = $1 and client_id = $2;

-- name: grant_consent
-- Add to what a person has allowed an application.
insert into consents (user_id, client_id, scopes)
values ($1, $2, $3)
    on conflict (user_id, client_id) do update
   set scopes = array(select unnest(consents.scopes) union select unnest(excluded.scopes) order by 1),
       granted_at = now();

-- name: withdraw_consent
-- Take back everything a person has allowed an application.
delete from consents where user_id = $1 and client_id = $2;

-- name: list_consents
-- The applications a person has allowed something, by id.
select client_id, scopes, granted_at from consents where user_id = $1 order by client_id;

-- name: hold_account
-- Hold an account open while a device gets something of it; nothing if it was closed since the proof.
select id
  from users
 where id = $1 and disabled_at is null and deleted_at is null and valid_after < $2
   for share;

-- name: hold_login
-- Hold a browser login open while its person answers; nothing if it has ended.
select id
  from logins
 where id = $1 and user_id = $2 and ended_at is null and expires_at > now()
   for share;

-- name: issue_device_code
-- Keep a device code with its user code; nothing when that user code is taken, under any secret.
insert into device_authorizations
       (device_code_hash, user_code_hash, client_id, scopes, audiences, device, ip, poll_interval,
        expires_at)
select $1, ($2::bytea[])[1], $3, $4, $5, $6, $7, $8, now() + $9::interval
 where not exists (select from device_authorizations where user_code_hash = any($2::bytea[]))
    on conflict (user_code_hash) do nothing;

-- name: poll_device_code
-- Note that a device asks again, and whether that is too soon: then it has to wait longer.
update device_authorizations
   set polled_too_soon = coalesce(polled_at > now() - poll_interval * $3, false),
       poll_interval = poll_interval
                     + case when polled_at > now() - poll_interval * $3 then $4::interval
                            else interval '0' end,
       polled_at = greatest(polled_at, now())
 where device_code_hash = $1 and client_id = $2 and decision is null and expires_at > now()
returning polled_too_soon;

-- name: read_device_code
-- What a device code is bound to, what a person said to it, and whether its time is over.
select client_id, scopes, audiences, device, host(ip) as ip, decision, user_id, auth_time, amr,
       consumed_at is not null as consumed, expires_at <= now() as expired
  from device_authorizations
 where device_code_hash = $1;

-- name: consume_device_code
-- Redeem a device code: the one statement that decides who does.
update device_authorizations
   set consumed_at = now()
 where device_code_hash = $1 and decision = 'approved' and consumed_at is null
   and expires_at > now();

-- name: find_user_code
-- What a person is asked by a user code: one that nobody has answered, or they themselves have.
select client_id, scopes, device, host(ip) as ip, decision, created_at, now() as decided_at
  from device_authorizations
 where user_code_hash = any($1::bytea[]) and expires_at > now()
   and (decision is null or user_id = $2);

-- name: approve_user_code
-- Let a device act for a person; again by the same one changes nothing, and never after a no.
update device_authorizations
   set decision = 'approved', decided_at = now(), user_id = $2, auth_time = $3, amr = $4
 where user_code_hash = any($1::bytea[]) and expires_at > now()
   and (decision is null or (decision = 'approved' and user_id = $2));

-- name: deny_user_code
-- Say no to a device, for good; its own person may, as long as it has fetched nothing.
update device_authorizations
   set decision = 'denied', decided_at = now(), user_id = $2
 where user_code_hash = any($1::bytea[]) and expires_at > now() and consumed_at is null
   and (decision is null or user_id = $2);

-- name: void_device_codes
-- Let what a user approved for devices of one client, and none has fetched, give nothing any more.
update device_authorizations
   set decision = 'denied', decided_at = now()
 where user_id = $1 and client_id = $2 and decision = 'approved' and consumed_at is null;

-- name: purge_device_codes
-- Delete a batch of device codes whose devices have been told how they ended, or ask no more.
delete from device_authorizations
 where device_code_hash = any(array(select device_code_hash
                                      from device_authorizations
                                     where expires_at < now() - $1::interval
                                     order by expires_at
                                     limit $2
                                       for update skip locked));
