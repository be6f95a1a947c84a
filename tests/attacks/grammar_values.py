"""Values that have broken servers before, and the names and types that are tried in wrong places."""

HOSTILE: tuple[str | bytes, ...] = (
    "", " ", "\x00", "a\x00b", "\x7f", "\x1b[31m", "\ud800", "\udfff\ud800", b"\xff\xfe", b"\xc0\xaf",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", "\u202e\u2066evil", "\ufeff", "\u2028", "\u0130", "\ufb03",
    "e\u0301" * 40, "\U0001f511" * 30, "\u0000\u0001\u0002", "%00", "%0d%0aX-Evil: 1", "\r\nX-Evil: 1\r\n\r\n",
    "%", "%%", "%u0041", "%c0%ae%c0%ae/", "+", "&", "=", ";", "a;b=c", "a=b&c=d", "#", "?", "\\", "'", '"',
    "' or '1'='1", "'; drop table users; --", "{{7*7}}", "${jndi:ldap://127.0.0.1:9/a}", "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "data:text/html,x", "../../../etc/passwd", "..\\..\\",
    "file:///etc/passwd", "http://127.0.0.1:9/", "//evil.example", "/\\evil.example", "null", "None", "undefined",
    "true", "[]", "{}", "[object Object]", "0", "-1", "1e309", "NaN", "9223372036854775808", "-9223372036854775809",
    "2147483648", "1" * 400, "٣", "0x10", "1_000", "a" * 255, "a" * 256, "a" * 1025, "a" * 2049, "a" * 7000,
    "a b" * 800, "," * 900, " " * 900, "." * 900, "=" * 900, "openid " * 300, "-" * 36, "=" * 5, "e30.e30.e30",
    "e30.e30.", "..", "...", "a.b.c.d.e", "eyJhbGciOiJub25lIn0.e30.", "00000000-0000-0000-0000-000000000000",
    "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "0000-00-00T00:00:00Z", "2026-02-30T00:00:00+99:99",
    "10.0.0.0/33", "::1%eth0", "a@b", "@", "a@" + "b." * 140 + "c", "ä@ü.example", "a@xn--", '"a b"@c.example',
)  # fmt: skip

REDIRECTS: tuple[str, ...] = (
    "{}/", "{}?a=b", "{}#f", "{}/../evil", "{}/..;/evil", "{}%2f..%2fevil", "{}.evil.example", "{}@evil.example",
    "{}:8443", "{}%00", "{}%0d%0aX-Evil:1", "{}\\@evil.example", "{} ", " {}", "{}\t", "https://evil.example/?{}",
    "https://evil.example#{}", "https://user:pw@app.example.com/callback", "HTTPS://APP.EXAMPLE.COM/callback",
    "https://app.example.com./callback", "https://app.example.com:443/callback", "https://app。example.com/callback",
    "https://app.example.com/%63allback", "https://app.example.com//callback", "//app.example.com/callback",
    "http://app.example.com/callback", "javascript:alert(1)//{}", "https://app.example.com\\callback", "/callback",
    "https:app.example.com/callback", "https://[::1]/callback", "https://127.0.0.1/callback", "{}\u202e", "{}{}",
)  # fmt: skip
"""What open redirectors fell for; `{}` is the registered address."""

PATHS: tuple[str, ...] = (
    "{}/", "/{}", "{}//", "{};a=b", "{}%00", "{}%20", "{}%0a", "{}/.", "/.{}", "/x/..{}", "{}/%2e%2e", "{}.json",
    "{}\\", "{}%2f", "{}%3f", "http://evil.example{}", "http:{}", "*", "{}/x/y", "{}\u00e9", "{}%c3%28", "{}%",
    "/%2e%2e{}", "{}#f", "{}?", "//evil.example{}", "{}%ff", "{}" * 20,
)  # fmt: skip

METHODS: tuple[str, ...] = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get",
    "PURGE", "LINK", "M-SEARCH", "GETS", "NOTIFY",
)  # fmt: skip

CONTENT_TYPES: tuple[str, ...] = (
    "application/x-www-form-urlencoded", "application/json", "application/json; charset=utf-16",
    "application/x-www-form-urlencoded; charset=utf-7", "APPLICATION/JSON", "application/json;;;", "text/plain",
    "multipart/form-data", "multipart/form-data; boundary=x", "application/xml", "application/problem+json", "*/*",
    "application/jwt", "", "/", "application/", "a" * 3000, "application/json, text/html", "application/\u00e9",
    "text/html", "application/merge-patch+json", "application/vnd.api+json", "application/x-ndjson",
)  # fmt: skip

HEADERS: tuple[tuple[str, str], ...] = (
    ("Origin", "https://evil.example"), ("Origin", "null"), ("Origin", "https://app.example.com"), ("Origin", "\u00e9"),
    ("Accept", "text/html"), ("Accept", "application/openmetrics-text"), ("Accept", "," * 900), ("Accept-Encoding", "gzip"),
    ("Accept-Language", "de;q=0.5, en;q=-1, *;q=9999, x;q=a"), ("Accept-Language", "a" * 3000), ("Accept-Language", "zz-" * 300),
    ("If-None-Match", "*"), ("If-None-Match", '"' * 900), ("If-Match", "*"), ("If-Match", 'W/"1"'), ("If-Match", '"0"'),
    ("If-Modified-Since", "Mon, 99 Foo 0000 99:99:99"), ("Range", "bytes=0-,0-,0-"), ("Expect", "100-continue"),
    ("Expect", "something-else"), ("X-Forwarded-For", "evil"), ("X-Forwarded-For", "1.2.3.4, " * 200), ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "gopher"), ("Forwarded", 'for="_x";host=evil'), ("X-Original-URL", "/admin/v1/users"),
    ("X-HTTP-Method-Override", "DELETE"), ("X-Request-Id", "a" * 64), ("X-Request-Id", "\u00e9\u0000"), ("traceparent", "00-" + "0" * 32),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"), ("tracestate", "a=b," * 300), ("baggage", "a=b," * 300),
    ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "navigate"), ("Referer", "\\"),
    ("User-Agent", ""), ("User-Agent", "\u202e" * 300), ("User-Agent", "Mozilla/5.0 " * 400), ("Content-Encoding", "gzip"),
    ("Content-Encoding", "br, gzip"), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "x," * 500),
    ("Idempotency-Key", "a" * 255), ("Idempotency-Key", ""), ("Idempotency-Key", "\u00e9"), ("DPoP", "e30.e30.e30"), ("DPoP", ""),
    ("Authorization", ""), ("Authorization", "Basic"), ("Authorization", "Bearer"), ("Authorization", "Bearer  x"), ("Authorization", "Basic Og=="),
    ("Authorization", "Negotiate YIIJ"), ("Authorization", "Bearer " + "a" * 7000), ("Cookie", "=" * 300), ("Cookie", "a;b;;=;c=\u00e9"),
    ("Upgrade", "websocket"), ("Upgrade", "h2c"), ("Connection", "close"), ("Connection", "keep-alive, Host"), ("TE", "trailers"),
    ("Host", "evil.example"), ("Host", ""), ("Host", "a:b:c"), ("Via", "1.1 " * 300), ("X-Keyturn-Client", "nobody"), ("X-Keyturn-Client", "\u0000"),
)  # fmt: skip
