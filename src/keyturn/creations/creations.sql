-- name: note
-- Note what a request makes, unless it was noted before; of two at once, the second waits here.
insert into creations (id, fingerprint, secret_id, salt, resource, expires_at)
values ($1, $2, $3, $4, $5, now() + interval '24 hours')
on conflict (id) do update
   set fingerprint = excluded.fingerprint, secret_id = excluded.secret_id, salt = excluded.salt,
       resource = excluded.resource, expires_at = excluded.expires_at
 where creations.expires_at <= now()
returning id;

-- name: recall
-- What came of a request before.
select fingerprint, secret_id, salt, resource from creations where id = $1;

-- name: purge
-- Forget a batch of what nobody asks for again.
delete from creations
 where id = any(array(select id
                        from creations
                       where expires_at < now()
                       order by expires_at
                       limit $1
                         for update skip locked));
