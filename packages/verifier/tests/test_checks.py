"""What is asked of a token: each row is refused for its own reason, and for no other."""

import hmac
import json
from contextlib import asynccontextmanager

import pytest
from documents import Counting, Documents
from issuing import (
    AUDIENCE,
    ISSUER,
    JWKS_URI,
    NOW,
    b64,
    claims,
    jwk,
    jwks,
    jws,
    listed,
    other_key,
    rsa,
    signed,
    token,
)

from keyturn_verifier import InvalidToken, Reason, Verifier

KEY_OF_A_STRANGER = rsa("stranger")


async def verified(text, documents=None, **options):
    async with (documents or Documents()).verifier(**options) as verifier:
        return await verifier.verify(text)


async def reason_of(text, documents=None, **options):
    with pytest.raises(InvalidToken) as refused:
        await verified(text, documents, **options)
    return refused.value.reason


def raw(header=b'{"alg":"RS256","kid":"one","typ":"at+jwt"}', payload=None):
    return jws(header, payload or json.dumps(claims()).encode(), rsa())


async def test_a_good_token_says_all_it_says():
    bound = {"cnf": {"jkt": "thumbprint"}, "status": listed(7)}
    text = token(auth_time=int(NOW) - 5, acr="urn:x", roles=["clerk"], **bound)
    async with Documents().verifier() as verifier:
        good = await verifier.verify(text, bound_to="thumbprint")
    assert (good.subject, good.client_id, good.token_id) == ("user-1", "app", "token-1")
    assert good.scopes == {"orders.read", "orders.write"}
    assert good.audiences == (AUDIENCE, ISSUER)
    assert (good.issued_at, good.expires_at) == (NOW, NOW + 600)
    assert (good.session_id, good.auth_time, good.acr) == ("session-1", NOW - 5, "urn:x")
    assert good.key_thumbprint == "thumbprint"
    assert good.status == (f"{ISSUER}/oauth2/status/0", 7)
    assert good.claims["roles"] == ["clerk"]


async def test_a_clients_own_token_has_no_session():
    good = await verified(token(sid=None, scope=None, aud=AUDIENCE))
    assert (good.session_id, good.scopes, good.status) == (None, frozenset(), None)
    assert good.audiences == (AUDIENCE,)


REFUSED_HEADERS = [
    ({"typ": "JWT"}, Reason.TYPE),  # an ID token
    ({"typ": "logout+jwt"}, Reason.TYPE),
    ({"typ": "statuslist+jwt"}, Reason.TYPE),
    ({"typ": "dpop+jwt"}, Reason.TYPE),
    ({"typ": None}, Reason.TYPE),
    ({"typ": ["at+jwt"]}, Reason.TYPE),
    ({"typ": "application/application/at+jwt"}, Reason.TYPE),
    ({"alg": "RS512"}, Reason.ALGORITHM),
    ({"crit": []}, Reason.CRITICAL),
    ({"crit": ["exp"], "exp": 1}, Reason.CRITICAL),
    ({"crit": ["b64"], "b64": False}, Reason.CRITICAL),
    ({"kid": None}, Reason.UNKNOWN_KEY),
    ({"kid": ""}, Reason.UNKNOWN_KEY),
    ({"kid": 1}, Reason.UNKNOWN_KEY),
    ({"kid": ["one"]}, Reason.UNKNOWN_KEY),
    ({"kid": "nobody's"}, Reason.UNKNOWN_KEY),
]


@pytest.mark.parametrize(("header", "reason"), REFUSED_HEADERS)
async def test_a_header_is_refused(header, reason):
    assert await reason_of(signed(claims(), **header)) == reason


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+JWT"])
async def test_a_type_is_compared_without_case(typ):
    assert await verified(signed(claims(), typ=typ))


