-- One row for each account. A deleted one stays as a tombstone without anything personal: the id
-- is the `sub` that other systems know, and must never name somebody else.
create table users (
  id             uuid primary key,
  email          text,
  email_key      text collate "C" unique,
  name           text,
  email_verified boolean not null default false,
  password_hash  text,
  valid_after    timestamptz not null default 'epoch',
  disabled_at    timestamptz,
  deleted_at     timestamptz,
  created_at     timestamptz not null default now(),
  check (case when deleted_at is null
              then email is not null and email_key is not null
              else num_nonnulls(email, email_key, name, password_hash) = 0 end)
);
