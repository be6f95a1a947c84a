"""Puts the demo people and clients into the database; people who are there stay as they are."""

from pathlib import Path

from keyturn.clients import clients_file, declarative
from keyturn.clients.rules import Limits
from keyturn.clock import SystemClock
from keyturn.dev import demo
from keyturn.parts import Parts
from keyturn.settings import Settings
from keyturn.users.model import NewUser


async def seed(settings: Settings, *, demo_url: str, example_url: str) -> None:
    """Add the people once, and make the demo clients what `demo` says."""
    parts = Parts.of(settings, SystemClock())
    try:
        document = {"clients": demo.clients(demo_url, example_url, settings.issuer)}
        declared = clients_file.parse(document, Limits.of(settings), Path())
        await declarative.apply(parts.database, declared, parts.audit)
        for person in demo.USERS:
            if await parts.accounts.find_by_email(person.email) is None:
                await parts.accounts.add(NewUser(person.email, person.name, person.password))
    finally:
        await parts.close()
