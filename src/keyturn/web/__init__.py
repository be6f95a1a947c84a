"""Manners every door shares: what HTTP asks of all of them alike. No URL of its own, no rule.

    routing              which door a request goes to, and how what it raises is answered
    forms, json_body     one strict reading of a body: size, time, encoding, repetition
    body                 how large and how slow a body may be
    presented_token      an access token shown to us: bearer, or bound to a key
    dpop                 proofs of possession as they arrive, used up (RFC 9449)
    responses            answers and refusals in the shape of each family of doors
    problem, openapi     refusals as problem details; what JSON doors say about themselves
    html                 pages for people, and the headers on each of them
    cookies              the refresh token in a browser's jar
    browser              the pages' cookies, and tokens that tell our forms from foreign ones
    origin, cors         which pages may ask (Origin, Sec-Fetch-Site), which may read the answer
    client_ip, device    who is asking, through trusted proxies only; from what, by its own word
    request_log          one log line and one measurement a request; its id; what nobody caught
    request_traces       which requests are traced, and what is said of them
    request_notes        what doors note about a request for that line and for its answer
    public_document      JWKS, metadata, status lists: anybody may read and keep them for a while
    security_headers     what every answer of a port says
    limits, listening    the HTTP parser's bounds; listening sockets
    raw_answer           the answer to what was no request
    server               two ports in one event loop, a clean end

Nothing here reads `Host`, `request.url` or a forwarded header to decide anything: the issuer is
configured. Doors call this room; it calls no door and opens neither database nor cache.
"""
