"""How many rotations a fault undid: apps may have been told of them, and they must heal."""

from collections.abc import Mapping
from uuid import UUID

from support.disturbed import connected
from support.streaming import Member

Generations = Mapping[UUID, int]


async def generations(server: Member) -> Generations:
    """Return which token of each session is the current one there."""
    async with connected(server.url) as sql:
        rows = await sql.fetch("select id, generation from sessions")
    return {row["id"]: row["generation"] for row in rows}


def went_back(before: Generations, after: Generations) -> int:
    """Return of how many sessions an older token is current again."""
    return sum(after.get(one, newest) < newest for one, newest in before.items())
