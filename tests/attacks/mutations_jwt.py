"""JWTs, bent: header, claims, signature and the form itself.

Where the caller holds the key (assertions, proofs, request objects), most are signed anew, so that
what is wrong is met behind the signature and not before it.
"""

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from attacks.grammar import Sign, Value, json_text, octets, unpacked
from support.forging import b64

Bend: TypeAlias = Callable[[Random, Any], Any]

JWT = re.compile(rb"(?:(?:Bearer|DPoP) )?eyJ[\w-]+\.[\w-]+\.[\w-]*")
HEADERS: tuple[dict[str, Any], ...] = (
    {"alg": "none"}, {"alg": "HS256"}, {"alg": "RS256"}, {"alg": "ES384"}, {"alg": None}, {"alg": ["ES256"]}, {"alg": "es256"},
    {"kid": "../../dev/null"}, {"kid": "a" * 3000}, {"kid": 1}, {"kid": None}, {"kid": "' or 1=1 --"}, {"typ": "at+jwt"}, {"typ": "JWT"},
    {"typ": 1}, {"typ": "application/dpop+jwt"}, {"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"},
    {"jku": "http://127.0.0.1:9/jwks"}, {"x5u": "http://127.0.0.1:9/x"}, {"x5c": ["AAAA"]}, {"jwk": {}}, {"jwk": None}, {"jwk": "a"},
    {"jwk": {"kty": "oct", "k": "AAAA"}}, {"jwk": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}},
    {"jwk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}}, {"jwk": {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}},
    {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}, {"jwk": {"kty": "RSA", "n": "A" * 5000, "e": "Aw"}}, {"jwk": {"kty": "RSA", "n": "", "e": ""}},
    {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}}, {"jwk": {"kty": "OKP", "crv": "X25519", "x": "A" * 43}}, {"enc": "A128GCM"},
    {"cty": "JWT"}, {"p2c": 10**9}, {"epk": {}}, {"nonce": 1}, {"jwk": {"kty": ["EC"]}}, {"jwk": {"kty": "EC", "d": "AAAA"}},
)  # fmt: skip


def is_jwt(value: Value) -> bool:
    """Whether a value is a JWT, or a header that shows one."""
    return JWT.fullmatch(octets(value)) is not None


def resigned(dice: Random, value: Value, sign: Sign | None, bend: Bend) -> Value:
    """Return the JWT bent in one way."""
    scheme, blank, token = octets(value).decode().rpartition(" ")
    kind = dice.random()
    if kind < 0.2:
        return f"{scheme}{blank}{_reshaped(dice, token)}"
    header, claims = (_read(one) for one in token.split(".")[:2])
    if kind < 0.5:
        header = {**(header if isinstance(header, dict) else {}), **dice.choice(HEADERS)}
    elif kind < 0.6:
        header = bend(dice, header)
    else:
        claims = bend(dice, claims)
    return f"{scheme}{blank}{_written(dice, header, claims, sign, token)}"


def _read(segment: str) -> Any:
    try:
        return json.loads(unpacked(segment.encode()))
    except ValueError:
        return {"bent": "before"}


def _written(dice: Random, header: Any, claims: Any, sign: Sign | None, token: str) -> str:
    if sign is None or dice.random() < 0.15:
        signature = token.rpartition(".")[2]
        return f"{b64(json_text(header))}.{b64(json_text(claims))}.{signature}"
    return sign(json_text(header), json_text(claims))


def _reshaped(dice: Random, token: str) -> str:
    header, claims, signature = token.split(".")
    return dice.choice(
        [
            f"{header}.{claims}", f"{header}.{claims}.", f"{header}..{signature}", f".{claims}.{signature}", f"{token}.{signature}",
            f"{header}.{claims}.{signature}==", f"{header}=.{claims}.{signature}", f"{header}.{claims}.{signature[:-1]}", f"{token}\n",
            f"{header}.{claims}.{signature[::-1]}", f" {token}", f"{header}+.{claims}.{signature}", f"{header}.{claims * 8}.{signature}",
            f"{b64(b'[]')}.{claims}.{signature}", f"{b64(bytes(9))}.{claims}.{signature}", f"{header}.{claims}.{'A' * 2000}",
            json.dumps({"protected": header, "payload": claims, "signature": signature}), f"{token},{token}", "." * 3000, token.swapcase(),
            f"{header}.{claims}.{signature}.{header}.{claims}", f"{b64(b'{' * 3000)}.{claims}.{signature}",
        ]
    )  # fmt: skip
