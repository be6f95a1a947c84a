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
