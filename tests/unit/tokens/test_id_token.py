"""ID tokens as they come back to us: a hint is one of ours, or it is nothing (JW-2, JW-3, WB-8)."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyturn.clients.model import Client
from keyturn.clock import FixedClock
from keyturn.crypto import jose
from keyturn.errors import Unavailable
from keyturn.sessions.model import Session
from keyturn.telemetry.metrics import Metrics
from keyturn.tokens.id_token import HintedIdentity, IdTokens
from support.keys import private_key, public_key, signing_key

ISSUER = "https://id.example"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA, SID = UUID(int=1), UUID(int=2)
CLIENT = Client("c", "C", "public", frozenset(), frozenset({"openid"}), ("https://api.example",))
SESSION = Session(
    id=SID,
    user_id=ADA,
    client_id="c",
    scopes=frozenset({"openid"}),
    audiences=("https://api.example",),
    claims={},
    auth_time=NOW - timedelta(seconds=301),
    acr=None,
    amr=("pwd",),
    dpop_jkt=None,
    remembered=None,
    idle_expires_at=NOW + timedelta(days=1),
    expires_at=NOW + timedelta(days=1),
    decided_at=NOW,
)


@dataclass
class Keys:
    """A keyring of one key."""

    signing: jose.SigningKey | None

    def find(self, kid):
        return public_key() if kid == signing_key().kid else None


def id_tokens(signing=None):
    return IdTokens(
        keyring=Keys(signing),
        metrics=Metrics(),
        clock=FixedClock(NOW),
        issuer=ISSUER,
        lifetime=timedelta(minutes=10),
        step_up_max_age=timedelta(minutes=5),
    )


def read(token):
    head, body, _ = token.split(".")
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body)]


def b64(value):
    data = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def issued():
    ours = id_tokens(signing_key())
    return ours.for_session(SESSION, CLIENT, access_token="at", nonce="n")


def test_it_says_who_when_and_how_and_nothing_else(issued):
    header, claims = read(issued)
    assert header == {"alg": "RS256", "typ": "JWT", "kid": signing_key().kid}
    half = hashlib.sha256(b"at").digest()[:16]
    assert claims == {
        "iss": ISSUER,
        "sub": str(ADA),
        "aud": "c",
        "sid": str(SID),
        "nonce": "n",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 600,
        "auth_time": int(NOW.timestamp()) - 301,
        "acr": "urn:keyturn:acr:session",
        "amr": ["pwd"],
        "at_hash": b64(half),
    }


def test_a_claim_of_the_account_never_replaces_one_of_ours():
    told = {"sub": "bob", "aud": "x", "iss": "x", "nonce": "x", "sid": "x", "name": "Ada"}
    token = id_tokens(signing_key()).for_session(
        SESSION, CLIENT, access_token="at", nonce="n", claims=told
    )
    claims = read(token)[1]
    assert (claims["sub"], claims["aud"], claims["nonce"]) == (str(ADA), "c", "n")
    assert claims["name"] == "Ada"


def test_it_ends_with_the_session():
    ending = replace(SESSION, expires_at=NOW + timedelta(seconds=7))
    claims = read(id_tokens(signing_key()).for_session(ending, CLIENT, access_token="at"))[1]
    assert claims["exp"] - claims["iat"] == 7
    assert "nonce" not in claims


def test_without_a_key_it_is_trouble_of_ours():
    with pytest.raises(Unavailable):
        id_tokens().for_session(SESSION, CLIENT, access_token="at")


def test_our_own_is_a_hint_however_old(issued):
    assert id_tokens().verify_hint(issued) == HintedIdentity(str(ADA), "c", str(SID))
    claims = {**read(issued)[1], "exp": 1, "iat": 0}
    old = signing_key().sign(json.dumps(claims).encode(), jose.ID_JWT)
    assert id_tokens().verify_hint(old) == HintedIdentity(str(ADA), "c", str(SID))


PEM = private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forged(issued):
    """Yield everything that looks like an ID token of ours and is none."""
    header, claims = read(issued)
    body = b64(claims)
    for alg in ("none", "None", "nOnE", "NONE"):
        unsigned = f"{b64({**header, 'alg': alg})}.{body}"
        yield f"{unsigned}."
        yield f"{unsigned}.{issued.rpartition('.')[2]}"
    for key in (PEM, PEM.rstrip(b"\n"), b""):
        text = f"{b64({**header, 'alg': 'HS256'})}.{body}"
        yield f"{text}.{b64(hmac.new(key, text.encode(), 'sha256').digest())}"
    yield signing_key(7).sign(json.dumps(claims).encode(), jose.ID_JWT)
    yield signing_key().sign(json.dumps(claims).encode(), jose.AT_JWT)
    for change in (
        {"iss": "https://other.example"},
        {"aud": ["c"]},
        {"aud": None},
        {"sub": 1},
        {"sub": None},
    ):
        yield signing_key().sign(json.dumps({**claims, **change}).encode(), jose.ID_JWT)
    yield from (issued + "A", issued[:-1], f" {issued}", "", "x", "a.b.c", "." * 9000)


def test_whatever_else_looks_like_one_is_no_hint(issued):
    tokens = list(forged(issued))
    assert len(tokens) > 20
    assert [token for token in tokens if id_tokens().verify_hint(token) is not None] == []
