-- name: usable_token
-- An initial access token that may be used now, with how many live clients it has.
select t.id, t.name, t.uses, t.scopes, t.expires_at, t.revoked_at, t.created_at,
       (select count(*) from registrations r join clients c on c.id = r.client_id
         where r.initial_token_id = t.id and r.ended_at is null and c.disabled_at is null) as used
  from registration_tokens t
 where t.hash = $1 and t.revoked_at is null and t.expires_at > now()
   for share of t;

-- name: standing
-- How many clients there are that registered themselves, and how many came in the last day.
select (select count(*) from registrations r join clients c on c.id = r.client_id
         where r.ended_at is null and c.disabled_at is null) as live,
       count(*) as today,
       count(*) filter (where address = $1 and initial_token_id is null) as here
  from registrations
 where created_at > now() - interval '1 day';

-- name: register
-- Remember how a client came, and who may manage it.
insert into registrations (client_id, token_hash, initial_token_id, address, details)
values ($1, $2, $3, $4, $5);

-- name: managed
-- The registration that a token manages, while it and its client live and no operator took over.
select r.created_at, r.details, r.first_used_at is not null as is_used, t.scopes
  from registrations r
  join clients c on c.id = r.client_id
  left join registration_tokens t on t.id = r.initial_token_id
 where r.client_id = $1 and r.token_hash = $2
   and r.ended_at is null and c.disabled_at is null and not c.declared;

-- name: replace_details
-- Keep other details beside a client.
update registrations set details = $2 where client_id = $1;

-- name: finish
-- End a registration for good.
update registrations set ended_at = now() where client_id = $1 and ended_at is null;

-- name: note_first_use
-- Remember that a client was used, unless that is known.
update registrations set first_used_at = now() where client_id = $1 and first_used_at is null;

-- name: end_unused
-- End some registrations whose clients were never used; one that is used meanwhile stays.
update registrations set ended_at = now()
 where client_id in (select r.client_id
                       from registrations r join clients c on c.id = r.client_id
                      where r.ended_at is null and r.first_used_at is null and not c.declared
                        and r.created_at < now() - $1::interval
                      order by r.created_at
                      limit $2)
   and first_used_at is null and ended_at is null
returning client_id;

-- name: add_token
-- Keep a new initial access token, good for a while.
insert into registration_tokens (id, name, hash, uses, scopes, expires_at)
values ($1, $2, $3, $4, $5, now() + $6::interval)
returning id, name, uses, scopes, expires_at, revoked_at, created_at, 0::bigint as used;

-- name: find_token
-- One initial access token, usable or not, with how many live clients it has.
select t.id, t.name, t.uses, t.scopes, t.expires_at, t.revoked_at, t.created_at,
       (select count(*) from registrations r join clients c on c.id = r.client_id
         where r.initial_token_id = t.id and r.ended_at is null and c.disabled_at is null) as used
  from registration_tokens t
 where t.id = $1;

-- name: page_of_tokens
-- Initial access tokens, the latest first, after one; with how many live clients each has.
select t.id, t.name, t.uses, t.scopes, t.expires_at, t.revoked_at, t.created_at,
       (select count(*) from registrations r join clients c on c.id = r.client_id
         where r.initial_token_id = t.id and r.ended_at is null and c.disabled_at is null) as used
  from registration_tokens t
 where $1::uuid is null
    or (t.created_at, t.id) < (select created_at, id from registration_tokens where id = $1)
 order by t.created_at desc, t.id desc
 limit $2;

-- name: revoke_token
-- End an initial access token; its clients stay.
update registration_tokens set revoked_at = coalesce(revoked_at, now()) where id = $1;
