-- Who did it, and an order to follow the trail by: `at` is when an event happened, and what waited
-- for the database is written long after. Numbers of `seq` become visible in their order, because
-- whoever writes holds a lock until the commit; so a reader who has seen one will meet none before
-- it any more. Events older than this have no number (0), and their own order among themselves.
alter table audit_events
  add column actor text collate "C",
  add column seq   bigint not null default 0;

create sequence audit_events_seq;

alter table audit_events alter column seq set default nextval('audit_events_seq');

create function audit_events_take_turns() returns trigger
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('audit_events'));
  return null;
end
$$;

create trigger take_turns before insert on audit_events
  for each statement execute function audit_events_take_turns();

create index audit_events_seq_at on audit_events (seq, at, id);
create index audit_events_type on audit_events (type, at);
create index audit_events_actor on audit_events (actor, at);
create index audit_events_client on audit_events (client_id, at) where client_id is not null;
create index audit_events_session on audit_events (session_id, at) where session_id is not null;

-- Append only: nobody changes an event, or deletes one, by accident. Retention drops whole months;
-- what lies in the default partition it deletes, and says so first.
create function audit_events_refuse() returns trigger
language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('keyturn.audit_retention', true) = 'on' then
    return old;
  end if;
  raise exception 'audit events are append only: % refused', lower(tg_op);
end
$$;

create trigger append_only before update or delete on audit_events
  for each row execute function audit_events_refuse();
create trigger append_only_whole before truncate on audit_events
  for each statement execute function audit_events_refuse();

-- Where retention ends: the first day of the month (UTC) that the oldest event to keep lies in.
create function audit_events_kept_since(keep interval) returns timestamptz
language sql stable as $$
  select date_trunc('month', (now() - keep) at time zone 'UTC') at time zone 'UTC'
$$;

-- Drops the oldest month whose every event is older than `keep`, and returns its name; null: none.
-- One at a time, and gives up soon: whoever waits for the table holds up all who come after. (It
-- cannot be detached concurrently first: that is refused where there is a default partition.)
create function drop_audit_month(keep interval) returns text
language plpgsql set lock_timeout = '250ms' as $$
declare
  month text;
begin
  select relname into month
    from pg_inherits join pg_class on pg_class.oid = inhrelid
   where inhparent = 'audit_events'::regclass
     and substring(pg_get_expr(relpartbound, pg_class.oid) from $re$TO \('([^']+)'\)$re$)
         ::timestamptz <= audit_events_kept_since(keep)
   order by relname
   limit 1;
  if month is not null then
    execute format('drop table %I', month);
  end if;
  return month;
end
$$;
