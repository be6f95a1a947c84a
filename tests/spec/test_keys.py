"""KY-1 to KY-7: signing keys and master secrets of real servers, rolled over under load."""

import asyncio
import json
import re
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from secrets import token_bytes

import httpx2
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from support import replicas
from support.api import Api, api_of, claims_of, joined
from support.forging import (
    Forger,
    generation_zero,
    purpose_key,
    refresh_body,
    tagged,
    thumbprint,
)
from support.replicas import MASTER
from support.starts import Starts, shared
from support.tree import ROOT

JWKS = "/.well-known/jwks.json"
DOCUMENTS = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
SECOND = "2: Qm7xJ4tB9vLc2sFhK8pRwY1nEaGdU5oZ-iXrM3kVyTQ"
MAX_AGE = 2
QUICK_KEYS = {
    "keys__jwks_max_age": str(MAX_AGE),
    "keys__staleness": "1",
    "keys__lead": "3",
    "tokens__clock_skew": "0",
    "jobs__keys_interval": "1",
}
"""The order of a rotation, in seconds instead of minutes: lead = max-age + staleness + skew."""
PATIENCE = 30.0


async def published(api: Api, on: int = 0) -> list[dict]:
    return (await api.get(JWKS, on=on)).json()["keys"]


async def eventually(condition, patience: float = 30.0) -> float:
    """Return the seconds until an awaitable condition holds."""
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < patience, "it never came to be"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def machine_token(api: Api, on: int = 0) -> str:
    answer = await api.token("machine", on=on, grant_type="client_credentials")
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def kid_of(token: str) -> str:
    return claims_of("." + token)["kid"]


@pytest.fixture(scope="module")
def starts() -> Starts:
    """The program, ready to be started under any environment."""
    return shared()


def environ(**changes: str) -> dict[str, str]:
    """Return settings that would start; a change to "" takes one away."""
    settings = replicas.settings("postgresql:///nowhere", None) | {
        f"KEYTURN_{name.upper()}": value for name, value in changes.items()
    }
    return {name: value for name, value in settings.items() if value}


# -- KY-1, KY-3 ---------------------------------------------------------------------------------


async def test_KY_1_the_jwks_holds_public_members_of_two_strong_keys(api):
    keys = await published(api)
    assert [key["alg"] for key in keys] == ["RS256", "RS256", "PS256", "PS256"]
    for key in keys:
        assert set(key) == {"kty", "kid", "use", "alg", "n", "e"}
        assert (key["kty"], key["use"], key["e"]) == ("RSA", "sig", "AQAB")
        assert KeySet.import_key_set({"keys": [key]}).keys[0].public_key.key_size >= 2048
    first, second = (thumbprint(key) for key in keys[:2])
    names = [first, second, f"{first}-ps256", f"{second}-ps256"]
    assert [key["kid"] for key in keys] == names
    assert [key["n"] for key in keys[:2]] == [key["n"] for key in keys[2:]]


