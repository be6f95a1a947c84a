"""A JSON Web Key Set (RFC 7517 section 5), as the keys that can be used of it."""

from collections.abc import Mapping
from typing import Any

from keyturn_verifier.public_key import PublicKey, UnusableKey
from keyturn_verifier.strict_json import parse_object

MOST_BYTES = 262_144

KeySet = Mapping[str, PublicKey]
"""Keys by `kid`."""


def parse(body: bytes, known: KeySet) -> KeySet:
    """Return the keys of a document; those of `known` that it repeats stay the same objects.

    What cannot be used is left out, as RFC 7517 section 5 asks. Raises `ValueError` when nothing
    can be used: no issuer publishes that, a broken one may answer it.
    """
    if len(body) > MOST_BYTES:
        raise ValueError("too large")
    listed = parse_object(body).get("keys")
    if not isinstance(listed, list):
        raise ValueError("no list of keys")  # noqa: TRY004 - the document is wrong
    keys: dict[str, PublicKey] = {}
    for jwk in listed:
        key = _usable(jwk, known)
        if key is not None:
            keys.setdefault(key.kid, key)
    if not keys:
        raise ValueError("no key can be used")
    return keys


def _usable(jwk: Any, known: KeySet) -> PublicKey | None:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    same = known.get(kid) if isinstance(kid, str) else None
    if same is not None and same.jwk == jwk:
        return same
    try:
        return PublicKey.of(jwk)
    except UnusableKey:
        return None
