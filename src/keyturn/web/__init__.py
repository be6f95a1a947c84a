"""Manners every door shares: what HTTP asks of all of them alike. No URL of its own, no rule.

    forms, json_body     one strict reading of a body: size, time, encoding, repetition
    responses            answers and refusals in the shape of each family of doors
    html                 pages for people, and the headers on each of them
    cookies              the refresh token in a browser's jar
    browser              the pages' cookies, and tokens that tell our forms from foreign ones
    origin, cors         which pages may ask (Origin, Sec-Fetch-Site), which may read the answer
    client_ip            who is asking, through trusted proxies only
    request_log          one log line and one measurement a request; its id; what nobody caught
    public_document      JWKS and metadata: anybody may read and keep them for a while
    security_headers     what every answer of a port says
    limits, server       the HTTP parser's bounds, two ports in one event loop, a clean end

Nothing here reads `Host`, `request.url` or a forwarded header to decide anything: the issuer is
configured. Doors call this room; it calls no door and opens neither database nor cache.
"""
