-- name: lock
-- Let one replica at a time decide about the keys, until its transaction ends.
select pg_advisory_xact_lock($1);

-- name: list
-- Every key by age, and the database's time; one row without a key when there is none.
select key.kid, key.state, key.since, key.created_at, key.public_jwk, key.private_sealed,
       key.sealed_at, clock.now
  from (select now() as now) clock
  left join signing_keys key on true
 order by key.created_at, key.kid;

-- name: add
-- Publish a new key.
insert into signing_keys (kid, state, public_jwk, private_sealed, sealed_at)
values ($1, $2, $3, $4, now());

-- name: retire
-- Stop signing with a key, wipe its private half, keep it published.
update signing_keys
   set state = 'retired', since = now(), private_sealed = null, sealed_at = null
 where kid = $1 and state = 'signing';

-- name: promote
-- Let the next key sign.
update signing_keys
   set state = 'signing', since = now()
 where kid = $1 and state = 'next';

-- name: reseal
-- Put a private half under another secret, unless it changed since it was read.
update signing_keys
   set private_sealed = $2, sealed_at = now()
 where kid = $1 and private_sealed = $3;

-- name: remove
-- Stop publishing a key: tokens it signed are refused from now on.
delete from signing_keys
 where kid = $1 and state = $2;

-- name: announce
-- Tell every replica, at commit, that the keys have changed.
select pg_notify($1, '');
