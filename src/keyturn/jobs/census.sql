-- name: pages
-- How many pages the table of sessions has; only the file is asked.
select pg_relation_size('sessions') / current_setting('block_size')::integer as pages;

-- name: sessions
-- Live and expired sessions on so many per cent of the table's pages, taken at random.
-- No index says how many are live: one on what each refresh moves would cost every refresh.
select count(*) filter (where revoked_at is null and expires_at > now() and idle_expires_at > now())
         as live,
       count(*) filter (where expires_at < now()) as expired
  from sessions tablesample system ($1::real);

-- name: expired
-- What the purge has left of the other tables, by index, and never more than so many of each.
-- The order is that of the index: without it the planner, who takes a third of a table to be over,
-- would look for the first of them in all of it, and there are none most of the time.
select (select count(*)
          from (select from revocations
                 where revoked_at < now() - $2::interval and expires_at < now()
                 order by revoked_at
                 limit $1) as one) as revocations,
       (select count(*)
          from (select from logins where expires_at < now()
                 order by expires_at limit $1) as one) as logins,
       (select count(*)
          from (select from authorization_requests where expires_at < now()
                 order by expires_at limit $1) as one)
         as authorization_requests,
       (select count(*)
          from (select from authorization_codes where expires_at < now() - $3::interval
                 order by expires_at limit $1) as one) as authorization_codes,
       (select count(*)
          from (select from replays where expires_at < now() - interval '5 minutes'
                 order by expires_at limit $1) as one) as replays,
       (select count(*)
          from (select from creations where expires_at < now()
                 order by expires_at limit $1) as one) as creations,
       (select count(*)
          from (select from device_authorizations where expires_at < now() - $4::interval
                 order by expires_at limit $1) as one) as device_authorizations;
