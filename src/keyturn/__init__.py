"""keyturn: an OAuth 2.1 and OpenID Connect authorization server.

The floors, top to bottom; a row imports only rows below it (import-linter says so):

    cli                                    people at a terminal
    dev | workers                          embedded PostgreSQL and Valkey for a laptop;
                                           several processes as one server
    app                                    the composition root: builds everything from Settings
    applications                           what each of the two ports answers with
    routes | management  hosted            the doors and the pages, each put together
    oauth | session_api | pages | admin    doors: never import each other, never speak SQL
            | ops | jobs | doctor          the doctor only looks, at whole deployments
    parts  process                         what doors are made of, and what there is one of
    web                                    HTTP manners the doors share
    tokens                                 what is signed and how it is checked
    authorizations | registrations         requests in progress, codes, devices, consents;
                                           clients that registered themselves
    users                                  accounts, passwords, throttling
    logins                                 browsers signed in here: single sign-on
    sessions                               one row per sign-in; rotation is the heart
    status_lists                           what has ended, as APIs read it
    clients | keys | revocation            registered applications, signing keys, what has ended
            | logouts | replays | audit    what clients are to hear of, what was used, what happened
    creations                              what was made for who may ask again
    db | cache | outgoing                  PostgreSQL (the only truth), Redis, requests to others
    telemetry                              metrics, logs, audit events and who causes them
    crypto                                 secrets, opaque values, JOSE
    configuration  settings  settings_*    words: what operators say,
    errors  *_errors  paths  clock         what callers are told, and where
            versions

One refresh, four files down: `oauth/token.py`, `oauth/grants/refresh_token.py`,
`sessions/rotation.py`, `sessions/sessions.sql`.
"""

__version__ = "0.1.0"
