"""What a page says of where things lead: back to an application, or to its own pages.

An application's links are links and nothing more: what they lead to is never fetched, shown or
vouched for here, and learns nothing from being opened.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from keyturn.clients.model import Client
from keyturn.pages.languages import Language

_SAID: Final = {
    "client_uri": "link.client_uri",
    "policy_uri": "link.policy_uri",
    "tos_uri": "link.tos_uri",
    "logo_uri": "link.logo_uri",
}
"""What a page calls each of them, in the order in which people want to know."""


@dataclass(frozen=True, slots=True)
class ClientLink:
    """One address of an application: the key of what it is, itself, and whose it is."""

    key: str
    address: str
    host: str


def links_of(client: Client | None) -> list[ClientLink]:
    """Return an application's links; https all of them, as registration makes sure."""
    if client is None:
        return []
    found = [(key, getattr(client, field)) for field, key in _SAID.items()]
    return [
        ClientLink(key, address, urlsplit(address).netloc)
        for key, address in found
        if address is not None and address.lower().startswith("https://")
    ]


def place(language: Language, redirect_uri: str) -> str:
    """Return where an answer goes, as a person knows it: a host, or an app on this device."""
    parts = urlsplit(redirect_uri)
    if parts.scheme == "https":
        return parts.netloc
    return str(language.say("consent.this_device"))
