"""An operator's mistakes: the start ends with exit code 2 and a sentence, before anybody is served."""

import pytest
import yaml

from support import replicas
from support.starts import Starts, shared

CANARY = "s3cr3t-canary"
WEB = {"id": "web", "kind": "public", "session_api": True, "audiences": ["urn:api"], "grace": 99}


@pytest.fixture(scope="module")
def starts() -> Starts:
    """The program, ready to be started under any environment."""
    return shared()


@pytest.fixture
def refusal(starts):
    """Return what a command says about settings it does not go on with."""

    async def run(*command, database="postgresql:///nowhere", **changes):
        done = await starts.run(replicas.settings(database, None, **changes), *command)
        assert done.code == 2, done.said
        assert "Traceback" not in done.said
        return done.said

    return run


@pytest.mark.parametrize("command", [("serve",), ("config", "check")])
async def test_a_server_does_not_start_without_the_clients_it_was_given(refusal, tmp_path, command):
    file = tmp_path / "clients.yaml"
    said = await refusal(*command, clients_file=str(file))
    assert f"clients_file: {file}: cannot be read: No such file" in said
    file.write_text(yaml.safe_dump({"clients": [WEB, {**WEB, "kind": "secret"}]}))
    said = await refusal(*command, clients_file=str(file))
    for place in ("clients[0].grace", "clients[1].grace", "clients[1].kind"):
        assert f"clients_file: {place}: " in said


@pytest.mark.parametrize("command", [("serve",), ("migrate",), ("users", "list")])
async def test_a_password_that_spoils_a_url_is_not_repeated(refusal, command):
    said = await refusal(*command, database=f"postgresql://u:{CANARY}/w@db/keyturn")
    assert "postgres.url: write postgresql://" in said
    assert CANARY not in said
    said = await refusal(*command, redis__url=f"redis://:{CANARY}/w@cache/0")
    assert "redis.url: write redis://" in said
    assert CANARY not in said


async def test_files_that_are_no_text_are_named(refusal, tmp_path):
    file = tmp_path / "keyturn.yaml"
    file.write_bytes(b"issuer: https://id.ex\xffample")
    assert f"{file}: cannot be read as YAML in UTF-8" in await refusal("serve", config=str(file))
    file.chmod(0o600)
    said = await refusal("serve", redis__url_file=str(file))
    assert f"{file}: is not text in UTF-8" in said
