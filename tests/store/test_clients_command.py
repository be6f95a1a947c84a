"""`keyturn clients`: what operators type, and what they and their programs read."""

import asyncio
import json

import pytest
import yaml
from typer.testing import CliRunner

from keyturn.cli.clients import app
from support.registered import API, JOB, SECRET, WEB, Clients

OPS = ("add", "ops", "--grant", "client_credentials", "--scope", "keyturn.admin.write")


@pytest.fixture
async def keyturn(database_url):
    """Run `keyturn clients ...` as a process of its own would."""
    environ = {
        "KEYTURN_ISSUER": "https://login.example",
        "KEYTURN_POSTGRES__URL": database_url,
        "KEYTURN_SECRETS": "1: Zm9yIHRlc3RzIG9ubHk6IDI1NiBiaXRzIG9m",
    }

    async def run(*words, code=0, **more):
        args = [str(word) for word in words]
        result = await asyncio.to_thread(CliRunner().invoke, app, args, env=environ | more)
        assert result.exit_code == code, result.output + repr(result.exception)
        return result

    async def run_json(*words, code=0):
        return json.loads((await run(*words, "--json", code=code)).stdout)

    run.json = run_json
    return run


@pytest.fixture
def file(tmp_path):
    def write(*clients):
        path = tmp_path / "clients.yaml"
        path.write_text(yaml.safe_dump({"clients": list(clients)}))
        return path

    return write


async def test_the_first_administrator_is_one_command(keyturn):
    added = await keyturn.json(*OPS)
    assert added["definition"]["audiences"] == ["https://login.example/admin"]
    assert added["clientSecret"].startswith("kts_")
    shown = await keyturn("show", "ops")
    assert added["clientSecret"] not in shown.output
    assert "secrets: 1" in shown.output


async def test_a_secret_is_shown_once_and_only_when_it_is_made(keyturn):
    lines = (await keyturn(*OPS)).stdout
    secret = lines.split("client_secret: ")[1].split()[0]
    rotated = await keyturn.json("rotate-secret", "ops")
    shown = [
        (await keyturn(*words)).output
        for words in (
            ("list",),
            ("list", "--json"),
            ("show", "ops", "--json"),
            ("drop-old-secret", "ops", "--json"),
        )
    ]
    for one in (secret, rotated["clientSecret"]):
        assert not any(one in text for text in shown)


async def test_every_option_of_add_reaches_the_client(keyturn):
    words = "add app --name App --session-api --grant refresh_token --scope a --scope b --grace 0"
    words += f" --audience {API} --audience urn:two --origin https://app.example --claim email"
    words += " --access-token-lifetime 60 --idle-lifetime 70"
    definition = (await keyturn.json(*words.split(), "--absolute-lifetime", 80))["definition"]
    assert definition == {
        "id": "app",
        "name": "App",
        "kind": "public",
        "auth_method": "none",
        "grant_types": ["refresh_token"],
        "scopes": ["a", "b"],
        "audiences": [API, "urn:two"],
        "session_api": True,
        "origins": ["https://app.example"],
        "claims": ["email"],
        "id_token_claims": [],
        "introspects": [],
        "grace": 0,
        "rotation": True,
        "require_dpop": False,
        "access_token_lifetime": 60,
        "idle_lifetime": 70,
        "absolute_lifetime": 80,
        "redirect_uris": [],
        "post_logout_redirect_uris": [],
        "require_pkce": True,
        "skip_consent": False,
        "response_modes": ["form_post", "query"],
        "backchannel_logout_uri": None,
        "jwks": None,
        "jwks_uri": None,
        "require_par": False,
        "require_signed_request_object": False,
        "profile": None,
        "token_exchange": None,
        "client_uri": None,
        "logo_uri": None,
        "policy_uri": None,
        "tos_uri": None,
    }
    words = f"add shop --grant authorization_code --audience {API} --no-require-pkce --skip-consent"
    words += " --redirect-uri https://a.example/cb --redirect-uri http://127.0.0.1/cb"
    words += " --post-logout-redirect-uri https://a.example/ --response-mode form_post"
    words += " --scope openid --id-token-claim name --id-token-claim email"
    words += " --backchannel-logout-uri https://a.example/logged-out"
    words += " --set require_par=true --set tos_uri=https://a.example/terms"
    shop = (await keyturn.json(*words.split()))["definition"]
    assert shop["redirect_uris"] == ["http://127.0.0.1/cb", "https://a.example/cb"]
    assert shop["post_logout_redirect_uris"] == ["https://a.example/"]
    assert (shop["require_pkce"], shop["skip_consent"]) == (False, True)
    assert shop["id_token_claims"] == ["email", "name"]
    assert shop["response_modes"] == ["form_post"]
    assert shop["backchannel_logout_uri"] == "https://a.example/logged-out"
    assert (shop["require_par"], shop["tos_uri"]) == (True, "https://a.example/terms")
    reader = await keyturn.json(
        "add", "reader", "--introspects", API, "--auth-method", "client_secret_post",
        "--no-rotation",
    )  # fmt: skip
    assert not reader["definition"]["rotation"]
    assert reader["definition"]["introspects"] == [API]
    assert reader["definition"]["auth_method"] == "client_secret_post"


