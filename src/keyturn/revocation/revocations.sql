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

-- name: since
-- What was revoked since a moment, with the time up to which that is all (one row at least).
select (extract(epoch from now()) * 1000000)::bigint as upto,
       kind || ':' || id as member,
       (extract(epoch from revoked_at) * 1000000)::bigint as revoked_at,
       (extract(epoch from expires_at) * 1000000)::bigint as expires_at
  from (select) as one
  left join revocations on revoked_at >= to_timestamp($1::float8 / 1000000) and expires_at > now();

-- name: page
-- The next revocations in order of their key, for a copy of all of them.
select kind, id, kind || ':' || id as member,
       (extract(epoch from revoked_at) * 1000000)::bigint as revoked_at,
       (extract(epoch from expires_at) * 1000000)::bigint as expires_at
  from revocations
 where (kind, id) > ($1, $2) and expires_at > now()
 order by kind, id
 limit $3;

-- name: purge_expired
-- Delete a batch of revocations that no living token can name any more.
delete from revocations
 where (kind, id) in (select kind, id
                        from revocations
                       where revoked_at < now() - $1::interval and expires_at < now()
                       order by revoked_at
                       limit $2
                         for update skip locked);
