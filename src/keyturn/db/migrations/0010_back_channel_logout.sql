-- Clients that want to hear when a session ends (OpenID Connect Back-Channel Logout 1.0), and what
-- they have not been told yet.

alter table clients add column backchannel_logout_uri text;

-- A session ends once, so its id is all the key a delivery needs. The row goes when the client has
-- acknowledged, has refused, or has not been reached in time.
create table logout_deliveries (
  session_id uuid primary key,
  client_id  text not null collate "C",
  user_id    uuid not null,
  created_at timestamptz not null default now(),
  due_at     timestamptz not null default now(),
  attempts   integer not null default 0
);

create index logout_deliveries_due on logout_deliveries (client_id, due_at);
