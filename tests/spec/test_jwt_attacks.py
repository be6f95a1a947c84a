"""JW: access tokens at our own endpoints, and everything an attacker makes of one (RFC 8725).

The black-box rows over HTTP are elsewhere; here the verifier itself is attacked, and each refusal
must give the reason that belongs to it: the right status for the wrong reason would hide a hole.
"""

import base64
import hashlib
import hmac
import json
import tracemalloc
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey

from keyturn.clock import FixedClock
from keyturn.crypto import jose
from keyturn.errors import InvalidToken, Unavailable
from keyturn.revocation.revocations import Finding
from keyturn.tokens.verify import AccessTokenVerifier
from support.keys import private_key, public_key, signing_key

ISSUER = "https://id.example"
API = "https://api.example"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = int(NOW.timestamp())
SKEW = 60
KID = signing_key().kid
HEADER = {"alg": "RS256", "typ": "at+jwt", "kid": KID}
CLAIMS = {
    "iss": ISSUER,
    "sub": "0198f0c4-0000-7000-8000-000000000001",
    "aud": [API, ISSUER],
    "client_id": "web",
    "iat": START,
    "exp": START + 600,
    "jti": "one-token",
    "sid": "0198f0c4-0000-7000-8000-000000000002",
    "scope": "orders.read profile",
    "auth_time": START - 30,
}


@dataclass
class KnownKeys:
    """A keyring that holds one key, and remembers what it was asked for."""

    asked: list[str] = field(default_factory=list)

    def find(self, kid):
        self.asked.append(kid)
        return {KID: public_key()}.get(kid)


@dataclass
class Ended:
    """What has been revoked, and every question about it."""

    ids: set[str] = field(default_factory=set)
    asked: list[tuple[str | None, str]] = field(default_factory=list)

    async def look_up(self, sid, jti):
        self.asked.append((sid, jti))
        return Finding(bool(self.ids & {sid, jti}), "database")


@pytest.fixture
def keys() -> KnownKeys:
    return KnownKeys()


@pytest.fixture
def ended() -> Ended:
    return Ended()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def verifier(keys, ended, clock) -> AccessTokenVerifier:
    return AccessTokenVerifier(keys, ended, clock, ISSUER, SKEW)


def b64(data: bytes | str | dict) -> str:
    if isinstance(data, dict):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def rs256(signed: str) -> bytes:
    return private_key().sign(signed.encode(), padding.PKCS1v15(), SHA256())


def signed(header: dict | str = HEADER, claims: dict | str = CLAIMS) -> str:
    """Sign anything at all with our own key: only what the token says is wrong."""
    text = f"{b64(header)}.{b64(claims)}"
    return f"{text}.{b64(rs256(text))}"


def without(claims: dict, name: str) -> dict:
    return {key: value for key, value in claims.items() if key != name}


async def refusal(verifier: AccessTokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        await verifier.verify(token, API)
    return caught.value.detail


async def test_JW_1_a_good_token_is_read(verifier, ended):
    token = await verifier.verify(signing_key().sign(json.dumps(CLAIMS).encode()), API)
    assert (token.sub, token.client_id, token.jti) == (CLAIMS["sub"], "web", "one-token")
    assert token.aud == (API, ISSUER)
    assert (token.iat, token.exp) == (START, START + 600)
    assert token.claims == CLAIMS
    assert ended.asked == [(CLAIMS["sid"], "one-token")]


async def test_a_machines_token_has_no_session(verifier, ended):
    claims = without(without(CLAIMS, "sid"), "auth_time") | {"aud": API}
    token = await verifier.verify(signed(claims=claims), API)
    assert (token.sid, token.aud) == (None, (API,))
    assert ended.asked == [(None, "one-token")]


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["RS256"], "rs256"], ids=repr
)
@pytest.mark.parametrize("signature", ["", "AAAA", "genuine"])
async def test_JW_3_unsigned_tokens_are_refused_however_they_spell_it(verifier, alg, signature):
    text = f"{b64(HEADER | {'alg': alg})}.{b64(CLAIMS)}"
    proof = b64(rs256(text)) if signature == "genuine" else signature
    assert await refusal(verifier, f"{text}.{proof}") == "alg: not allowed"


