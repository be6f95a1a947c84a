"""SS-1: what this server calls for somebody else is https, public, bounded, and goes nowhere else.

The calls are made to real TLS servers, which count what reaches them. A name is answered by a
resolver that is handed in: what a name server says is the attacker's word.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field

import pytest

from keyturn.errors import SettingsRefused
from keyturn.outgoing import client
from keyturn.outgoing.client import Message, Outgoing, trusting
from keyturn.outgoing.policy import Policy
from keyturn.outgoing.resolver import SystemResolver
from keyturn.outgoing.trouble import OutgoingFailed
from support.api import APP as APPLICATION
from support.api import MACHINE
from support.assertions import Signer
from support.receiver import (
    black_hole,
    dripping,
    endless,
    endless_head,
    hearing,
    receiver,
    redirect,
)

PUBLIC = "93.184.216.34"
APP = "app.example"
FORMS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "localhost", "[::1]",
    "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "[::7f00:1]",
]  # fmt: skip
"""Ways to write this machine."""


@dataclass
class Told:
    """A resolver that gives one answer after another, the last one for ever."""

    answers: list[list[str]]
    asked: int = 0
    names: list[str] = field(default_factory=list)

    async def addresses(self, host):
        self.asked += 1
        self.names.append(host)
        return self.answers[min(self.asked, len(self.answers)) - 1]


@pytest.fixture(scope="module")
async def sink():
    """A server that a caller must not reach, or must not be held by."""
    async with receiver() as listening:
        yield listening


@pytest.fixture(scope="module")
def tls(sink):
    return trusting(sink.ca_file)


@pytest.fixture
def fresh(sink):
    """The sink, having seen nothing."""
    sink.received.clear()
    sink.connections.clear()
    sink.answers.clear()
    return sink


def listing(sink, *hosts):
    """A policy whose operator lists these hosts of the sink."""
    return Policy(frozenset(f"{host}:{sink.port}" for host in hosts))


async def failure(outgoing, url, **options):
    with pytest.raises(OutgoingFailed) as caught:
        await outgoing.send(Message("GET", url), **options)
    return caught.value.reason


@pytest.mark.parametrize("host", FORMS)
async def test_SS_1_an_inside_address_is_not_called_however_it_is_written(fresh, tls, host):
    calling = Outgoing(Policy(), tls)
    assert await failure(calling, f"https://{host}:{fresh.port}/x") == "blocked"
    assert not fresh.connections


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC],
     ["169.254.169.254"], ["fd00:ec2::254"], ["10.0.0.1"], ["fe80::1%eth0"], ["64:ff9b::7f00:1"]],
)  # fmt: skip
async def test_SS_1_a_name_that_leads_inside_is_not_called(fresh, tls, addresses):
    calling = Outgoing(Policy(), tls, Told([addresses]))
    assert await failure(calling, f"https://{APP}:{fresh.port}/x") == "blocked"
    assert not fresh.connections


async def test_SS_1_rebinding_the_name_is_asked_once_and_the_call_goes_where_it_was_checked(
    fresh, tls, monkeypatch
):
    told = Told([[PUBLIC], ["127.0.0.1"]])
    tried = []

    async def connect_tcp(self, host, port, **_):
        tried.append((host, port))
        raise client.httpcore2.ConnectError("nothing leaves this machine in a test")

    monkeypatch.setattr(client.httpcore2.AnyIOBackend, "connect_tcp", connect_tcp)
    assert await failure(Outgoing(Policy(), tls, told), f"https://{APP}:{fresh.port}/x") == (
        "connection"
    )
    assert (told.names, tried) == ([APP], [(PUBLIC, fresh.port)])
    # Asked again for another call, it is judged again.
    assert await failure(Outgoing(Policy(), tls, told), f"https://{APP}:{fresh.port}/x") == (
        "blocked"
    )
    assert len(tried) == 1
    assert not fresh.connections


async def test_SS_1_the_name_stays_in_tls_and_in_the_host_header(fresh, tls):
    told = Told([["127.0.0.1"]])
    calling = Outgoing(listing(fresh, APP), tls, told)
    sent = Message.form(f"https://{APP}:{fresh.port}/x?y=1", {"a": "b c&d"})
    answer = await calling.send(sent, most=100)
    assert (answer.status, answer.body, answer.is_whole) == (200, b"OK", True)
    [got] = fresh.received
    assert (got.method, got.path, got.body) == ("POST", "/x?y=1", b"a=b+c%26d")
    assert got.headers == {
        "host": f"{APP}:{fresh.port}",
        "connection": "close",
        "content-type": "application/x-www-form-urlencoded",
        "cache-control": "no-store",
        "content-length": "9",
    }
    assert fresh.connections == {APP: 1}


async def test_SS_1_a_listed_host_is_listed_with_its_port_and_by_its_name(fresh, tls):
    told = Told([["127.0.0.1"]])
    other = Outgoing(Policy(frozenset({f"{APP}:443", f"localhost:{fresh.port}"})), tls, told)
    assert await failure(other, f"https://{APP}:{fresh.port}/x") == "blocked"
    assert not fresh.connections


async def test_SS_1_another_address_of_a_name_is_tried_when_one_does_not_answer(fresh, tls):
    told = Told([["127.0.0.2", "127.0.0.3", "127.0.0.1"]])
    calling = Outgoing(listing(fresh, APP), tls, told)
    assert (await calling.send(Message("GET", f"https://{APP}:{fresh.port}/x"))).status == 200


async def test_http_is_for_a_listed_host_in_development(tls):
    heard = []

    async def plain(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    place = f"{APP}:{server.sockets[0].getsockname()[1]}"
    for development in (False, True):
        policy = Policy(frozenset({place}), development)
        calling = Outgoing(policy, tls, Told([["127.0.0.1"]]))
        if development:
            assert (await calling.send(Message("GET", f"http://{place}/x"))).status == 204
        else:
            assert await failure(calling, f"http://{place}/x") == "blocked"
    server.close()
    [head] = heard
    assert head.startswith(b"GET /x HTTP/1.1\r\nHost: " + place.encode())


@pytest.mark.parametrize("url", ["http://{}/x", "https://user@{}/x", "ftp://{}/x", "https://{}/#x"])
async def test_SS_1_only_https_without_user_or_fragment(fresh, tls, url):
    place = f"{APP}:{fresh.port}"
    calling = Outgoing(Policy(frozenset({place})), tls, Told([["127.0.0.1"]]))
    assert await failure(calling, url.format(place)) == "blocked"


async def test_SS_1_a_certificate_of_nobody_we_trust_or_of_another_name_is_refused(fresh, tls):
    told = Told([["127.0.0.1"]])
    unknown = Outgoing(listing(fresh, APP), trusting(None), told)
    assert await failure(unknown, f"https://{APP}:{fresh.port}/x") == "tls"
    other = Outgoing(listing(fresh, "other.example"), tls, told)
    assert await failure(other, f"https://other.example:{fresh.port}/x") == "tls"
    assert not fresh.received


async def test_SS_1_a_redirect_is_an_answer_and_is_not_followed(fresh, tls):
    fresh.answers["/x"] = redirect(f"https://localhost:{fresh.port}/inside")
    calling = Outgoing(listing(fresh, APP, "localhost"), tls, Told([["127.0.0.1"]]))
    answer = await calling.send(Message("GET", f"https://{APP}:{fresh.port}/x"), most=10)
    assert answer.status == 307
    assert [one.path for one in fresh.received] == ["/x"]


async def test_SS_1_an_endless_body_is_read_as_far_as_it_is_worth(fresh, tls):
    fresh.answers["/x"] = endless
    calling = Outgoing(listing(fresh, APP), tls, Told([["127.0.0.1"]]))
    for most in (0, 4096):
        answer = await calling.send(Message("GET", f"https://{APP}:{fresh.port}/x"), most=most)
        assert (answer.status, len(answer.body), answer.is_whole) == (200, most, False)


async def test_SS_1_an_endless_header_block_is_given_up(fresh, tls):
    fresh.answers["/x"] = endless_head
    calling = Outgoing(listing(fresh, APP), tls, Told([["127.0.0.1"]]))
    assert await failure(calling, f"https://{APP}:{fresh.port}/x") == "protocol"


@pytest.mark.parametrize("deed", [black_hole, dripping])
async def test_SS_1_a_slow_sink_is_given_up_in_time(fresh, tls, monkeypatch, deed):
    assert client.SECONDS == 5
    monkeypatch.setattr(client, "SECONDS", 0.5)
    fresh.answers["/x"] = deed
    calling = Outgoing(listing(fresh, APP), tls, Told([["127.0.0.1"]]))
    began = time.monotonic()
    assert await failure(calling, f"https://{APP}:{fresh.port}/x") == "timeout"
    assert time.monotonic() - began < 3


async def test_SS_1_a_slow_name_server_counts_and_holds_up_nobody_else(fresh, tls, monkeypatch):
    monkeypatch.setattr(client, "SECONDS", 0.3)

    class Slow:
        async def addresses(self, host):
            await asyncio.Event().wait()

    assert await failure(Outgoing(Policy(), tls, Slow()), "https://app.example/x") == "timeout"


def test_a_file_that_holds_no_certificates_is_said_so(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(SettingsRefused, match=r"outgoing\.ca_file: "):
            trusting(tmp_path / name)


async def test_the_system_s_resolver_asks_once_for_all_who_wait_and_tells_trouble():
    resolver = SystemResolver()
    found = await asyncio.gather(*(resolver.addresses("localhost") for _ in range(50)))
    assert {"127.0.0.1", "::1"} & set(found[0])
    assert not resolver._asked
    with pytest.raises(OSError, match=r"."):
        await resolver.addresses("a-name-that-nobody-has.invalid")
    with pytest.raises(OSError, match="not a name"):
        await resolver.addresses("a" * 70)


# -- the same of a running server -----------------------------------------------------------------


@pytest.fixture(scope="module")
async def heard(databases, shared_redis_url):
    """A server whose operator lists nobody."""
    nobody = {"outgoing__private_hosts": ""}
    async with hearing(databases, shared_redis_url, **nobody) as running:
        yield running


async def test_SS_1_a_server_calls_nothing_inside_whatever_stands_in_its_database(heard):
    api, sink = heard.api, heard.receiver
    person = await api.person()
    for form in FORMS:
        client_id = await api.client()
        # Past the rules of registration: an older release, another hand, a name that moved.
        await api.sql.execute(
            "update clients set backchannel_logout_uri = $2 where id = $1",
            client_id,
            f"https://{form}:{sink.port}/logout",
        )
        device = await api.sign_in(person, client=client_id)
        answer = await api.post("/auth/logout", device.credential, client=client_id)
        assert answer.status_code == 204
    await heard.counted("blocked", len(FORMS))
    assert not sink.connections
    assert not sink.received


async def test_SS_1_nor_for_the_keys_of_a_client(heard):
    api, sink = heard.api, heard.receiver
    sink.connections.clear()
    for form in FORMS:
        signer = await Signer.of(api.issuer).registered(api, MACHINE)
        await api.sql.execute(
            "update clients set jwks = null, jwks_uri = $2, updated_at = now() where id = $1",
            signer.client_id,
            f"https://{form}:{sink.port}/jwks",
        )
        await api.settled()
        asked = {"grant_type": "client_credentials", **signer.form()}
        answer = await api.callers[0].post("/oauth2/token", data=asked)
        assert (await api.refusal(answer))[:2] == (503, "temporarily_unavailable")
    assert api.metric("keyturn_client_key_reads_total", result="blocked") == len(FORMS)
    assert not sink.connections


def test_SS_1_registration_refuses_it_already(heard, tmp_path):
    inside = [
        {
            **APPLICATION,
            "id": f"inside-{number}",
            "backchannel_logout_uri": f"https://{form}:{heard.receiver.port}/logout",
            "jwks_uri": f"https://{form}:{heard.receiver.port}/jwks",
        }
        for number, form in enumerate(FORMS)
    ]
    (tmp_path / "clients.yaml").write_text(json.dumps({"clients": inside}))
    refused = heard.api.keyturn("clients", "apply", str(tmp_path / "clients.yaml"))
    assert refused.returncode == 1
    for named in ("backchannel_logout_uri", "jwks_uri"):
        assert refused.stderr.count(f"{named}: a private address") == len(FORMS)
