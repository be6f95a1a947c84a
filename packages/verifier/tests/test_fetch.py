"""The default fetch, over real sockets: what servers do to whoever asks them."""

import asyncio
import json
import threading

import pytest
from issuing import AUDIENCE, jwks, listed, rsa, status_list, token
from loopback import CUT, DRIP, HANG, serving

from keyturn_verifier import FetchFailed, InvalidToken, Reason, SystemClock, UrllibFetch, Verifier
from keyturn_verifier.fetch import ask
from keyturn_verifier.origin import origin, require_safe


@pytest.fixture
async def site():
    async with serving() as site:
        yield site


@pytest.fixture
def fetch():
    fetch = UrllibFetch(most_bytes=1000)
    yield fetch
    fetch.close()


async def test_an_answer_comes_as_it_is(site, fetch):
    site.answers["/a"] = (200, {"ETag": '"1"', "X-Y": "z"}, "text")
    answer = await fetch(f"{site.origin}/a", {"If-None-Match": '"0"'})
    assert (answer.status, answer.body) == (200, b"text")
    assert (answer.headers["etag"], answer.headers["x-y"]) == ('"1"', "z")
    assert site.headers[0]["if-none-match"] == '"0"'


@pytest.mark.parametrize("status", [304, 404, 429, 500, 503])
async def test_a_status_is_an_answer_and_no_error(site, fetch, status):
    site.answers["/a"] = (status, {"Retry-After": "1"}, "")
    answer = await fetch(f"{site.origin}/a", {})
    assert (answer.status, answer.headers["retry-after"]) == (status, "1")


async def test_a_redirect_stays_at_its_origin(site, fetch):
    async with serving() as elsewhere:
        elsewhere.answers["/b"] = site.answers["/b"] = "text"
        site.answers["/near"] = (302, {"Location": "/b"}, "")
        site.answers["/far"] = (302, {"Location": f"{elsewhere.origin}/b"}, "")
        site.answers["/file"] = (302, {"Location": "file:///etc/hostname"}, "")
        site.answers["/round"] = (302, {"Location": "/round"}, "")
        assert (await fetch(f"{site.origin}/near", {})).body == b"text"
        with pytest.raises(FetchFailed, match="another origin"):
            await fetch(f"{site.origin}/far", {})
        for path in ("/file", "/round"):
            assert (await fetch(f"{site.origin}{path}", {})).status == 302
        assert elsewhere.asked == []


async def test_an_answer_without_end_is_refused(site, fetch):
    site.answers["/a"] = "x" * 100_000
    with pytest.raises(FetchFailed, match="more than 1000 bytes"):
        await fetch(f"{site.origin}/a", {})


@pytest.mark.parametrize("misbehaviour", [HANG, DRIP, CUT])
async def test_no_answer_is_waited_for_longer_than_the_time_out(site, misbehaviour):
    fetch = UrllibFetch(timeout=0.3)
    site.answers["/a"] = misbehaviour
    with pytest.raises(FetchFailed):
        await asyncio.wait_for(fetch(f"{site.origin}/a", {}), 60)
    fetch.close()


async def test_nobody_listens(fetch):
    async with serving() as gone:
        address = gone.origin
    with pytest.raises(FetchFailed, match="Connection refused"):
        await fetch(address, {})


@pytest.mark.parametrize(
    "address",
    [
        "http://id.example.test/",
        "http://localhost.example.test/",
        "http://127.0.0.1.example.test/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "https:///path",
        "https://user:password@id.example.test/",
        "https://id.example.test/#fragment",
        "//id.example.test/",
        "",
    ],
)
async def test_an_address_that_is_not_safe_is_not_asked(address, fetch):
    with pytest.raises(ValueError, match=r"."):
        require_safe(address)
    with pytest.raises(FetchFailed):
        await ask(fetch, address, {})


def test_an_origin_is_scheme_host_and_port():
    assert origin("https://ID.example.test/a?b") == origin("https://id.example.test:443")
    assert origin("https://id.example.test") != origin("https://id.example.test:8443")
    assert origin("http://localhost:80") == origin("http://localhost/")
    assert origin("http://[::1]/") == ("http", "::1", 80)
    with pytest.raises(ValueError, match=r"."):
        origin("https://id.example.test:99999")


def issuer_at(site, *keys):
    """Serve what an issuer serves; return its identifier and a verifier of its tokens."""
    uri = f"{site.origin}/status/0"
    now = SystemClock().now()
    site.answers |= {
        "/.well-known/openid-configuration": json.dumps(
            {"issuer": site.origin, "jwks_uri": f"{site.origin}/jwks"}
        ),
        "/jwks": (200, {"Cache-Control": "max-age=15"}, jwks(*keys)),
        "/status/0": (200, {"ETag": '"1"'}, status_list(now=now, iss=site.origin, sub=uri, ttl=2)),
    }
    return Verifier(site.origin, AUDIENCE)


def session_token(site, index=3, key=None, **members):
    status = listed(index, f"{site.origin}/status/0")
    return token(SystemClock().now(), key, iss=site.origin, status=status, **members)


async def refusal_of(verifier, text):
    while True:
        await verifier.verify(text)
        await asyncio.sleep(0.1)


async def test_a_verifier_over_sockets_hears_of_a_revocation(site):
    async with issuer_at(site, rsa()) as verifier:
        text = session_token(site)
        assert (await verifier.verify(text)).subject == "user-1"
        revoked = status_list(
            bytes([8] * 9),
            SystemClock().now(),
            iss=site.origin,
            sub=f"{site.origin}/status/0",
            ttl=2,
        )
        site.answers["/status/0"] = (200, {"ETag": '"2"'}, revoked)
        with pytest.raises(InvalidToken) as refused:
            await asyncio.wait_for(refusal_of(verifier, text), 60)
    assert refused.value.reason == Reason.REVOKED
    assert site.headers[-1]["if-none-match"] == '"1"'


async def test_a_socket_that_hangs_blocks_neither_the_loop_nor_a_known_key(site):
    async with issuer_at(site, rsa()) as verifier:
        await verifier.verify(session_token(site))
        site.answers["/jwks"] = HANG
        waiting = asyncio.ensure_future(verifier.verify(session_token(site, key=rsa("two"))))
        await asyncio.wait_for(site.hanging.wait(), 60)
        assert not waiting.done(), "invalid: the fetch does not hang"
        for n in range(20):
            with pytest.raises(StopIteration):
                verifier.verify(session_token(site, jti=f"{n}")).send(None)
        waiting.cancel()


async def test_threads_are_the_verifiers_own_and_few(site):
    fetch = UrllibFetch()
    site.answers["/a"] = "text"
    before = set(threading.enumerate())
    await asyncio.gather(*(fetch(f"{site.origin}/a", {}) for _ in range(20)))
    begun = set(threading.enumerate()) - before
    assert 1 <= len(begun) <= 4
    assert all(one.name.startswith("keyturn-verifier") for one in begun)
    fetch.close()
