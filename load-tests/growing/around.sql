-- name: clients
-- Applications number $1 to $2, as an operator registers them.
insert into clients (id, name, kind, auth_method, grant_types, scopes, audiences, redirect_uris,
                     post_logout_redirect_uris, backchannel_logout_uri, secret_hash, secret_set_at,
                     created_at, updated_at)
select 'client-' || n, 'Application ' || n, 'confidential', 'client_secret_basic',
       '{authorization_code,refresh_token,client_credentials}',
       '{openid,profile,email,offline_access,orders.read}', '{https://api.benchmark.example}',
       array['https://app-' || n || '.example/callback'], array['https://app-' || n || '.example/'],
       case when n % 10 = 0 then 'https://app-' || n || '.example/logged-out' end,
       sha256(convert_to('secret/' || n, 'UTF8')), now(),
       now() - interval '1 year' * random(), now() - interval '30 days' * random()
  from generate_series($1::bigint, $2::bigint) as n
    on conflict (id) do nothing;

-- name: revocations
-- So many ends of sessions and, one in five, of single access tokens, over the last hour.
insert into revocations (kind, id, revoked_at, expires_at)
select case when n % 5 = 0 then 'jti' else 'sid' end, gen_random_uuid()::text, at,
       at + interval '65 minutes'
  from (select n, now() - interval '50 minutes' * random() as at
          from generate_series(1, $1::bigint) as n) as one;

-- name: authorization_requests
-- What signed-in people did with so many requests for authorization.
insert into authorization_requests (handle_hash, proven_login_id, answer, expires_at, finished_at)
select sha256(convert_to('request/' || n, 'UTF8')), gen_random_uuid(),
       case when n % 3 = 0 then 'agreed' end, now() + interval '10 minutes' * (random() - 0.1),
       case when n % 2 = 0 then now() end
  from generate_series(1, $1::bigint) as n;

-- name: authorization_codes
-- So many authorization codes of the users number 1 to $2 of the seed $3, nearly all redeemed.
insert into authorization_codes (code_hash, client_id, redirect_uri, code_challenge, nonce, user_id,
                                 login_id, scopes, audiences, id_token_claims, auth_time, amr,
                                 remembered, device, ip, created_at, expires_at, consumed_at, session_id)
select sha256(convert_to('code/' || n, 'UTF8')), 'client-' || n % 1000,
       'https://app-' || n % 1000 || '.example/callback', substr(md5(n::text) || md5('c' || n), 1, 43),
       substr(md5('n' || n), 1, 22), md5($3::text || '/user/' || 1 + n % $2)::uuid,
       md5($3::text || '/login/' || 1 + n % $2)::uuid, '{openid,profile,email,orders.read}',
       '{https://api.benchmark.example}', '{email}', at, '{pwd}', false,
       '(X11; Linux x86_64; rv:133.0) Firefox/133.0', '10.0.0.1', at, at + interval '1 minute',
       case when n % 50 > 0 then at + interval '1 second' end,
       case when n % 50 > 0 then gen_random_uuid() end
  from (select n, now() - interval '1 day' * random() * (n % 100)::float8 / 100 as at
          from generate_series(1, $1::bigint) as n) as one;

-- name: consents
-- What each of the users number 1 to $1 of the seed $2 has allowed an application.
insert into consents (user_id, client_id, scopes)
select md5($2::text || '/user/' || n)::uuid, 'partner-portal', '{openid,profile,email,orders.read}'
  from generate_series(1, $1::bigint) as n
    on conflict do nothing;

-- name: device_authorizations
-- So many devices that asked for a code, one in two approved by a user number 1 to $2 of the seed $3.
insert into device_authorizations (device_code_hash, user_code_hash, client_id, scopes, audiences,
                                   device, ip, poll_interval, polled_at, expires_at, decision,
                                   decided_at, user_id, auth_time, amr)
select sha256(convert_to('device/' || n, 'UTF8')), sha256(convert_to('typed/' || n, 'UTF8')),
       'demo-tv', '{openid,orders.read}', '{https://api.benchmark.example}', 'television/1', '10.0.0.2',
       interval '5 seconds', now(), now() + interval '10 minutes' * (random() - 0.1),
       case when n % 2 = 0 then 'approved' end, case when n % 2 = 0 then now() end,
       case when n % 2 = 0 then md5($3::text || '/user/' || 1 + n % $2)::uuid end,
       case when n % 2 = 0 then now() end, case when n % 2 = 0 then '{pwd}'::text[] end
  from generate_series(1, $1::bigint) as n;

-- name: replays
-- So many assertions and proofs that were used, one in ten of them over.
insert into replays (id, expires_at)
select sha256(convert_to('proof/' || n, 'UTF8')), now() + interval '10 minutes' * (random() - 0.6)
  from generate_series(1, $1::bigint) as n;

-- name: creations
-- So many things the admin API made, some of them yesterday.
insert into creations (id, fingerprint, secret_id, salt, resource, expires_at)
select sha256(convert_to('creation/' || n, 'UTF8')), sha256('a'), 1, sha256('b'), 'client-' || n,
       now() + interval '24 hours' * (random() - 0.1)
  from generate_series(1, $1::bigint) as n;

-- name: logout_deliveries
-- So many logouts of which clients have not been told, those of a client behind one another.
insert into logout_deliveries (session_id, client_id, user_id, due_at)
select id, 'client-' || 10 * (row_number() over () % 100), user_id, now() - interval '1 hour' * random()
  from (select id, user_id from sessions limit $1::bigint) as ended;

-- name: step_ups
-- So many sessions that wait to take an older one's place, one in ten in vain.
insert into step_ups (session_id, due_at)
select id, now() + interval '10 minutes' * (random() - 0.1)
  from (select id from sessions limit $1::bigint) as begun;

-- name: registrations
-- So many clients that registered themselves, half of them never used.
insert into registrations (client_id, token_hash, address, details, created_at, first_used_at)
select 'client-' || n, sha256(convert_to('registration/' || n, 'UTF8')), '10.0.0.3', '{}',
       now() - interval '60 days' * random(), case when n % 2 = 0 then now() end
  from generate_series(1, $1::bigint) as n;

-- name: audit_events
-- So many events of this month.
insert into audit_events (id, at, type, result, user_id, client_id, session_id, ip, request_id, detail, actor)
select gen_random_uuid(), now() - interval '1 day' * random(), 'session_started', 'success',
       md5($2::text || '/user/' || n)::uuid, 'benchmark', gen_random_uuid(), '10.0.0.4', md5(n::text),
       '{"scope": "orders.read orders.write"}', 'server'
  from generate_series(1, $1::bigint) as n;
