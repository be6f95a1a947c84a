-- The device grant (RFC 8628). A row, and nothing sealed as with authorization requests: a code that
-- a person types is too short to carry its request, and what a person answers in one place is fetched
-- in another. The user code is kept as a keyed hash: there are so few of them that a plain one could
-- be searched through. No index on anything that polling changes.
create table device_authorizations (
  device_code_hash bytea primary key check (octet_length(device_code_hash) = 32),
  user_code_hash   bytea not null unique check (octet_length(user_code_hash) = 32),
  client_id        text not null collate "C",
  scopes           text[] not null,
  audiences        text[] not null,
  device           text,
  ip               inet,
  poll_interval    interval not null,
  polled_at        timestamptz,
  polled_too_soon  boolean not null default false,
  created_at       timestamptz not null default now(),
  expires_at       timestamptz not null,
  decision         text collate "C" check (decision in ('approved', 'denied')),
  decided_at       timestamptz,
  user_id          uuid,
  auth_time        timestamptz,
  amr              text[],
  consumed_at      timestamptz,
  check ((decision is null) = (decided_at is null)),
  check (decision is distinct from 'approved' or (user_id is not null and auth_time is not null and amr is not null)),
  check (consumed_at is null or decision = 'approved')
) with (fillfactor = 80);

create index device_authorizations_user on device_authorizations (user_id) where user_id is not null;
create index device_authorizations_expires_at on device_authorizations (expires_at);
