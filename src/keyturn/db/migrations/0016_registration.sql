-- Clients that register themselves (RFC 7591), and manage what they registered (RFC 7592).

-- Initial access tokens: operators give them out. `uses` bounds the live clients of one.
create table registration_tokens (
  id         uuid primary key,
  name       text not null,
  hash       bytea not null unique check (octet_length(hash) = 32),
  uses       integer not null check (uses > 0),
  scopes     text[],
  expires_at timestamptz not null,
  revoked_at timestamptz,
  created_at timestamptz not null default now()
);

-- Beside the row of the client: how it came, who may manage it, whether it was ever used. A row
-- that has ended stays, as its client does, and is never managed again.
create table registrations (
  client_id        text primary key collate "C",
  token_hash       bytea not null check (octet_length(token_hash) = 32),
  initial_token_id uuid,
  address          text,
  details          jsonb not null,
  created_at       timestamptz not null default now(),
  first_used_at    timestamptz,
  ended_at         timestamptz
);

create index registrations_live on registrations (created_at) where ended_at is null;
create index registrations_created on registrations (created_at);
