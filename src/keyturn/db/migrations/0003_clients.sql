-- Registered applications. Rows are disabled, never deleted: an id once used stays taken.
-- A client id becomes the `sub` of its own tokens, so it must not look like a user's id (a UUID).
create table clients (
  id                         text primary key collate "C",
  name                       text not null,
  kind                       text not null check (kind in ('public', 'confidential')),
  auth_method                text not null,
  grant_types                text[] not null,
  scopes                     text[] not null,
  audiences                  text[] not null,
  session_api                boolean not null default false,
  origins                    text[] not null default '{}',
  claims                     text[] not null default '{}',
  introspects                text[] not null default '{}',
  grace                      interval,
  rotation                   boolean not null default true,
  require_dpop               boolean not null default false,
  access_token_lifetime      interval,
  idle_lifetime              interval,
  absolute_lifetime          interval,
  secret_hash                bytea check (octet_length(secret_hash) = 32),
  secret_set_at              timestamptz,
  previous_secret_hash       bytea check (octet_length(previous_secret_hash) = 32),
  previous_secret_expires_at timestamptz,
  declared                   boolean not null default false,
  declared_secret_hash       bytea check (octet_length(declared_secret_hash) = 32),
  disabled_at                timestamptz,
  created_at                 timestamptz not null default now(),
  updated_at                 timestamptz not null default now(),
  check (replace(id, '-', '') !~* '^[0-9a-f]{32}$'),
  check (secret_hash is not null or previous_secret_hash is null),
  check (kind = 'confidential' or (secret_hash is null and not 'client_credentials' = any(grant_types))),
  check (kind = 'public' or not session_api)
);

-- Every process asks every few seconds what has changed.
create index clients_updated on clients (updated_at, id);
