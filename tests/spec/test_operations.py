"""OP-2 to OP-8: what a running service shows of itself, and what a thief of its database holds.

OP-1, no secret anywhere, is `test_secret_scan.py`; OP-4 concerns images, which come later.
"""

import ast
import base64
import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx2
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from support.api import PASSWORD, Api
from support.forging import generation_zero, tagged
from support.replicas import ORIGIN
from support.site import Conversation
from support.tree import ROOT, SOURCE, modules, nodes

DOCUMENTS = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/jwks.json",
    "/auth/openapi.json",
)
POSTS = (
    "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/auth/login", "/auth/refresh",
    "/auth/logout", "/auth/logout-all", "/auth/reauthenticate", "/auth/password",
)  # fmt: skip
GETS = (*DOCUMENTS, "/auth/me", "/auth/sessions")
MANAGEMENT = (
    "/health/live",
    "/health/ready",
    "/health/started",
    "/health/dependencies",
    "/metrics",
)


@pytest.fixture
async def management(api):
    """A caller of the first replica's management port."""
    async with httpx2.AsyncClient(base_url=api.replicas[0].management_url) as caller:
        yield caller


# -- OP-2: metrics --------------------------------------------------------------------------------


async def series(management: httpx2.AsyncClient) -> set[str]:
    """Return every series by name and labels, without exemplars and values."""
    text = (await management.get("/metrics")).text
    return {
        re.split(r" (?=[^ ]+$)", line)[0] for line in text.splitlines() if not line.startswith("#")
    }


async def say_strange_things(api: Api, word: str) -> None:
    """Put one word wherever a caller may put anything."""
    caller = api.callers[0]
    for path in (f"/{word}", f"/auth/{word}", f"/auth/sessions/{word}", f"/oauth2/token/{word}"):
        for method in ("GET", "POST", "DELETE", word):
            await caller.request(method, path)
    for method in (word, "PROPFIND", "TRACE"):
        await caller.request(method, "/auth/me")
    await caller.post("/oauth2/token", data={"grant_type": word, "client_id": "app"})
    await caller.post("/oauth2/token", data={"grant_type": "x", "client_id": word})
    await caller.post("/oauth2/token", auth=(word, word), data={"grant_type": word, "scope": word})
    await caller.post("/auth/login", json={"email": f"{word}@example.com", "password": PASSWORD},
                      headers={"x-keyturn-client": word, "origin": f"https://{word}.example"})  # fmt: skip
    await caller.get("/auth/me", headers={"user-agent": word, "host": word, "traceparent": word})


async def test_OP_2_nothing_a_caller_says_becomes_a_label(api, management):
    """The first word makes the series that every such word may make; a second makes none."""
    words = [f"w{uuid4().hex[:10]}" for _ in range(2)]
    await series(management)
    await say_strange_things(api, words[0])
    before = await series(management)
    await say_strange_things(api, words[1])
    after = await series(management)
    assert after - before == set()
    text = "".join(after)
    assert not [word for word in words if word in text]
    # Servers that a whole suite has used have no room left for a route of its own.
    assert 'http_route="unmatched"' in text or 'http_route="other"' in text
    assert 'http_request_method="_OTHER"' in text


async def test_OP_2_a_user_and_a_client_are_no_label_either(api, management):
    person = await api.person()
    device = await api.sign_in(person)
    await api.refresh(device)
    text = "".join(await series(management))
    for told in (str(person.id), person.email, str(device.session_id), '"app"', "127.0.0.1"):
        assert told not in text


async def test_OP_2_the_number_of_series_has_a_bound(management):
    values: dict[tuple[str, str], set[str]] = {}
    for line in await series(management):
        name, _, labels = line.partition("{")
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            values.setdefault((name, label), set()).add(value)
    assert values
    for (name, label), held in values.items():
        # The longest lists are those of routes and of audit events, and they are in the code.
        assert len(held) <= 70, (name, label)


