"""`--server`: a command says and does over the admin API what it says and does on the database."""

import asyncio
import json
import re
import socket
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from keyturn.cli.main import app
from support import replicas
from support.servers import Databases

PASSWORD = "correct horse battery"
SECRET = "Kx8vQ2mLr9BzNc4TwYs7HdPf3GjUe6Ra"
NAMED = (
    (r"kt[si]_[\w-]+", "SECRET"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?([+]00:00|Z)?", "TIME"),
    (r'(password(": ?"|: ))[\w-]{20}', r"\1MADE"),
    (r"by-(database|server)", "BY"),
    (r"--after [\w-]{43}|\"(after|cursor)\":\"[\w-]{43}\"", "CURSOR"),
    (r" \([^()]*\)(?=\n)", ""),
)  # fmt: skip
"""What is another each time, or is told by the one way only."""


def plain(text):
    for pattern, word in NAMED:
        text = re.sub(pattern, word, text)
    return text


def free_port():
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Operator:
    """Somebody with the settings, and with a client's secret."""

    def __init__(self, environ, server, ops):
        self.environ, self.server, self.ops = environ, server, ops
        self.reading = None

    async def run(self, *words, env, stdin=None):
        args = [str(word) for word in words]
        done = await asyncio.to_thread(CliRunner().invoke, app, args, env=env, input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    async def directly(self, *words, stdin=None):
        return await self.run(*words, env=self.environ, stdin=stdin)

    async def by_server(self, *words, stdin=None, **changes):
        env = {
            "KEYTURN_SERVER": self.server.management_url,
            "KEYTURN_CLIENT_ID": "ops",
            "KEYTURN_CLIENT_SECRET": self.ops["clientSecret"],
        }
        env |= {f"KEYTURN_{name.upper()}": value for name, value in changes.items()}
        return await self.run(*words, env=env, stdin=stdin)

    async def both(self, words, stdin=None):
        """Run a command each way, of a thing of its own, and return what both said."""
        one = await self.directly(*words.replace("BY", "by-database").split(), stdin=stdin)
        other = await self.by_server(*words.replace("BY", "by-server").split(), stdin=stdin)
        said = [(code, plain(out), plain(err)) for code, out, err in (one, other)]
        assert said[0] == said[1], words
        return one, other


@pytest.fixture(scope="module")
async def operator(databases: Databases, shared_redis_url):
    port = free_port()
    changes = {"issuer": f"http://localhost:{port}", "server__port": str(port)}
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url, shared_redis_url, **changes, **replicas.GENEROUS, **replicas.REGISTERING
        )
        add = ("--grant", "client_credentials", "--json", "--scope")
        somebody = Operator(environ, None, None)
        _, out, _ = await somebody.directly("clients", "add", "ops", *add, "keyturn.admin.write")
        somebody.ops = json.loads(out)
        _, out, _ = await somebody.directly("clients", "add", "watch", *add, "keyturn.admin.read")
        somebody.reading = json.loads(out)["clientSecret"]
        with replicas.replicas(environ) as (server,):
            somebody.server = server
            yield somebody


COMMANDS = (
    "users add BY@example.com --name BY --verified --json",
    "users add BY-2@example.com",
    "users add BY@example.com",
    "users add nobody",
    "users list --limit 3 --json",
    "users list --limit 2",
    "users list --after a@example.com --json",
    "users set-password BY@example.com --password-stdin --json",
    "users disable BY@example.com --json",
    "users enable BY@example.com --json",
    "users enable BY@example.com",
    "users disable 00000000-0000-4000-8000-000000000000",
    "users enable nobody@example.com",
    "users set-password neither",
    "users delete BY-2@example.com --yes",
    "users delete BY-2@example.com --yes",
    "clients add BY --grant client_credentials --scope a --audience urn:a --json",
    "clients add BY --grant client_credentials --scope a --audience urn:a",
    "clients add BY-bad --grant client_credentials --json",
    "clients add BY-bad --set grace=99",
    "clients add BY-set --session-api --audience urn:a --set require_dpop=true --json",
    "clients list --json",
    "clients list",
    "clients show BY",
    "clients show BY --json",
    "clients show BY-none --json",
    "clients rotate-secret BY --json",
    "clients rotate-secret BY --old-expires-in 60 --json",
    "clients rotate-secret BY-set",
    "clients drop-old-secret BY --json",
    "clients disable BY --json",
    "clients enable BY",
    "registration-tokens add BY --uses 2 --scope openid --json",
    "registration-tokens add BY",
    "registration-tokens add BY --scope never",
    "registration-tokens list --json",
    "registration-tokens list",
    "registration-tokens revoke 00000000-0000-4000-8000-000000000000",
    "sessions list 00000000-0000-4000-8000-000000000000 --json",
    "sessions revoke --user 00000000-0000-4000-8000-000000000000",
    "sessions revoke --client web --json",
    "sessions revoke --session 00000000-0000-4000-8000-000000000000 --json",
    "sessions revoke --before 2026-01-01T00:00:00",
    "sessions revoke",
    "keys list --json",
    "keys list",
    "keys rotate",
    "keys rotate --now",
    "keys rotate --now --compromised",
    "audit list --type client_secret_rotated --until 2020-01-01T00:00:00Z --json",
    "audit list --type never",
    "audit export --type user_imported",
)


async def test_every_command_says_and_does_the_same_both_ways(operator):
    said = {}
    for words in COMMANDS:
        stdin = f"{PASSWORD}\n" if "--password-stdin" in words else None
        said[words] = await operator.both(words, stdin)
    codes = {code for one, other in said.values() for code, _, _ in (one, other)}
    assert codes == {0, 1, 2}
    for text in ("clients show BY-none --json", "users add BY@example.com", "keys rotate --now"):
        assert said[text][1][0] == 1, text


CLIENTS = [
    {"id": "file-web", "kind": "public", "session_api": True, "audiences": ["urn:a"], "grace": 5},
    {
        "id": "file-job",
        "kind": "confidential",
        "grant_types": ["client_credentials"],
        "scopes": ["a"],
        "audiences": ["urn:a"],
        "secret": SECRET,
    },
]


async def test_a_clients_file_is_applied_both_ways_and_its_secrets_stay_here(operator, tmp_path):
    file = tmp_path / "clients.yaml"
    file.write_text(yaml.safe_dump({"clients": CLIENTS}))
    apply = ("clients", "apply", file)
    before = await operator.directly(*apply, "--dry-run", "--json")
    assert await operator.by_server(*apply, "--dry-run", "--json") == before
    done = await operator.by_server(*apply)
    assert done[1].splitlines()[-1] == "changed 2 of 2 clients"
    assert (await operator.by_server(*apply))[1] == "changed 0 of 2 clients\n"
    assert (await operator.directly(*apply))[1] == "changed 0 of 2 clients\n"
    file.write_text(yaml.safe_dump({"clients": [{**CLIENTS[0], "grace": 6}]}))
    pruned = await operator.by_server(*apply, "--prune")
    assert pruned[0] == 0
    assert "grace: 5 -> 6" in pruned[1]
    assert "no longer in the file" in pruned[1]
    file.write_text(yaml.safe_dump({"clients": [{**CLIENTS[0], "grace": 99}, {"id": "x"}]}))
    for way in (operator.directly, operator.by_server):
        code, out, err = await way(*apply)
        assert (code, out) == (1, "")
        assert "Nothing was written." in err
    assert SECRET not in operator.server.log.read_text()


async def test_events_are_listed_exported_and_gone_on_with_both_ways(operator, tmp_path):
    await operator.by_server("clients", "disable", "watch")
    await operator.by_server("clients", "enable", "watch")
    wanted = ("--client", "watch", "--type", "client_disabled", "--type", "client_enabled")
    told = []
    async with asyncio.timeout(30):
        while len(told) < 2:
            _, out, _ = await operator.by_server("audit", "export", *wanted)
            told = out.splitlines()
    assert (await operator.directly("audit", "export", *wanted))[1].splitlines() == told
    listed = await operator.by_server("audit", "list", *wanted, "--json")
    assert listed == await operator.directly("audit", "list", *wanted, "--json")
    assert [one["type"] for one in json.loads(listed[1])["events"]] == [
        "client_enabled", "client_disabled",
    ]  # fmt: skip
    first = json.loads(told[0])["cursor"]
    for way in (operator.directly, operator.by_server):
        assert (await way("audit", "export", *wanted, "--after", first))[1].splitlines() == told[1:]
        older = await way("audit", "list", *wanted, "--limit", "1", "--json")
        after = json.loads(older[1])["after"]
        rest = await way("audit", "list", *wanted, "--after", after, "--json")
        assert [one["type"] for one in json.loads(rest[1])["events"]] == ["client_disabled"]


async def test_the_trail_is_followed_by_a_server_and_the_follower_is_not_in_it(operator):
    asking = {
        "KEYTURN_SERVER": operator.server.management_url,
        "KEYTURN_CLIENT_ID": "ops",
        "KEYTURN_CLIENT_SECRET": operator.ops["clientSecret"],
    }
    add = ("clients", "add", "followed", "--grant", "client_credentials", "--scope", "a")
    assert (await operator.by_server(*add, "--audience", "urn:a"))[0] == 0
    tail = replicas.start(asking, command=("audit", "tail", "--json", "--lines", "0"))
    try:
        seen = []
        async with asyncio.timeout(30):
            while "client_secret_rotated" not in [one["type"] for one in seen]:
                await operator.by_server("clients", "rotate-secret", "followed")
                whole = tail.log.read_text().rpartition("\n")[0]
                seen = [json.loads(line) for line in whole.splitlines()]
        calls = [one["detail"]["operation"] for one in seen if one["type"] == "admin_call"]
        assert calls.count("listAuditEvents") <= 3  # where it begins, and the first of the others
        assert len({one["id"] for one in seen}) == len(seen)
        assert tail.terminate() == 0
    finally:
        if tail.process.poll() is None:
            tail.kill()
        tail.log.unlink()


# -- who is let in, and what is told of it --------------------------------------------------------


async def test_AD_2_a_secret_comes_from_the_environment_or_a_file_and_is_told_nowhere(
    operator, tmp_path
):
    file = tmp_path / "secret"
    file.write_text(operator.ops["clientSecret"] + "\n")
    file.chmod(0o644)
    named = {"client_secret": "", "client_secret_file": str(file)}
    code, _, err = await operator.by_server("keys", "list", **named)
    assert (code, "too open" in err) == (2, True)
    file.chmod(0o600)
    assert (await operator.by_server("keys", "list", **named))[0] == 0
    code, _, err = await operator.by_server("keys", "list", client_secret_file=str(file))
    assert (code, "set one of" in err) == (2, True)
    log = Path(operator.server.log).read_text()
    for secret in (operator.ops["clientSecret"], operator.reading, PASSWORD):
        assert secret not in log


@pytest.mark.parametrize(
    ("changes", "words", "code", "complaint"),
    [
        ({"client_secret": "wrong"}, (), 1, "Client authentication failed"),
        ({"client_id": "nobody"}, (), 1, "Client authentication failed"),
        ({"client_secret": ""}, (), 2, "no secret for ops"),
        ({"client_id": ""}, (), 2, "needs an administrative client"),
        ({"server": "http://127.0.0.1:1"}, (), 3, "the server is not available"),
        ({"server": "ftp://127.0.0.1"}, (), 2, "takes an http or https URL"),
        ({"server": "http://ops:x@127.0.0.1:1"}, (), 2, "takes an http or https URL"),
        ({"server": "http://10.1.2.3:8081"}, (), 2, "name that with --issuer"),
        ({"server": "http://10.1.2.3:8081", "issuer": "http://id.example"}, (), 2, "https only"),
        ({"issuer": "https://id.example"}, (), 2, "belongs to the issuer http://localhost"),
        ({}, ("--config", "keyturn.yaml"), 2, "choose one of --server and --config"),
    ],
)
async def test_a_server_that_cannot_be_asked_is_told(operator, changes, words, code, complaint):
    got, out, err = await operator.by_server("users", "list", *words, **changes)
    assert (got, out) == (code, "")
    assert complaint in err
    assert operator.ops["clientSecret"] not in err


async def test_who_may_only_read_is_told_so(operator):
    watch = {"client_id": "watch", "client_secret": operator.reading}
    assert (await operator.by_server("users", "list", **watch))[0] == 0
    code, out, err = await operator.by_server("users", "add", "eve@example.com", **watch)
    assert (code, out) == (1, "")
    assert "scope" in err
    assert "request " in err


async def test_what_needs_the_database_says_so(operator):
    code, _, err = await operator.by_server("users", "import", "-", stdin="")
    assert (code, "on the database only" in err) == (2, True)


async def test_what_commands_read_is_no_setting(operator):
    env = {**operator.environ, "KEYTURN_SERVER": "http://127.0.0.1:1", "KEYTURN_CLIENT_ID": "ops"}
    code, _, err = await operator.run("config", "check", env=env | {"KEYTURN_CLIENT_SECRET": "x"})
    assert (code, err) == (0, "")
