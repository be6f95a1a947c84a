"""How cost grows with what is stored: the parts of `growth.py`.

`ground` starts the servers; `rows` (with `rows.sql` and `around.sql`) makes rows as the product
would; `sessions` measures them by `refreshing`, `storage` and `purging`; `hot` names the statements
of the hot paths, and `plans` writes how PostgreSQL goes about them; `others` grows clients, keys
and revocations; `day` (with `day.sql`) lets 24 hours pass.
"""
