-- name: write
-- Record revocations; they outlive the caller's commit even where rotations commit asynchronously.
with durable as materialized (
  select case when current_setting('synchronous_commit') in ('off', 'local')
              then set_config('synchronous_commit', 'on', true) end as level
)
insert into revocations (kind, id, revoked_at, expires_at)
select $1, one.id, clock_timestamp(), clock_timestamp() + $3::interval
  from durable, unnest($2::text[]) as one (id)
 where durable.level is distinct from ''
 order by one.id
on conflict (kind, id) do nothing;

-- name: look_up
-- Say whether a session or one of its access tokens has ended.
select exists (select from revocations where kind = 'sid' and id = $1)
    or exists (select from revocations where kind = 'jti' and id = $2) as revoked;

-- name: horizon
-- The time, and the start of the oldest transaction that is writing revocations.
-- A row is seen once its transaction has committed, which may be long after its `revoked_at`: a
-- synchronous standby that does not answer. A writer locks the table before it reads the clock and
-- lets go after its rows can be seen, so that whoever holds no lock now will write later times only.
-- Of a writer whose start is hidden (another role's, a prepared one) nothing is known but that rows
-- older than $1 have expired.
select (extract(epoch from now()) * 1000000)::bigint as now,
       (extract(epoch from least(now(), min(coalesce(xact_start, now() - $1::interval))))
        * 1000000)::bigint as settled
  from pg_locks left join pg_stat_activity using (pid)
 where locktype = 'relation' and mode = 'RowExclusiveLock'
   and relation = 'revocations'::regclass
   and database = (select oid from pg_database where datname = current_database());

-- name: since
-- The next revocations in order of their time, after a place in that order.
select kind, id, (extract(epoch from revoked_at) * 1000000)::bigint as revoked_at,
       (extract(epoch from expires_at) * 1000000)::bigint as expires_at
  from revocations
 where (revoked_at, kind, id) > (to_timestamp($1::float8 / 1000000), $2, $3) and expires_at > now()
 order by revocations.revoked_at, kind, id
 limit $4;

-- name: purge_expired
-- Delete a batch of revocations that no living token can name any more.
delete from revocations
 where (kind, id) in (select kind, id
                        from revocations
                       where revoked_at < now() - $1::interval and expires_at < now()
                       order by revoked_at
                       limit $2
                         for update skip locked);
