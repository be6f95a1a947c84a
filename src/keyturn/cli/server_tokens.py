"""The access token that a command shows: for this API only, by client_credentials."""

from base64 import b64encode
from urllib.parse import quote_plus, urlencode

from keyturn import paths
from keyturn.cli.credentials import Credentials
from keyturn.cli.exchange import Message, exchange
from keyturn.cli.server_answers import token_of
from keyturn.clients.rules import ADMIN_PATH


async def token(issuer: str, credentials: Credentials) -> str:
    """Return a token of the issuer's. Raises `ServerAway`, `ServerRefused`."""
    form = {"grant_type": "client_credentials", "resource": issuer + ADMIN_PATH}
    headers = {
        "Authorization": f"Basic {_basic(credentials)}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urlencode(form).encode()
    return token_of(
        await exchange(Message("POST", issuer + paths.TOKEN, headers, body, twice=True))
    )


def _basic(credentials: Credentials) -> str:
    # RFC 6749 section 2.3.1: each is form-encoded first.
    pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.secret)}"
    return b64encode(pair.encode()).decode()
