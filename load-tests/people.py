"""People who sign in with a password, and the application they use: what `seed.py` has none of.

`people` writes them through the product's own rules, so each has a hash of the settings' cost.
"""

from pathlib import Path

from keyturn.clients import clients_file, declarative
from keyturn.clients.rules import Limits
from keyturn.clock import SystemClock
from keyturn.crypto import opaque
from keyturn.parts import Parts
from keyturn.settings import Settings
from keyturn.users.model import NewUser

APP = {
    "id": "load-app",
    "kind": "public",
    "session_api": True,
    "grant_types": ["refresh_token"],
    "scopes": ["orders.read"],
    "audiences": ["https://api.benchmark.example"],
}
"""With the default grace, as browsers whose tabs race need it."""


async def people(settings: Settings, count: int, password: str) -> list[str]:
    """Register the application and add so many people; return their e-mail addresses."""
    parts = Parts.of(settings, SystemClock())
    emails = [f"{opaque.random_uuid()}@load.example" for _ in range(count)]
    try:
        declared = clients_file.parse({"clients": [APP]}, Limits.of(settings), Path())
        await declarative.apply(parts.database, declared, parts.audit)
        for email in emails:
            await parts.accounts.add(NewUser(email, "Load", password))
    finally:
        await parts.close()
    return emails
