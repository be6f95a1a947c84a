-- name: users
-- Accounts number $2 to $3 of a run with the seed $1.
insert into users (id, email, email_key, name, email_verified, password_hash, valid_after, created_at)
select md5($1::text || '/user/' || n)::uuid, email, email, 'Ada Lovelace ' || n, n % 10 > 0,
       '$argon2id$v=19$m=19456,t=2,p=1$' || substr(encode(digest, 'base64'), 1, 22) || '$'
         || substr(encode(digest, 'base64'), 1, 43),
       'epoch', now() - interval '1 year' * random()
  from (select n, 'person-' || n || '@mail' || n % 97 || '.example' as email,
               sha256(convert_to($1::text || n, 'UTF8')) as digest
          from generate_series($2::bigint, $3::bigint) as n) as one;

-- name: logins
-- One browser signed in at the server for each of the users number $2 to $3, one in ten ended.
insert into logins (id, user_id, value_hash, auth_time, amr, remembered, idle_lifetime,
                    idle_expires_at, expires_at, device, ip, created_at, ended_at, end_reason)
select md5($1::text || '/login/' || n)::uuid, md5($1::text || '/user/' || n)::uuid,
       sha256(convert_to($1::text || '/login/' || n, 'UTF8')), at, '{pwd}', n % 2 = 0,
       interval '4 hours', at + interval '4 hours', at + interval '12 hours',
       '(X11; Linux x86_64; rv:133.0) Firefox/133.0',
       '10.0.0.0'::inet + n % 16777216, at,
       case when n % 10 = 0 then at + interval '1 minute' end,
       case when n % 10 = 0 then 'logout' end
  from (select n, now() - interval '15 hours' * random() as at
          from generate_series($2::bigint, $3::bigint) as n) as one;

-- name: sessions
-- Sessions number $2 to $3 of $4, of $5 users with devices $6, as sign-ins and refreshes leave them.
-- In the order in which they began, over a week: one in twenty is over and not purged, one in ten was
-- ended; three in ten hang on a browser's login, with an OpenID Connect client's scopes.
insert into sessions (id, user_id, client_id, login_id, scopes, audiences, claims, offline,
                      token_hash, next_hash, generation, rotated_at, idle_lifetime, idle_expires_at,
                      expires_at, remembered, auth_time, amr, dpop_jkt, device, ip, created_at,
                      revoked_at, revoke_reason)
select (lpad(to_hex((extract(epoch from expires_at + interval '1 hour') * 1000)::bigint), 12, '0')
          || '7' || substr(noise, 1, 3) || 'a' || substr(noise, 4, 15))::uuid,
       md5($1::text || '/user/' || person)::uuid,
       case when kind < 6 then 'benchmark' when kind = 6 then 'mobile-app' else 'partner-portal' end,
       case when kind > 6 then md5($1::text || '/login/' || person)::uuid end,
       case when kind > 6 then '{email,offline_access,openid,orders.read,profile}'::text[]
            else '{orders.read,orders.write}' end,
       '{https://api.benchmark.example}',
       case when kind > 6 then jsonb_build_object('email', 'person-' || person || '@mail' || person % 97 || '.example') end,
       kind = 9,
       sha256(convert_to('token/' || noise, 'UTF8')), sha256(convert_to('child/' || noise, 'UTF8')),
       1 + number % 400, used_at, idle, least(used_at + idle, expires_at), expires_at,
       case when kind < 6 then lifetime = interval '30 days' end, began_at, '{pwd}',
       case when number % 20 = 3 then substr(encode(sha256(convert_to(noise, 'UTF8')), 'base64'), 1, 43) end,
       ($6::text[])[1 + number % cardinality($6)],
       case when number % 4 = 0 then '2001:db8::'::inet + number else '10.0.0.0'::inet + number % 16777216 end,
       began_at, case when ended then used_at end, case when ended then 'logout' end
  from (select *, began_at + lifetime as expires_at,
               began_at + (now() - began_at) * random() as used_at
          from (select number, md5($1::text || '/session/' || number) as noise,
                       floor(random() * $5)::bigint as person, number % 10 as kind,
                       (hashint8(number)::bigint & 1023) < 102 as ended,
                       now() - interval '7 days 12 hours' * (1 - number::float8 / $4) as began_at,
                       (array['1 day', '7 days', '7 days', '7 days', '30 days']::interval[])
                         [1 + (hashint8(number + 77)::bigint & 4095) % 5] as lifetime,
                       interval '7 days' as idle
                  from generate_series($2::bigint, $3::bigint) as number) as begun
         where began_at + lifetime > now() - interval '10 minutes' or number % 5 = 0) as one;
