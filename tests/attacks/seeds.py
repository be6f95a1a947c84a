"""A valid request, and more than one where there are kinds, for every route of both ports.

`test_every_route_is_attacked` holds this table against the server's own: a route that is new has
no valid request here, and fails there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from attacks import seeds_admin, seeds_pages, seeds_protocol, seeds_session
from attacks.grammar import Draft
from attacks.stock import Stock

Make: TypeAlias = Callable[[Stock], Draft]

SEEDS: Mapping[str, tuple[Make, ...]] = {
    **seeds_protocol.SEEDS,
    **seeds_pages.SEEDS,
    **seeds_session.SEEDS,
    **seeds_admin.SEEDS,
}
OFTEN = {
    "POST /oauth2/token": 10,
    "GET /oauth2/authorize": 4,
    "POST /oauth2/par": 5,
    "GET /metrics": 0.2,
    "GET /health/live": 0.2,
}
"""How much of the whole the doors get that do most, or nothing; every other gets one share."""


@dataclass(frozen=True, slots=True)
class Share:
    """One way to begin, and how often."""

    door: str
    make: Make
    weight: float


SHARES = tuple(
    Share(door, make, OFTEN.get(door, 1) / len(makes))
    for door, makes in SEEDS.items()
    for make in makes
)
