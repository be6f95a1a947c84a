"""Requests that two parsers might read as one and as two, in octets; and how many answers are due.

Each probe ends in a request for `HIDDEN`, where a lenient parser would find it. It asks for what
nothing else here asks for, so that whoever reads it leaves two marks: an answer, and a line in the log.
"""

from dataclasses import dataclass

WANTED = b"/.well-known/jwks.json"
HIDDEN = b"GET " + WANTED + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
MARK = b'"keys"'
POST = b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODY = b"grant_type=client_credentials"


@dataclass(frozen=True)
class Probe:
    """Octets, and the statuses of which an answer has one; none: hung up on."""

    name: str
    raw: bytes
    statuses: frozenset[int] = frozenset({400})


def posted(name: str, *lines: bytes, body: bytes = b"") -> Probe:
    """Return a form with these header lines, and the hidden request in or behind its body."""
    return Probe(name, POST + FORM + b"".join(lines) + b"\r\n" + body + HIDDEN)


def length(number: int) -> bytes:
    """Return a length as it should be said."""
    return b"Content-Length: %d\r\n" % number


CL_TE = tuple(
    posted(f"{name}, {order}", *lines, body=b"0\r\n\r\n")
    for name, coding in {
        "chunked": CHUNKED,
        "chunked after a blank": b"Transfer-Encoding:  chunked\r\n",
        "chunked after a tab": b"Transfer-Encoding:\tchunked\r\n",
        "chunked before a blank": b"Transfer-Encoding: chunked \r\n",
        "in capitals": b"TRANSFER-ENCODING: CHUNKED\r\n",
        "misspelt": b"Transfer-Encoding: xchunked\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "in quotes": b'Transfer-Encoding: "chunked"\r\n',
        "with a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
        "with a comma": b"Transfer-Encoding: ,chunked\r\n",
        "two codings": b"Transfer-Encoding: gzip, chunked\r\n",
        "twice": CHUNKED + CHUNKED,
        "then another": CHUNKED + b"Transfer-Encoding: identity\r\n",
        "blank before the colon": b"Transfer-Encoding : chunked\r\n",
        "folded": b"Transfer-Encoding:\r\n chunked\r\n",
        "vertical tab": b"Transfer-Encoding:\x0bchunked\r\n",
        "behind a bare line feed": b"X: y\nTransfer-Encoding: chunked\r\n",
        "behind a bare carriage return": b"X: y\rTransfer-Encoding: chunked\r\n",
        "behind a NUL": b"X: y\x00Transfer-Encoding: chunked\r\n",
    }.items()
    for order, lines in {
        "length first": (length(5), coding),
        "length last": (coding, length(5)),
    }.items()
)
"""A length and a coding at once: CL.TE and TE.CL, and every way to hide the one from somebody."""

LENGTHS = tuple(
    posted(f"length {name}", value)
    for name, value in {
        "twice": length(0) + length(len(HIDDEN)),
        "twice, the same": length(0) + length(0),
        "in a list": b"Content-Length: 0, 0\r\n",
        "with a plus": b"Content-Length: +0\r\n",
        "below zero": b"Content-Length: -1\r\n",
        "in hex": b"Content-Length: 0x0\r\n",
        "with a fraction": b"Content-Length: 0.0\r\n",
        "empty": b"Content-Length: \r\n",
        "with a blank inside": b"Content-Length: 1 0\r\n",
        "beyond 64 bits": b"Content-Length: 18446744073709551616\r\n",
        "with an underscore": b"Content-Length: 1_0\r\n",
        "in other digits": "Content-Length: \u0663\r\n".encode(),
        "blank before the colon": b"Content-Length : 0\r\n",
        "folded": b"Content-Length:\r\n 0\r\n",
        "with a NUL": b"Content-Length: 0\x00\r\n",
        "with a bare carriage return": b"Content-Length: 0\r5\r\n",
    }.items()
)

CHUNKS = tuple(
    posted(f"chunk {name}", CHUNKED, body=body)
    for name, body in {
        "size below zero": b"-1\r\n\r\n",
        "size with a plus": b"+0\r\n\r\n",
        "size in 0x": b"0x0\r\n\r\n",
        "size beyond 64 bits": b"10000000000000000\r\n\r\n",
        "size of nothing": b"\r\n\r\n",
        "size with an underscore": b"1_0\r\n\r\n",
        "size behind a blank": b" 0\r\n\r\n",
        "size before a blank": b"0 \r\n\r\n",
        "size ended by a line feed": b"3\na=1\r\n0\r\n\r\n",
        "data longer than said": b"1\r\na=1\r\n0\r\n\r\n",
        "data ended by a line feed": b"3\r\na=1\n0\r\n\r\n",
        "data not ended": b"3\r\na=10\r\n\r\n",
        "extension with a NUL": b"3;a=\x00\r\na=1\r\n0\r\n\r\n",
        "extension with a line feed": b"3;a\n=b\r\na=1\r\n0\r\n\r\n",
        "trailer without a colon": b"0\r\ntrailer\r\n\r\n",
        "trailer with a blank before": b"0\r\nX : y\r\n\r\n",
    }.items()
)

