"""The session API: JSON for a first-party app, one file a request (camelCase, here only).

    POST   /auth/login            login            POST /auth/refresh         refresh
    POST   /auth/logout           logout           GET  /auth/me              me
    GET    /auth/sessions         sessions         DELETE /auth/sessions/{id} sessions
    POST   /auth/logout-all       logout_all       POST /auth/reauthenticate  reauthenticate
    POST   /auth/password         password         GET  /auth/openapi.json    openapi

`messages` has the shapes of what is read and answered, `bearer` the access token shown here.
`transport` decides how a refresh token travels: in the body, or in a cookie that scripts cannot
read, with the Origin rules that make a cookie safe. For public clients with
`session_api: true` only. Same sessions, same rotation, same revocation as `/oauth2`.
"""
