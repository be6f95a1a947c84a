"""What the doctor says of facts from inside."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyturn.configuration import load_settings
from keyturn.db.migrate import migrations
from keyturn.doctor import clients, configuration, postgres, redis, schema, signing_keys, upkeep
from keyturn.doctor.finding import Severity
from keyturn.doctor.sources import SecretFile, Sources, sources
from keyturn.keys.decision import Policy, Situation
from keyturn.keys.model import State, StoredKey
from support import replicas

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SERVER = {
    "version": 150_004,
    "standby": False,
    "read_only": False,
    "fsync": True,
    "full_page_writes": True,
    "autovacuum": True,
    "synchronous_commit": "on",
    "local": False,
    "encrypted": True,
}


def settings(**changes):
    well = {"development": "false", "issuer": "https://id.example.com"}
    environ = replicas.settings("postgresql://u@h/d", None, **{**well, **changes})
    return load_settings(environ)


def trouble(findings):
    """Return the ids of what is wrong; whatever is wrong has a remedy, and nothing else has."""
    wrong = {one.id for one in findings if one.severity in {Severity.WARNING, Severity.ERROR}}
    assert wrong == {one.id for one in findings if one.remedy}
    return wrong


# -- PostgreSQL -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({}, set()),
        ({"version": 140_020}, {"postgres.version"}),
        ({"standby": True}, {"postgres.writable"}),
        ({"read_only": True}, {"postgres.writable"}),
        ({"encrypted": False}, {"postgres.encrypted"}),
        ({"encrypted": False, "local": True}, set()),
        ({"fsync": False}, {"postgres.durable"}),
        ({"full_page_writes": False}, {"postgres.durable"}),
        ({"autovacuum": False}, {"postgres.autovacuum"}),
        ({"synchronous_commit": "off"}, {"postgres.synchronous"}),
        ({"synchronous_commit": "local"}, {"postgres.synchronous"}),
        ({"synchronous_commit": "remote_apply"}, set()),
    ],
)
def test_a_server_is_judged_by_how_it_is_set(facts, found):
    assert trouble(postgres.server({**SERVER, **facts}, 0.01, settings().postgres)) == found


def test_a_connection_that_takes_half_of_the_deadline_is_slow():
    assert trouble(postgres.server(SERVER, 0.5, settings().postgres)) == set()
    assert trouble(postgres.server(SERVER, 0.51, settings().postgres)) == {"postgres.time"}


@pytest.mark.parametrize(("seconds", "wrong"), [(10, False), (-10, False), (11, True), (-11, True)])
def test_clocks_may_differ_by_ten_seconds(seconds, wrong):
    said = postgres.clock(NOW + timedelta(seconds=seconds), NOW)
    assert bool(trouble([said])) == wrong


@pytest.mark.parametrize(
    ("names", "standbys", "waited_for", "hidden", "remedy"),
    [
        ("", 0, False, False, ""),
        ("*", 0, False, False, ""),
        ("*", 1, True, False, ""),
        ("*", 1, False, True, ""),
        ("", 2, False, True, "keyturn sessions revoke --before T"),
        ("", 2, False, False, "keyturn sessions revoke --before T"),
        ("other", 1, False, False, "name a connected standby"),
    ],
)
def test_standbys_that_no_commit_waits_for_are_warned_of(
    names, standbys, waited_for, hidden, remedy
):
    row = {"standbys": standbys, "waited_for": waited_for, "hidden": hidden}
    said = postgres.standby(names, row)
    assert remedy in said.remedy
    assert bool(said.remedy) == bool(remedy)


@pytest.mark.parametrize(
    ("seconds", "hidden", "severity"),
    [(None, False, "ok"), (5, False, "ok"), (5.1, False, "warning"), (60, True, "skipped")],
)
def test_a_standby_that_is_half_a_grace_behind_is_warned_of(seconds, hidden, severity):
    lag = None if seconds is None else timedelta(seconds=seconds)
    said = postgres.lag({"hidden": hidden, "lag": lag}, timedelta(seconds=10))
    assert said.severity == severity


@pytest.mark.parametrize(
    ("limit", "processes", "wrong"), [(44, 0, False), (43, 1, True), (66, 2, False), (65, 2, True)]
)
def test_connections_must_do_for_the_processes_and_one_more(limit, processes, wrong):
    said = postgres.connections(limit, {"processes": processes}, settings())
    assert bool(trouble([said])) == wrong


@pytest.mark.parametrize(("limit", "processes"), [(132, 0), (132, 3), (198, 6)])
def test_connections_of_workers_are_those_of_each_and_of_their_parent(limit, processes):
    workers = settings(server__workers="2")
    for room, wrong in ((limit, False), (limit - 1, True)):
        said = postgres.connections(room, {"processes": processes}, workers)
        assert bool(trouble([said])) == wrong


def test_a_pooler_must_answer_and_lead_to_the_server_past_it():
    here, elsewhere = {"identity": "d since 8:00"}, {"identity": "d since 9:00"}
    assert trouble([postgres.pooler("", here, here)]) == set()
    assert "same primary" in postgres.pooler("", elsewhere, here).remedy
    assert "TimeoutError" in postgres.pooler("TimeoutError", None, here).sentence


def test_reasons_have_remedies_of_their_own():
    assert "password" in postgres.unreachable("h", "InvalidPasswordError").remedy
    assert postgres.unreachable("h", "NeverHeardOf").remedy
    silent = list(postgres.hosts({"two": "TimeoutError"}, 1))
    assert trouble(silent) == {"postgres.hosts"}
    assert trouble(postgres.hosts({}, 2)) == set()
    assert trouble([postgres.privileges(["sessions"])]) == {"postgres.privileges"}
    assert trouble([postgres.privileges([])]) == set()


# -- schema, keys, clients, upkeep --------------------------------------------------------------------


def test_missing_migrations_are_named_and_contracts_wait(tmp_path: Path):
    for name in ("0001_a.sql", "0002_b.sql", "0003_contract_c.sql"):
        (tmp_path / name).touch()
    carried = migrations(tmp_path)
    assert trouble(schema.schema([1, 2, 3], carried)) == set()
    assert trouble(schema.schema([1, 2], carried)) == {"schema.contracts"}
    behind, _ = schema.schema([1], carried)
    assert (behind.id, behind.remedy) == ("schema.applied", "keyturn migrate")
    assert "0002_b.sql" in behind.sentence
    assert "0000" in schema.schema([], carried)[0].sentence
    assert trouble(schema.schema([1, 2, 3, 4], carried)) == set(), "a newer release's schema"


def key(state: State, secret: int = 1, days: int = 1):
    since = NOW - timedelta(days=days)
    sealed = None if state is State.RETIRED else bytes([secret])
    return StoredKey(f"kid-{state}", state, since, since, {}, sealed)


SIGNING, NEXT = key(State.SIGNING), key(State.NEXT)


@pytest.mark.parametrize(
    ("keys", "shut", "found"),
    [
        ([SIGNING, NEXT, key(State.RETIRED)], set(), set()),
        ([], set(), {"keys.signing", "keys.next"}),
        ([SIGNING], set(), {"keys.next"}),
        ([SIGNING, NEXT], {NEXT.kid}, {"keys.sealed"}),
        ([key(State.SIGNING, days=92), NEXT], set(), {"keys.overdue"}),
        ([SIGNING, key(State.NEXT, secret=2)], set(), {"keys.secret"}),
    ],
)
def test_keys_are_judged_as_our_secrets_see_them(keys, shut, found):
    opened = frozenset(one.kid for one in keys if one.sealed) - shut
    situation = Situation(tuple(keys), NOW, opened, 1)
    assert trouble(signing_keys.signing_keys(situation, Policy.of(settings()))) == found


CLIENT = {
    "id": "web",
    "kind": "confidential",
    "auth_method": "client_secret_basic",
    "require_pkce": True,
    "skip_consent": False,
    "rotation": True,
    "require_dpop": False,
    "long_grace": None,
    "self_registered": False,
    "personal": False,
    "has_secret": True,
    "has_keys": False,
}


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({}, set()),
        ({"require_pkce": False}, {"clients.switches"}),
        ({"rotation": False}, {"clients.switches"}),
        ({"rotation": False, "require_dpop": True}, set()),
        ({"long_grace": True}, {"clients.switches"}),
        ({"skip_consent": True}, set()),
        ({"skip_consent": True, "self_registered": True}, {"clients.switches"}),
        ({"personal": True}, {"clients.switches"}),
        ({"has_secret": False}, {"clients.credentials"}),
        ({"kind": "public", "auth_method": "none", "has_secret": False}, set()),
        ({"auth_method": "private_key_jwt"}, {"clients.credentials"}),
        ({"auth_method": "private_key_jwt", "has_keys": True}, set()),
    ],
)
def test_clients_are_judged_by_their_switches(facts, found):
    assert trouble(clients.clients([CLIENT | facts])) == found


def test_many_clients_are_counted_not_listed():
    rows = [CLIENT | {"id": f"c{number}", "require_pkce": False} for number in range(8)]
    assert "c4 and 3 more" in clients.clients(rows)[0].sentence


def test_what_time_should_have_done_is_judged():
    well = {"prepared": True, "unsorted": False, "forgotten": None}
    assert trouble(upkeep.audit(well)) == set()
    assert trouble(upkeep.audit(well | {"prepared": False})) == {"upkeep.audit"}
    assert trouble(upkeep.audit(well | {"unsorted": True})) == {"upkeep.audit"}
    assert trouble(upkeep.audit(well | {"forgotten": "audit_events_2020_01"})) == {
        "upkeep.retention"
    }
    assert trouble([upkeep.servers(0), upkeep.purge(["replays"]), upkeep.logouts(3601)]) == {
        "upkeep.servers",
        "upkeep.purge",
        "upkeep.logouts",
    }
    assert trouble([upkeep.servers(1), upkeep.purge([]), upkeep.logouts(3600)]) == set()


# -- Redis ------------------------------------------------------------------------------------------

INFO = (
    b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nrole:master\r\nused_memory:70\r\n"
)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        (b"maxmemory:0\r\nmaxmemory_policy:allkeys-lru", set()),
        (b"maxmemory:100\r\nmaxmemory_policy:noeviction", set()),
        (b"maxmemory:100\r\nmaxmemory_policy:volatile-ttl", {"redis.eviction"}),
        (b"maxmemory:80\r\nmaxmemory_policy:noeviction", {"redis.memory"}),
        (b"role:slave", {"redis.primary"}),
        (b"redis_version:6.0.16", {"redis.version"}),
        (b"redis_version:6.2.0", set()),
    ],
)
def test_redis_is_judged_by_what_it_tells(more, found):
    assert trouble(redis.server(redis.parse(INFO + more), 0.001, 0.05)) == found


def test_a_slow_redis_and_a_copy_that_stands_still_are_found():
    assert trouble(redis.server(redis.parse(INFO), 0.06, 0.05)) == {"redis.time"}
    assert trouble([redis.copy(1e6, 2e6, 1.2)]) == set()
    for first, second in ((None, None), (1e6, 1e6), (2e6, 1e6), (None, 1e6)):
        assert trouble([redis.copy(first, second, 1.2)]) == {"redis.copy"}
    assert trouble([redis.unreachable("timeout: TimeoutError")]) == {"redis.reachable"}


# -- settings and secrets -----------------------------------------------------------------------------

RANDOM = "Zt4q8vN2xK7mB1cR5wL9pD3fH6jS0aUe-YgTbQkVnXo"
PROXIED = {"server__trusted_proxies": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (PROXIED, set()),
        ({}, {"settings.proxies"}),
        ({"server__trusted_proxies": "0.0.0.0/0"}, {"settings.proxies"}),
        ({"server__trusted_proxies": "::/0"}, {"settings.proxies"}),
        ({"issuer": "http://localhost:8080"}, {"settings.issuer"}),
        ({"issuer": "http://localhost:8080", "development": "true"}, {"settings.issuer"}),
        (PROXIED | {"secrets": f"1: {RANDOM}, 2: {RANDOM[::-1]}"}, set()),
        (PROXIED | {"secrets": f"1: {RANDOM}, 2: {RANDOM}"}, {"secrets.different"}),
        (
            PROXIED | {"secrets": f"1: {RANDOM}, 2: {RANDOM[::-1]}, 3: {RANDOM[1:]}"},
            {"secrets.number"},
        ),
        (
            PROXIED | {"secrets": "1: correct horse battery staple jumps over it"},
            {"secrets.strength"},
        ),
    ],
)
def test_settings_that_are_good_may_still_be_unwise(changes, found):
    assert trouble(configuration.chosen(settings(**changes))) == found


def test_mistakes_of_settings_are_a_line_each():
    found = configuration.loaded(None, ["a: is required", "b: unknown setting"])
    assert [one.sentence for one in found[:2]] == ["a: is required", "b: unknown setting"]
    assert {one.severity for one in found[2:]} == {Severity.SKIPPED}


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        (SecretFile("secrets_file", Path("/s"), 0o400, 7, readable=True), ""),
        (SecretFile("secrets_file", Path("/s"), 0o640, 0, readable=True), ""),
        (SecretFile("secrets_file", Path("/s"), 0o644, 7, readable=True), "chmod 0640 /s"),
        (SecretFile("secrets_file", Path("/s"), 0o660, 7, readable=True), "chmod 0640 /s"),
        (SecretFile("secrets_file", Path("/s"), 0o600, 8, readable=True), "chown"),
        (SecretFile("secrets_file", Path("/s"), 0o600, 8), "chown"),
        (SecretFile("secrets_file", Path("/s")), "correct secrets_file"),
    ],
)
def test_secret_files_are_ours_alone(file, remedy):
    literals, one = configuration.written(Sources((file,), (), user=7))
    assert not literals.remedy
    assert remedy in one.remedy
    assert bool(one.remedy) == bool(remedy)


def test_where_secrets_stand_is_read_from_file_and_environment(tmp_path):
    config = tmp_path / "keyturn.yaml"
    config.write_text("secrets: '1: x'\npostgres: {url_file: pg}\nredis: {url: redis://u:p@h}\n")
    (tmp_path / "pg").write_text("postgresql://")
    environ = {"KEYTURN_SECRETS_FILE": "/nowhere", "KEYTURN_CONFIG": str(config)}
    found = sources(environ, None)
    named = {one.setting: one.readable for one in found.files}
    assert named == {"secrets_file": False, "postgres.url_file": True}
    assert found.literals == ("secrets", "redis.url")
    assert len(configuration.written(found)) == 4
    assert sources({}, None).files == ()
    assert sources({}, tmp_path / "missing.yaml").literals == ()
