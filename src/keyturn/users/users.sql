-- name: add
-- Add an account, unless its id or its e-mail is taken.
insert into users (id, email, email_key, name, email_verified, password_hash)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
returning id, email, name, email_verified, disabled_at, created_at,
          xmin::text as version;

-- name: by_id
-- One account by its id.
select id, email, name, email_verified, disabled_at, created_at,
       xmin::text as version
  from users
 where id = $1 and deleted_at is null;

-- name: by_email
-- One account by the key of its e-mail address.
select id, email, name, email_verified, disabled_at, created_at,
       xmin::text as version
  from users
 where email_key = $1;

-- name: page_by_id
-- Accounts in the order of their ids, after an id; one page.
select id, email, name, email_verified, disabled_at, created_at,
       xmin::text as version
  from users
 where id > $1 and deleted_at is null
 order by id
 limit $2;

-- name: page
-- Accounts in the order of their e-mail keys, after a key; one page.
select id, email, name, email_verified, disabled_at, created_at,
       xmin::text as version
  from users
 where email_key > $1
 order by email_key
 limit $2;

-- name: credential_by_email
-- What a sign-in is checked against, and the database's time before the check.
select id, email, name, email_verified, disabled_at, created_at,
       xmin::text as version,
       email_key, password_hash, valid_after, now() as proof_time
  from users
 where email_key = $1;

-- name: credential_by_id
-- What a signed-in person's password is checked against, and the database's time before the check.
select id, email, name, email_verified, disabled_at, created_at,
       xmin::text as version,
       email_key, password_hash, valid_after, now() as proof_time
  from users
 where id = $1 and deleted_at is null;

-- name: confirm
-- Wait for a change of the account under way, then say whether what was checked still holds.
select id
  from users
 where id = $1
   and password_hash = $2
   and valid_after = $3
   and disabled_at is null
   and deleted_at is null
   for share;

-- name: rehash
-- Put a better hash of the same password in place of the one that was just verified.
update users
   set password_hash = $3
 where id = $1 and password_hash = $2;

-- name: lock
-- Make sign-ins of this account wait until the transaction that changes it has committed.
-- Only in one of the versions that its caller has seen (null: in any).
select id, email, name, email_verified, disabled_at, created_at,
       xmin::text as version
  from users
 where id = $1 and deleted_at is null and ($2::text[] is null or xmin::text = any($2))
   for no key update;

-- name: change
-- Give an account other members; closing it, nothing proved before now starts a session.
update users
   set email = $2, email_key = $3, name = $4, email_verified = $5,
       disabled_at = case when $6 then coalesce(disabled_at, now()) end,
       valid_after = case when $6 and disabled_at is null then clock_timestamp()
                          else valid_after end
 where id = $1
returning id, email, name, email_verified, disabled_at, created_at,
          xmin::text as version;

-- name: disable
-- Close an account: nothing proved before now starts a session.
update users
   set disabled_at = coalesce(disabled_at, now()), valid_after = clock_timestamp()
 where id = $1
returning id, email, name, email_verified, disabled_at, created_at,
          xmin::text as version;

-- name: enable
-- Open an account again; what ended stays ended.
update users
   set disabled_at = null
 where id = $1 and deleted_at is null
returning id, email, name, email_verified, disabled_at, created_at,
          xmin::text as version;

-- name: set_password
-- Replace the password: nothing proved by the old one starts a session.
update users
   set password_hash = $2, valid_after = clock_timestamp()
 where id = $1
returning id, email, name, email_verified, disabled_at, created_at,
          xmin::text as version;

-- name: change_password
-- Replace the password on behalf of a session that is still live when the account is locked.
update users
   set password_hash = $2, valid_after = clock_timestamp()
 where id = $1
   and disabled_at is null
   and exists (select
                 from sessions
                where sessions.id = $3
                  and sessions.user_id = users.id
                  and sessions.revoked_at is null
                  and sessions.expires_at > now())
returning id, email, name, email_verified, disabled_at, created_at,
          xmin::text as version;

-- name: invalidate
-- Let nothing proved before now start a session.
update users
   set valid_after = clock_timestamp()
 where id = $1
returning id, email, name, email_verified, disabled_at, created_at,
          xmin::text as version;

-- name: void_approvals
-- Let what a user approved for devices, and none has fetched, give nothing any more.
update device_authorizations
   set decision = 'denied', decided_at = now()
 where user_id = $1 and decision = 'approved' and consumed_at is null;

-- name: erase
-- Turn an account into a tombstone: the id stays taken, everything personal goes.
with forgotten as (
  delete from consents where user_id = $1
)
update users
   set email = null, email_key = null, name = null, password_hash = null, email_verified = false,
       disabled_at = coalesce(disabled_at, now()), deleted_at = now(),
       valid_after = clock_timestamp()
 where id = $1
returning id;

-- name: import_batch
-- Add many accounts at once and say which; those whose id or e-mail is taken are left out.
insert into users (id, email, email_key, name, email_verified, password_hash)
select *
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[])
on conflict do nothing
returning id, email_key;

-- name: import_taken
-- Who holds the ids and e-mails that an import found taken.
select id, email_key
  from users
 where id = any($1::uuid[]) or email_key = any($2::text[]);