LINES = tuple(
    Probe(name, raw)
    for name, raw in {
        "a folded header": POST + b"X: a\r\n b\r\n" + length(0) + b"\r\n" + HIDDEN,
        "a first line that is folded": b"POST /oauth2/token HTTP/1.1\r\n X: y\r\nHost: localhost\r\n\r\n"
        + HIDDEN,
        "a bare line feed in a header": POST + b"X: a\nY: b\r\n" + length(0) + b"\r\n" + HIDDEN,
        "a NUL in a name": POST + b"X\x00Y: a\r\n" + length(0) + b"\r\n" + HIDDEN,
        "a NUL in a value": POST + b"X: a\x00b\r\n" + length(0) + b"\r\n" + HIDDEN,
        "a blank in a name": POST + b"X Y: a\r\n" + length(0) + b"\r\n" + HIDDEN,
        "no name": POST + b": a\r\n" + length(0) + b"\r\n" + HIDDEN,
        "no colon": POST + b"Host localhost\r\n" + length(0) + b"\r\n" + HIDDEN,
        "no host": b"GET /oauth2/userinfo HTTP/1.1\r\n\r\n" + HIDDEN,
        "two hosts": POST + b"Host: evil.example\r\n" + length(0) + b"\r\n" + HIDDEN,
        "a blank in the target": b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
        "a tab behind the method": b"GET\t/oauth2/userinfo HTTP/1.1\r\nHost: localhost\r\n\r\n"
        + HIDDEN,
        "a method nobody knows": b"GOT /oauth2/userinfo HTTP/1.1\r\nHost: localhost\r\n\r\n"
        + HIDDEN,
        "a version nobody knows": b"GET /oauth2/userinfo HTTP/1.2\r\nHost: localhost\r\n\r\n"
        + HIDDEN,
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
        "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
        "chunks in HTTP/1.0": POST.replace(b"1.1", b"1.0")
        + FORM
        + CHUNKED
        + b"\r\n0\r\n\r\n"
        + HIDDEN,
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + HIDDEN,
    }.items()
)

LONG = (
    Probe("a very long line", b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HIDDEN, frozenset({414, 431})),
    Probe("a very long name", POST + b"X" * 100_000 + b": y\r\n\r\n" + HIDDEN, frozenset({431})),
    Probe("a very long value", POST + b"X: " + b"y" * 100_000 + b"\r\n\r\n" + HIDDEN, frozenset({431})),
    Probe("5,000 headers", POST + b"X: y\r\n" * 5000 + b"\r\n" + HIDDEN, frozenset({431})),
    Probe("129 headers", POST + b"X: y\r\n" * 129 + b"\r\n" + HIDDEN, frozenset({431})),
    Probe("64 KiB of chunk extension", POST + FORM + CHUNKED + b"\r\n1;" + b"x" * 70_000 + b"\r\na\r\n0\r\n\r\n",
          frozenset({400, 401, 413, 431})),
)  # fmt: skip

INSIDE = tuple(
    Probe(name, raw, frozenset({400, 401, 404, 405, 408, 413, 415}))
    for name, raw in {
        "the whole of it as a body": POST + FORM + length(len(HIDDEN)) + b"\r\n" + HIDDEN,
        "the whole of it as a body of GET": b"GET /oauth2/userinfo HTTP/1.1\r\nHost: localhost\r\n"
        + length(len(HIDDEN)) + b"\r\n" + HIDDEN,
        "the whole of it as a chunk": POST + FORM + CHUNKED + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n",
        "in a chunk's extension": POST + FORM + CHUNKED + b"\r\n0;" + HIDDEN.replace(b"\r\n", b" ") + b"\r\n\r\n",
        "in a trailer": POST + FORM + CHUNKED + b"\r\n0\r\nX: " + HIDDEN.replace(b"\r\n", b" ") + b"\r\n\r\n",
        "in a form": POST + FORM + length(len(BODY) + 3 + len(HIDDEN)) + b"\r\n" + BODY + b"&a=" + HIDDEN,
        "behind a request of HTTP/0.9": b"GET /oauth2/userinfo\r\n\r\n" + HIDDEN,
        "behind an upgrade": POST + FORM + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length(len(HIDDEN)) + b"\r\n" + HIDDEN,
        "behind an expectation": POST + FORM + b"Expect: 100-continue\r\n" + length(len(HIDDEN)) + b"\r\n" + HIDDEN,
        "behind a refused body": b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n" + length(len(HIDDEN)) + b"\r\n" + HIDDEN,
        "behind a body that is too large": POST + FORM + length(10**7) + b"\r\n" + HIDDEN,
    }.items()
)  # fmt: skip
"""The hidden request lies within what is announced: it is data, whoever answers what."""

PROBES = (*CL_TE, *LENGTHS, *CHUNKS, *LINES, *LONG, *INSIDE)
