-- name: sessions
-- So many sign-ins of this hour, each good for $2, like those that are there.
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash, idle_lifetime,
                      idle_expires_at, expires_at, auth_time, amr, device, ip)
select (lpad(to_hex((extract(epoch from now() + $2::interval + interval '1 hour') * 1000)::bigint), 12, '0')
          || '7' || substr(noise, 1, 3) || 'a' || substr(noise, 4, 15))::uuid,
       gen_random_uuid(), 'benchmark', '{orders.read,orders.write}', '{https://api.benchmark.example}',
       sha256(convert_to(noise, 'UTF8')), sha256(convert_to('child/' || noise, 'UTF8')), $2,
       now() + $2::interval, now() + $2::interval, now(), '{pwd}',
       '(Windows NT 10.0; Win64; x64) Chrome/131.0.0.0', '10.0.0.7'
  from (select md5(gen_random_uuid()::text) as noise from generate_series(1, $1::bigint)) as one;

-- name: end_sessions
-- People log out of so many sessions, and APIs are told.
with ended as (
  update sessions set revoked_at = now(), revoke_reason = 'logout'
   where id in (select id from sessions where revoked_at is null order by id desc limit $1)
  returning id
)
insert into revocations select 'sid', id::text, now(), now() + interval '65 minutes' from ended;

-- name: logins
-- So many browsers sign in at the server.
insert into logins (id, user_id, value_hash, auth_time, amr, remembered, idle_lifetime,
                    idle_expires_at, expires_at)
select gen_random_uuid(), gen_random_uuid(), sha256(convert_to(gen_random_uuid()::text, 'UTF8')), now(), '{pwd}', false,
       '4 hours', now() + interval '4 hours', now() + $2::interval / 2
  from generate_series(1, $1::bigint);

-- name: requests
-- So many requests for authorization are answered.
insert into authorization_requests (handle_hash, answer, expires_at, finished_at)
select sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'agreed', now() + interval '10 minutes', now()
  from generate_series(1, $1::bigint);

-- name: codes
-- So many codes are redeemed.
insert into authorization_codes (code_hash, client_id, redirect_uri, user_id, login_id, scopes,
                                 audiences, id_token_claims, auth_time, amr, remembered, expires_at,
                                 consumed_at, session_id)
select sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'partner-portal', 'https://app.example/', gen_random_uuid(),
       gen_random_uuid(), '{openid}', '{https://api.benchmark.example}', '{}', now(), '{pwd}', false,
       now() + interval '1 minute', now(), gen_random_uuid()
  from generate_series(1, $1::bigint);

-- name: devices
-- So many devices ask for a code, and nobody answers.
insert into device_authorizations (device_code_hash, user_code_hash, client_id, scopes, audiences,
                                   poll_interval, expires_at)
select sha256(convert_to(gen_random_uuid()::text, 'UTF8')), sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'demo-tv',
       '{openid}', '{}', '5 s', now() + interval '10 minutes'
  from generate_series(1, $1::bigint);

-- name: replays
-- So many proofs of possession are used.
insert into replays select sha256(convert_to(gen_random_uuid()::text, 'UTF8')), now() + interval '2 minutes'
  from generate_series(1, $1::bigint);

-- name: creations
-- So many things are made by the admin API.
insert into creations
select sha256(convert_to(gen_random_uuid()::text, 'UTF8')), sha256('a'), 1, sha256('b'), 'client-1', now() + $2::interval
  from generate_series(1, $1::bigint);

-- name: times
-- The columns of a table that hold times.
select column_name from information_schema.columns
 where table_name = $1 and data_type = 'timestamp with time zone' and table_schema = current_schema();

-- name: sizes
-- Rows and bytes of each table that a day writes to.
select relname as name, n_live_tup as rows, pg_total_relation_size(relid) as bytes
  from pg_stat_user_tables where relname = any($1::text[]) order by 1;
