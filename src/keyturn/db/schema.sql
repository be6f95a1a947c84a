-- name: has_migrations
-- Whether this database was ever migrated.
select to_regclass('schema_migrations') is not null as present;

-- name: applied_version
-- The newest migration this database has.
select coalesce(max(version), 0) as version from schema_migrations;
