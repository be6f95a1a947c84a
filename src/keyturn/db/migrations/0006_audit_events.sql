-- What happened to accounts, sessions, clients and keys: append only, one partition a month (UTC).
-- Months are made ahead; what no month takes lands in the default partition, so that an event is
-- never refused. `at` is the database's time of the event, not of its writing.
create table audit_events (
  id         uuid not null,
  at         timestamptz not null,
  type       text not null collate "C",
  result     text not null collate "C",
  user_id    uuid,
  client_id  text collate "C",
  session_id uuid,
  ip         inet,
  request_id text collate "C",
  detail     jsonb not null default '{}',
  primary key (at, id)
) partition by range (at);

create table audit_events_default partition of audit_events default;

create index audit_events_user on audit_events (user_id, at);

-- Makes the partitions of this month and of `ahead` more, and returns how many it made. A month
-- the default partition already has events of stays there: moving them would lock out writers.
create function make_audit_partitions(ahead integer) returns integer
language plpgsql as $$
declare
  first timestamptz;
  next  timestamptz;
  name  text;
  made  integer := 0;
begin
  -- One maker at a time; whoever waited must look at the catalog, not into a cache of it.
  perform pg_advisory_xact_lock(hashtext('make_audit_partitions'));
  for step in 0..ahead loop
    first := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => step))
             at time zone 'UTC';
    next  := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => step + 1))
             at time zone 'UTC';
    name  := 'audit_events_' || to_char(first at time zone 'UTC', 'YYYY_MM');
    continue when exists (
      select from pg_inherits join pg_class on pg_class.oid = inhrelid
       where inhparent = 'audit_events'::regclass and relname = name);
    continue when exists (select from audit_events_default where at >= first and at < next);
    execute format(
      'create table %I partition of audit_events for values from (%L) to (%L)', name, first, next);
    made := made + 1;
  end loop;
  return made;
end
$$;

select make_audit_partitions(3);