@pytest.mark.parametrize("path", [*MANAGEMENT, "/admin/v1", "/health", "/docs", "/openapi.json"])
async def test_OP_2_the_public_port_shows_nothing_of_the_management_port(api, path):
    for on in (0, 1):
        answer = await api.get(path, on=on)
        assert await api.refusal(answer) == (404, "not_found", "router")


@pytest.mark.parametrize("path", [*POSTS, *GETS])
async def test_OP_2_nor_the_other_way_round(management, path):
    for method in ("GET", "POST"):
        assert (await management.request(method, path)).status_code == 404


# -- OP-3: a stolen dump --------------------------------------------------------------------------


def readings(value: object) -> Iterator[str]:
    """Yield what somebody who found a value might try it as."""
    if isinstance(value, bytes):
        yield value.hex()
        encoded = base64.urlsafe_b64encode(value).decode()
        yield encoded
        yield encoded.rstrip("=")
        yield f"krt1_{encoded}"
    elif isinstance(value, str | UUID):
        yield str(value)


async def test_OP_3_nothing_in_the_tables_is_a_credential(api):
    """Every value of the rows of one person and one client, at every door that takes a secret."""
    person = await api.person()
    device = await api.rotated(await api.sign_in(person))
    found: set[str] = set()
    rows = [
        await api.row(device),
        await api.sql.fetchrow("select * from users where id = $1", person.id),
        await api.sql.fetchrow("select * from clients where id = 'machine'"),
        *await api.sql.fetch("select * from signing_keys"),
        *await api.events("sign_in", user_id=person.id),
    ]
    for row in rows:
        for value in row.values():
            found |= {text for text in readings(value) if 8 <= len(text) < 4000}
    row = rows[0]
    for secret in (row["token_hash"], row["next_hash"]):
        body = generation_zero(device.session_id, secret)
        found.add(tagged(body, "app", bytes(32)))
    assert len(found) > 30
    caller = api.callers[0]
    for text in found:
        answer = await api.refresh(device, text)
        assert (await api.refusal(answer))[:2] == (400, "invalid_grant")
        answer = await api.get("/auth/me", headers={"authorization": f"Bearer {text}"})
        assert (await api.refusal(answer))[:2] == (401, "invalid_token")
        grant = {"grant_type": "client_credentials"}
        answer = await caller.post("/oauth2/token", data=grant, auth=("machine", text))
        assert (await api.refusal(answer))[:2] == (401, "invalid_client")
        sent = {"cookie": f"{api.cookie_name('app')}={text}", "origin": ORIGIN}
        answer = await api.post("/auth/refresh", headers=sent)
        assert (await api.refusal(answer))[:2] == (401, "invalid_grant")
    for text in readings(rows[1]["password_hash"]):
        answer = await api.post("/auth/login", {"email": person.email, "password": text[:128]})
        assert (await api.refusal(answer))[:2] == (401, "invalid_credentials")
    assert (await api.refresh(device)).status_code == 200


# -- OP-5: no banner ------------------------------------------------------------------------------

SOFTWARE = re.compile(
    r"uvicorn|starlette|python|httptools|uvloop|asyncpg|traceback|keyturn[/ ]\d", re.IGNORECASE
)


def shows_nothing(answer: httpx2.Response) -> bool:
    names = {name.lower() for name in answer.headers}
    assert not names & {"server", "via", "x-powered-by", "x-runtime", "x-aspnet-version"}
    shown = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
    return not SOFTWARE.search(shown + answer.text)


@pytest.mark.parametrize("path", [*POSTS, *GETS, "/", "/nothing", "/auth/nothing", "/oauth2/x"])
async def test_OP_5_no_answer_names_the_software(api, path):
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "FOO"):
        for body in (None, b"\xff{"):
            answer = await api.callers[0].request(method, path, content=body)
            assert shows_nothing(answer), (method, answer.text)
            assert answer.status_code < 500


