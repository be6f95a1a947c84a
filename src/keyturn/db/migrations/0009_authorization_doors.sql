-- A request for authorization travels sealed in its handle. What is kept of one is only what
-- somebody signed in has done with it; the two columns wait for a contracting migration.
alter table authorization_requests
  alter column browser_hash drop not null,
  alter column request      drop not null;

-- Claims about a person that this client's ID tokens always carry, as far as its scopes show them.
alter table clients
  add column id_token_claims text[] not null default '{}';

-- When a code first came from somebody it was not issued to: told to operators once.
alter table authorization_codes
  add column suspected_at timestamptz;
