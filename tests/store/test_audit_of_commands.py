"""AD-3: what operators do at the command line is in the audit trail, each act with who did it."""

import asyncio
import json
from datetime import timedelta

import asyncpg
from typer.testing import CliRunner

from keyturn.cli.main import app

SECRETS = "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra"
NEW_SECRETS = f"2: {'Zt4q8vN2xK7mB1cR5wL9pD3fH6jS0aUe'}, {SECRETS}"
CLIENTS = """
clients:
  - {id: web, kind: public, session_api: true, audiences: ["urn:api"], grace: 9}
"""
BOB = {"email": "bob@example.com", "password_hash": "$2b$10$" + "A" * 21 + "." + "A" * 30 + "."}
STDIN = {"set-password": "correct horse battery staple\n", "import": json.dumps(BOB)}
OLDER = "update signing_keys set since = since - $1::interval, sealed_at = sealed_at - $1::interval"


async def test_AD_3_every_act_of_the_command_line_is_audited(database_url, tmp_path):
    sql = await asyncpg.connect(database_url)
    file = tmp_path / "clients.yaml"
    file.write_text(CLIENTS)

    async def run(*words, secrets=SECRETS, stdin=None):
        environment = {
            "KEYTURN_ISSUER": "https://id.example",
            "KEYTURN_POSTGRES__URL": database_url,
            "KEYTURN_SECRETS": secrets,
            "KEYTURN_PASSWORDS__MEMORY_KIB": "7168",
            "KEYTURN_PASSWORDS__TIME_COST": "5",
        }
        result = await asyncio.to_thread(
            CliRunner().invoke, app, words, env=environment, input=stdin, catch_exceptions=False
        )
        assert result.exit_code == 0, (words, result.output)
        return result.stdout

    async def told():
        rows = await sql.fetch("select * from audit_events where seq > $1 order by seq, at", seen)
        for row in rows:
            assert (row["actor"], row["result"], row["ip"]) == ("cli", "ok", None)
            assert json.loads(row["detail"])["os_user"]
        return sorted(row["type"] for row in rows)

    acts = [
        (("users", "add", "ada@example.com"), ["user_added"]),
        (("users", "set-password", "ada@example.com", "--password-stdin"), ["password_changed"]),
        (("users", "disable", "ada@example.com"), ["user_disabled"]),
        (("users", "enable", "ada@example.com"), ["user_enabled"]),
        (("users", "import", "-"), ["user_imported"]),
        (("users", "delete", "ada@example.com", "--yes"), ["user_deleted"]),
        (("clients", "add", "web", "--session-api", "--audience", "urn:api"), ["client_added"]),
        (("clients", "add", "job", "--grant", "client_credentials", "--scope", "a",
          "--audience", "urn:api"), ["client_added"]),
        (("clients", "apply", str(file)), ["client_changed"]),
        (("clients", "apply", str(file)), []),
        (("clients", "rotate-secret", "job"), ["client_secret_rotated"]),
        (("clients", "drop-old-secret", "job"), ["client_secret_dropped"]),
        (("clients", "disable", "job"), ["client_disabled"]),
        (("clients", "enable", "job"), ["client_enabled"]),
        (("sessions", "revoke", "--client", "web"), ["session_ended"]),
        (("keys", "rotate"), ["key_created", "key_created"]),
        (("keys", "rotate", "--compromised"), ["key_compromised", "key_created", "key_rotated"]),
        (("purge",), ["expired_purged"]),
        (("audit", "list"), ["audit_read"]),
    ]  # fmt: skip
    for words, types in acts:
        seen = await sql.fetchval("select coalesce(max(seq), 0) from audit_events")
        await run(*words, stdin=STDIN.get(words[1]) if len(words) > 1 else None)
        assert await told() == types, words

    seen = await sql.fetchval("select max(seq) from audit_events")
    await sql.execute(OLDER, timedelta(hours=1))
    await run("keys", "rotate", secrets=NEW_SECRETS)
    assert set(await told()) == {"key_resealed"}
    seen = await sql.fetchval("select max(seq) from audit_events")
    for _ in range(2):
        await sql.execute(OLDER, timedelta(days=400))
        await run("keys", "rotate", secrets=NEW_SECRETS)
    assert {"key_retired", "key_removed", "key_rotated"} <= set(await told())
    await sql.close()
