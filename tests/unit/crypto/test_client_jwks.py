"""Keys of others: which are taken, what each may have signed with, and which are passed over."""

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from keyturn.crypto import client_jws
from keyturn.crypto.client_jws import ALGORITHMS, FAPI_ALGORITHMS, MOST_KEYS
from keyturn.crypto.jose import InvalidJws
from support.assertions import Signer

RSA = RSAKey.generate_key(2048).as_dict(private=False)
EC = ECKey.generate_key("P-256").as_dict(private=False)
OKP = OKPKey.generate_key("Ed25519").as_dict(private=False)
SHORT = RSAKey.generate_key(1024).as_dict(private=False)
REFUSED = [
    {**ECKey.generate_key("P-256").as_dict(private=True)},
    {**RSA, "use": "enc"},
    {**RSA, "kid": 7},
    {**RSA, "alg": "ES256"},
    {**EC, "alg": "none"},
    {**EC, "y": "AAAA"},
    {**EC, "x": 7},
    {"kty": "EC", "crv": "P-256"},
    ECKey.generate_key("P-384").as_dict(private=False),
    {"kty": "oct", "k": "AAAA"},
    {"kty": "RSA", "n": RSA["e"], "e": RSA["e"]},
    {**EC, "crv": ["P-256"]},
    SHORT,
    {},
]


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (RSA, {"PS256", "RS256"}),
        ({**RSA, "alg": "PS256", "use": "sig"}, {"PS256"}),
        (EC, {"ES256"}),
        (OKP, {"EdDSA", "Ed25519"}),
        ({**OKP, "alg": "Ed25519"}, {"Ed25519"}),
    ],
    ids=range(5),
)
def test_a_key_has_the_algorithms_of_its_type(jwk, algorithms):
    key = client_jws.key_of({**jwk, "kid": "a"})
    assert (key.kid, key.algorithms) == ("a", algorithms)


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize("jwk", REFUSED, ids=range(len(REFUSED)))
def test_a_key_that_cannot_be_used_is_refused_when_given_and_passed_over_when_published(jwk):
    with pytest.raises(ValueError, match=r"."):
        client_jws.key_of(jwk)
    with pytest.raises(ValueError, match=r"."):
        client_jws.keys_of({"keys": [EC, jwk]})
    (kept,) = client_jws.usable_keys_of({"keys": [jwk, EC]})
    assert kept.thumbprint == client_jws.key_of(EC).thumbprint


@pytest.mark.parametrize("jwks", [{}, {"keys": {}}, {"keys": ["a"]}, {"keys": [EC] * 21}])
def test_what_is_no_set_or_too_large_is_refused_either_way(jwks):
    for reading in (client_jws.keys_of, client_jws.usable_keys_of):
        with pytest.raises(ValueError, match=r"JWK set|keys"):
            reading(jwks)
    assert len(client_jws.keys_of({"keys": [EC] * MOST_KEYS})) == MOST_KEYS


def test_a_set_of_no_keys_withdraws_all_but_is_no_registration():
    assert client_jws.usable_keys_of({"keys": []}) == ()
    with pytest.raises(ValueError, match="1 to 20 keys"):
        client_jws.keys_of({"keys": []})


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_nobody_s_key_verifies_nothing_and_is_always_the_same(alg):
    token = client_jws.read(Signer.of("x", alg).signed(), ALGORITHMS)
    key = client_jws.nobody_s_key(alg)
    assert client_jws.nobody_s_key(alg) is key
    with pytest.raises(InvalidJws, match="signature: BadSignatureError"):
        client_jws.verify(token, key)


def test_the_profile_leaves_one_algorithm_out():
    assert set(ALGORITHMS) - set(FAPI_ALGORITHMS) == {"RS256"}
