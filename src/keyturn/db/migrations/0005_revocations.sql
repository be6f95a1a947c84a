-- What ended before its expiry: sessions (sid) and single access tokens (jti), kept as long as a
-- token that names them may live. The second index is what the copier to Redis reads by.
create table revocations (
  kind       text not null collate "C" check (kind in ('sid', 'jti')),
  id         text not null collate "C",
  revoked_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (kind, id)
);

create index revocations_revoked_at on revocations (revoked_at);
