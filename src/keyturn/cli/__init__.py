"""What people type: one command (or noun) a file.

    dev       everything embedded, for a laptop          serve     the server
    migrate   bring the schema up to date                purge     delete what has expired
    users     accounts                                   clients   registered applications
    sessions  list and revoke                            keys      signing keys
    audit     list, follow, export what happened         config    check, show, schema, secret
    health    ask a running server

Every command has `--json`. Exit codes: 0 done, 1 refused, 2 wrong usage or settings,
3 infrastructure away. Secrets are read from stdin or files, never from the command line,
where every user of the machine can read them.
"""
