"""What is special about redirect URIs beside being registered (`clients.redirect_uris`)."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode


def is_unverified(uri: str) -> bool:
    """Whether any app on the device may receive what is sent there (RFC 8252 section 8.6).

    Nothing but `https` proves who answers: loopback ports and private schemes belong to whoever
    comes first.
    """
    return not uri.startswith("https://")


def with_parameters(uri: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return the URI with the parameters of an answer behind its own query."""
    separator = "&" if "?" in uri else "?"
    return f"{uri}{separator}{urlencode(list(parameters), quote_via=quote)}"
