-- Signing keys. The partial index is the last word on "one next, one signing": two replicas that
-- both decided to promote cannot both commit. A retired key has no private half any more.
create table signing_keys (
  kid            text primary key collate "C",
  state          text not null collate "C" check (state in ('next', 'signing', 'retired')),
  since          timestamptz not null default now(),
  created_at     timestamptz not null default now(),
  public_jwk     jsonb not null,
  private_sealed bytea check (octet_length(private_sealed) > 29),
  sealed_at      timestamptz,
  check ((state = 'retired') = (private_sealed is null)),
  check ((private_sealed is null) = (sealed_at is null))
);

create unique index signing_keys_one_each on signing_keys (state)
 where state in ('next', 'signing');
