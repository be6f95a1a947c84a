"""What each `grant_type` alone must do; one file a grant, named with the protocol's word.

The token endpoint has parsed the form, authenticated the client and checked that it may use the
grant before a grant is asked. A grant answers with a `TokenAnswer` or raises a refusal; it
never sees the HTTP request and never writes a response. `base` has the shapes of both; what
`authorization_code` and `device_code` redeem becomes tokens in `first_tokens`. Beside these:
`refresh_token`, `client_credentials`, `token_exchange`.
"""
