"""A day in the life of a server whose secrets nobody else has, and where to look for them after it.

Everything is done once, and everything wrong once; whoever does it keeps every secret.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID, uuid4

import httpx2

from support import extras, replicas
from support.api import GATEWAY, MACHINE, Api, Person, api_of
from support.assertions import Signer
from support.browserless import SPA, Browserless
from support.forging import Forger, purpose_key
from support.possession import Holder
from support.pushing import pushed, visit
from support.redis_topologies import connect, on_all_nodes
from support.replicas import AUDIENCE, ORIGIN, REGISTERING
from support.secret_scan import database_dump, private_halves, process_list, redis_dump, scan
from support.servers import Databases
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


@asynccontextmanager
async def lived(
    databases: Databases, shared_redis_url: str, folder: Path, **changes: str
) -> AsyncIterator[Day]:
    """Live one: the passwords of both databases are secrets, too."""
    name = f"scanned_{uuid4().hex[:8]}"
    passwords = {kind: token_urlsafe(24) for kind in ("database", "redis")}
    master = f"1: {token_urlsafe(32)}"
    async with databases.fresh() as url, connect(shared_redis_url) as operator:
        await databases.admin.execute(f"create role {name} superuser login")
        await operator.acl_setuser(
            name, enabled=True, passwords=f"+{passwords['redis']}", keys="*", channels="*",
            categories=["+@all"], **on_all_nodes(operator),
        )  # fmt: skip
        settings = replicas.settings(
            url, None, issuer="https://localhost:8447", log__level="debug", **REGISTERING, **changes
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
                    day = Day(api, shared_redis_url, traces)
                    day.keep("master secret", master.partition(": ")[2])
                    for label in PURPOSES:
                        day.keep(f"key of {label}", purpose_key(master, label))
                    for kind, password in passwords.items():
                        day.keep(f"password of {kind}", password)
                    await live(day)
                    yield day
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