def public_half_in_every_form() -> dict[str, bytes]:
    """Return what an attacker could offer as an HMAC key, knowing our JWKS."""
    public = private_key().public_key()
    encodings, formats = serialization.Encoding, serialization.PublicFormat
    pem = public.public_bytes(encodings.PEM, formats.SubjectPublicKeyInfo)
    jwk = jose.public_jwk(private_key())
    return {
        "pem": pem,
        "pem without its last newline": pem.rstrip(b"\n"),
        "pem with CRLF": pem.replace(b"\n", b"\r\n"),
        "pem with two newlines": pem + b"\n",
        "pkcs1 pem": public.public_bytes(encodings.PEM, formats.PKCS1),
        "der": public.public_bytes(encodings.DER, formats.SubjectPublicKeyInfo),
        "pkcs1 der": public.public_bytes(encodings.DER, formats.PKCS1),
        "jwk": json.dumps(jwk).encode(),
        "compact jwk": json.dumps(jwk, separators=(",", ":")).encode(),
        "modulus": base64.urlsafe_b64decode(jwk["n"] + "=="),
        "modulus as text": jwk["n"].encode(),
        "kid": KID.encode(),
        "nothing": b"",
    }


@pytest.mark.parametrize("form", public_half_in_every_form())
@pytest.mark.parametrize(("alg", "digest"), [("HS256", "sha256"), ("HS512", "sha512")])
async def test_JW_3_the_public_key_is_no_hmac_secret(verifier, form, alg, digest):
    text = f"{b64(HEADER | {'alg': alg})}.{b64(CLAIMS)}"
    mac = hmac.new(public_half_in_every_form()[form], text.encode(), digest).digest()
    assert await refusal(verifier, f"{text}.{b64(mac)}") == "alg: not allowed"


async def test_JW_3_an_hmac_under_the_name_of_rs256_is_no_signature(verifier):
    text = f"{b64(HEADER)}.{b64(CLAIMS)}"
    for key in public_half_in_every_form().values():
        mac = hmac.new(key, text.encode(), hashlib.sha256).digest()
        detail = await refusal(verifier, f"{text}.{b64(mac)}")
        assert detail == "signature: BadSignatureError"


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "ES256", "EdDSA", "Ed25519"])
async def test_JW_3_other_asymmetric_algorithms_are_refused_by_name(verifier, alg):
    """Even when the signature is what the header says: the list has one member."""
    text = f"{b64(HEADER | {'alg': alg})}.{b64(CLAIMS)}"
    pads = {"PS256": padding.PSS(padding.MGF1(SHA256()), 32), "RS512": padding.PKCS1v15()}
    digest = SHA512() if alg == "RS512" else SHA256()
    proof = private_key().sign(text.encode(), pads.get(alg, padding.PKCS1v15()), digest)
    assert await refusal(verifier, f"{text}.{b64(proof)}") == "alg: not allowed"


async def test_JW_3_an_elliptic_signature_under_our_kid_is_no_signature(verifier):
    text = f"{b64(HEADER)}.{b64(CLAIMS)}"
    der = ec.generate_private_key(ec.SECP256R1()).sign(text.encode(), ec.ECDSA(SHA256()))
    r, s = utils.decode_dss_signature(der)
    proof = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert await refusal(verifier, f"{text}.{b64(proof)}") == "signature: BadSignatureError"


async def test_JW_3_a_pss_signature_under_the_name_of_rs256_is_refused(verifier):
    text = f"{b64(HEADER)}.{b64(CLAIMS)}"
    proof = private_key().sign(text.encode(), padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    assert await refusal(verifier, f"{text}.{b64(proof)}") == "signature: BadSignatureError"


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "logout+jwt", "dpop+jwt", "AT+JWT", "", None, 1], ids=repr
)
async def test_JW_2_another_kind_of_token_is_no_access_token(verifier, typ):
    assert await refusal(verifier, signed(HEADER | {"typ": typ})) == "typ: not at+jwt"


async def test_JW_2_a_token_without_a_type_is_no_access_token(verifier):
    assert await refusal(verifier, signed(without(HEADER, "typ"))) == "typ: not at+jwt"


KID_TRICKS = [
    "../../../../dev/null",
    "/dev/null",
    "' OR 1=1 --",
    "'; drop table signing_keys; --",
    "http://127.0.0.1:9/jwks.json",
    "file:///etc/passwd",
    "| id",
    f"{KID}\x00",
    f" {KID}",
    KID.swapcase(),
    "",
    "\ud800",
    "k" * 2000,
]


