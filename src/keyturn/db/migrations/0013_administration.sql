-- What the admin API has made for a caller that may ask again (Idempotency-Key): which request it
-- was, and what came of it. Neither the request nor a secret is kept, only the MAC of the one and
-- what the other is derived from.
create table creations (
  id          bytea primary key check (octet_length(id) = 32),
  fingerprint bytea not null check (octet_length(fingerprint) = 32),
  secret_id   smallint not null,
  salt        bytea not null check (octet_length(salt) = 32),
  resource    text not null collate "C",
  expires_at  timestamptz not null
);

create index creations_expires_at on creations (expires_at);
