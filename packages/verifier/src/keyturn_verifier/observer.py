"""What a verifier tells whoever counts; `metrics` is one who does."""

from typing import Protocol

from keyturn_verifier.errors import Reason


class Observer(Protocol):
    """Hears what happened; called on the event loop, so it must not wait. Ages are in seconds."""

    def verified(self, *, cached: bool) -> None:
        """A token was good; `cached`: it had been seen before."""
        ...

    def refused(self, reason: Reason) -> None:
        """A token was refused."""
        ...

    def unavailable(self) -> None:
        """Nothing could be said of a token."""
        ...

    def jwks_fetched(self, *, ok: bool, age: float | None) -> None:
        """The keys were asked for; `age`: of the copy held now, None without one."""
        ...

    def status_list_fetched(self, *, ok: bool, age: float | None) -> None:
        """A status list was asked for; `age`: of the copy held now, None without one."""
        ...


class Silent:
    """Nobody counts."""

    def verified(self, *, cached: bool) -> None:
        """Say nothing."""

    def refused(self, reason: Reason) -> None:
        """Say nothing."""

    def unavailable(self) -> None:
        """Say nothing."""

    def jwks_fetched(self, *, ok: bool, age: float | None) -> None:
        """Say nothing."""

    def status_list_fetched(self, *, ok: bool, age: float | None) -> None:
        """Say nothing."""
