"""Private halves at rest: whoever has only the database, or only its backup, signs nothing.

    sealed = secret_id:1 | nonce:12 | AES-256-GCM(K_sealing[secret_id], nonce, PKCS #8, aad = kid)

The kid is associated data, so one row's seal cannot be put into another row.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.crypto.opaque import token_bytes
from keyturn.crypto.secrets import KEY_SEALING, MasterSecrets
from keyturn.keys.model import StoredKey


class Unsealable(Exception):
    """No listed secret opens a private key at rest. Never reaches a caller: the key cannot sign."""


_NONCE = slice(1, 13)
_NONCE_SIZE = 12


def seal(private: bytes, kid: str, secrets: MasterSecrets) -> bytes:
    """Seal a PKCS #8 key under the current secret."""
    nonce = token_bytes(_NONCE_SIZE)
    cipher = AESGCM(secrets.purpose_key(KEY_SEALING))
    return bytes([secrets.current_id]) + nonce + cipher.encrypt(nonce, private, kid.encode())


def unseal(key: StoredKey, secrets: MasterSecrets) -> bytes:
    """Return the PKCS #8 key of a row.

    Raises `Unsealable` when it has none any more, when its secret is not listed here, or when
    the seal was not made for this kid.
    """
    if key.sealed is None:
        raise Unsealable("a retired key has no private half")
    secret_id = key.sealed[0]
    if not secrets.knows(secret_id):
        raise Unsealable(f"sealed under secret {secret_id}, which is not listed")
    cipher = AESGCM(secrets.purpose_key(KEY_SEALING, secret_id))
    try:
        return cipher.decrypt(key.sealed[_NONCE], key.sealed[_NONCE.stop :], key.kid.encode())
    except InvalidTag:
        raise Unsealable(f"the seal under secret {secret_id} does not open") from None


def opens(key: StoredKey, secrets: MasterSecrets) -> bool:
    """Return whether this process can use the private half of a row."""
    try:
        unseal(key, secrets)
    except Unsealable:
        return False
    return True
