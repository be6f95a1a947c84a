-- One row for each sign-in of one user at one client on one device; never one for each token.
-- The id carries the absolute expiry in its first 48 bits, so the primary key is in order of
-- expiry. No index on anything that rotation changes, and room in each page: every update is HOT.
create table sessions (
  id              uuid primary key,
  user_id         uuid not null,
  client_id       text not null collate "C",
  login_id        uuid,
  scopes          text[] not null,
  audiences       text[] not null,
  claims          jsonb,
  offline         boolean not null default false,
  token_hash      bytea not null check (octet_length(token_hash) = 32),
  next_hash       bytea not null check (octet_length(next_hash) = 32),
  generation      integer not null default 0,
  rotated_at      timestamptz not null default now(),
  idle_lifetime   interval not null,
  idle_expires_at timestamptz not null,
  expires_at      timestamptz not null,
  remembered      boolean,
  auth_time       timestamptz not null,
  acr             text,
  amr             text[] not null default '{}',
  dpop_jkt        text,
  device          text,
  ip              inet,
  created_at      timestamptz not null default now(),
  revoked_at      timestamptz,
  revoke_reason   text,
  check ((revoked_at is null) = (revoke_reason is null))
) with (fillfactor = 80);

create index sessions_user on sessions (user_id);
