-- name: use
-- Remember that something good once was used; no row when somebody used it before.
insert into replays (id, expires_at) values ($1, $2) on conflict (id) do nothing;

-- name: purge
-- Delete a batch of what has expired by now, and would be refused for that.
delete from replays
 where id = any(array(select id
                        from replays
                       where expires_at < now() - interval '5 minutes'
                       order by expires_at
                       limit $1
                         for update skip locked));
