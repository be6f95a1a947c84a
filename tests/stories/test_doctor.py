"""An operator asks the doctor: a deployment that is well, and one defect after the other."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from keyturn import clock, paths
from keyturn.db.migrate import migrate
from support import replicas
from support.asking_doctor import Diagnosis, ask
from support.rewriting_front import (
    Change,
    RewritingFront,
    at,
    having,
    instead,
    rewriting_front,
    unchanged,
    with_body,
    without,
)
from support.servers import private_postgres

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
WELL = {
    "development": "false",
    "server__trusted_proxies": "127.0.0.1/32",
    "redis__timeout": "1",
    "postgres__connect_timeout": "5",
}


@dataclass
class Deployment:
    """One server on a database of its own, behind a proxy that ends TLS."""

    front: RewritingFront
    replica: replicas.Replica
    environ: dict[str, str]


@pytest.fixture(scope="module")
async def deployment(
    shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    async with (
        rewriting_front(tmp_path_factory.mktemp("tls")) as front,
        private_postgres(DURABLE) as postgres,
    ):
        await migrate(postgres.url)
        environ = replicas.settings(postgres.url, shared_redis_url, issuer=front.origin, **WELL)
        with replicas.replicas(environ) as (one,):
            front.target = port_of(one.url)
            yield Deployment(front, one, environ)


@pytest.fixture(autouse=True)
def whole(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mend the proxy, and trust its authority: the suite trusts nobody."""
    deployment.front.change, deployment.front.elsewhere = unchanged, ("", 0)
    trust = ssl.create_default_context(cafile=deployment.front.authority)
    monkeypatch.setattr("keyturn.cli.doctor.trusted", lambda: trust)


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


async def ask_outside(deployment: Deployment) -> dict[str, dict[str, str]]:
    """Look at the front alone, without settings; return what is wrong."""
    said = await ask("--outside", "--url", deployment.front.origin, "--json")
    return said.trouble


# -- well -------------------------------------------------------------------------------------------


async def test_a_deployment_that_is_well_is_exit_0_even_strictly(deployment):
    environ = deployment.environ | {
        "SSL_CERT_FILE": str(deployment.front.authority),
        "PATH": os.environ["PATH"],
    }
    words = ["--management-url", deployment.replica.management_url, "--strict", "--json"]
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "keyturn", "doctor", *words],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = Diagnosis(ran.returncode, ran.stdout, ran.stderr)
    assert (said.code, said.trouble) == (0, {})
    skipped = {one["id"] for one in said.findings if one["severity"] == "skipped"}
    assert skipped == {"issuer.plain"}
    assert ran.stderr == ""
    for secret in ("Zt4q8vN2xK7mB1cR5wL9pD3fH6jS0aUe", "SECRET"):
        assert secret not in ran.stdout


async def test_people_read_groups_and_remedies(deployment):
    deployment.front.change = at(paths.TOKEN, without("cache-control"))
    said = await ask("--outside", "--url", deployment.front.origin)
    assert said.code == 1
    assert (
        "\n  ERROR   answers.stored: Cache-Control of a token answer is missing, not no-store\n"
        in said.out
    )
    assert "\n          never cache /oauth2 and /auth in the proxy" in said.out
    assert said.out.endswith("errors: 1; warnings: 0; not looked at: 3\n")


async def test_beside_the_servers_it_expects_the_issuer_of_the_settings(deployment):
    replica = deployment.replica
    words = ["--url", replica.url, "--management-url", replica.management_url, "--json"]
    kept = {name: one for name, one in deployment.environ.items() if "REDIS" not in name}
    said = await ask(*words, environ=kept)
    assert (said.code, said.trouble.keys()) == (0, {"redis.configured"})


# -- outside: what stands before the server ----------------------------------------------------------

FIRST_LIST = paths.STATUS_LIST.format(number=0)
CARRIER = b"<html>Bad gateway</html>"