@pytest.mark.parametrize("path", [JWKS, *DOCUMENTS])
async def test_KY_3_documents_may_be_kept_for_a_while_and_are_the_same_everywhere(api, path):
    answers = [await api.get(path, on=on) for on in (0, 1)]
    assert answers[0].content == answers[1].content
    for answer in answers:
        directives = dict(
            part.strip().partition("=")[::2] for part in answer.headers["cache-control"].split(",")
        )
        assert set(directives) == {"public", "max-age"}
        assert 0 < int(directives["max-age"]) <= 3600
        again = await api.get(path, on=1, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await api.get(path, headers={"if-none-match": '"another"'})
        assert other.status_code == 200


async def test_KY_3_max_age_is_within_the_lead_of_a_key(api, starts):
    """By default 300 s against 900 s; a start with less is refused (KY-2)."""
    max_age = int((await api.get(JWKS)).headers["cache-control"].rpartition("=")[2])
    shown = await starts.run(environ(), "config", "show", "--json")
    keys = json.loads(shown.said)["keys"]
    assert max_age == keys["jwks_max_age"] == 300
    assert keys["jwks_max_age"] + keys["staleness"] + 60 <= keys["lead"] == 900


# -- KY-2: rotation -----------------------------------------------------------------------------


@dataclass
class CachingVerifier:
    """An API that verifies offline with a public library and keeps the JWKS for its max-age.

    When it meets a key it does not know it asks once more, but no oftener than `least_pause`.
    """

    caller: httpx2.AsyncClient
    least_pause: float = 60.0
    keys: KeySet | None = None
    good_until: float = 0.0
    asked_at: float = -1e9
    refetched: int = 0
    verified: int = 0
    failures: list[str] = field(default_factory=list)

    async def verify(self, token: str) -> None:
        """Count a token as verified or as a failure."""
        if time.monotonic() >= self.good_until:
            await self._fetch()
        if self._knows(token):
            self.verified += 1
        elif time.monotonic() - self.asked_at >= self.least_pause:
            self.asked_at = time.monotonic()
            self.refetched += 1
            await self._fetch()
            await self.verify(token)
        else:
            self.failures.append(kid_of(token))

    def _knows(self, token: str) -> bool:
        try:
            jwt.decode(token, self.keys, algorithms=["RS256"])
        except (JoseError, ValueError):
            return False
        return True

    async def _fetch(self) -> None:
        answer = await self.caller.get(JWKS)
        max_age = int(answer.headers["cache-control"].rpartition("=")[2])
        self.keys = KeySet.import_key_set(answer.json())
        self.good_until = time.monotonic() + max_age


@pytest.fixture(scope="module")
async def rolling(databases, shared_redis_url):
    """Two replicas of an issuer of their own, whose keys are rotated in seconds."""
    async with databases.fresh() as url:
        issuer = "https://localhost:8444"
        settings = replicas.settings(url, shared_redis_url, issuer=issuer, **QUICK_KEYS)
        with replicas.replicas(settings, 2) as pair:
            async with api_of(settings, pair) as running:
                yield running


async def states(api: Api) -> dict[str, str]:
    rows = await api.sql.fetch("select kid, state from signing_keys")
    return {row["kid"]: row["state"] for row in rows}


async def in_state(api: Api, state: str) -> str:
    return next(kid for kid, held in (await states(api)).items() if held == state)


async def test_KY_2_rotations_under_load_fail_no_caching_verifier(rolling):
    """Two automatic rotations while both replicas issue; the period is over as soon as it began."""
    hasty = {**rolling.settings, "KEYTURN_KEYS__PERIOD": "1"}
    verifiers = [
        CachingVerifier(caller, pause) for caller in rolling.callers for pause in (60.0, 1e9)
    ]
    tokens: dict[str, str] = {}
    deadline = time.monotonic() + PATIENCE

    async def load(on: int) -> None:
        while len(tokens) < 3:
            assert time.monotonic() < deadline, f"only {len(tokens)} keys ever signed"
            token = await machine_token(rolling, on)
            tokens.setdefault(kid_of(token), token)
            for verifier in verifiers:
                await verifier.verify(token)
            await asyncio.sleep(0.1)

    with replicas.replicas(hasty):
        await asyncio.gather(load(0), load(1))
    for verifier in verifiers:
        assert verifier.failures == []
        assert verifier.verified > 50, "invalid: hardly a token was verified"
    held = await states(rolling)
    phases = Counter(held.values())
    assert (phases["next"], phases["signing"]) == (1, 1)
    assert phases["retired"] >= 2

    async def all_are_published() -> bool:
        names = {key["kid"].removesuffix("-ps256") for key in await published(rolling)}
        return names == set(held)

    await eventually(all_are_published)
    for token in tokens.values():
        assert await rolling.is_active(token)


async def test_KY_2_a_next_key_may_not_sign_before_its_lead_by_command_either(rolling, starts):
    """A lead of an hour: the key was published a moment ago."""
    patient = {**rolling.settings, "KEYTURN_KEYS__LEAD": "3600"}
    before = await states(rolling)
    done = await starts.run(patient, "keys", "rotate", "--now")
    assert (done.code, "may sign in" in done.said) == (1, True)
    assert await states(rolling) == before


async def test_KY_2_rotate_now_reaches_every_replica_within_seconds(rolling, starts):
    old, following = await in_state(rolling, "signing"), await in_state(rolling, "next")
    await rolling.sql.execute("update signing_keys set since = since - interval '1 hour'")
    before = [await machine_token(rolling, on) for on in (0, 1)]
    assert {kid_of(token) for token in before} == {old}
    done = await starts.run(rolling.settings, "keys", "rotate", "--now", "--json")
    assert done.code == 0, done.said
    assert [step["step"] for step in json.loads(done.said)["steps"]][:2] == ["retire", "promote"]

    async def both_sign_with_it() -> bool:
        return {kid_of(await machine_token(rolling, on)) for on in (0, 1)} == {following}

    assert await eventually(both_sign_with_it) < 3
    for on in (0, 1):
        keys = [key["kid"] for key in await published(rolling, on)]
        assert keys[0] == following
        assert old in keys
        assert all([await rolling.is_active(token, on=on) for token in before])


async def test_KY_2_a_compromised_key_is_believed_nowhere_within_seconds(rolling, starts):
    """Its tokens are refused and it is published no longer, although they have not expired."""
    person = await rolling.person()
    device = await rolling.sign_in(person)
    old = kid_of(device.access_token)
    forged = (await Forger.of(rolling, device)).signed()
    assert await rolling.is_active(forged)
    done = await starts.run(rolling.settings, "keys", "rotate", "--compromised")
    assert done.code == 0, done.said

    async def nobody_publishes_it() -> bool:
        published_by = [{key["kid"] for key in await published(rolling, on)} for on in (0, 1)]
        return all(old not in kids for kids in published_by)

    assert await eventually(nobody_publishes_it) < 3
    for on in (0, 1):
        for token in (device.access_token, forged):
            assert not await rolling.is_active(token, on=on)
            answer = await rolling.get(
                "/auth/me", on=on, headers={"authorization": f"Bearer {token}"}
            )
            assert await rolling.refusal(answer) == (401, "invalid_token", "kid: unknown")
    fresh = await rolling.refresh(device)
    assert fresh.status_code == 200, "nobody has to sign in again"
    assert await rolling.is_active(fresh.json()["access_token"], on=1)
    assert await rolling.events("key_compromised", type="key_compromised")


async def test_KY_2_a_lead_shorter_than_what_verifiers_may_cache_is_refused_at_start(
    starts,
):
    done = await starts.run(environ(keys__lead="419", development="false"))
    assert (done.code, "keys.lead must be at least 420 s" in done.said) == (2, True)
    done = await starts.run(environ(keys__lead="420", development="false"), "config", "check")
    assert done.code == 0, done.said


async def test_KY_2_a_retired_key_goes_when_nothing_it_signed_can_be_alive(rolling, starts):
    """The longest access token lives for an hour, and verifiers hear of it three seconds late."""
    device = await rolling.sign_in(await rolling.person())
    old = kid_of(device.access_token)
    await rolling.sql.execute("update signing_keys set since = since - interval '1 hour'")
    done = await starts.run(rolling.settings, "keys", "rotate", "--now")
    assert done.code == 0, done.said
    for minutes, held in ((59, True), (2, False)):
        await rolling.sql.execute(
            "update signing_keys set since = since - interval '1 min' * $2 where kid = $1",
            old,
            minutes,
        )
        done = await starts.run(rolling.settings, "keys", "rotate")
        assert done.code == 0, done.said
        assert (old in await states(rolling)) is held, minutes
        assert await rolling.is_active(device.access_token) or not held

    async def nobody_publishes_it() -> bool:
        published_by = [{key["kid"] for key in await published(rolling, on)} for on in (0, 1)]
        return all(old not in kids for kids in published_by)

    assert await eventually(nobody_publishes_it) < 3
    for on in (0, 1):
        answer = await rolling.get("/auth/me", on=on, headers=device.bearer)
        assert await rolling.refusal(answer) == (401, "invalid_token", "kid: unknown")
    assert (await rolling.refresh(device)).status_code == 200


# -- KY-2, KY-7: the master secret is rolled out --------------------------------------------------


async def test_KY_7_a_master_secret_is_rolled_out_in_two_steps_without_a_lost_sign_in(
    databases, shared_redis_url
):
    """Old, added, put first, alone: neighbours in this order serve side by side."""
    async with databases.fresh() as url, AsyncExitStack() as stack:
        quick = {"keys__staleness": "1", "jobs__keys_interval": "1"}
        issuer = "https://localhost:8445"
        settings = replicas.settings(url, shared_redis_url, issuer=issuer, **quick)
        listed = (MASTER, f"{MASTER},{SECOND}", f"{SECOND},{MASTER}", SECOND)
        stages = [{**settings, "KEYTURN_SECRETS": text} for text in listed]
        (one,) = stack.enter_context(replicas.replicas(stages[0]))
        old = await stack.enter_async_context(api_of(stages[0], [one]))
        with replicas.replicas(stages[1]) as (two,):
            added = await stack.enter_async_context(joined(old, two))
            early = await old.sign_in(await old.person())
            for stage in (added, old, added):
                early = await stage.rotated(early)
            one.kill()
            (three,) = stack.enter_context(replicas.replicas(stages[2]))
            first = await stack.enter_async_context(joined(old, three))
            late = await first.sign_in(await old.person())
            for stage in (added, first):
                early, late = await stage.rotated(early), await stage.rotated(late)
        born_under = [refresh_body(one.refresh_token)[0] for one in (early, late)]
        assert born_under == [1, 2], "a session keeps the secret it was born with"
        await eventually(lambda: sealed_under(old, 2))
        kid = kid_of(await machine_token(first))
        with replicas.replicas(stages[3]) as (four,):
            alone = await stack.enter_async_context(joined(old, four))
            for stage in (alone, first):
                late = await stage.rotated(late)
            assert kid_of(await machine_token(alone)) == kid, "the seal changed, not the key"
            answer = await alone.refresh(early)
            detail = "refresh token: unknown key id"
            assert await alone.refusal(answer) == (400, "invalid_grant", detail)
            await first.rotated(early)


async def sealed_under(api: Api, secret_id: int) -> bool:
    """Whether that secret alone seals the keys."""
    rows = await api.sql.fetch("select private_sealed from signing_keys")
    return {row["private_sealed"][0] for row in rows if row["private_sealed"]} == {secret_id}


# -- KY-4: files --------------------------------------------------------------------------------


async def test_KY_4_a_secret_that_others_can_read_stops_the_start(starts, tmp_path):
    path = tmp_path / "secrets"
    path.write_text(MASTER)
    path.chmod(0o644)
    done = await starts.run(environ(secrets="", secrets_file=str(path)))
    assert done.code == 2
    modes = "use 0400 or 0600, or 0440 or 0640 for a group"
    assert f"{path}: mode 0644 is too open; {modes}" in done.said
    assert MASTER.partition(": ")[2] not in done.said


@pytest.mark.parametrize("kind", ["secrets", "postgres__url"])
async def test_KY_4_only_modes_that_keep_others_out_are_accepted(starts, tmp_path, kind):
    text = environ()[f"KEYTURN_{kind.upper()}"]
    for mode in (0o600, 0o400, 0o640, 0o440, 0o604, 0o620, 0o602, 0o601, 0o444, 0o777):
        path = tmp_path / f"{mode:o}"
        path.write_text(text)
        path.chmod(mode)
        settings = environ(**{kind: "", f"{kind}_file": str(path)})
        done = await starts.run(settings, "config", "check")
        good = mode in {0o600, 0o400, 0o640, 0o440}
        assert done.code == (0 if good else 2), f"{mode:o}: {done.said}"


async def test_KY_4_the_table_holds_sealed_keys_only(api):
    rows = await api.sql.fetch("select * from signing_keys where private_sealed is not null")
    assert len(rows) == 2
    signing = (await Forger.of(api, await api.sign_in(await api.person()))).key
    exponent = signing.private_numbers().d.to_bytes(256, "big")
    for row in rows:
        assert set(json.loads(row["public_jwk"])) == {"kty", "kid", "use", "alg", "n", "e"}
        assert exponent[64:96] not in row["private_sealed"]
        assert b"\x02\x82\x01\x01\x00" not in row["private_sealed"], "DER of an RSA modulus"


# -- KY-5: secrets ------------------------------------------------------------------------------

WEAK = {
    "none": "",
    "short": f"1: {MASTER.partition(': ')[2][:31]}",
    "without an id": MASTER.partition(": ")[2],
    "changeme": "1: changeme-changeme-changeme-changeme-changeme",
    "password": "1: MyPassword-is-as-long-as-you-like-1234",
    "example": "1: ZxvExampleWmQpRtLkJhGfDsAqWeRtYuIoPmN",
    "one letter": "1: " + "x" * 64,
    "few letters": "1: " + "abcx" * 16,
    "digits": "1: 01234567890123456789012345678901",
    "the second one": f"{MASTER}\n2: changeme-changeme-changeme-changeme-1",
    "an id twice": f"{MASTER}\n{MASTER}",
    "id 0": MASTER.replace("1:", "0:", 1),
    "id 256": MASTER.replace("1:", "256:", 1),
}


def samples() -> set[str]:
    """Return every secret that our own papers show: whoever copies it must not get away with it."""
    papers = [ROOT / "README.md", ROOT / "SECURITY.md"]
    papers += [*(ROOT / "config").rglob("*"), *(ROOT / "docs").glob("*.md")]
    found = set()
    for paper in (one for one in papers if one.is_file()):
        text = paper.read_text(encoding="utf-8")
        found |= {
            match[1] for match in re.finditer(r"(?:KEYTURN_SECRETS=|secrets: *)([^\n]*)", text)
        }
    return {sample.strip().strip("\"'") for sample in found}


async def test_KY_5_weak_secrets_stop_the_start_and_are_not_repeated(starts):
    for name, text in WEAK.items():
        done = await starts.run(environ(secrets=text))
        assert done.code == 2, name
        assert "secret" in done.said, name
        value = text.rpartition(": ")[2]
        assert not value or value not in done.said, name


async def test_KY_5_the_samples_of_our_own_papers_are_refused(starts, tmp_path):
    every = samples()
    assert any(sample.startswith("1:") for sample in every), "the file shows how one is written"
    for sample in every:
        assert (await starts.run(environ(secrets=sample))).code == 2, sample
    # As the sample stands in the file, with nothing but the comment sign taken away.
    text = (ROOT / "config" / "keyturn.yaml").read_text(encoding="utf-8")
    config = tmp_path / "keyturn.yaml"
    config.write_text(text.replace("# secrets: ", "secrets: "))
    done = await starts.run(environ(secrets="", config=str(config)))
    assert (done.code, "secret 1 is shorter than 32 bytes" in done.said) == (2, True)


async def test_KY_5_a_secret_that_is_made_here_is_good(starts):
    made = [(await starts.run(environ(), "config", "secret")).said.strip() for _ in range(2)]
    assert made[0] != made[1]
    for text in made:
        done = await starts.run(environ(secrets=text), "config", "check")
        assert done.code == 0, done.said


# -- KY-6: the issuer ---------------------------------------------------------------------------

ODD = (
    {"host": "evil.example.net"},
    {"host": "localhost:1"},
    {"host": "evil.example.net/?x="},
    {"x-forwarded-host": "evil.example.net", "x-forwarded-proto": "http"},
    {"x-forwarded-prefix": "/evil", "x-forwarded-port": "1", "x-forwarded-server": "evil"},
    {"forwarded": "host=evil.example.net;proto=http"},
    {"x-original-url": "/evil", "x-rewrite-url": "/evil", "x-host": "evil.example.net"},
)


@pytest.mark.parametrize("path", [JWKS, *DOCUMENTS, "/auth/openapi.json"])
async def test_KY_6_no_header_moves_what_a_document_says(api, path):
    said = (await api.get(path)).content
    for headers in ODD:
        answer = await api.get(path, headers=headers)
        assert (answer.status_code, answer.content) == (200, said), headers
        assert not any("evil" in value for value in answer.headers.values())


async def test_KY_6_nor_what_a_token_says(api):
    person = await api.person()
    for headers in ODD:
        answer = await api.login(person, headers=headers)
        claims = claims_of(answer.json()["accessToken"])
        assert (claims["iss"], claims["aud"][1]) == (api.issuer, api.issuer)


async def test_KY_6_both_documents_agree_and_stand_below_the_issuer(api):
    said = [(await api.get(path)).json() for path in DOCUMENTS]
    assert said[0] == said[1]
    assert said[0]["issuer"] == api.issuer
    for name, value in said[0].items():
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith(f"{api.issuer}/"), name
            assert (await api.get(value.removeprefix(api.issuer))).status_code != 404


@pytest.mark.parametrize(
    "issuer",
    [
        "http://id.example.org",
        "https://id.example.org/",
        "https://id.example.org/realm",
        "https://id.example.org?x=1",
        "https://id.example.org#f",
        "https://user@id.example.org",
        "id.example.org",
        "ftp://id.example.org",
    ],
)
async def test_KY_6_an_issuer_that_is_no_plain_https_url_stops_the_start(starts, issuer):
    done = await starts.run(environ(issuer=issuer, development="false"))
    assert (done.code, "issuer" in done.said) == (2, True)


# -- KY-7: one key, one purpose -----------------------------------------------------------------

LABELS = (
    "keyturn refresh tag v1",
    "keyturn refresh derive v1",
    "keyturn signing key sealing v1",
    "keyturn throttle v1",
)
TAG, SEALING = LABELS[0], LABELS[2]


async def test_KY_7_a_refresh_token_tagged_under_another_purpose_is_rubbish(api):
    """The tag's own key would do: the row must then be the reason (no verdict, an alarm)."""
    device = await api.sign_in(await api.person())
    body = refresh_body(device.refresh_token)
    assert tagged(body, "app", purpose_key(MASTER, TAG)) == device.refresh_token
    others = [purpose_key(MASTER, label) for label in LABELS if label != TAG]
    others += [MASTER.partition(": ")[2].encode(), purpose_key(SECOND, TAG), bytes(32)]
    for key in others:
        answer = await api.refresh(device, tagged(body, "app", key))
        detail = "refresh token: bad tag"
        assert await api.refusal(answer) == (400, "invalid_grant", detail)
    alarms = api.metric("keyturn_refresh_rotations_total", result="alarm")
    forged = generation_zero(device.session_id, token_bytes(32))
    answer = await api.refresh(device, tagged(forged, "app", purpose_key(MASTER, TAG)))
    assert (await api.refusal(answer))[:2] == (400, "invalid_grant")
    assert api.metric("keyturn_refresh_rotations_total", result="alarm") == alarms + 1
    assert (await api.refresh(device)).status_code == 200


async def test_KY_7_a_private_key_opens_under_the_sealing_key_and_its_own_name_only(api):
    rows = await api.sql.fetch(
        "select kid, private_sealed from signing_keys where private_sealed is not null"
    )
    for row, other in zip(rows, reversed(rows), strict=True):
        sealed, kid = row["private_sealed"], row["kid"].encode()
        assert sealed[0] == 1
        key = purpose_key(MASTER, SEALING)
        assert AESGCM(key).decrypt(sealed[1:13], sealed[13:], kid)[:1] == b"\x30"
        wrong = [(purpose_key(MASTER, label), kid) for label in LABELS if label != SEALING]
        wrong += [(MASTER.partition(": ")[2].encode()[:32], kid), (key, other["kid"].encode())]
        for candidate, name in wrong:
            with pytest.raises(InvalidTag):
                AESGCM(candidate).decrypt(sealed[1:13], sealed[13:], name)
