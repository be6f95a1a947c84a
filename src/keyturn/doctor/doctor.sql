-- name: server
-- What this server is, and how it is set for our role and database.
select current_setting('server_version_num')::int as version,
       pg_is_in_recovery() as standby,
       current_setting('default_transaction_read_only') = 'on' as read_only,
       current_setting('fsync') = 'on' as fsync,
       current_setting('full_page_writes') = 'on' as full_page_writes,
       current_setting('autovacuum') = 'on' as autovacuum,
       current_setting('synchronous_commit') as synchronous_commit,
       current_setting('synchronous_standby_names') as synchronous_standby_names,
       current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int as connections,
       inet_server_addr() is null or inet_server_addr() <<= '127.0.0.0/8'
         or inet_server_addr() = '::1' as local,
       coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted,
       current_database() || ' since ' || pg_postmaster_start_time() as identity,
       clock_timestamp() as now;

-- name: activity
-- How many connections there are, and how many of our processes: each has one that listens.
select count(*) filter (where datname is not null) as connections,
       count(*) filter (where application_name = 'keyturn listen'
                          and datname = current_database()) as processes
  from pg_stat_activity;

-- name: standbys
-- The standbys that are connected, whether a commit waits for one, and how far the last one is behind.
select count(*) as standbys,
       coalesce(bool_or(sync_state in ('sync', 'quorum')), false) as waited_for,
       coalesce(bool_or(state is null), false) as hidden,
       max(replay_lag) as lag
  from pg_stat_replication;

-- name: unwritable
-- Our tables that this role may not write.
select relname
  from pg_class
 where relnamespace = (select relnamespace from pg_class where oid = 'sessions'::regclass)
   and relkind in ('r', 'p') and not relispartition and relname <> 'schema_migrations'
   and not has_table_privilege(oid, 'insert')
 order by relname;

-- name: migrations
-- Every migration that was applied.
select version, name from schema_migrations order by version;

-- name: clients
-- The clients that may be used, with the switches that cost something.
select id, kind, auth_method, require_pkce, skip_consent, rotation, require_dpop, session_api,
       grace > interval '10 s' as long_grace, self_registered,
       claims <> '{}' or id_token_claims <> '{}' as personal,
       secret_hash is not null or declared_secret_hash is not null as has_secret,
       jwks is not null or jwks_uri is not null as has_keys
  from clients
 where disabled_at is null
 order by id
 limit $1;

-- name: expired
-- The tables that still have what expired longer ago than a purge may take.
select name
  from (select 'sessions' as name,
               exists (select
                         from (select expires_at from sessions order by id limit 1000) as oldest
                        where expires_at < now() - $1::interval) as behind
        union all
        select 'logins', exists (select from logins where expires_at < now() - $1::interval)
        union all
        select 'authorization_codes',
               exists (select from authorization_codes where expires_at < now() - $1::interval)
        union all
        select 'authorization_requests',
               exists (select from authorization_requests where expires_at < now() - $1::interval)
        union all
        select 'device_authorizations',
               exists (select from device_authorizations where expires_at < now() - $1::interval)
        union all
        select 'replays', exists (select from replays where expires_at < now() - $1::interval)
        union all
        select 'creations', exists (select from creations where expires_at < now() - $1::interval)
       ) as tables
 where behind;

-- name: audit
-- Say how the months of the audit trail are: made ahead, complete, and gone when it is time.
select to_regclass('audit_events_' || to_char(now() + interval '1 month', 'YYYY_MM')) is not null
         as prepared,
       exists (select from audit_events_default) as unsorted,
       (select min(relname)
          from pg_inherits join pg_class on pg_class.oid = inhrelid
         where inhparent = 'audit_events'::regclass
           and substring(pg_get_expr(relpartbound, pg_class.oid) from $re$TO \('([^']+)'\)$re$)
               ::timestamptz <= audit_events_kept_since($1::interval)) as forgotten;

-- name: logouts
-- How long the oldest logout waits that a client was not told of, in seconds.
select coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest
  from logout_deliveries;