@pytest.mark.parametrize("kid", KID_TRICKS, ids=range(len(KID_TRICKS)))
async def test_JW_4_a_kid_is_looked_up_in_a_dict_and_nowhere_else(verifier, keys, kid):
    assert await refusal(verifier, signed(HEADER | {"kid": kid})) == "kid: unknown"
    assert keys.asked == [kid]


@pytest.mark.parametrize(
    "kid",
    [None, 7, True, [], [KID], {"kid": KID}],
    ids=["null", "number", "true", "empty", "list", "object"],
)
async def test_JW_4_a_kid_is_text(verifier, keys, kid):
    assert await refusal(verifier, signed(HEADER | {"kid": kid})) == "kid: missing"
    assert keys.asked == []


def foreign() -> RSAKey:
    return RSAKey.import_key(private_key(5))


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": foreign().as_dict(private=False)},
        {"jku": "http://127.0.0.1:9/jwks.json"},
        {"x5u": "http://127.0.0.1:9/cert.pem"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": "b64"},
        {"crit": None},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
    ],
    ids=lambda extra: "+".join(
        name if isinstance(value, dict) else f"{name}={str(value)[:12]}"
        for name, value in extra.items()
    ),
)
async def test_JW_4_JW_5_headers_that_bring_keys_or_change_meaning_are_refused(
    verifier, keys, extra
):
    """By the attacker's key, and by ours: the signature is not even looked at."""
    header = HEADER | extra
    text = f"{b64(header)}.{b64(CLAIMS)}"
    forged = private_key(5).sign(text.encode(), padding.PKCS1v15(), SHA256())
    for token in (f"{text}.{b64(forged)}", signed(header)):
        assert await refusal(verifier, token) == f"header: {next(iter(extra))}"
    assert keys.asked == []


async def test_JW_5_an_unencoded_payload_is_refused(verifier):
    """RFC 7797: with `b64: false` the payload is signed as it stands."""
    header = b64(HEADER | {"b64": False})
    text = f"{header}.{json.dumps(CLAIMS)}"
    assert await refusal(verifier, f"{text}.{b64(rs256(text))}") == (
        "form: not three base64url segments"
    )
    assert await refusal(verifier, signed(HEADER | {"b64": False})) == "header: b64"


async def test_unknown_headers_are_refused(verifier):
    token = signed(HEADER | {"x5t": "AAAA"})
    assert await refusal(verifier, token) == "header: unknown member"


@pytest.mark.parametrize(
    ("header", "claims", "reason"),
    [
        (f'{{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"{KID}"}}', CLAIMS, "header"),
        (f'{{"alg":"RS256","typ":"at+jwt","kid":"x","kid":"{KID}"}}', CLAIMS, "header"),
        (HEADER, json.dumps(CLAIMS)[:-1] + ',"sub":"admin"}', "payload"),
        (HEADER, json.dumps(CLAIMS)[:-1] + ',"cnf":{"jkt":"a","jkt":"b"}}', "payload"),
    ],
    ids=["alg", "kid", "sub", "nested"],
)
async def test_JW_5_a_member_named_twice_is_refused(verifier, header, claims, reason):
    detail = await refusal(verifier, signed(header, claims))
    assert detail == f"{reason}: a member is named twice"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("[]", "header: not an object"),
        ("{", "header: not JSON"),
        ('{"alg":NaN}', "header: NaN is not JSON"),
        ("[" * 5000, "header: nested too deeply"),
        (b"\xff\xfe", "header: not UTF-8"),
    ],
    ids=["list", "torn", "nan", "deep", "binary"],
)
async def test_a_header_that_is_no_json_object_is_refused(verifier, text, detail):
    assert await refusal(verifier, f"{b64(text)}.{b64(CLAIMS)}.AAAA") == detail


async def test_JW_5_a_token_over_8_KiB_is_refused_before_it_is_decoded(verifier, keys):
    """A megabyte costs a length check: nothing of its size is allocated."""
    token = signed(HEADER | {"kid": "k" * 2**20})
    tracemalloc.start()
    assert await refusal(verifier, token) == "size: more than 8 KiB"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
    assert keys.asked == []


