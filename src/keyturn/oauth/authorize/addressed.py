"""The client and its redirect URI: decided before anything else (RFC 6749 section 4.1.2.1).

While either is in doubt, nothing may be sent anywhere: not a code, not an error, not the browser.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from keyturn.authorization_errors import UnsafeRedirect
from keyturn.clients.model import Client
from keyturn.clients.redirect_uris import is_registered
from keyturn.clients.registry import Registry
from keyturn.web import forms
from keyturn.web.forms import Pairs

ResponseMode = Literal["query", "form_post"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was sent; of a `repeated` parameter nothing is to be relied on."""

    parameters: Mapping[str, str]
    repeated: frozenset[str]

    @classmethod
    def of(cls, pairs: Pairs) -> Self:
        """Take the parameters; an empty one counts as left out."""
        return cls(forms.fold(pairs), forms.repeated(pairs))

    def single(self, name: str) -> str | None:
        """Return a parameter that was sent once, or None."""
        return None if name in self.repeated else self.parameters.get(name)


@dataclass(frozen=True, slots=True)
class Addressed:
    """A request of a client that is known and may be answered where it says."""

    client: Client
    redirect_uri: str
    asked: Asked

    @property
    def state(self) -> str | None:
        """What the client wants back, as it is."""
        return self.asked.single("state")

    @property
    def response_mode(self) -> ResponseMode:
        """How to answer, refusals included; `query` until something else is asked for properly.

        Never by `query` to a client that is registered for `form_post` alone: leaving the
        parameter out must not bring codes into addresses again.
        """
        modes = self.client.response_modes
        wanted = self.asked.single("response_mode") == "form_post"
        return "form_post" if "query" not in modes or (wanted and "form_post" in modes) else "query"

    def get(self, name: str) -> str | None:
        """Return a parameter, or None."""
        return self.asked.parameters.get(name)


async def address(asked: Asked, registry: Registry) -> Addressed:
    """Find the client and compare the redirect URI, byte for byte.

    Raises `UnsafeRedirect`, whose answer must be a page; `Unavailable`.
    """
    return place(await client_of(asked, registry), asked)


async def client_of(asked: Asked, registry: Registry) -> Client:
    """Find the client that is named. Raises as `address` does."""
    client_id = asked.single("client_id")
    if client_id is None:
        raise UnsafeRedirect("client_id: missing or repeated")
    client = await registry.get(client_id)
    if client is None:
        raise UnsafeRedirect("client_id: unknown or disabled")
    return client


def place(client: Client, asked: Asked) -> Addressed:
    """Compare the redirect URI with those of the client. Raises `UnsafeRedirect`."""
    redirect_uri = asked.single("redirect_uri")
    if redirect_uri is None:
        raise UnsafeRedirect("redirect_uri: missing or repeated")
    if not is_registered(redirect_uri, client.redirect_uris):
        raise UnsafeRedirect("redirect_uri: not one of this client's")
    return Addressed(client, redirect_uri, asked)