async def test_OP_5_nor_do_answers_to_what_is_no_http_and_those_of_the_management_port(
    api, management
):
    port = urlsplit(api.replicas[0].url).port or 0
    for raw in (b"rubbish\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
        async with await Conversation.begin(port, raw) as conversation:
            answer = await conversation.rest()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert not SOFTWARE.search(answer.decode("latin-1"))
        assert b"\nserver:" not in answer.lower()
    for path in ("/health/ready", "/nothing"):
        assert shows_nothing(await management.get(path))


async def test_OP_5_unknown_paths_look_alike_and_so_do_wrong_methods(api):
    """But for the family's shape: the session API adds the id of the request."""
    seen = set()
    for path in (
        "/x",
        "/oauth2/x",
        "/admin/v1/users",
        "/.well-known/x",
        "/auth/x",
        "/auth/me/",
        "/auth//me",
    ):
        answer = await api.get(path)
        assert await api.refusal(answer) == (404, "not_found", "router"), path
        seen.add(answer.json()["error_description"])
    for path in (*POSTS, *GETS):
        allowed = "POST" if path in POSTS else "GET, HEAD"
        answer = await api.callers[0].patch(path)
        assert await api.refusal(answer) == (405, "method_not_allowed", "router"), path
        assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", ")), path
    assert len(seen) == 1


# -- OP-6: time-constant comparison, by review ------------------------------------------------------

SECRET_NAME = re.compile(r"(^|_)(secret|password|tag|mac|hash|digest|hmac|signature)(es|s)?($|_)")
NOT_COMPARED_WITH_CALLERS = {
    "clients/plan.py": {"secret_hash", "declared_secret_hash"},  # the operator's file and table
    "clients/secrets.py": {"secret"},  # a new secret, held against itself without blanks
    "doctor/documents.py": {"digest"},  # an entity tag, of what everybody may read
    "doctor/signing_keys.py": {"current_secret"},  # an id
    "keys/decision.py": {"current_secret"},  # an id
}


def names_in(node: ast.AST) -> set[str]:
    """Return the names an operand of a comparison goes by."""
    last = node.func if isinstance(node, ast.Call) else node
    return {
        part.attr if isinstance(part, ast.Attribute) else part.id
        for part in [last]
        if isinstance(part, ast.Attribute | ast.Name)
    }


def plain_comparisons_of_secrets(module: str, source: str) -> Iterator[str]:
    """Yield each `==`, `!=` or `in` whose operand is named like a secret."""
    for node in nodes(source):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops):
            continue
        operands = [node.left, *node.comparators]
        if any(isinstance(operand, ast.Constant | ast.List | ast.Set) for operand in operands):
            continue
        for operand in operands:
            for name in names_in(operand) - NOT_COMPARED_WITH_CALLERS.get(module, set()):
                if SECRET_NAME.search(name) and not name.endswith("_id"):
                    yield f"{module}:{node.lineno}: {ast.unparse(node)}"


def test_OP_6_secrets_are_compared_in_constant_time_only():
    """`opaque.equal` is the one comparison; passwords have their libraries' own."""
    found, used = [], 0
    for path in modules():
        module, source = path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8")
        found += plain_comparisons_of_secrets(module, source)
        used += len(re.findall(r"\b(?:opaque\.)?equal\(", source))
        if module != "crypto/opaque.py":
            assert "compare_digest" not in source, module
    assert found == []
    assert used >= 3


def test_OP_6_the_review_sees_a_plain_comparison():
    for source in (
        "ok = row.token_hash == presented.hash",
        "if tag != self._tag(body): raise",
        "matched = client_secret in secrets",
        "if secret_hash() == x: pass",
    ):
        assert list(plain_comparisons_of_secrets("x.py", source)), source
    for source in ("ok = equal(a.hash, b.hash)", "ok = hash_pool is None", "ok = a.kid == b.kid"):
        assert not list(plain_comparisons_of_secrets("x.py", source)), source


