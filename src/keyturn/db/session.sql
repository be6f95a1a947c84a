-- name: takes_writes
-- Fail, by dividing by nothing, on a server that takes no writes: a standby, or one being retired.
select 1 / (current_setting('transaction_read_only') = 'off')::int as one;
