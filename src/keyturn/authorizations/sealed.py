"""The handle of a request: the request itself, sealed, for one holder.

    handle = base64url( key_id:1 | salt:16 | AES-256-GCM(K, 0, deflate(JSON), aad = holder) )
    K      = HMAC-SHA256(K_purpose[key_id], salt)

Of a request in progress (`REQUESTS`) the holder is a browser, of a pushed one (`PUSHED`) a client.
Each purpose has a key of its own: whoever writes a cookie that looks like a client id still holds
nothing.

Anybody may begin a request, so beginning one must leave nothing behind: no row that an attacker
could pile up, and no limit that would then keep honest people from signing in. For the same
reason each handle has a key of its own: one key may not seal as many as strangers may ask for.

A handle is about as long as the address the application itself sent the browser to.
"""

import base64
import binascii
import hmac
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.authorizations.model import AuthorizationRequest
from keyturn.crypto.opaque import token_bytes
from keyturn.crypto.secrets import REQUESTS, MasterSecrets
from keyturn.errors import InvalidRequest

LONGEST: Final = 6144
"""Characters of a handle: with its page's path it must fit into the longest URL we read."""

_SALT: Final = slice(1, 17)
_SALT_SIZE: Final = 16
_SHORTEST: Final = _SALT.stop + 16
_NONCE: Final = bytes(12)
"""The same for all, as no two share a key."""
_RAW: Final = -15
"""Deflate without a header (`wbits`)."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A request, and when nobody waits for it any more."""

    request: AuthorizationRequest
    expires_at: datetime


def seal(sealed: Sealed, holder: str, secrets: MasterSecrets, purpose: str = REQUESTS) -> str:
    """Return the handle. Raises `InvalidRequest` for a request that is too long to travel."""
    data = [int(sealed.expires_at.timestamp()), sealed.request.as_json()]
    plain = zlib.compress(json.dumps(data, separators=(",", ":")).encode(), wbits=_RAW)
    salt, secret_id = token_bytes(_SALT_SIZE), secrets.current_id
    cipher = _cipher(secrets.purpose_key(purpose, secret_id), salt)
    sealed_text = cipher.encrypt(_NONCE, plain, holder.encode())
    handle = _text(bytes([secret_id]) + salt + sealed_text)
    if len(handle) > LONGEST:
        raise InvalidRequest("parameters: too long together")
    return handle


def unseal(
    handle: str, holder: str, secrets: MasterSecrets, purpose: str = REQUESTS
) -> Sealed | None:
    """Return what a handle holds; None for one that is not ours, or not this holder's."""
    if len(handle) > LONGEST:
        return None
    try:
        raw = base64.b64decode(handle + "=" * (-len(handle) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # What is done with a request is kept by its handle: there must be one way to write it.
    if len(raw) < _SHORTEST or _text(raw) != handle or not secrets.knows(raw[0]):
        return None
    cipher = _cipher(secrets.purpose_key(purpose, raw[0]), raw[_SALT])
    try:
        plain = cipher.decrypt(_NONCE, raw[_SALT.stop :], holder.encode())
    except InvalidTag:
        return None
    seconds, request = json.loads(zlib.decompress(plain, wbits=_RAW))
    return Sealed(AuthorizationRequest.from_json(request), datetime.fromtimestamp(seconds, UTC))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _cipher(purpose_key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(hmac.new(purpose_key, salt, "sha256").digest())