# -- OP-7: dependencies -----------------------------------------------------------------------------

FLOORS = {
    "authlib": "1.9.0",
    "starlette": "1.3.0",
    "h11": "0.16.0",
    "httptools": "0.7.0",
    "joserfc": "1.6.0",
    "cryptography": "44.0.1",
    "uvicorn": "0.38.0",
}
"""The first releases without the advisories this service would inherit."""


def locked() -> dict[str, Version]:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return {
        package["name"]: Version(package["version"])
        for package in lock["package"]
        if "version" in package
    }


@pytest.mark.parametrize("name", FLOORS)
def test_OP_7_no_dependency_is_older_than_the_fixes_it_needs(name):
    """In the lock, and where this runs."""
    floor, packages = Version(FLOORS[name]), locked()
    assert packages[name] >= floor
    assert Version(importlib.metadata.version(name)) >= floor


def test_OP_7_nothing_older_can_be_installed_either():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {one.name: one for one in map(Requirement, project["dependencies"])}
    for name in set(FLOORS) & set(required):
        specifier = required[name].specifier
        floors = [Version(one.version) for one in specifier if one.operator == ">="]
        assert floors, name
        assert max(floors) >= Version(FLOORS[name]), name
    assert set(FLOORS) - set(required) == {"h11"}, "which nothing of ours asks for by itself"


# -- OP-8: the path is the request line's ------------------------------------------------------------


async def test_OP_8_no_header_and_no_absolute_target_changes_what_is_asked_for(api):
    port = urlsplit(api.replicas[0].url).port or 0
    strange = {
        b"GET /auth/me HTTP/1.1\r\nHost: a/?x=": 401,
        b"GET /auth/me HTTP/1.1\r\nHost: a/.well-known/jwks.json?": 401,
        b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\nX-Original-URL: /nothing": 401,
        b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\nX-Rewrite-URL: /nothing": 401,
        b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Prefix: /nothing": 401,
        b"GET http://evil.example.net/auth/me HTTP/1.1\r\nHost: localhost": {400, 401, 404},
        b"GET //evil.example.net/auth/me HTTP/1.1\r\nHost: localhost": {404},
        b"GET /auth/../auth/me HTTP/1.1\r\nHost: localhost": {404},
        b"GET /auth/%6de HTTP/1.1\r\nHost: localhost": {401, 404},
        b"GET /auth/me;x=y HTTP/1.1\r\nHost: localhost": {404},
        # Starlette would send the caller to the Host it named.
        b"GET /auth/me/ HTTP/1.1\r\nHost: evil.example.net": {404},
        b"POST /oauth2/token/ HTTP/1.1\r\nHost: evil.example.net": {404},
        b"GET /AUTH/ME HTTP/1.1\r\nHost: localhost": {404},
    }
    for head, wanted in strange.items():
        raw = head + b"\r\nConnection: close\r\n\r\n"
        async with await Conversation.begin(port, raw) as conversation:
            answer = await conversation.rest()
        status = int(answer.split(b" ", 2)[1])
        assert status in ({wanted} if isinstance(wanted, int) else wanted), head
        assert b"evil" not in answer, head
        assert b"location:" not in answer.lower(), head


def test_OP_8_no_decision_is_made_from_what_starlette_makes_of_a_host():
    """`request.url`, `base_url` and `url_for` are built from the Host header."""
    for path in modules():
        for node in nodes(path.read_text(encoding="utf-8")):
            if isinstance(node, ast.Attribute):
                place = f"{path.relative_to(SOURCE)}:{node.lineno}"
                assert node.attr not in {"base_url", "url_for", "url_path_for"}, place
                of = node.value.id if isinstance(node.value, ast.Name) else ""
                assert (of, node.attr) != ("request", "url"), place