async def test_a_client_is_disabled_listed_as_such_and_enabled(keyturn):
    await keyturn(*OPS)
    assert (await keyturn.json("disable", "ops"))["disabledAt"]
    assert "ops  confidential  disabled" in (await keyturn("list")).stdout
    assert (await keyturn.json("enable", "ops"))["disabledAt"] is None
    listed = await keyturn.json("list")
    assert [one["clientId"] for one in listed["clients"]] == ["ops"]


async def test_the_old_secret_ends_when_the_operator_says(keyturn):
    await keyturn(*OPS)
    assert len((await keyturn.json("rotate-secret", "ops"))["secrets"]) == 2
    limited = await keyturn.json("rotate-secret", "ops", "--old-expires-in", 3600)
    assert limited["secrets"][1]["expiresAt"]
    assert len((await keyturn.json("rotate-secret", "ops", "--drop-old"))["secrets"]) == 1
    await keyturn("rotate-secret", "ops", "--drop-old", "--old-expires-in", 1, code=2)


async def test_apply_shows_the_difference_and_the_second_time_there_is_none(
    keyturn, file, database_url
):
    path = file({**WEB, "disabled": True}, {**JOB, "secret": SECRET})
    dry = await keyturn("apply", path, "--dry-run")
    assert "would change 2 of 2 clients" in dry.stdout
    assert (await keyturn.json("list"))["clients"] == []
    first = await keyturn("apply", path)
    assert first.stdout.replace("changed", "would change") == dry.stdout
    assert "+ web" in first.stdout
    assert "+ job" in first.stdout
    assert SECRET not in first.output
    async with Clients.of(database_url) as clients:
        before = await clients.versions()
        assert (await keyturn("apply", path)).stdout == "changed 0 of 2 clients\n"
        assert await clients.versions() == before
    changed = await keyturn("apply", file({**WEB, "name": "Shop"}), "--prune")
    assert "name: web -> Shop" in changed.stdout
    assert "~ job  (no longer in the file)\n    disabled" in changed.stdout


async def test_apply_tells_programs_the_same(keyturn, file):
    path = file({**JOB, "secret": SECRET})
    first = await keyturn.json("apply", path)
    assert (first["dryRun"], first["changed"]) == (False, 1)
    (change,) = first["changes"]
    assert (change["clientId"], change["new"], change["secret"]) == ("job", True, "set")
    assert SECRET not in json.dumps(first)
    assert await keyturn.json("apply", path) == {"dryRun": False, "changed": 0, "changes": []}


async def test_a_bad_file_is_listed_whole_and_nothing_is_written(keyturn, file):
    path = file({**WEB, "grace": 99, "origins": ["null"]}, JOB, {**WEB, "id": "good"})
    refused = await keyturn.json("apply", path, code=1)
    assert refused["error"] == "invalid_client_metadata"
    assert sorted(one["path"] for one in refused["problems"]) == [
        "clients[0].grace",
        "clients[0].origins[0]",
        "clients[1].secret",
    ]
    spoken = await keyturn("apply", path, code=1)
    assert "clients[0].grace: " in spoken.stderr
    assert "Nothing was written." in spoken.stderr
    assert (await keyturn.json("list"))["clients"] == []


async def test_exit_codes_tell_refusals_wrong_usage_and_outages_apart(keyturn):
    await keyturn("show", "nobody", code=1)
    await keyturn("add", "no/good", code=1)
    await keyturn("add", code=2)
    await keyturn("list", code=3, KEYTURN_POSTGRES__URL="postgresql://nobody@127.0.0.1:1/none")


async def test_what_operators_do_is_audited(keyturn, file, database_url):
    await keyturn(*OPS)
    await keyturn("disable", "ops")
    await keyturn("apply", file(WEB))
    async with Clients.of(database_url) as clients:
        rows = await clients.behind.fetch("select type, client_id from audit_events order by at")
    assert [tuple(row) for row in rows] == [
        ("client_added", "ops"),
        ("client_disabled", "ops"),
        ("client_added", "web"),
    ]
