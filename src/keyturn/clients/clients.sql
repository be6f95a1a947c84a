-- name: lock_writes
-- Let one writer of clients in at a time, until its transaction ends.
select pg_advisory_xact_lock($1);

-- name: moment
-- The database's time, read before what it dates.
select now() as at;

-- name: changed_since
-- One page of the clients written after a moment, in order of writing; the last row leads on.
select id, name, kind, auth_method, grant_types, scopes, audiences, session_api, origins, claims,
       introspects, grace, rotation, require_dpop, access_token_lifetime, idle_lifetime,
       absolute_lifetime, redirect_uris, post_logout_redirect_uris, require_pkce, skip_consent,
       response_modes, id_token_claims, backchannel_logout_uri, jwks, jwks_uri, require_par,
       require_signed_request_object, profile, token_exchange, client_uri, logo_uri, policy_uri,
       tos_uri, self_registered, secret_hash, secret_set_at, previous_secret_hash,
       previous_secret_expires_at, declared, declared_secret_hash, disabled_at, created_at,
       updated_at, xmin::text as version
  from clients
 where (updated_at, id) > ($1, $2)
 order by updated_at, id
 limit $3;

-- name: find
-- One client by its id, disabled or not.
select id, name, kind, auth_method, grant_types, scopes, audiences, session_api, origins, claims,
       introspects, grace, rotation, require_dpop, access_token_lifetime, idle_lifetime,
       absolute_lifetime, redirect_uris, post_logout_redirect_uris, require_pkce, skip_consent,
       response_modes, id_token_claims, backchannel_logout_uri, jwks, jwks_uri, require_par,
       require_signed_request_object, profile, token_exchange, client_uri, logo_uri, policy_uri,
       tos_uri, self_registered, secret_hash, secret_set_at, previous_secret_hash,
       previous_secret_expires_at, declared, declared_secret_hash, disabled_at, created_at,
       updated_at, xmin::text as version
  from clients
 where id = $1;

-- name: page
-- Clients in the order of their ids, after an id, disabled ones too; one page.
select id, name, kind, auth_method, grant_types, scopes, audiences, session_api, origins, claims,
       introspects, grace, rotation, require_dpop, access_token_lifetime, idle_lifetime,
       absolute_lifetime, redirect_uris, post_logout_redirect_uris, require_pkce, skip_consent,
       response_modes, id_token_claims, backchannel_logout_uri, jwks, jwks_uri, require_par,
       require_signed_request_object, profile, token_exchange, client_uri, logo_uri, policy_uri,
       tos_uri, self_registered, secret_hash, secret_set_at, previous_secret_hash,
       previous_secret_expires_at, declared, declared_secret_hash, disabled_at, created_at,
       updated_at, xmin::text as version
  from clients
 where id > $1
 order by id
 limit $2;

-- name: insert
-- Register a client, unless its id was ever taken.
insert into clients
       (id, name, kind, auth_method, grant_types, scopes, audiences, session_api, origins, claims,
        introspects, grace, rotation, require_dpop, access_token_lifetime, idle_lifetime,
        absolute_lifetime, redirect_uris, post_logout_redirect_uris, require_pkce, skip_consent,
        response_modes, id_token_claims, backchannel_logout_uri, jwks, jwks_uri, require_par,
        require_signed_request_object, profile, token_exchange, client_uri, logo_uri, policy_uri,
        tos_uri, self_registered)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
        $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35)
    on conflict (id) do nothing;

-- name: redefine
-- Give a client another description; its kind and state stay, and its secrets while it needs them.
-- Whoever proves itself by a key from now on leaves none that could be good again one day.
update clients
   set name = $2, auth_method = $4, grant_types = $5, scopes = $6, audiences = $7,
       session_api = $8, origins = $9, claims = $10, introspects = $11, grace = $12,
       rotation = $13, require_dpop = $14, access_token_lifetime = $15, idle_lifetime = $16,
       absolute_lifetime = $17, redirect_uris = $18, post_logout_redirect_uris = $19,
       require_pkce = $20, skip_consent = $21, response_modes = $22, id_token_claims = $23,
       backchannel_logout_uri = $24, jwks = $25, jwks_uri = $26, require_par = $27,
       require_signed_request_object = $28, profile = $29, token_exchange = $30,
       client_uri = $31, logo_uri = $32, policy_uri = $33, tos_uri = $34,
       secret_hash = case when $4 <> 'private_key_jwt' then secret_hash end,
       secret_set_at = case when $4 <> 'private_key_jwt' then secret_set_at end,
       previous_secret_hash = case when $4 <> 'private_key_jwt' then previous_secret_hash end,
       previous_secret_expires_at = case when $4 <> 'private_key_jwt'
                                         then previous_secret_expires_at end,
       updated_at = now()
 where id = $1 and kind = $3;

-- name: rotate_secret
-- Make a secret the current one; the one before stays for $3 (null: until it is dropped).
update clients
   set previous_secret_hash = secret_hash,
       previous_secret_expires_at = now() + $3::interval,
       secret_hash = $2, secret_set_at = now(), updated_at = now()
 where id = $1 and kind = 'confidential';

-- name: drop_previous_secret
-- End the secret before the current one at once.
update clients
   set previous_secret_hash = null, previous_secret_expires_at = null, updated_at = now()
 where id = $1 and previous_secret_hash is not null;

-- name: declare
-- Remember that a clients file names this client, and the secret it gives.
update clients
   set declared = true, declared_secret_hash = $2, updated_at = now()
 where id = $1;

-- name: disable
-- Close a client; nothing is deleted, the id stays taken.
update clients set disabled_at = now(), updated_at = now() where id = $1 and disabled_at is null;

-- name: enable
-- Open a disabled client again, unless its registration has ended for good.
update clients set disabled_at = null, updated_at = now()
 where id = $1 and disabled_at is not null
   and not exists (select from registrations where client_id = $1 and ended_at is not null);

-- name: announce
-- Tell every process, at commit, which clients have changed.
select pg_notify('keyturn_clients', id) from unnest($1::text[]) as changed (id);
