"""The refresh token's wire format: what it says, who can make one, how a child is derived.

    krt1_ base64url( key_id:1 | session_id:16 | generation:4 | secret:32 | tag:16 )

The tag covers everything before it and the client's id, so that rubbish, and another client's
token, are decided without the database. Children are derived from their parent, not drawn, so
that a retry can be given the same child although only hashes are stored. Deriving needs the
server's key *and* the parent's secret: neither a database dump nor a leaked key alone forges.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from keyturn.crypto.opaque import equal, sha256
from keyturn.crypto.secrets import REFRESH_DERIVE, REFRESH_TAG, MasterSecrets
from keyturn.errors import InvalidGrant

PREFIX = "krt1_"
SECRET_SIZE = 32
TAG_SIZE = 16
BODY_SIZE = 1 + 16 + 4 + SECRET_SIZE
LAST_GENERATION = 2**31 - 1
"""The row's `generation` is a 32-bit integer; a session of 30 days makes 259,200 at most."""

_WIRE = re.compile(r"krt1_[A-Za-z0-9_-]{92}")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One generation of a session's token; the secret never shows in a `repr`."""

    key_id: int
    session_id: UUID
    generation: int
    secret: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        """Everything before the tag, 53 bytes."""
        return (
            self.key_id.to_bytes(1, "big")
            + self.session_id.bytes
            + self.generation.to_bytes(4, "big")
            + self.secret
        )

    @property
    def hash(self) -> bytes:
        """What the database knows of this token: SHA-256, 32 bytes."""
        return sha256(self.body)

    def child(self, derive_key: bytes) -> Self:
        """Return the next generation; the same parent always has the same child."""
        generation = self.generation + 1
        message = self.session_id.bytes + generation.to_bytes(4, "big") + self.secret
        secret = _mac(derive_key, message)
        return type(self)(self.key_id, self.session_id, generation, secret)


@dataclass(frozen=True, slots=True)
class RefreshTokenCodec:
    """Turns tokens into text and back, for every secret the operator lists."""

    secrets: MasterSecrets

    def encode(self, token: RefreshToken, client_id: str) -> str:
        """Return the text of `token` for that client, 97 characters."""
        body = token.body
        return PREFIX + base64.urlsafe_b64encode(body + self._tag(body, client_id)).decode()

    def decode(self, text: str, client_id: str) -> RefreshToken:
        """Read the text a client presents.

        Raises `InvalidGrant` when it is malformed, under a secret we do not list, or its tag is
        not ours for this client.
        """
        if not _WIRE.fullmatch(text):
            raise InvalidGrant("refresh token: malformed")
        try:
            standard = text[len(PREFIX) :].encode("ascii").translate(_STANDARD)
            raw = binascii.a2b_base64(standard, strict_mode=True)
        except binascii.Error as error:
            raise InvalidGrant("refresh token: malformed") from error
        body, tag = raw[:BODY_SIZE], raw[BODY_SIZE:]
        if not self.secrets.knows(body[0]):
            raise InvalidGrant("refresh token: unknown key id")
        if not equal(tag, self._tag(body, client_id)):
            raise InvalidGrant("refresh token: bad tag")
        generation = int.from_bytes(body[17:21], "big")
        if generation > LAST_GENERATION - 2:
            raise InvalidGrant("refresh token: generation out of range")
        return RefreshToken(body[0], UUID(bytes=body[1:17]), generation, body[21:])

    def child(self, token: RefreshToken) -> RefreshToken:
        """Return the next generation, under the secret the session was born with."""
        return token.child(self.secrets.purpose_key(REFRESH_DERIVE, token.key_id))

    def descendant(self, token: RefreshToken, generation: int) -> RefreshToken:
        """Return the given later generation of `token`."""
        key = self.secrets.purpose_key(REFRESH_DERIVE, token.key_id)
        while token.generation < generation:
            token = token.child(key)
        return token

    def _tag(self, body: bytes, client_id: str) -> bytes:
        key = self.secrets.purpose_key(REFRESH_TAG, body[0])
        message = b"krt1" + body + client_id.encode()
        return _mac(key, message)[:TAG_SIZE]


def _mac(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256; a refresh needs four, and preparing the key is most of each."""
    keyed = _keyed(key).copy()
    keyed.update(message)
    return keyed.finalize()


@lru_cache(maxsize=512)
def _keyed(key: bytes) -> HMAC:
    return HMAC(key, SHA256())


_STANDARD = bytes.maketrans(b"-_", b"+/")
