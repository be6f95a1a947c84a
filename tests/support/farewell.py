"""The logout token that a client would get at the end of a session, while the session goes on."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from keyturn.logouts.model import Delivery
from support.api import Api, claims_of


async def logout_token_of(api: Api, client_id: str, token: str) -> str:
    """Sign it for the session of an access token or ID token."""
    said = claims_of(token)
    delivery = Delivery(
        session_id=UUID(said["sid"]),
        user_id=UUID(said["sub"]),
        client_id=client_id,
        uri=None,
        profile=None,
        attempt=1,
        claimed_at=datetime.now(UTC),
        waited=timedelta(),
        is_late=False,
        is_last=False,
    )
    await api.operator.keyring.load()
    return api.operator.logout_tokens.for_delivery(delivery)
