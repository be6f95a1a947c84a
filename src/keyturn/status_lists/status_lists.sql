-- name: reach
-- The last index that was given out.
select last_value from session_status;

-- name: indices
-- The indices of sessions in the order of their names: one value, not a row for each of half a million.
-- Null for those from before there were any, and for those long gone.
select array(select status_index
               from unnest($1::text[]) with ordinality as named (id, place)
               left join sessions on sessions.id = named.id::uuid
              order by place) as indices;
