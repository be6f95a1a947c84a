"""The OAuth 2.1 face: one file an endpoint, named with the protocol's word.

    GET, POST /oauth2/authorize  authorize      RFC 6749 section 3.1, OpenID Connect Core 3.1.2
    POST /oauth2/par             par            RFC 9126; request objects (RFC 9101)
    POST /oauth2/device_authorization  device_authorization  RFC 8628 section 3.1
    POST /oauth2/token           token          RFC 6749 section 3.2; one file a grant in `grants`
    POST /oauth2/revoke          revocation     RFC 7009
    POST /oauth2/introspect      introspection  RFC 7662
    GET  /oauth2/status/{number}  status_list   Token Status List (IETF draft)
    GET, POST /oauth2/userinfo   userinfo       OpenID Connect Core section 5.3
    GET, POST /oauth2/logout     end_session    OpenID Connect RP-Initiated Logout
    /oauth2/register...          registration   RFC 7591, RFC 7592
    GET  /.well-known/...        metadata, jwks  RFC 8414, OpenID Connect Discovery, RFC 7517

`client_authentication` is what each of them begins with where a client speaks for itself (RFC 6749
section 2.3); `client_assertion` is the way of it that needs no secret (RFC 7523).

Endpoints are frozen dataclasses holding their collaborators; rules decide and raise refusals,
`web.responses` words them. Nothing here opens the database or the cache, and no endpoint calls
another.
"""
