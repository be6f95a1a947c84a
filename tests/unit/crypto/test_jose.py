"""Keys in and out, and what a signature looks like to a library that is not ours."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from joserfc import jwt
from joserfc.jwk import RSAKey

from keyturn.crypto import jose
from keyturn.crypto.strict_json import parse_object
from support.keys import private_key, public_key, signing_key


def test_JW_9_the_kid_is_the_thumbprint_of_rfc_7638():
    jwk = jose.public_jwk(private_key())
    canonical = json.dumps(
        {"e": jwk["e"], "kty": "RSA", "n": jwk["n"]}, separators=(",", ":"), sort_keys=True
    )
    digest = hashlib.sha256(canonical.encode()).digest()
    assert jwk["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert jose.thumbprint(private_key()) == jwk["kid"]


def test_a_signature_of_ours_is_understood_by_a_public_library():
    token = signing_key().sign(b'{"sub":"somebody"}')
    decoded = jwt.decode(token, RSAKey.import_key(jose.public_jwk(private_key())), ["RS256"])
    assert decoded.header == {"alg": "RS256", "typ": "at+jwt", "kid": signing_key().kid}
    assert decoded.claims == {"sub": "somebody"}


def test_a_published_key_has_public_members_only_even_if_the_row_holds_more():
    private_jwk = RSAKey.import_key(private_key()).as_dict(private=True)
    stored = {**private_jwk, "kid": jose.thumbprint(private_key())}
    published = jose.PublicKey.from_jwk(stored).jwk
    assert set(published) == {"kty", "kid", "use", "alg", "n", "e"}
    assert (published["use"], published["alg"]) == ("sig", "RS256")


def test_a_public_key_under_another_keys_name_is_refused():
    jwk = jose.public_jwk(private_key(0)) | {"kid": jose.thumbprint(private_key(1))}
    with pytest.raises(ValueError, match="does not belong to its kid"):
        jose.PublicKey.from_jwk(jwk)


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_short_public_key_is_refused():
    short = generate_private_key(65537, 1024)
    with pytest.raises(ValueError, match="weak"):
        jose.PublicKey.from_jwk(jose.public_jwk(short))


def test_a_private_key_under_another_keys_name_is_refused():
    with pytest.raises(ValueError, match="does not belong to its kid"):
        jose.SigningKey.from_der(jose.to_der(private_key(0)), jose.thumbprint(private_key(1)))


def test_no_representation_shows_a_private_key():
    assert "private_key" not in repr(signing_key())
    assert "RSAKey" not in repr(public_key())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a":1,"a":2}', "named twice"),
        (b'{"a":{"b":1,"b":1}}', "named twice"),
        (b'{"a":[{"b":1,"b":1}]}', "named twice"),
        (b'{"a":1,"\\u0061":2}', "named twice"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":-Infinity}', "Infinity is not JSON"),
        (b"[]", "not an object"),
        (b'"text"', "not an object"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b'{"a":1} x', "Extra data"),
        (b"\xff\xfe{}", "utf-8"),
        (b"", "Expecting value"),
    ],
)
def test_json_with_two_meanings_or_none_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_object(text)


def test_plain_json_is_read():
    assert parse_object(b'{"a":[1,{"b":null}],"c":"\xc3\xa9"}') == {"a": [1, {"b": None}], "c": "é"}
