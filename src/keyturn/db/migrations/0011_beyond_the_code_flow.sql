-- What clients may be beyond the code flow: keys of their own (RFC 7523), pushed and signed requests
-- (RFC 9126, RFC 9101), token exchange (RFC 8693), the FAPI 2.0 profile, links people are shown; and
-- those that registered themselves (RFC 7591).

alter table clients
  add column jwks                          jsonb,
  add column jwks_uri                      text,
  add column require_par                   boolean not null default false,
  add column require_signed_request_object boolean not null default false,
  add column profile                       text collate "C",
  add column token_exchange                jsonb,
  add column client_uri                    text,
  add column logo_uri                      text,
  add column policy_uri                    text,
  add column tos_uri                       text,
  add column self_registered               boolean not null default false,
  add check (jwks is null or jwks_uri is null);

-- What is good once, and was used: ids of client assertions and of DPoP proofs, hashed with what
-- they belong to. Redis may vanish at any time, and a replay must not get through then.
create table replays (
  id         bytea primary key check (octet_length(id) = 32),
  expires_at timestamptz not null
);

create index replays_expires_at on replays (expires_at);
