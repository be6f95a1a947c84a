-- A person proves themselves again for an application that holds a session of the same browser
-- login already: the new session takes the older one's place, but not before its own first
-- refresh has shown that the application holds it. No index here is over anything a refresh moves.

alter table sessions
  add column step_up boolean not null default false;

alter table authorization_codes
  add column proven boolean not null default false;

-- The sessions that will take an older one's place, for the job that ends the older ones when the
-- new one is not refreshed in time.
create table step_ups (
  session_id uuid primary key,
  due_at     timestamptz not null
);

create index step_ups_due_at on step_ups (due_at);
