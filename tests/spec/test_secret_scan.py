"""OP-1: no secret stands anywhere it can be read: logs, metrics, process list, Redis, database.

A server lives a full day here, trouble included, with secrets nobody else has; then everything it
left behind is searched for all of them. The same search finds a planted one.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID, uuid4

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from keyturn.users.model import NewUser
from support import extras, replicas
from support.api import GATEWAY, MACHINE, Api, Person, api_of
from support.assertions import Signer
from support.browserless import SPA, Browserless
from support.forging import Forger, purpose_key
from support.possession import Holder
from support.pushing import pushed, visit
from support.redis_topologies import connect, on_all_nodes
from support.replicas import AUDIENCE, ORIGIN, REGISTERING
from support.secret_scan import (
    Finding,
    database_dump,
    private_halves,
    process_list,
    redis_dump,
    scan,
)
from support.television import TELEVISION, Television, answered, question

PURPOSES = (
    "keyturn refresh tag v1",
    "keyturn refresh derive v1",
    "keyturn signing key sealing v1",
    "keyturn throttle v1",
    "keyturn device codes v1",
    "keyturn authorization requests v1",
    "keyturn pushed requests v1",
    "keyturn creations v1",
    "keyturn cursors v1",
)


@dataclass
class Day:
    """A server that keeps its secrets in files, and every secret it has had to do with."""

    api: Api
    redis_url: str
    traces: list[bytes]
    secrets: dict[str, bytes] = field(default_factory=dict)

    def keep(self, name: str, secret: str | bytes) -> str | bytes:
        self.secrets[f"{name} {len(self.secrets)}"] = (
            secret.encode() if isinstance(secret, str) else secret
        )
        return secret

    async def places(self) -> dict[str, bytes]:
        """Return everything that can be read of it."""
        (one,) = self.api.replicas
        plain = {"accept": "application/openmetrics-text"}
        async with httpx2.AsyncClient(base_url=one.management_url) as caller:
            metrics = [
                await caller.get("/metrics"),
                await caller.get("/metrics", headers=plain),
                await caller.get("/health/dependencies"),
            ]
        return {
            "log": one.log.read_bytes(),
            "traces": b"\n".join(self.traces),
            "metrics": b"\n".join(page.content for page in metrics),
            "Redis": await redis_dump(self.redis_url),
            **dict(process_list(one)),
            **await database_dump(self.api.sql),
            "PostgreSQL's log": await postgres_log(self.api),
        }


async def postgres_log(api: Api) -> bytes:
    folder = Path(await api.sql.fetchval("show data_directory"))
    log = folder.parent / "postgres.log"
    return log.read_bytes() if log.exists() else b""


def secret_file(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def with_password(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password)}@{host}"))


@contextmanager
def tracing(settings: dict[str, str]) -> Iterator[list[bytes]]:
    """Have everything traced, where the extra `otel` is installed; yield what is exported."""
    if not extras.OTEL:
        yield []
        return
    from support.collector import collecting

    with collecting() as collector:
        settings["KEYTURN_TRACING__ENDPOINT"] = collector.url
        settings["KEYTURN_TRACING__SAMPLE_RATIO"] = "1"
        yield collector.bodies


@pytest.fixture(scope="module")
async def day(databases, shared_redis_url, tmp_path_factory) -> AsyncIterator[Day]:
    """Live one: the passwords of both databases are secrets, too."""
    folder, name = tmp_path_factory.mktemp("secrets"), f"scanned_{uuid4().hex[:8]}"
    passwords = {kind: token_urlsafe(24) for kind in ("database", "redis")}
    master = f"1: {token_urlsafe(32)}"
    async with databases.fresh() as url, connect(shared_redis_url) as operator:
        await databases.admin.execute(f"create role {name} superuser login")
        await operator.acl_setuser(
            name, enabled=True, passwords=f"+{passwords['redis']}", keys="*", channels="*",
            categories=["+@all"], **on_all_nodes(operator),
        )  # fmt: skip
        settings = replicas.settings(
            url, None, issuer="https://localhost:8447", log__level="debug", **REGISTERING
        )
        for taken in ("SECRETS", "POSTGRES__URL"):
            del settings[f"KEYTURN_{taken}"]
        files = {
            "SECRETS": master,
            "POSTGRES__URL": with_password(url, name, passwords["database"]),
            "REDIS__URL": with_password(shared_redis_url, name, passwords["redis"]),
        }
        for key, text in files.items():
            settings[f"KEYTURN_{key}_FILE"] = secret_file(folder, key.lower(), text)
        try:
            with (
                tracing(settings) as traces,
                replicas.replicas(settings, program=replicas.SERVE) as started,
            ):
                async with api_of(settings, started) as api:
                    lived = Day(api, shared_redis_url, traces)
                    lived.keep("master secret", master.partition(": ")[2])
                    for label in PURPOSES:
                        lived.keep(f"key of {label}", purpose_key(master, label))
                    for kind, password in passwords.items():
                        lived.keep(f"password of {kind}", password)
                    await live(lived)
                    yield lived
        finally:
            await operator.acl_deluser(name)
    await databases.admin.execute(f"drop role {name}")


async def live(day: Day) -> None:
    """Do everything once, and everything wrong once."""
    person = await add_person(day)
    await sign_in_and_out(day, person)
    await be_a_client(day)
    await prove_by_keys(day)
    await register(day)
    await connect_a_device(day, person)
    await make_mistakes(day, person)
    await have_trouble(day, person)
    key = (await Forger.of(day.api, await day.api.sign_in(person))).key
    for name, part in private_halves(key).items():
        day.keep(name, part)
    assert await day.api.events("sign_in", user_id=person.id)


async def add_person(day: Day) -> Person:
    """Add an account by the command, whose password comes in by stdin; look while it waits."""
    email, password = f"{uuid4().hex}@example.com", token_urlsafe(18)
    day.keep("password", password)
    command = [sys.executable, "-m", "keyturn", "users", "add", email, "--password-stdin", "--json"]
    environ = {"PATH": os.environ["PATH"], **day.api.settings}
    adding = await asyncio.create_subprocess_exec(
        *command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    seen = dict(process_list(*day.api.replicas))
    assert any(b"--password-stdin" in line for line in seen.values())
    assert scan(day.secrets, seen) == []
    said, _ = await adding.communicate(password.encode() + b"\n")
    assert adding.returncode == 0
    assert password.encode() not in said
    return Person(UUID(json.loads(said)["id"]), email, password)


async def sign_in_and_out(day: Day, person: Person) -> None:
    api = day.api
    device = await api.sign_in(person)
    day.keep("refresh token", device.refresh_token)
    day.keep("access token", device.access_token)
    for _ in range(3):
        device = await api.rotated(device)
        day.keep("refresh token", device.refresh_token)
    origin = {"origin": ORIGIN, "x-keyturn-client": "app"}
    answer = await api.login(person, transport="cookie", headers=origin)
    cookie = answer.cookies[api.cookie_name("app")]
    day.keep("cookie", cookie)
    await api.sql.execute("update sessions set rotated_at = now() - interval '1 minute'")
    sent = {**origin, "cookie": f"{api.cookie_name('app')}={cookie}"}
    answer = await api.post("/auth/refresh", headers=sent)
    assert answer.status_code == 200, answer.text
    day.keep("cookie", answer.cookies[api.cookie_name("app")])
    new = str(day.keep("new password", token_urlsafe(18)))
    changed = await api.post("/auth/password", {**device.credential, "newPassword": new})
    assert changed.status_code == 204, changed.text
    back = await api.post("/auth/reauthenticate", {**device.credential, "password": new})
    assert back.status_code == 200, back.text
    await api.operator.accounts.set_password(person.id, person.password)
    assert (await api.post("/auth/logout", device.credential)).status_code == 204


async def be_a_client(day: Day) -> None:
    api = day.api
    client = await api.client(
        {"kind": "confidential", "introspects": [AUDIENCE]},
        grant_types=["client_credentials", "refresh_token"],
        audiences=[AUDIENCE],
        scopes=["orders.read"],
    )
    for name in (client, "machine", "poster"):
        day.keep("client secret", api.secrets[name] or "")
        await api.token(name, grant_type="client_credentials")
    post = {"client_id": "poster", "client_secret": api.secrets["poster"] or ""}
    answer = await api.callers[0].post(
        "/oauth2/token", data={**post, "grant_type": "client_credentials"}
    )
    token = answer.json()["access_token"]
    day.keep("access token", token)
    assert await api.is_active(token, client)
    issued = await api.clients.rotate_secret(client)
    day.keep("client secret", issued.secret or "")
    await api.form("/oauth2/revoke", "poster", token=token)


async def prove_by_keys(day: Day) -> None:
    """Assertions and proofs, once and once more; what is exchanged for another, and pushed."""
    api, holder = day.api, Holder.of()
    signer = await Signer.of(api.issuer).registered(api, MACHINE)
    assertion = str(day.keep("client assertion", signer.signed()))
    proof = str(day.keep("proof", holder.proof("POST", f"{api.issuer}/oauth2/token")))
    form = {**signer.form(assertion), "grant_type": "client_credentials"}
    answers = [
        await api.callers[0].post("/oauth2/token", data=form, headers={"dpop": proof})
        for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [200, 401]
    day.keep("access token", answers[0].json()["access_token"])
    again = {"grant_type": "client_credentials"}
    for one in (proof, proof[:-9]):
        refused = await api.form("/oauth2/token", "machine", headers={"dpop": one}, **again)
        assert refused.status_code == 400
    subject = (await api.token("machine", **again)).json()["access_token"]
    exchange = {
        "grant_type": GATEWAY["grant_types"][0],
        "subject_token": str(day.keep("access token", subject)),
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    given = await api.token(await api.client(GATEWAY), **exchange)
    assert given.status_code == 200, given.text
    day.keep("access token", given.json()["access_token"])
    client = await api.client(SPA)
    request_uri = str(day.keep("pushed request", await pushed(api, client)))
    await visit(Browserless(api), client, request_uri)
    await visit(Browserless(api), "nobody", request_uri)


async def register(day: Day) -> None:
    """A client registers itself, is read, and shows its token where it does not belong."""
    api = day.api
    words = ("registration-tokens", "add", "scan", "--uses", "9", "--json")
    initial = json.loads(api.keyturn(*words).stdout)["token"]
    members = {"redirect_uris": ["https://a.example/cb"]}
    shown = {"authorization": f"Bearer {day.keep('initial access token', initial)}"}
    caller = api.callers[0]
    made = await caller.post("/oauth2/register", json=members, headers=shown)
    assert made.status_code == 201, made.text
    said = made.json()
    day.keep("client secret", said["client_secret"])
    token = str(day.keep("registration access token", said["registration_access_token"]))
    at = f"/oauth2/register/{said['client_id']}"
    assert (await caller.get(at, headers={"authorization": f"Bearer {token}"})).status_code == 200
    await caller.get(f"{at}?access_token={token}", headers=shown)
    await caller.get(f"/oauth2/register/{token}", headers=shown)


async def connect_a_device(day: Day, person: Person) -> None:
    """One device is connected, one waits; both codes of each are secrets while they live."""
    client, browser = await day.api.client(TELEVISION), Browserless(day.api)
    connected, waiting = [await Television.begun(day.api, client) for _ in range(2)]
    for one in (connected, waiting):
        day.keep("device code", one.told["device_code"])
        day.keep("user code", one.code)
        day.keep("user code", one.code.replace("-", ""))
    await answered(browser, person, connected)
    await question(browser, person, waiting)
    given = (await connected.poll()).json()
    day.keep("refresh token", given["refresh_token"])
    assert await connected.error() == "invalid_grant"
    assert await waiting.error() == "authorization_pending"


async def make_mistakes(day: Day, person: Person) -> None:
    """Put secrets where they do not belong: what is refused must not be written down either."""
    api = day.api
    device = await api.sign_in(person)
    token, secret = device.refresh_token, str(api.secrets["machine"])
    day.keep("refresh token", token)
    wrong = str(day.keep("wrong password", token_urlsafe(18)))
    await api.post("/auth/login", {"email": person.email, "password": wrong})
    await api.post("/auth/login", {"email": person.password, "password": wrong})
    await api.post("/auth/login", {"email": person.email, "password": person.password, wrong: 1})
    await api.post("/auth/login", {"email": person.email, "password": [person.password]})
    await api.post(f"/auth/{token}", {})
    await api.post("/auth/refresh", {"refreshToken": token}, client=token)
    await api.get(f"/{token}?token={token}&password={person.password}")
    await api.get("/auth/me", headers={"authorization": f"Bearer {token}"})
    await api.get("/auth/me", headers={"x-request-id": token, "user-agent": token})
    await api.get("/auth/sessions", headers={"referer": f"https://x.example/?t={token}"})
    caller = api.callers[0]
    await caller.post(f"/oauth2/token?client_secret={secret}", data={"client_id": "machine"})
    await caller.post("/oauth2/token", data={"grant_type": token, "client_id": secret})
    await caller.post("/oauth2/token", data={"grant_type": "x"}, auth=(secret, secret))
    await caller.post("/oauth2/revoke", data={"token": token[:-3], "client_id": "app"})
    await caller.post("/oauth2/introspect", data={"token": token}, auth=("reader", secret))
    await caller.post("/auth/login", content=f'{{"password": "{person.password}"')
    # A superseded token ends the session, and the audit trail tells of it.
    child = await api.rotated(device)
    day.keep("refresh token", child.refresh_token)
    await api.age(child)
    assert (await api.refresh(child, token)).status_code == 400
    assert await api.events("refresh_reuse", session_id=device.session_id)


async def have_trouble(day: Day, person: Person) -> None:
    """The database fails in the middle of statements that carry secrets as parameters."""
    api = day.api
    device = await api.sign_in(person)
    day.keep("refresh token", device.refresh_token)
    for table in ("sessions", "users"):
        await api.sql.execute(f"alter table {table} rename to away")
        try:
            answers = [
                await api.refresh(device),
                await api.login(person),
                await api.post("/auth/reauthenticate", {**device.credential, "password": "x" * 9}),
            ]
            assert {answer.status_code for answer in answers} & {500, 503}
        finally:
            await api.sql.execute(f"alter table away rename to {table}")


async def test_OP_1_no_secret_stands_anywhere(day):
    places = await day.places()
    assert places["log"].count(b'"event":"request"') > 40
    assert b"keyturn_refresh_rotations" in places["metrics"]
    assert len(places["Redis"]) > 100
    if extras.OTEL:
        assert b"sessions.rotate" in places["traces"]
        assert b"POST /auth/login" in places["traces"]
    assert any(place.startswith("environment of") for place in places)
    for table in ("users", "sessions", "clients", "signing_keys"):
        assert places[f"table public.{table}"], table
    kinds = {name.rpartition(" ")[0] for name in day.secrets}
    assert kinds >= {
        "master secret", "password of database", "password of redis", "password", "new password",
        "wrong password", "client secret", "refresh token", "cookie", "private exponent",
        "device code", "user code", "client assertion", "proof", "pushed request",
        "initial access token", "registration access token",
    }  # fmt: skip
    assert sum(name.startswith("refresh token") for name in day.secrets) >= 7
    assert scan(day.secrets, places) == []


async def planted_in_table(day: Day, text: str) -> None:
    await day.api.sql.execute("update users set name = $1", text)


async def planted_in_redis(day: Day, text: str) -> None:
    async with connect(day.redis_url) as client:
        await client.set("a planted key", text, ex=60)


async def planted_in_log(day: Day, text: str) -> None:
    with day.api.replicas[0].log.open("a") as log:
        log.write(json.dumps({"event": text}) + "\n")


def planted_in_process(text: str) -> "subprocess.Popen[bytes]":
    """Run something that looks like a database server and says too much."""
    return subprocess.Popen(
        ["postgres: planted", "-c", "sleep 60; :", text], executable="/bin/sh", env={"X": text}
    )


SPELT = {
    "raw": lambda secret: secret.decode("latin-1"),
    "hex": lambda secret: secret.hex(),
    "base64": lambda secret: base64.b64encode(b"x" + secret).decode(),
    "URL-encoded": lambda secret: quote(b" " + secret + b"/"),
}


async def test_OP_1_the_same_search_finds_what_is_planted(day):
    """A secret of its own for each spelling, all of them at once in every place."""
    planted = {spelling: token_urlsafe(24).encode() for spelling in SPELT}
    text = " ".join(SPELT[spelling](secret) for spelling, secret in planted.items())
    waiting = planted_in_process(text)
    try:
        for plant in (planted_in_table, planted_in_redis, planted_in_log):
            await plant(day, text)
        found = scan({**day.secrets, **planted}, await day.places())
    finally:
        waiting.kill()
        waiting.wait()
        async with connect(day.redis_url) as client:
            await client.delete("a planted key")
        await day.api.sql.execute("update users set name = 'Ada'")
    places = (
        "table public.users",
        "Redis",
        "log",
        f"command line of {waiting.pid}",
        f"environment of {waiting.pid}",
    )
    assert {(one.secret, one.place) for one in found} == set(product(planted, places))


async def test_OP_1_a_private_key_is_found_as_PEM_as_DER_and_as_JWK(day):
    device = await day.api.sign_in(await a_person(day))
    key = (await Forger.of(day.api, device)).key
    exponent = key.private_numbers().d.to_bytes(256, "big")
    forms = {
        "PEM": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "PKCS #1": key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ),
        "PEM in JSON": json.dumps(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        ).encode(),
        "DER": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "JWK": json.dumps({"d": base64.urlsafe_b64encode(exponent).decode().rstrip("=")}).encode(),
        "hex": exponent.hex().encode(),
    }
    for form, text in forms.items():
        found = scan(day.secrets, {form: b"before " + text + b" after"})
        assert {one.secret.rpartition(" ")[0] for one in found} >= {"private exponent"}, form
    sealed = await day.api.sql.fetchval("select private_sealed from signing_keys limit 1")
    assert scan(day.secrets, {"sealed": sealed}) == []


async def a_person(day: Day) -> Person:
    password = token_urlsafe(18)
    user = await day.api.operator.accounts.add(
        NewUser(f"{uuid4().hex}@example.com", password=password)
    )
    return Person(user.id, user.email, password)


def test_OP_1_every_spelling_of_every_kind_is_found_wherever_it_stands():
    secret = b"p\xc3\xa4ss/w+rd &%\x00"
    spelt = [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        quote(secret).encode(),
        *(base64.b64encode(bytes(pad) + secret + b"zz") for pad in range(6)),
        *(base64.urlsafe_b64encode(bytes(pad) + secret + b"zz") for pad in range(6)),
        b"\n".join(base64.b64encode(b"front" + secret)[at : at + 7] for at in range(0, 32, 7)),
    ]
    for text in spelt:
        found = scan({"it": secret}, {"here": b"..." + text + b"...", "there": b"nothing"})
        assert {(one.secret, one.place) for one in found} == {("it", "here")}, text
    assert scan({"it": secret}, {"here": secret[:-1]}) == []
    assert Finding("it", "raw", "here") in scan({"it": secret}, {"here": secret})
