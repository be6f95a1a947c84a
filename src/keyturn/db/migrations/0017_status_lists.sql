-- Every session has a place in the status lists that APIs read (Token Status List, IETF OAuth). The
-- number comes from the table's default, so that sessions begun by the release before have one, too,
-- while both run. Sessions from before this file have none: a table of millions is not rewritten, and
-- they end, one by one. Not indexed: a refresh moves nothing that an index is over.
create sequence session_status as bigint minvalue 0;

alter table sessions add column status_index bigint;
alter table sessions alter column status_index set default nextval('session_status');
alter sequence session_status owned by sessions.status_index;

-- Whoever may begin sessions must be able to number them: at once, or nobody signs in until an
-- operator has granted it.
do $$
declare
  grantee text;
begin
  for grantee in
    select case when one.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(one.grantee)) end
      from pg_class, aclexplode(relacl) as one
     where oid = 'sessions'::regclass and one.privilege_type = 'INSERT'
  loop
    execute format('grant usage, select on sequence session_status to %s', grantee);
  end loop;
end
$$;
