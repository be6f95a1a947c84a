"""Proofs of possession at an API: RFC 9449 section 4.3, each check by a proof that breaks it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from keyturn_verifier.clock import FixedClock
from keyturn_verifier.dpop import WINDOW, Dpop, UseDpopNonce, ath_of
from keyturn_verifier.dpop_memory import MemoryReplays, Nonces
from keyturn_verifier.errors import InvalidProof, Unavailable

ORIGIN = "https://api.example.test"
NOW = 1_800_000_000.0
TOKEN = "the.access.token"
KEYS = {
    "ES256": ECKey.generate_key("P-256"),
    "RS256": RSAKey.generate_key(2048),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}
KEYS |= {"PS256": KEYS["RS256"], "Ed25519": KEYS["EdDSA"]}


def sign(header, claims, key):
    text = ".".join(b64(json.dumps(one).encode()) for one in (header, claims))
    name = "EdDSA" if header["alg"] == "Ed25519" else header["alg"]
    return f"{text}.{b64(JWSRegistry.algorithms[name].sign(text.encode(), key))}"


def b64(value):
    return urlsafe_b64encode(value).decode().rstrip("=")


def proof(alg="ES256", header=None, key=None, **changes):
    """Sign a good proof with a few members changed; `...` leaves one out."""
    key = key or KEYS[alg]
    head = {"typ": "dpop+jwt", "alg": alg, "jwk": key.as_dict(private=False), **(header or {})}
    claims = {
        "htm": "GET",
        "htu": f"{ORIGIN}/orders",
        "iat": int(NOW),
        "jti": "1",
        "ath": ath_of(TOKEN),
        **changes,
    }
    given = [{k: v for k, v in one.items() if v is not ...} for one in (head, claims)]
    return sign(*given, key)


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def dpop(clock):
    return Dpop(ORIGIN, clock=clock)


def check(dpop, *proofs, method="GET", path="/orders", token=TOKEN):
    return dpop.check([(b"dpop", one.encode()) for one in proofs], method, path, token)


@pytest.mark.parametrize("alg", KEYS)
def test_a_good_proof_names_its_key(dpop, alg):
    assert check(dpop, proof(alg)).jkt == KEYS[alg].thumbprint()


@pytest.mark.parametrize(
    "htu",
    [
        f"{ORIGIN}/orders?page=2#top",
        "https://api.example.test:443/orders",
        "HTTPS://API.example.test/orders",
        f"{ORIGIN}/%6frders",
    ],
)
def test_an_address_may_be_spelled_in_more_than_one_way(dpop, htu):
    assert check(dpop, proof(htu=htu))


WRONG = {
    "typ": (proof(header={"typ": "JWT"}), "typ: not dpop+jwt"),
    "no typ": (proof(header={"typ": ...}), "typ: not dpop+jwt"),
    "htm": (proof(htm="POST"), "htm: another method"),
    "htm spelled otherwise": (proof(htm="get"), "htm: another method"),
    "htu": (proof(htu=f"{ORIGIN}/other"), "htu: another address"),
    "htu of another scheme": (proof(htu="http://api.example.test/orders"), "htu: another address"),
    "htu of another host": (proof(htu="https://evil.test/orders"), "htu: another address"),
    "htu with user": (proof(htu="https://a@api.example.test/orders"), "htu: another address"),
    "htu no text": (proof(htu=7), "htu: another address"),
    "no htu": (proof(htu=...), "htu: another address"),
    "ath": (proof(ath=ath_of("another")), "ath: of another access token"),
    "no ath": (proof(ath=...), "ath: of another access token"),
    "old": (proof(iat=int(NOW) - WINDOW), "iat: not about now"),
    "made in advance": (proof(iat=int(NOW) + WINDOW), "iat: not about now"),
    "iat of a far day": (proof(iat=10**400), "iat: not about now"),
    "no iat": (proof(iat=...), "iat: missing"),
    "iat no number": (proof(iat="1800000000"), "iat: missing"),
    "iat true": (proof(iat=True), "iat: missing"),
    "crit": (proof(header={"crit": ["exp"]}), "crit: we understand no extension"),
    "no jwk": (proof(header={"jwk": ...}), "jwk: not a public key"),
    "private jwk": (
        proof(header={"jwk": KEYS["ES256"].as_dict(private=True)}),
        "jwk: not a public key",
    ),
    "another's jwk": (
        proof(header={"jwk": ECKey.generate_key("P-256").as_dict(private=False)}),
        "signature",
    ),
    "jwk of another kind": (
        proof(header={"jwk": KEYS["EdDSA"].as_dict(private=False)}),
        "jwk: of another kind than alg",
    ),
    "jwk of another curve": (
        proof(header={"jwk": ECKey.generate_key("P-384").as_dict(private=False)}),
        "jwk: of another kind than alg",
    ),
    "short RSA key": (
        proof("RS256", header={"jwk": {**KEYS["RS256"].as_dict(private=False), "n": "A" * 171}}),
        "jwk: size",
    ),
    "long RSA key": (
        proof("RS256", header={"jwk": {**KEYS["RS256"].as_dict(private=False), "n": "A" * 1366}}),
        "jwk: size",
    ),
    "dear RSA exponent": (
        proof("RS256", header={"jwk": {**KEYS["RS256"].as_dict(private=False), "e": "A" * 300}}),
        "jwk: size",
    ),
    "symmetric": (
        proof("HS256", key=OctKey.generate_key(256), header={"jwk": {"kty": "oct"}}),
        "alg: not one we take",
    ),
    "alg not taken here": (
        proof("ES384", key=ECKey.generate_key("P-384")),
        "alg: not one we take",
    ),
    "point off the curve": (
        proof(header={"jwk": {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}}),
        "jwk: ValueError",
    ),
    "too long": (proof(padding="x" * 4096), "token"),
    "rubbish": ("rubbish", "not a compact JWS"),
}


@pytest.mark.parametrize(("text", "detail"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_proof_is_found(dpop, text, detail):
    with pytest.raises(InvalidProof) as refused:
        check(dpop, text)
    assert str(refused.value) == detail


def test_no_algorithm_is_none(dpop):
    header, payload, _ = proof().split(".")
    head = json.loads(urlsafe_b64decode(header + "=="))
    for alg in ("none", None, 7, ["ES256"]):
        changed = b64(json.dumps({**head, "alg": alg}).encode())
        with pytest.raises(InvalidProof, match="alg: not one we take"):
            check(dpop, f"{changed}.{payload}.AAAA")


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_proof(dpop, count):
    with pytest.raises(InvalidProof, match=f"{count} proofs"):
        check(dpop, *[proof()] * count)


async def test_a_proof_is_good_once(dpop):
    one = check(dpop, proof())
    await dpop.use(one)
    with pytest.raises(InvalidProof, match="jti: used before"):
        await dpop.use(one)
    await dpop.use(check(dpop, proof(jti="2")))
    await dpop.use(check(dpop, proof("EdDSA")))  # another key's own jti


async def test_a_proof_is_remembered_as_long_as_it_would_pass(dpop, clock):
    late = check(dpop, proof(iat=int(NOW) + WINDOW - 1))
    await dpop.use(late)
    clock.advance(2 * WINDOW - 1.5)
    with pytest.raises(InvalidProof, match="jti: used before"):
        await dpop.use(check(dpop, proof(iat=int(NOW) + WINDOW - 1)))
    clock.advance(1)
    with pytest.raises(InvalidProof, match="iat: not about now"):
        check(dpop, proof(iat=int(NOW) + WINDOW - 1))


@pytest.mark.parametrize("jti", [..., "", "x" * 257, 7, "a\nb", "\ud800"])
async def test_a_proof_needs_a_name(dpop, jti):
    with pytest.raises(InvalidProof, match="jti: not 1 to 256"):
        await dpop.use(check(dpop, proof(jti=jti)))


async def test_memory_is_bounded_for_one_key_and_for_all(clock):
    replays = MemoryReplays(clock, most=5, most_of_one_key=3)
    until = clock.now() + WINDOW
    for number in range(3):
        assert await replays.is_first("greedy", str(number), until)
    with pytest.raises(InvalidProof, match="too many"):
        await replays.is_first("greedy", "3", until)
    assert await replays.is_first("modest", "0", until)
    assert await replays.is_first("third", "0", until)
    with pytest.raises(Unavailable):
        await replays.is_first("fourth", "0", until)
    clock.advance(WINDOW)
    assert await replays.is_first("fourth", "0", clock.now() + WINDOW)
    assert await replays.is_first("greedy", "3", clock.now() + WINDOW)


def test_a_nonce_is_ours_and_not_old(clock):
    dpop = Dpop(ORIGIN, clock=clock, nonces=Nonces(b"n" * 32, clock))
    current = dpop.nonces.current()
    assert check(dpop, proof(nonce=current))
    for wrong in (..., "invented", 7, "\udc00"):
        with pytest.raises(UseDpopNonce):
            check(dpop, proof(nonce=wrong))
    other = Dpop(ORIGIN, clock=clock, nonces=Nonces(b"m" * 32, clock))
    with pytest.raises(UseDpopNonce):
        check(other, proof(nonce=current))
    clock.advance(60)
    assert check(dpop, proof(nonce=current, iat=int(clock.now())))
    clock.advance(60)
    with pytest.raises(UseDpopNonce):
        check(dpop, proof(nonce=current, iat=int(clock.now())))


def test_what_would_check_nothing_is_refused_at_once():
    for origin in ("api.example.test", "https://api.example.test/v1", "ftp//x", ""):
        with pytest.raises(ValueError, match="origin"):
            Dpop(origin)
    for algorithms in ((), ("HS256",), ("none",)):
        with pytest.raises(ValueError, match="algorithms"):
            Dpop(ORIGIN, algorithms=algorithms)
    with pytest.raises(ValueError, match="32 bytes"):
        Nonces(b"short")