async def test_JW_5_an_encrypted_token_is_refused(verifier):
    """JWE under our published key: five segments, whoever can read it."""
    header = {"alg": "RSA-OAEP", "enc": "A256GCM", "typ": "at+jwt", "kid": KID}
    key = RSAKey.import_key(private_key().public_key())
    token = jwe.encrypt_compact(header, json.dumps(CLAIMS), key)
    assert await refusal(verifier, token) == "form: not three base64url segments"
    direct = jwe.encrypt_compact(
        {"alg": "dir", "enc": "A256GCM"}, json.dumps(CLAIMS), OctKey.generate_key(256)
    )
    assert await refusal(verifier, direct) == "form: not three base64url segments"


GOOD = signed()


SPELLINGS = {
    "nothing": "",
    "one dot": ".",
    "two dots": "..",
    "two segments": "a.b",
    "opaque": "opaque",
    "dot behind": GOOD + ".",
    "dot before": "." + GOOD,
    "padding": GOOD + "=",
    "padding inside": GOOD.replace(".", "=.", 1),
    "space behind": GOOD + " ",
    "space before": " " + GOOD,
    "newline": GOOD + "\n",
    "junk a lenient decoder skips": GOOD[:-10] + "!" + GOOD[-10:],
    "the other alphabet": GOOD.replace("_", "/").replace("-", "+") + "/",
    "beyond ASCII": "é" + GOOD,
    "JSON serialization": json.dumps({"payload": b64(CLAIMS), "signatures": []}),
}


@pytest.mark.parametrize("token", SPELLINGS.values(), ids=SPELLINGS)
async def test_a_token_has_one_form(verifier, token):
    assert await refusal(verifier, token) == "form: not three base64url segments"


