"""The issuer's status lists, kept fresh: a revoked token is refused within the list's `ttl`.

A list is fetched when the first token that names it comes, and asked for again every half `ttl`
with its `ETag`, by a loop in the background, while tokens that name it keep coming. A token's
status is then a look-up in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from keyturn_verifier.checks import Expected
from keyturn_verifier.clock import Clock
from keyturn_verifier.errors import InvalidToken, Reason, Unavailable
from keyturn_verifier.fetch import (
    NOT_MODIFIED,
    SUCCESS,
    Fetch,
    FetchFailed,
    Response,
    ask,
    log,
)
from keyturn_verifier.jwks import Jwks
from keyturn_verifier.observer import Observer
from keyturn_verifier.origin import origin
from keyturn_verifier.refresher import Refresher
from keyturn_verifier.signed import require_signed
from keyturn_verifier.status_list import TTL, TYPE, StatusList, read

MOST_CHARACTERS = 2_097_152
"""Of the JWT that holds a list."""


@dataclass(frozen=True)
class StatusPolicy:
    """What to do while the issuer does not say which tokens were revoked. Times are in seconds.

    By default a token passes then (fail open): it was signed, and it ends by itself, within
    minutes. The other way an hour's outage of the issuer is an hour's outage of every API. An API
    for which that is the lesser evil states an age after which it answers 503 (fail closed).
    A token that the last copy says is revoked is refused in either case.
    """

    fail_closed_after: float | None = None
    """Answer `Unavailable` when the copy was not confirmed for so long; None: fail open."""
    wait: float = 2.0
    """How long the first token of a list waits for it."""
    unused: float = 900.0
    """Forget a list that no token has named for so long."""


@dataclass(frozen=True)
class _Source:
    """What every list of one issuer is fetched and checked with."""

    expected: Expected
    keys: Jwks
    fetch: Fetch
    clock: Clock
    observer: Observer
    policy: StatusPolicy


class StatusLists:
    """Every list that tokens name."""

    def __init__(
        self,
        expected: Expected,
        keys: Jwks,
        fetch: Fetch,
        *,
        clock: Clock,
        observer: Observer,
        policy: StatusPolicy,
    ) -> None:
        ours = replace(expected, types=frozenset({TYPE}))
        self._source = _Source(ours, keys, fetch, clock, observer, policy)
        self._origin = origin(expected.issuer)
        self._lists: dict[str, WatchedList] = {}

    @property
    def age(self) -> float | None:
        """Seconds since the copy that is confirmed least was confirmed; None without any."""
        ages = [one.age for one in self._lists.values()]
        return max((age for age in ages if age is not None), default=None)

    async def require_good(self, uri: str, index: int) -> None:
        """Raise `InvalidToken` when the token is revoked, `Unavailable` when nobody can say."""
        watched = self._lists.get(uri)
        if watched is None:
            watched = self._watch(uri)
        await watched.require_good(index)

    async def aclose(self) -> None:
        """Stop fetching."""
        for watched in list(self._lists.values()):
            await watched.aclose()

    def _watch(self, uri: str) -> "WatchedList":
        self._require_ours(uri)
        watched = WatchedList(self._source, uri, lambda: self._lists.pop(uri, None))
        self._lists[uri] = watched
        return watched

    def _require_ours(self, uri: str) -> None:
        """Ask nobody but the issuer.

        The token is signed, so no stranger chose the address; but an issuer that lets its clients
        write claims would make us call whom they like.
        """
        try:
            same = origin(uri) == self._origin
        except ValueError:
            same = False
        if not same:
            raise InvalidToken(Reason.CLAIMS, "its status list is not at the issuer's origin")


class WatchedList:
    """One list, and the loop that keeps it fresh."""

    def __init__(self, source: _Source, uri: str, forget: Callable[[], object]) -> None:
        self._source = source
        self._uri = uri
        self._forget = forget
        self._list: StatusList | None = None
        self._etag: str | None = None
        self._confirmed_at: float | None = None
        self._used_at = source.clock.monotonic()
        self._failures = 0
        self._waited_in_vain = False
        self._refresher = Refresher(self._load, source.clock)

    @property
    def age(self) -> float | None:
        """Seconds since the issuer last sent or confirmed the copy; None without one."""
        confirmed = self._confirmed_at
        return None if confirmed is None else self._source.clock.monotonic() - confirmed

    async def require_good(self, index: int) -> None:
        """Raise `InvalidToken` when the token is revoked, `Unavailable` when nobody can say."""
        self._used_at = self._source.clock.monotonic()
        self._refresher.start()
        if self._list is None and not self._failures and not self._waited_in_vain:
            self._waited_in_vain = not await self._refresher.refresh(self._source.policy.wait)
        if self._list is not None:
            _require_good(self._list.status(index))
        if self._is_too_old():
            raise Unavailable("the status list is too old")

    async def aclose(self) -> None:
        """Stop fetching."""
        await self._refresher.aclose()

    def _is_too_old(self) -> bool:
        limit = self._source.policy.fail_closed_after
        if limit is None:
            return False
        age = self.age
        return age is None or age > limit or self._has_expired()

    def _has_expired(self) -> bool:
        expires_at = None if self._list is None else self._list.expires_at
        leeway = self._source.expected.leeway
        return expires_at is not None and expires_at + leeway <= self._source.clock.now()

    async def _load(self) -> float | None:
        """Ask once; return the seconds until the next time, None when nobody needs the list."""
        if self._source.clock.monotonic() - self._used_at > self._source.policy.unused:
            self._forget()
            return None
        try:
            await self._ask()
        except (FetchFailed, ValueError, InvalidToken, Unavailable) as error:
            log(f"status list {self._uri}: {error}")
            self._failures += 1
        else:
            self._failures = 0
            self._waited_in_vain = False
            self._confirmed_at = self._source.clock.monotonic()
        self._source.observer.status_list_fetched(ok=not self._failures, age=self.age)
        return (TTL if self._list is None else self._list.ttl) / 2

    async def _ask(self) -> None:
        headers = {"Accept": f"application/{TYPE}"}
        # An expired list cannot be confirmed, only sent anew.
        if self._etag is not None and not self._has_expired():
            headers["If-None-Match"] = self._etag
        answer = await ask(self._source.fetch, self._uri, headers)
        if answer.status == NOT_MODIFIED and "If-None-Match" in headers:
            return
        if answer.status != SUCCESS:
            raise FetchFailed(f"answered {answer.status}")
        self._list = await self._opened(answer)
        self._etag = answer.headers.get("etag")

    async def _opened(self, answer: Response) -> StatusList:
        """Check the JWT (Token Status List, section 8.3). Raises `ValueError`, `InvalidToken`."""
        expected = self._source.expected
        text = answer.body.decode("ascii")
        claims, _ = await require_signed(text, expected, self._source.keys, MOST_CHARACTERS)
        if claims.get("iss", expected.issuer) != expected.issuer or claims.get("sub") != self._uri:
            raise ValueError("another list")
        fetched = read(claims)
        now = self._source.clock.now()
        if fetched.expires_at is not None and fetched.expires_at + expected.leeway <= now:
            raise ValueError("expired")
        # An older copy, from some cache on the way, would let revoked tokens in again.
        if self._list is not None and fetched.issued_at + expected.leeway < self._list.issued_at:
            raise ValueError("older than the copy held")
        return fetched


def _require_good(status: int | None) -> None:
    """Token Status List, section 7.1: 0 is valid, all else is not; outside says nothing."""
    if status is None:
        raise InvalidToken(Reason.CLAIMS, "the status list does not reach its index")
    if status:
        raise InvalidToken(Reason.REVOKED, f"status {status}")
