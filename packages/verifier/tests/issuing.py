"""An issuer's keys, tokens and documents, made by joserfc and the standard library alone."""

import json
import zlib
from base64 import urlsafe_b64encode
from functools import cache

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

ISSUER = "https://id.example.test"
AUDIENCE = "https://api.example.test"
JWKS_URI = f"{ISSUER}/jwks"
LIST_URI = f"{ISSUER}/oauth2/status/0"
NOW = 1_800_000_000.0


def b64(value):
    return urlsafe_b64encode(value).rstrip(b"=").decode()


@cache
def rsa(kid="one", bits=2048):
    return RSAKey.generate_key(bits, {"kid": kid})


@cache
def other_key(kind, kid="one"):
    if kind == "EdDSA":
        return OKPKey.generate_key("Ed25519", {"kid": kid})
    curve = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[kind]
    return ECKey.generate_key(curve, {"kid": kid})


def jwk(key, **members):
    return {**key.as_dict(private=False), "use": "sig", **members}


def jwks(*keys):
    return json.dumps({"keys": [jwk(key) if hasattr(key, "as_dict") else key for key in keys]})


def metadata(**members):
    return json.dumps({"issuer": ISSUER, "jwks_uri": JWKS_URI, **members})


def claims(now=NOW, **members):
    """Return a session token's claims; `None` leaves one out."""
    usual = {
        "iss": ISSUER,
        "aud": [AUDIENCE, ISSUER],
        "sub": "user-1",
        "client_id": "app",
        "jti": "token-1",
        "iat": int(now),
        "exp": int(now) + 600,
        "scope": "orders.read orders.write",
        "sid": "session-1",
    }
    return present(usual | members)


def present(members):
    return {name: value for name, value in members.items() if value is not None}


def signed(payload, key=None, **header):
    """Sign `payload` (claims, or bytes as they are), whatever the header says of it."""
    key = key or rsa()
    alg = header.get("alg", "RS256")
    said = present({"alg": alg, "kid": key.kid, "typ": "at+jwt", **header})
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return jws(json.dumps(said).encode(), text, key, alg)


def jws(header, payload, key, alg="RS256"):
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(JWSRegistry.algorithms[alg].sign(text.encode(), key))}"


def token(now=NOW, key=None, **members):
    return signed(claims(now, **members), key)


def listed(index=0, uri=LIST_URI):
    return {"status_list": {"idx": index, "uri": uri}}


def packed(statuses):
    return b64(zlib.compress(statuses))


def status_list(statuses=bytes(128), now=NOW, key=None, bits=1, typ="statuslist+jwt", **members):
    """Return a signed list of `statuses`."""
    usual = {
        "iss": ISSUER,
        "sub": LIST_URI,
        "iat": int(now),
        "exp": int(now) + 86_400,
        "ttl": 10,
        "status_list": {"bits": bits, "lst": packed(statuses)},
    }
    return signed(present(usual | members), key, typ=typ)