@pytest.mark.parametrize(
    ("found", "change", "remedy"),
    [
        ("answers.token", instead(paths.TOKEN, "502 Bad Gateway", CARRIER), "intercept_errors"),
        ("answers.stored", at(paths.TOKEN, having("age", "7")), "never cache"),
        ("answers.kept", at(paths.JWKS, having("cache-control", "max-age=86400")), "respect"),
        ("answers.headers", at("/", without("strict-transport-security")), "pass headers on"),
        ("answers.headers", at(paths.JWKS, having("x-content-type-options", "no")), "set no such"),
        ("answers.encoding", at(paths.TOKEN, having("content-encoding", "gzip")), "compression"),
        (
            "answers.origins",
            at(paths.TOKEN, having("access-control-allow-origin", "*")),
            "Access-Control",
        ),
        ("answers.origins", at(paths.TOKEN, without("vary")), "headers on as"),
        ("answers.cookies", at(paths.LOGIN_PAGE, having("set-cookie", "__Host-a=b")), "proxy_cook"),
        ("answers.long", instead(f"{paths.JWKS}?long", "414 URI Too Long", b""), "8 KiB"),
        ("metadata.both", instead(paths.OAUTH_METADATA, "404 Not Found", CARRIER), "pass it on"),
        (
            "metadata.intact",
            with_body("/.well-known/o", lambda body: body.replace(b"RS256", b"RS257")),
            "sub_filter",
        ),
        ("status_list.document", instead(FIRST_LIST, "404 Not Found", CARRIER), "this release"),
        ("status_list.document", with_body(FIRST_LIST, lambda body: body[:-9]), "unchanged"),
        ("status_list.kept", at(FIRST_LIST, having("cache-control", "max-age=60")), "respect"),
        ("jwks.document", instead(paths.JWKS, "200 OK", b"<html>"), "unchanged"),
    ],
)  # fmt: skip
async def test_what_a_proxy_does_to_answers_is_found(
    deployment, found: str, change: Change, remedy
):
    deployment.front.change = change
    trouble = await ask_outside(deployment)
    assert remedy in trouble[found]["remedy"]


async def test_endpoints_of_another_host_are_found(deployment):
    issuer = deployment.front.origin.encode()
    deployment.front.change = with_body(
        "/.well-known/o", lambda body: body.replace(issuer + b"/oauth2/token", b"http://inner/t")
    )
    trouble = await ask_outside(deployment)
    assert "token_endpoint" in trouble["metadata.endpoints"]["sentence"]


async def test_a_proxy_that_changes_nothing_is_blamed_for_nothing(deployment):
    assert await ask_outside(deployment) == {}


async def test_a_management_port_behind_the_public_url_is_found(deployment):
    deployment.front.elsewhere = (paths.METRICS, port_of(deployment.replica.management_url))
    trouble = await ask_outside(deployment)
    assert "/metrics" in trouble["management.exposed"]["sentence"]
    assert "8081" in trouble["management.exposed"]["remedy"]


async def test_a_server_asked_by_another_name_is_told_which_issuer_it_has(deployment):
    said = await ask("--outside", "--url", deployment.replica.url, "--json")
    assert said.code == 1
    assert deployment.front.origin in said.trouble["metadata.issuer"]["sentence"]
    assert deployment.front.origin in said.trouble["metadata.issuer"]["remedy"]


async def test_a_certificate_nobody_vouches_for_is_found(deployment, monkeypatch):
    nobody = ssl.create_default_context()
    monkeypatch.setattr("keyturn.cli.doctor.trusted", lambda: nobody)
    said = await ask("--outside", "--url", deployment.front.origin, "--json")
    assert said.trouble.keys() == {"issuer.tls"}
    assert "SSL_CERT_FILE" in said.trouble["issuer.tls"]["remedy"]


async def test_nobody_there_is_exit_3_and_wrong_usage_exit_2():
    assert (await ask("--outside", "--url", "https://127.0.0.1:1")).code == 3
    for words in (["--outside"], ["--outside", "--url", "ftp://id"], ["--url", "https://a/path"]):
        said = await ask(*words)
        assert (said.code, said.out) == (2, "")


# -- inside: settings, secrets, database --------------------------------------------------------------


async def ask_inside(deployment: Deployment, **changes: str) -> dict[str, dict[str, str]]:
    """Look with other settings, without Redis, which takes its time to be seen moving."""
    named = {f"KEYTURN_{name.upper()}": value for name, value in changes.items()}
    kept = {name: one for name, one in deployment.environ.items() if "REDIS" not in name}
    return (await ask("--json", environ=kept | named)).trouble


