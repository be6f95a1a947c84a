-- What the authorization code flow keeps: browsers signed in here, requests that wait for a
-- person, codes, and what people have allowed applications.

alter table clients
  add column redirect_uris             text[] not null default '{}',
  add column post_logout_redirect_uris text[] not null default '{}',
  add column require_pkce              boolean not null default true,
  add column skip_consent              boolean not null default false,
  add column response_modes            text[] not null default '{form_post,query}',
  add check (kind = 'confidential' or require_pkce);

-- One browser signed in at this server. Only a hash of the cookie's value is kept, and a new proof
-- gives a new value. What has ended stays until its expiry, for whoever asks how it ended.
create table logins (
  id              uuid primary key,
  user_id         uuid not null,
  value_hash      bytea not null unique check (octet_length(value_hash) = 32),
  auth_time       timestamptz not null,
  amr             text[] not null,
  remembered      boolean not null,
  idle_lifetime   interval not null,
  idle_expires_at timestamptz not null,
  expires_at      timestamptz not null,
  device          text,
  ip              inet,
  created_at      timestamptz not null default now(),
  ended_at        timestamptz,
  end_reason      text collate "C",
  check ((ended_at is null) = (end_reason is null))
) with (fillfactor = 80);

create index logins_user on logins (user_id);
create index logins_expires_at on logins (expires_at);

-- Authorization requests in progress, each bound to the browser that brought it. Anybody can make
-- one, so they are short-lived, and never more than a hash of their handle is kept.
create table authorization_requests (
  handle_hash     bytea primary key check (octet_length(handle_hash) = 32),
  browser_hash    bytea not null check (octet_length(browser_hash) = 32),
  request         jsonb not null,
  proven_login_id uuid,
  answer          text check (answer in ('agreed', 'denied')),
  created_at      timestamptz not null default now(),
  expires_at      timestamptz not null,
  finished_at     timestamptz
);

create index authorization_requests_expires_at on authorization_requests (expires_at);

-- Authorization codes. A redeemed one stays for a while, with the session it gave: whoever redeems
-- it again, and proves everything, ends that session.
create table authorization_codes (
  code_hash       bytea primary key check (octet_length(code_hash) = 32),
  client_id       text not null collate "C",
  redirect_uri    text not null,
  code_challenge  text,
  nonce           text,
  user_id         uuid not null,
  login_id        uuid not null,
  scopes          text[] not null,
  audiences       text[] not null,
  id_token_claims text[] not null,
  auth_time       timestamptz not null,
  amr             text[] not null,
  remembered      boolean not null,
  device          text,
  ip              inet,
  created_at      timestamptz not null default now(),
  expires_at      timestamptz not null,
  consumed_at     timestamptz,
  session_id      uuid
);

create index authorization_codes_user on authorization_codes (user_id);
create index authorization_codes_expires_at on authorization_codes (expires_at);

-- What a person has allowed an application: the union of everything they said yes to.
create table consents (
  user_id    uuid not null,
  client_id  text not null collate "C",
  scopes     text[] not null,
  granted_at timestamptz not null default now(),
  primary key (user_id, client_id)
);
