"""What a command does when the server is another program, another release, or hard to reach."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import typer

from keyturn.admin.operation import Nothing
from keyturn.admin.shapes import EndedAnswer
from keyturn.cli.credentials import Credentials
from keyturn.cli.remote import Remote
from keyturn.cli.server_trouble import ServerAway, ServerRefused

OPS = Credentials("ops:1", "s p%+")


class Stub(BaseHTTPRequestHandler):
    """Answers what a test has planned, and notes what was asked."""

    planned: ClassVar[list[Any]] = []
    asked: ClassVar[list[Any]] = []
    document: ClassVar[Any] = {}

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/admin/v1/openapi.json":
            self._say(200, self.document)
            return
        self.asked.append((self.command, self.path, dict(self.headers), body))
        if self.path == "/oauth2/token":
            self._say(200, {"access_token": f"t{len(self.asked)}", "token_type": "Bearer"})
            return
        one = self.planned.pop(0)
        if one is None:
            self.connection.close()
        else:
            self._say(*one)

    def _say(self, status: int, said: Any, **headers: str) -> None:
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library calls them so


def operation(name: str, *headers: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "parameters": [{"name": one, "in": "header"} for one in headers],
    }


@pytest.fixture
def server() -> Iterator[str]:
    class Here(Stub):
        planned: ClassVar[list[Any]] = []
        asked: ClassVar[list[Any]] = []

    running = ThreadingHTTPServer(("127.0.0.1", 0), Here)
    url = f"http://127.0.0.1:{running.server_port}"
    flow = {"clientCredentials": {"tokenUrl": f"{url}/oauth2/token"}}
    Here.document = {
        "paths": {
            "/admin/v1/users": {"post": operation("createUser", "Idempotency-Key")},
            "/admin/v1/users/{user_id}": {"delete": operation("deleteUser", "If-Match")},
            "/admin/v1/keys": {"get": operation("listKeys")},
        },
        "components": {"securitySchemes": {"admin": {"flows": flow}}},
    }
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    running.url, running.stub = url, Here  # type: ignore[attr-defined]
    yield running  # type: ignore[misc]
    running.shutdown()
    thread.join()
    running.server_close()


def ask(server: Any, name: str, answers: Any = Nothing, members: Any = None, **ids: str) -> Any:
    remote = Remote.of(f"{server.url}/", None, OPS)
    return asyncio.run(remote.ask(name, answers, members, **ids))


def sent(server: Any) -> list[Any]:
    return [one for one in server.stub.asked if one[1] != "/oauth2/token"]


def test_a_creation_whose_answer_was_lost_is_sent_again_under_its_key(server):
    server.stub.planned += [None, (201, {})]
    ask(server, "createUser", members={"email": "a@b.c"})
    first, again = sent(server)
    assert first == again
    assert len(first[2]["Idempotency-Key"]) > 40


def test_what_is_no_creation_is_not_sent_again(server):
    server.stub.planned += [None]
    with pytest.raises(ServerAway):
        ask(server, "deleteUser", EndedAnswer, user_id="../x")
    ((method, path, headers, _),) = sent(server)
    assert (method, path, headers["If-Match"]) == ("DELETE", "/admin/v1/users/..%2Fx", "*")


def test_the_secret_goes_to_the_token_endpoint_alone_form_encoded(server):
    server.stub.planned += [(200, {})]
    ask(server, "listKeys")
    token, listed = server.stub.asked
    assert token[2]["Authorization"] == "Basic b3BzJTNBMTpzK3AlMjUlMkI="  # ops%3A1:s+p%25%2B
    assert b"resource=http" in token[3]
    assert b"%2Fadmin" in token[3]
    assert listed[2]["Authorization"] == "Bearer t1"


def test_a_token_that_is_good_no_longer_is_replaced_once(server):
    remote = Remote.of(server.url, None, OPS)
    server.stub.planned += [(200, {}), (401, b""), (200, {}), (401, b""), (401, b"")]
    asyncio.run(remote.ask("listKeys", Nothing))
    asyncio.run(remote.ask("listKeys", Nothing))
    assert len([one for one in server.stub.asked if one[1] == "/oauth2/token"]) == 2
    with pytest.raises(ServerRefused):
        asyncio.run(remote.ask("listKeys", Nothing))
    assert "s p" not in repr(remote)


@pytest.mark.parametrize(
    ("planned", "kind", "complaint"),
    [
        ((302, b""), ServerRefused, "no admin API of ours (HTTP 302)"),
        ((404, b"<html>"), ServerRefused, "no admin API of ours (HTTP 404)"),
        ((502, b"<html>"), ServerAway, "HTTP 502"),
        ((200, b"<html>"), ServerRefused, "as another release would"),
    ],
)
def test_an_answer_that_is_none_of_ours_is_told(server, planned, kind, complaint):
    server.stub.planned.append(planned)
    with pytest.raises(kind) as refused:
        ask(server, "listKeys")
    assert complaint in str(refused.value)


def test_a_server_of_an_older_release_says_what_it_has_not_got(server):
    with pytest.raises(ServerRefused, match="has no applyClients"):
        ask(server, "applyClients")
    assert server.stub.asked == []


@pytest.mark.parametrize("document", [b"[]", b"<html>", {"paths": {}}, {"components": 1}])
def test_what_is_no_server_of_ours_gets_no_secret(server, document):
    server.stub.document = document
    with pytest.raises((ServerRefused, typer.Exit)):
        ask(server, "listKeys")
    assert server.stub.asked == []
