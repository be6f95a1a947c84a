"""The public keys of clients: what they sign assertions and request objects with.

Keys given at registration are imported once for each description of a client, not once a request;
those a client publishes itself are `published_keys`' affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from keyturn.clients.model import Client
from keyturn.clients.published_keys import PublishedKeys
from keyturn.crypto import client_jws
from keyturn.crypto.client_jws import ClientKey, Unverified
from keyturn.crypto.jose import InvalidJws

MOST_CLIENTS: Final = 2000
"""Clients whose given keys are held ready; the one not asked for longest makes room."""


def matching(keys: Sequence[ClientKey], kid: str | None, alg: str) -> tuple[ClientKey, ...]:
    """Return the keys that may have signed: of the algorithm, and of the `kid` if one is named."""
    return tuple(key for key in keys if alg in key.algorithms and (kid is None or kid == key.kid))


@dataclass(slots=True, eq=False)
class ClientKeys:
    """The keys of every client of one process."""

    published: PublishedKeys
    _given: dict[str, tuple[Client, tuple[ClientKey, ...]]] = field(default_factory=dict)

    async def of(self, client: Client) -> tuple[ClientKey, ...]:
        """Return the keys of a client, none if it has none.

        Raises `Unavailable` when they cannot be had now.
        """
        if client.jwks_uri is not None:
            return await self.published.of(client, client.jwks_uri)
        return self._given_to_us(client)

    async def verify(self, client: Client, unverified: Unverified) -> None:
        """Check that one of a client's keys has signed this, one it published just now too.

        Raises `InvalidJws`; `Unavailable` when the keys cannot be had now.
        """
        kid = unverified.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise InvalidJws("kid: not text")
        try:
            return _verify(unverified, matching(await self.of(client), kid, unverified.alg))
        except _NoSuchKey:
            if client.jwks_uri is None:
                raise
        keys = await self.published.again(client, client.jwks_uri)
        return _verify(unverified, matching(keys, kid, unverified.alg))

    def _given_to_us(self, client: Client) -> tuple[ClientKey, ...]:
        if client.jwks is None:
            return ()
        held = self._given.pop(client.id, None)
        if held is None or held[0] is not client:
            held = (client, client_jws.keys_of(client.jwks))
        self._given[client.id] = held  # the one asked for last stands last
        if len(self._given) > MOST_CLIENTS:
            del self._given[next(iter(self._given))]
        return held[1]


class _NoSuchKey(InvalidJws):
    """It may be by a key we have not seen."""


def _verify(unverified: Unverified, candidates: Sequence[ClientKey]) -> None:
    trouble: InvalidJws = _NoSuchKey("kid: no such key")
    for key in candidates:
        try:
            return client_jws.verify(unverified, key)
        except InvalidJws as refused:
            trouble = refused
    # A `kid` names its key, and the key says no. Without one, the right key may be a new one.
    raise trouble if "kid" in unverified.header else _NoSuchKey(str(trouble))


def algorithms_of(client: Client) -> tuple[str, ...]:
    """Return what a client may sign with: requests, proofs of possession."""
    return client_jws.FAPI_ALGORITHMS if client.profile == "fapi2" else client_jws.ALGORITHMS
