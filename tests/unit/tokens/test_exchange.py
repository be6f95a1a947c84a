"""TK-8: whatever is presented and asked for, an exchanged token never says more (RFC 8693)."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.clients.model import TOKEN_EXCHANGE, Client
from keyturn.clock import FixedClock
from keyturn.crypto import jose
from keyturn.errors import InvalidDpopProof, InvalidRequest, InvalidScope, InvalidTarget
from keyturn.telemetry.metrics import Metrics
from keyturn.tokens.access_token import AccessTokens
from keyturn.tokens.exchange import MOST_ACTORS, Wish, decide
from keyturn.tokens.verify import VerifiedToken
from support.keys import signing_key

ISSUER = "https://id.example"
NOW = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
SCOPES = ("a", "b", "c", "openid", "email", "offline_access")
AUDIENCES = (
    "https://a.example",
    "https://b.example",
    ISSUER,
    f"{ISSUER}/admin",
    "https://c.example",
)


@dataclass
class Keys:
    """A keyring of one key."""

    signing: jose.SigningKey | None


SIGNER = AccessTokens(
    keyring=Keys(signing_key()),
    metrics=Metrics(),
    clock=FixedClock(NOW),
    issuer=ISSUER,
    lifetime=timedelta(minutes=10),
    client_credentials_lifetime=timedelta(minutes=5),
    step_up_max_age=timedelta(minutes=5),
)


def client_of(scopes=("a",), audiences=("https://a.example",), lifetime=None, claims=(), **policy):
    return Client(
        id="gateway",
        name="G",
        kind="confidential",
        grant_types=frozenset({TOKEN_EXCHANGE}),
        scopes=frozenset(scopes),
        audiences=tuple(audiences),
        claims=claims,
        access_token_lifetime=lifetime,
        token_exchange={"subject_clients": ["app"], "delegation": True, **policy},
    )


def token_of(scopes=("a",), audiences=("https://a.example",), left=60, sub="ada", **claims):
    said = {"scope": " ".join(scopes), "sub": sub, "sid": "s", "auth_time": 1, **claims}
    ends = SECONDS + left
    return VerifiedToken(sub, "app", "j", "s", tuple(audiences), SECONDS - 5, ends, said)


def wish(scopes=None, audiences=None, dpop_jkt=None):
    return Wish(None if scopes is None else frozenset(scopes), audiences, dpop_jkt)


def signed(exchange):
    """Return what the signed token says, and its life as the answer tells it."""
    given = SIGNER.for_exchange(exchange, NOW)
    body = given.value.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "==")), given


def some(of):
    return st.lists(st.sampled_from(of), unique=True)


CHAIN = st.recursive(st.none(), lambda act: st.builds(
    lambda inside: {"sub": "x", **({"act": inside} if inside else {})}, act), max_leaves=3)  # fmt: skip


@given(
    mine=st.tuples(some(SCOPES), some(AUDIENCES)),
    theirs=st.tuples(some(SCOPES), some(AUDIENCES)),
    asked=st.tuples(st.none() | some(SCOPES), st.none() | some(AUDIENCES).filter(bool)),
    left=st.tuples(*(st.none() | st.integers(1, 7200) for _ in range(2)), st.integers(1, 7200)),
    policy=st.fixed_dictionaries({"impersonation": st.booleans(), "delegation": st.booleans()}),
    told=st.tuples(st.booleans(), st.booleans(), CHAIN),
)
def test_TK_8_never_more_scope_audience_or_life_than_was_presented(
    *, mine, theirs, asked, left, policy, told
):
    lifetime, actor_s, subject_s = left
    bound, proven, act = told
    client = client_of(*mine, lifetime and timedelta(seconds=lifetime), ("email",), **policy)
    claims = {**({"cnf": {"jkt": "k"}} if bound else {}), **({"act": act} if act else {})}
    subject = token_of(*theirs, subject_s, **claims)
    actor = None if actor_s is None else token_of(left=actor_s, sub="actor")
    wanted = wish(asked[0], asked[1] and tuple(asked[1]), "key" if proven else None)
    try:
        said, given = signed(decide(client, subject, actor, wanted, ISSUER))
    except (InvalidScope, InvalidTarget, InvalidRequest, InvalidDpopProof):
        return
    scopes = set(said.get("scope", "").split())
    assert scopes <= set(mine[0]) & set(theirs[0])
    assert scopes <= set(SCOPES[:3])
    audiences = {said["aud"]} if isinstance(said["aud"], str) else set(said["aud"])
    assert audiences
    assert audiences <= set(mine[1]) & set(theirs[1]) - {ISSUER, f"{ISSUER}/admin"}
    if asked[1] is not None:
        assert audiences == set(asked[1])
    if asked[0] is not None:
        assert scopes == set(asked[0])
    assert SECONDS < said["exp"] <= subject.exp
    assert actor is None or said["exp"] <= actor.exp
    assert given.expires_in == said["exp"] - said["iat"] <= (lifetime or 600)
    assert (said["sub"], said["sid"], said["client_id"]) == ("ada", "s", "gateway")
    assert "email" not in said, "the subject token does not show it"
    assert bool(bound) <= ("cnf" in said)
    assert given.token_type == ("DPoP" if proven else "Bearer")
    named = said.get("act")
    if policy["impersonation"] and actor is None:
        assert named == act
    else:
        assert policy["delegation"]
        assert named == {"sub": "actor" if actor else "gateway", **({"act": act} if act else {})}


def test_without_scopes_in_common_the_token_has_none():
    said, _ = signed(decide(client_of(), token_of(scopes=("b",)), None, wish(), ISSUER))
    assert "scope" not in said


def test_members_a_client_may_know_are_copied_only_as_the_subject_token_shows_them():
    client = client_of(claims=("email", "name"))
    said, _ = signed(decide(client, token_of(email="a@b.example", x=1), None, wish(), ISSUER))
    assert (said["email"], "name" in said, "x" in said) == ("a@b.example", False, False)


def test_the_new_token_is_bound_to_the_key_that_was_proven():
    bound = token_of(cnf={"jkt": "another"})
    said, given = signed(decide(client_of(), bound, None, wish(dpop_jkt="mine"), ISSUER))
    assert (said["cnf"], given.token_type) == ({"jkt": "mine"}, "DPoP")
    with pytest.raises(InvalidDpopProof):
        decide(client_of(), bound, None, wish(), ISSUER)


@pytest.mark.parametrize("length", range(MOST_ACTORS + 2))
def test_a_chain_of_actors_is_bounded_and_read_to_its_end(length):
    act = None
    for number in range(length):
        act = {"sub": str(number), **({"act": act} if act else {})}
    subject = token_of(**({"act": act} if act else {}))
    if length < MOST_ACTORS:
        said, _ = signed(decide(client_of(), subject, None, wish(), ISSUER))
        assert said["act"] == {"sub": "gateway", **({"act": act} if act else {})}
    else:
        with pytest.raises(InvalidRequest, match="too long"):
            decide(client_of(), subject, None, wish(), ISSUER)


def test_a_token_that_ends_while_it_is_exchanged_gives_none():
    exchange = decide(client_of(), token_of(left=1), None, wish(), ISSUER)
    with pytest.raises(InvalidRequest, match="meanwhile"):
        SIGNER.for_exchange(exchange, NOW + timedelta(seconds=1))


@pytest.mark.parametrize("actor", [None, "worker"])
def test_may_act_binds_whoever_acts_and_is_passed_on(actor):
    named = actor or "gateway"
    presented = None if actor is None else token_of(sub=actor)
    subject = token_of(may_act={"sub": named})
    said, _ = signed(decide(client_of(), subject, presented, wish(), ISSUER))
    assert (said["may_act"], said["act"]) == ({"sub": named}, {"sub": named})
    for wrong in ({"sub": "else"}, {"sub": named, "client_id": named}, {}, "gateway", [named]):
        for policy in ({}, {"impersonation": True}):
            with pytest.raises(InvalidRequest, match="may_act"):
                decide(client_of(**policy), token_of(may_act=wrong), presented, wish(), ISSUER)


@pytest.mark.parametrize(
    ("subject", "actor", "own", "life"),
    [(60, None, None, 60), (60, 9, None, 9), (9, 60, None, 9), (900, 900, None, 600),
     (900, None, 30, 30), (9, 30, 30, 9), (1, 1, 1, 1)],
)  # fmt: skip
def test_TK_8_the_first_of_all_ends_ends_the_new_token(subject, actor, own, life):
    client = client_of(lifetime=own and timedelta(seconds=own))
    presented = None if actor is None else token_of(left=actor, sub="actor")
    said, given = signed(decide(client, token_of(left=subject), presented, wish(), ISSUER))
    assert (said["exp"] - SECONDS, given.expires_in) == (life, life)