REFUSED_CLAIMS = [
    ({"iss": f"{ISSUER}/"}, Reason.ISSUER),
    ({"iss": None}, Reason.ISSUER),
    ({"iss": [ISSUER]}, Reason.ISSUER),
    ({"aud": "https://other.example.test"}, Reason.AUDIENCE),
    ({"aud": [f"{AUDIENCE}/"]}, Reason.AUDIENCE),
    ({"aud": None}, Reason.AUDIENCE),
    ({"aud": []}, Reason.AUDIENCE),
    ({"aud": {AUDIENCE: 1}}, Reason.AUDIENCE),
    ({"aud": [AUDIENCE, 1]}, Reason.CLAIMS),
    ({"exp": int(NOW) - 60}, Reason.EXPIRED),
    ({"exp": None}, Reason.CLAIMS),
    ({"exp": "1900000000"}, Reason.CLAIMS),
    ({"exp": True}, Reason.CLAIMS),
    ({"exp": -1}, Reason.CLAIMS),
    ({"exp": 10**400}, Reason.CLAIMS),
    ({"exp": [int(NOW) + 60]}, Reason.CLAIMS),
    ({"nbf": int(NOW) + 61}, Reason.NOT_YET_VALID),
    ({"nbf": "0"}, Reason.CLAIMS),
    ({"iat": int(NOW) + 61}, Reason.NOT_YET_VALID),
    ({"iat": None}, Reason.CLAIMS),
    ({"sub": None}, Reason.CLAIMS),
    ({"sub": ""}, Reason.CLAIMS),
    ({"sub": 1}, Reason.CLAIMS),
    ({"client_id": None}, Reason.CLAIMS),
    ({"client_id": ["app"]}, Reason.CLAIMS),
    ({"jti": None}, Reason.CLAIMS),
    ({"jti": {}}, Reason.CLAIMS),
    ({"scope": ["orders.read"]}, Reason.CLAIMS),
    ({"sid": 1}, Reason.CLAIMS),
    ({"acr": []}, Reason.CLAIMS),
    ({"auth_time": "now"}, Reason.CLAIMS),
    ({"cnf": {"x5t#S256": "certificate"}}, Reason.PROOF),
    ({"cnf": {"jkt": "thumbprint", "x5t#S256": "certificate"}}, Reason.PROOF),
    ({"cnf": {"jkt": 1}}, Reason.PROOF),
    ({"cnf": {}}, Reason.PROOF),
    ({"cnf": "thumbprint"}, Reason.PROOF),
    ({"status": []}, Reason.CLAIMS),
    ({"status": {"status_list": "0"}}, Reason.CLAIMS),
    ({"status": listed(-1)}, Reason.CLAIMS),
    ({"status": listed(index=True)}, Reason.CLAIMS),
    ({"status": listed("0")}, Reason.CLAIMS),
    ({"status": listed(2**40)}, Reason.CLAIMS),
    ({"status": listed(0, "https://attacker.example.test/0")}, Reason.CLAIMS),
    ({"status": listed(0, "not an address")}, Reason.CLAIMS),
]


@pytest.mark.parametrize(("members", "reason"), REFUSED_CLAIMS)
async def test_claims_are_refused(members, reason):
    assert await reason_of(token(**members)) == reason


@pytest.mark.parametrize(
    "members",
    [
        {"exp": int(NOW) - 59},
        {"exp": NOW + 0.5},
        {"nbf": int(NOW) + 60, "iat": int(NOW) + 60},
        {"status": {"another_mechanism": {}}},
    ],
)
async def test_clocks_may_differ_and_more_may_be_said(members):
    assert await verified(token(**members))


async def test_the_leeway_can_be_taken_away():
    assert await reason_of(token(exp=int(NOW)), leeway=0) == Reason.EXPIRED


