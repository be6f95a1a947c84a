"""What people type: one command (or noun) a file.

    dev       everything embedded, for a laptop          serve     the server
    migrate   bring the schema up to date                purge     delete what has expired
    users     accounts                                   clients   registered applications
    sessions  list and revoke                            keys      signing keys
    registration_tokens  who may register clients
    audit     list, follow, export what happened         config    check, show, schema, secret
    health    ask a running server                       doctor    what is wrong, how to mend it

`main` puts them together, `context` has what they share. Parts of a command are named after it:
`clients_printing`, `audit_printing`, `audit_asking`, `audit_following`, `audit_events`.

`where` says whether a command works on the database or asks a server (`--server`); `reach` is the
seam between the two, `remote` the other side of it, by one `exchange` after another. Whose server
it is: `server_address`; how a command gets in: `credentials`, `server_tokens`; what may go wrong:
`server_trouble`, `server_answers`.

Every command has `--json`. Exit codes: 0 done, 1 refused, 2 wrong usage or settings,
3 infrastructure away. Secrets are read from stdin or files, never from the command line,
where every user of the machine can read them.
"""