async def test_the_unused_bits_of_the_last_character_are_zero(verifier):
    """Else sixteen spellings of one token would pass: a block-list of tokens would miss fifteen."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(GOOD[-1]) ^ 1]
    assert await refusal(verifier, GOOD[:-1] + other) == "form: not canonical base64url"


async def test_a_changed_claim_breaks_the_signature(verifier):
    header, _, proof = GOOD.split(".")
    token = f"{header}.{b64(CLAIMS | {'sub': 'admin'})}.{proof}"
    assert await refusal(verifier, token) == "signature: BadSignatureError"


@pytest.mark.parametrize(
    "proof", ["", "AA", b64(b"\x00" * 256), b64(b"\xff" * 256)], ids=["empty", "short", "0", "1"]
)
async def test_a_signature_of_nothing_is_refused(verifier, proof):
    detail = await refusal(verifier, f"{b64(HEADER)}.{b64(CLAIMS)}.{proof}")
    assert detail == "signature: BadSignatureError"


async def test_a_foreign_key_under_our_kid_is_refused(verifier):
    text = f"{b64(HEADER)}.{b64(CLAIMS)}"
    proof = private_key(5).sign(text.encode(), padding.PKCS1v15(), SHA256())
    assert await refusal(verifier, f"{text}.{b64(proof)}") == "signature: BadSignatureError"


@pytest.mark.parametrize(
    "issuer",
    [ISSUER + "/", ISSUER.upper(), "http://id.example", "https://id.example.evil", None],
    ids=repr,
)
async def test_JW_6_the_issuer_is_exact(verifier, issuer):
    detail = await refusal(verifier, signed(claims=CLAIMS | {"iss": issuer}))
    assert detail == "iss: another issuer"


@pytest.mark.parametrize(
    "audience",
    ["https://other.example", API + "/", [API + "/", "web"], "web", "*", [], API[:-1]],
    ids=repr,
)
async def test_JW_6_JW_7_the_audience_is_exact(verifier, audience):
    detail = await refusal(verifier, signed(claims=CLAIMS | {"aud": audience}))
    assert detail == "aud: not for this audience"


@pytest.mark.parametrize("audience", [None, 7, {API: 1}, [API, 7], [[API]]], ids=repr)
async def test_a_malformed_audience_is_refused(verifier, audience):
    detail = await refusal(verifier, signed(claims=CLAIMS | {"aud": audience}))
    assert detail == "aud: missing or malformed"


async def test_without_an_audience_nothing_is_good(verifier):
    with pytest.raises(InvalidToken, match="aud"):
        await verifier.verify(GOOD)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"exp": START}, "exp: expired"),
        ({"exp": START - 10**6}, "exp: expired"),
        ({"iat": START + SKEW + 1}, "iat: in the future"),
        ({"nbf": START + SKEW + 1}, "nbf: in the future"),
    ],
    ids=["just expired", "long expired", "iat", "nbf"],
)
async def test_JW_6_times_are_checked_and_the_end_of_a_token_exactly(verifier, change, detail):
    assert await refusal(verifier, signed(claims=CLAIMS | change)) == detail


@pytest.mark.parametrize(
    "change",
    [{"exp": START + 1}, {"iat": START + SKEW}, {"nbf": START + SKEW}],
    ids=["exp", "iat", "nbf"],
)
async def test_JW_6_inside_the_leeway_a_token_is_good(verifier, change):
    await verifier.verify(signed(claims=CLAIMS | change), API)


async def test_a_token_ends_when_the_clock_moves_on(verifier, clock):
    await verifier.verify(GOOD, API)
    clock.advance(timedelta(seconds=600))
    assert await refusal(verifier, GOOD) == "exp: expired"


@pytest.mark.parametrize("name", ["sub", "client_id", "jti", "iat", "exp"])
async def test_a_required_claim_is_required(verifier, name):
    assert await refusal(verifier, signed(claims=without(CLAIMS, name))) == f"{name}: missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp", True),
        ("exp", str(START + 600)),
        ("exp", START + 600.5),
        ("exp", 1e300),
        ("iat", False),
        ("nbf", "0"),
        ("sub", 7),
        ("jti", ["one-token"]),
        ("client_id", {}),
        ("sid", 1),
    ],
    ids=repr,
)
async def test_a_claim_of_another_type_is_refused(verifier, name, value):
    detail = await refusal(verifier, signed(claims=CLAIMS | {name: value}))
    assert detail.startswith(f"{name}: not ")


@pytest.mark.parametrize("name", ["sid", "jti"])
async def test_a_revoked_session_or_token_is_refused(verifier, ended, name):
    ended.ids.add(CLAIMS[name])
    assert await refusal(verifier, GOOD) == "revoked"


async def test_a_forged_token_costs_no_question_about_revocation(verifier, ended):
    await refusal(verifier, GOOD[:-20] + "A" * 19 + "A")
    await refusal(verifier, signed(claims=CLAIMS | {"exp": START - 3600}))
    assert ended.asked == []


async def test_when_nobody_knows_about_revocations_it_is_503_and_never_accepted(keys, clock):
    class Nobody:
        async def look_up(self, sid, jti):
            raise Unavailable("both away")

    with pytest.raises(Unavailable):
        await AccessTokenVerifier(keys, Nobody(), clock, ISSUER, SKEW).verify(GOOD, API)


async def test_an_expired_token_can_still_be_named_for_revocation(verifier, clock, ended):
    """RFC 7009: any audience, any age, but signed by us; revoking is idempotent."""
    clock.advance(timedelta(days=1))
    token = verifier.read_for_revocation(GOOD)
    assert (token.sid, token.jti, token.client_id) == (CLAIMS["sid"], "one-token", "web")
    assert ended.asked == []


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        ("rubbish", "form: not three base64url segments"),
        (signed(HEADER | {"typ": "JWT"}), "typ: not at+jwt"),
        (signed(claims=CLAIMS | {"iss": "https://other.example"}), "iss: another issuer"),
        (GOOD[:-20] + "A" * 20, "signature: BadSignatureError"),
    ],
    ids=["rubbish", "typ", "iss", "signature"],
)
def test_what_is_not_ours_cannot_be_named_for_revocation(verifier, token, detail):
    with pytest.raises(InvalidToken) as caught:
        verifier.read_for_revocation(token)
    assert caught.value.detail == detail


async def test_no_refusal_repeats_what_it_was_given(verifier):
    """Details go to logs: a token, a kid or a claim must not get there through them."""
    canary = "canary-5e2f"
    tokens = [
        canary,
        signed(HEADER | {"kid": canary}),
        signed(HEADER | {canary: 1}),
        signed(HEADER | {"typ": canary}),
        signed(HEADER | {"alg": canary}),
        signed(claims=CLAIMS | {"iss": canary}),
        signed(claims=CLAIMS | {"aud": canary}),
        signed(claims=CLAIMS | {"exp": canary}),
        f"{b64(canary)}.{b64(CLAIMS)}.AAAA",
    ]
    for token in tokens:
        assert canary not in await refusal(verifier, token)
