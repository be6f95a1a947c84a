"""Where this server may call: https at public addresses, but for what the operator lists."""

from dataclasses import dataclass
from typing import Final, Self

from keyturn.outgoing.addresses import is_public, literal
from keyturn.outgoing.destination import Destination
from keyturn.settings import Settings

HTTP_REFUSED: Final = "https; http is for hosts in outgoing.private_hosts, with development: true"
PRIVATE_REFUSED: Final = "a private address; the operator may list it in outgoing.private_hosts"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say; by default nothing private."""

    private_hosts: frozenset[str] = frozenset()
    """`host:port`, exact, whose addresses are nobody's business but the operator's."""
    development: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read it from the settings."""
        return cls(frozenset(settings.outgoing.private_hosts), settings.development)

    def may_be_private(self, destination: Destination) -> bool:
        """Whether the operator lists it."""
        return destination.place in self.private_hosts

    def objection(self, destination: Destination) -> str | None:
        """Return what is wrong with a destination by its text alone; None: nothing.

        A name is judged when it is called, by the addresses it then has.
        """
        listed = self.may_be_private(destination)
        if not destination.is_secure and not (listed and self.development):
            return HTTP_REFUSED
        if listed:
            return None
        address = literal(destination.host)
        inside = destination.host == "localhost" or destination.host.endswith(".localhost")
        if inside or (address is not None and not is_public(address)):
            return PRIVATE_REFUSED
        return None


NOTHING_PRIVATE: Final = Policy()
"""What holds where no operator has said anything."""