async def test_a_schema_that_is_behind_is_found_with_the_command(deployment):
    connection = await asyncpg.connect(deployment.environ["KEYTURN_POSTGRES__URL"])
    try:
        gone = await connection.fetchrow(
            "delete from schema_migrations where version = 17 returning *"
        )
        trouble = await ask_inside(deployment)
        await connection.execute("insert into schema_migrations values ($1, $2, $3)", *gone)
    finally:
        await connection.close()
    assert trouble["schema.applied"]["remedy"] == "keyturn migrate"
    assert "0017_" in trouble["schema.applied"]["sentence"]


async def test_every_mistake_of_the_settings_is_told_at_once(deployment):
    trouble = await ask("--json", environ={
        **deployment.environ, "KEYTURN_ISUER": "https://x", "KEYTURN_KEYS__LEAD": "1",
        "KEYTURN_POSTGRES__POOL_MAX": "0",
    })  # fmt: skip
    assert trouble.code == 1
    told = [one["sentence"] for one in trouble.findings if one["id"] == "settings.load"]
    assert "isuer: unknown setting; did you mean issuer?" in told
    assert any(one.startswith("postgres.pool_max") for one in told)


async def test_a_secret_that_others_can_read_is_found_with_the_command(deployment, tmp_path):
    file = tmp_path / "secrets"
    file.write_text(replicas.MASTER)
    file.chmod(0o644)
    environ = {k: v for k, v in deployment.environ.items() if k != "KEYTURN_SECRETS"}
    said = await ask("--json", environ={**environ, "KEYTURN_SECRETS_FILE": str(file)})
    assert said.trouble["settings.files"]["remedy"] == f"chmod 0640 {file}"
    assert "settings.load" in said.trouble


async def test_secrets_that_do_not_open_the_keys_are_found(deployment):
    other = replicas.MASTER.replace("1: ", "2: ")
    trouble = await ask_inside(deployment, secrets=other)
    assert "list secret 1" in trouble["keys.sealed"]["remedy"]


async def test_another_deployments_keys_are_told_from_this_ones(deployment, keyed_database_url):
    trouble = await ask_inside(deployment, postgres__url=keyed_database_url)
    assert "servers of this database" in trouble["jwks.signing"]["remedy"]
    assert {"upkeep.servers", "postgres.durable", "postgres.autovacuum"} <= trouble.keys()


async def test_a_database_nobody_ever_served_and_a_redis_that_is_away_are_found(
    deployment, database_url
):
    environ = deployment.environ | {
        "KEYTURN_POSTGRES__URL": database_url, "KEYTURN_REDIS__URL": "redis://127.0.0.1:1/0"
    }  # fmt: skip
    said = await ask("--json", environ=environ)
    assert "keyturn serve" in said.trouble["keys.signing"]["remedy"]
    assert "redis.url" in said.trouble["redis.reachable"]["remedy"]
    assert said.code == 1


async def test_a_clock_that_is_off_is_found_on_both_sides(deployment, monkeypatch):
    late = lambda _self: datetime.now(UTC) + timedelta(seconds=90)  # noqa: E731
    monkeypatch.setattr(clock.SystemClock, "now", late)
    trouble = await ask_inside(deployment)
    for one in ("postgres.clock", "answers.clock"):
        assert "NTP" in trouble[one]["remedy"]


async def test_it_looks_by_a_role_that_can_only_read(deployment, database_url):
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "create role looker login password 'l'; grant pg_read_all_data to looker;"
            " alter role looker set default_transaction_read_only = on;"
            " alter role looker set synchronous_commit = off"
        )
        url = urlunsplit(urlsplit(database_url)._replace(netloc=_login(database_url)))
        before = await rows(connection)
        trouble = await ask_inside(deployment, postgres__url=url)
        assert await rows(connection) == before
    finally:
        await connection.execute("drop owned by looker; drop role looker")
        await connection.close()
    assert "sessions" in trouble["postgres.privileges"]["sentence"]
    assert "default_transaction_read_only" in trouble["postgres.writable"]["remedy"]
    assert "synchronous_commit" in trouble["postgres.synchronous"]["remedy"]


def _login(url: str) -> str:
    return f"looker:l@{urlsplit(url).netloc.rpartition('@')[2]}"


async def rows(connection: asyncpg.Connection) -> list[tuple[str, int]]:
    """Return how often each table was ever written."""
    found = await connection.fetch(
        "select relname, n_tup_ins + n_tup_upd + n_tup_del as written from pg_stat_user_tables"
        " order by relname"
    )
    return [(one["relname"], one["written"]) for one in found]
