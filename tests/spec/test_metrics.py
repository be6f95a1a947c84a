"""OP-2: each metric moves when its thing happens, seen from outside."""

import pytest

from support.api import PASSWORD

GRANT = "client_credentials"


@pytest.fixture
async def device(api):
    return await api.sign_in(await api.person())


class Watch:
    """What metrics say now, and by how much they have moved since."""

    def __init__(self, api, *samples):
        self.api, self.samples = api, samples
        self.before = self.now()

    def now(self):
        return [self.api.metric(name, **labels) for name, labels in self.samples]

    def moved(self):
        return [now - before for now, before in zip(self.now(), self.before, strict=True)]


def tokens(type_, grant):
    return "keyturn_tokens_issued_total", {"type": type_, "grant_type": grant}


def revoked(kind, source):
    return "keyturn_revocations_total", {"kind": kind, "source": source}


def told(result, source):
    return "keyturn_introspections_total", {"result": result, "source": source}


async def test_tokens_are_counted_by_kind_and_by_what_they_answer(api):
    watch = Watch(
        api,
        tokens("access", "session_api"),
        tokens("refresh", "session_api"),
        tokens("access", "refresh_token"),
        tokens("refresh", "refresh_token"),
        tokens("id", "refresh_token"),
        tokens("access", GRANT),
        ("keyturn_signing_duration_seconds_count", {"alg": "RS256"}),
    )
    device = await api.sign_in(await api.person())
    await api.post("/auth/refresh", device.credential)
    device = await api.sign_in(await api.person())
    await api.rotated(device)
    await api.post("/auth/reauthenticate", device.credential | {"password": PASSWORD})
    await api.token("machine", grant_type=GRANT)
    *answered, signed = watch.moved()
    assert answered == [4, 3, 1, 1, 0, 1]
    assert signed == 4 + 1 + 1


async def test_a_proof_asked_again_is_a_step_up(api, device):
    by = [{"result": one} for one in ("ok", "bad_credentials")]
    watch = Watch(api, *(("keyturn_step_ups_total", one) for one in by))
    for password in (PASSWORD, "wrong-wrong-wrong"):
        await api.post("/auth/reauthenticate", device.credential | {"password": password})
    assert watch.moved() == [1, 1]


async def test_revocations_are_told_apart_by_what_ends_and_at_whose_wish(api):
    watch = Watch(
        api,
        revoked("session", "api"),
        revoked("session", "user"),
        revoked("session", "system"),
        revoked("token", "api"),
        revoked("user", "user"),
    )
    person = await api.person()
    given_up, left, stolen, last = [await api.sign_in(person) for _ in range(4)]
    await api.form("/oauth2/revoke", "app", token=last.access_token)
    await api.form("/oauth2/revoke", "app", token=given_up.refresh_token)
    await api.post("/auth/logout", left.credential)
    await api.rotated(await api.rotated(stolen))
    await api.age(stolen)
    await api.refresh(stolen)
    await api.post("/auth/logout-all", last.credential)
    assert watch.moved() == [1, 1, 1, 1, 1]


async def test_introspection_says_what_its_answer_rests_on(api, device):
    watch = Watch(
        api, told("active", "cache"), told("active", "database"), told("inactive", "none")
    )
    assert await api.is_active(device.access_token)
    assert not await api.is_active("rubbish")
    by_cache, by_database, by_nothing = watch.moved()
    assert (by_cache + by_database, by_nothing) == (1, 1)


async def test_stores_are_timed_by_operation_and_pools_say_how_full_they_are(api, device):
    timed, asked = "keyturn_db_operation_duration_seconds_count", "keyturn_redis_operation"
    watch = Watch(
        api,
        (timed, {"operation": "sessions.rotate"}),
        (timed, {"operation": "users.credential_by_email"}),
        (timed, {"operation": "commit"}),
        (f"{asked}_duration_seconds_count", {"operation": "throttle"}),
        ("keyturn_db_pool_wait_seconds_count", {}),
    )
    await api.rotated(device)
    await api.sign_in(await api.person())
    assert min(watch.moved()) >= 1
    pool = "keyturn_db_pool_connections"
    assert api.metric(pool, state="used") + api.metric(pool, state="idle") > 0
    assert api.metric(pool, state="idle") <= api.metric(pool, state="max")


async def test_a_replica_says_what_it_is_and_what_keys_and_schema_it_has(api):
    page = (await api.callers[0].get(f"{api.replicas[0].management_url}/metrics")).text
    assert 'keyturn_build_info{commit="unknown",python="3.' in page
    ends = "keyturn_signing_key_not_after_timestamp_seconds"
    one = api.replicas[0].metric
    assert one(ends, state="signing") == one(ends, state="next") > 1_700_000_000
    assert one("keyturn_schema_version", kind="required") > 0
    assert one("keyturn_schema_version", kind="applied") >= one(
        "keyturn_schema_version", kind="required"
    )
    assert one("process_resident_memory_bytes") > 10_000_000
    assert one("python_gc_collections_total", generation="0") > 0


async def test_audit_events_are_counted_by_type_once_they_are_written(api):
    watch = Watch(api, ("keyturn_audit_events_total", {"type": "sign_in"}))
    person = await api.person()
    await api.sign_in(person)
    await api.events("sign_in", user_id=person.id)
    assert watch.moved() == [1]