MALFORMED = [
    "a",
    "a.b",
    "....",
    f"{token()}.",
    f" {token()}",
    f"{token()}\n",
    f"{token()}=",
    f"Bearer {token()}",
    token().replace(".", ".."),
    "e30.e30.",
    "é" + token(),
    raw(b"[]"),
    raw(b"null"),
    raw(b'{"alg":"RS256","kid":"one","typ":"JWT","typ":"at+jwt"}'),
    raw(b'{"alg":"RS256","kid":"one","typ":"at+jwt","x":NaN}'),
    raw(b"\xff\xfe{}"),
    raw(payload=b'{"iss":"https://a","iss":"https://b"}'),
    raw(payload=b'{"exp":Infinity}'),
    raw(payload=b'"text"'),
    raw(payload=b"[" * 9000),
    raw(payload=b'{"exp":' + b"9" * 6000 + b"}"),
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_malformed_token_is_refused(text):
    assert await reason_of(text) == Reason.MALFORMED


async def test_no_token_is_a_missing_one():
    assert await reason_of("") == Reason.MISSING


@pytest.mark.parametrize(
    "text", [token(x="x" * 20_000), "x" * 10**6, signed(claims(), x="x" * 3000)]
)
async def test_size_is_looked_at_before_anything_is_decoded(text):
    documents = Documents()
    assert await reason_of(text, documents) == Reason.TOO_LARGE
    assert await reason_of("." * 20_000, documents) == Reason.TOO_LARGE


async def test_an_algorithm_belongs_to_its_key():
    """RFC 8725 section 2.1: the public key is no shared secret, and nothing is no signature."""
    text = raw(b'{"alg":"HS256","kid":"one","typ":"at+jwt"}').rsplit(".", 1)[0]
    mac = hmac.digest(rsa().as_pem(private=False), text.encode(), "sha256")
    assert await reason_of(f"{text}.{b64(mac)}") == Reason.ALGORITHM
    unsigned = raw(b'{"alg":"none","kid":"one","typ":"at+jwt"}')
    assert await reason_of(unsigned) == Reason.ALGORITHM
    assert await reason_of(unsigned.rsplit(".", 1)[0] + ".") == Reason.MALFORMED
    pinned = Documents(jwk(rsa(), alg="RS256"))
    assert await reason_of(signed(claims(), alg="PS256"), pinned) == Reason.ALGORITHM
    assert await reason_of(signed(claims(), other_key("ES256"), alg="ES256")) == Reason.ALGORITHM
    assert await reason_of(signed(claims(), alg="PS256"), algorithms=["RS256"]) == Reason.ALGORITHM


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_rsa_signatures(alg):
    good, bad = signed(claims(), alg=alg), signed(claims(), KEY_OF_A_STRANGER, alg=alg, kid="one")
    assert await verified(good, algorithms=[alg])
    assert await reason_of(bad, algorithms=[alg]) == Reason.SIGNATURE


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA"])
async def test_signatures_on_curves(alg):
    key, stranger = other_key(alg), other_key(alg, "stranger")
    good, bad = signed(claims(), key, alg=alg), signed(claims(), stranger, alg=alg, kid="one")
    assert await verified(good, Documents(key), algorithms=[alg])
    assert await reason_of(bad, Documents(key), algorithms=[alg]) == Reason.SIGNATURE
    assert await reason_of(good[:-4], Documents(key), algorithms=[alg]) in {
        Reason.SIGNATURE,
        Reason.MALFORMED,
    }


@pytest.mark.parametrize(
    "brought",
    [
        {"jwk": jwk(KEY_OF_A_STRANGER)},
        {"jku": "https://attacker.example.test/jwks"},
        {"x5u": "https://attacker.example.test/chain"},
        {"x5c": ["MIIB"]},
    ],
)
async def test_a_key_that_a_token_brings_along_is_ignored(brought):
    documents = Documents()
    forged = signed(claims(), KEY_OF_A_STRANGER, kid="one", **brought)
    assert await reason_of(forged, documents) == Reason.SIGNATURE
    assert not [url for url in documents.asked if "attacker" in url]


async def test_a_token_without_a_type_passes_only_where_that_is_allowed():
    for typ in ("JWT", None):
        assert await verified(signed(claims(), typ=typ), allow_legacy_typ=True)
    for said in ({"nonce": "n"}, {"at_hash": "h"}, {"events": {}}):
        other_kind = signed(claims(**said), typ="JWT")
        assert await reason_of(other_kind, allow_legacy_typ=True) == Reason.TYPE
    assert await reason_of(signed(claims(), typ="logout+jwt"), allow_legacy_typ=True) == Reason.TYPE


@pytest.mark.parametrize(
    ("bound", "proven"), [("key", None), ("key", "another"), ("key", ""), (None, "key"), (None, "")]
)
async def test_a_bound_token_needs_its_key_and_a_proof_needs_a_bound_token(bound, proven):
    text = token(cnf=bound and {"jkt": bound})
    async with Documents().verifier() as verifier:
        for _ in "once", "and from the cache":
            with pytest.raises(InvalidToken) as refused:
                await verifier.verify(text, bound_to=proven)
            assert refused.value.reason == Reason.PROOF
        assert await verifier.verify(text, bound_to=bound)


async def test_a_token_bound_in_two_ways_needs_both():
    text = token(cnf={"jkt": "thumbprint", "x5t#S256": "certificate"})
    async with Documents().verifier() as verifier:
        with pytest.raises(InvalidToken) as refused:
            await verifier.verify(text, bound_to="thumbprint")
    assert refused.value.reason == Reason.PROOF


async def test_whoever_counts_hears_of_every_token():
    counting = Counting()
    async with Documents().verifier(observer=counting) as verifier:
        await verifier.verify(token())
        await verifier.verify(token())
        with pytest.raises(InvalidToken):
            await verifier.verify("")
    assert counting.verifications == [False, True]
    assert counting.refusals == [Reason.MISSING]
    assert counting.jwks == [(True, 0.0)]


@pytest.mark.parametrize(
    ("issuer", "audience", "options"),
    [
        ("http://id.example.test", AUDIENCE, {}),
        ("https://user@id.example.test", AUDIENCE, {}),
        ("id.example.test", AUDIENCE, {}),
        ("", AUDIENCE, {}),
        (ISSUER, "", {}),
        (ISSUER, AUDIENCE, {"algorithms": []}),
        (ISSUER, AUDIENCE, {"algorithms": ["none"]}),
        (ISSUER, AUDIENCE, {"algorithms": ["RS256", "HS256"]}),
        (ISSUER, AUDIENCE, {"leeway": -1}),
        (ISSUER, AUDIENCE, {"leeway": 301}),
        (ISSUER, AUDIENCE, {"jwks_uri": "http://id.example.test/jwks"}),
    ],
)
def test_what_would_not_be_safe_is_refused_at_once(issuer, audience, options):
    with pytest.raises(ValueError, match=r"."):
        Verifier(issuer, audience, **options)


@asynccontextmanager
async def _published(*keys):
    documents = Documents()
    documents.answers[JWKS_URI] = jwks(*keys)
    async with documents.verifier(algorithms=["RS256", "ES256"]) as verifier:
        yield verifier


@pytest.mark.parametrize(
    "unusable",
    [
        jwk(rsa(), use="enc"),
        jwk(rsa(), key_ops=["sign"]),
        jwk(rsa(), key_ops=1),
        jwk(rsa(), alg="RSA-OAEP"),
        jwk(rsa(), alg=1),
        jwk(rsa(), kty="oct"),
        jwk(rsa(), kty=[]),
        jwk(rsa(), n="!"),
        jwk(rsa(), n=1),
        jwk(rsa("one", 1024)),
        rsa().as_dict(private=True),
        {"kid": "one", "kty": "oct", "k": "c2VjcmV0"},
        {"kid": "one"},
        {"kty": "RSA"},
        {"kid": ["one"]},
        [],
        None,
    ],
)
async def test_a_key_that_cannot_be_used_harms_no_other(unusable):
    good = other_key("ES256", "two")
    async with _published(unusable, good) as verifier:
        assert await verifier.verify(signed(claims(), good, alg="ES256"))
        with pytest.raises(InvalidToken) as refused:
            await verifier.verify(token())
        assert refused.value.reason == Reason.UNKNOWN_KEY
