"""The issuer's status lists, kept fresh: a revoked token is refused within the list's `ttl`.

A list is fetched when the first token that names it comes, and asked for again every half `ttl`
with its `ETag`, by a loop in the background, while tokens that name it keep coming. A token's
status is then a look-up in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from keyturn_verifier.checks import Expected
from keyturn_verifier.errors import InvalidToken, Reason, Unavailable
from keyturn_verifier.fetch import (
    NOT_MODIFIED,
    FetchFailed,
    Response,
    ask,
    log,
    require_success,
)
from keyturn_verifier.jwks import Jwks
from keyturn_verifier.origin import origin
from keyturn_verifier.public_key import ALGORITHMS
from keyturn_verifier.refresher import Refresher, Wait
from keyturn_verifier.signed import SignedJwts
from keyturn_verifier.status_list import TTL, TYPE, StatusList, read
from keyturn_verifier.surroundings import Surroundings

MOST_CHARACTERS = 2_097_152
"""Of the JWT that holds a list."""
RETRY = 1.0
"""Seconds until a list that was never had is asked for again, twice as long each time."""


@dataclass(frozen=True)
class StatusPolicy:
    """What to do while the issuer does not say which tokens were revoked. Times are in seconds.

    By default a token passes then (fail open): it was signed, and it ends by itself, within
    minutes. The other way an hour's outage of the issuer is an hour's outage of every API. An API
    for which that is the lesser evil states an age after which it answers 503 (fail closed).
    A token that the last copy says is revoked is refused in either case.
    """

    fail_closed_after: float | None = None
    """Answer `Unavailable` when the copy was not confirmed for so long, since it was asked for.

    None: fail open.
    """
    wait: float = 2.0
    """How long the first token of a list waits for it."""
    unused: float = 900.0
    """Forget a list that no token has named for so long."""


@dataclass(frozen=True)
class _Source:
    """What every list of one issuer is fetched and checked with."""

    expected: Expected
    signed: SignedJwts
    given: Surroundings
    policy: StatusPolicy


class StatusLists:
    """Every list that tokens name."""

    def __init__(
        self, expected: Expected, keys: Jwks, given: Surroundings, policy: StatusPolicy
    ) -> None:
        # Which algorithms an API wants of tokens says nothing of lists, which are one for all: what
        # is not read lets every revoked token pass. A key is still good in its own one only.
        lists = replace(expected, types=frozenset({TYPE}), algorithms=frozenset(ALGORITHMS))
        self._source = _Source(expected, SignedJwts(lists, keys), given, policy)
        self._origin = origin(expected.issuer)
        self._lists: dict[str, WatchedList] = {}

    @property
    def age(self) -> float | None:
        """Seconds since the copy that is confirmed least was confirmed; None without any."""
        ages = [one.age for one in self._lists.values()]
        return max((age for age in ages if age is not None), default=None)

    async def require_good(self, uri: str, index: int) -> None:
        """Raise `InvalidToken` when the token is revoked, `Unavailable` when nobody can say."""
        watched = self._lists.get(uri) or self._watch(uri)
        if watched.is_awaited:
            await watched.first()
        watched.require_good(index)

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
        self._clock = source.given.clock
        self._used_at = self._clock.monotonic()
        self._failures = 0
        self._waited_in_vain = False
        self._refresher = Refresher(self._load, source.given)

    @property
    def age(self) -> float | None:
        """Seconds since the issuer was asked for what it last sent or confirmed; None: no copy."""
        confirmed = self._confirmed_at
        return None if confirmed is None else self._clock.monotonic() - confirmed

    @property
    def is_awaited(self) -> bool:
        """Whether a token should wait for the `first` copy; nobody does so in vain twice."""
        return self._list is None and not self._failures and not self._waited_in_vain

    async def first(self) -> None:
        """Wait for the first copy, as long as the policy says."""
        self._waited_in_vain = not await self._refresher.refresh(self._source.policy.wait)

    def require_good(self, index: int) -> None:
        """Raise `InvalidToken` when the token is revoked, `Unavailable` when nobody can say."""
        self._used_at = self._clock.monotonic()
        self._refresher.start()
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
        return expires_at is not None and expires_at + leeway <= self._clock.now()

    async def _load(self) -> Wait | None:
        """Ask once; return when to do so again, None when nobody needs the list."""
        if self._clock.monotonic() - self._used_at > self._source.policy.unused:
            self._forget()
            return None
        retry_after = 0.0
        # What was revoked while the answer was on its way may not be in it.
        asked_at = self._clock.monotonic()
        try:
            await self._ask()
        except FetchFailed as error:
            self._failed(error)
            retry_after = error.retry_after
        except (ValueError, InvalidToken, Unavailable) as error:
            self._failed(error)
        else:
            self._failures = 0
            self._waited_in_vain = False
            self._confirmed_at = asked_at
        self._source.given.observer.status_list_fetched(ok=not self._failures, age=self.age)
        # Not before the issuer wants to be asked, and not later than it promised to answer.
        wait = self._wait()
        return Wait(min(max(wait / 2, retry_after), wait), wait)

    def _wait(self) -> float:
        """Return the seconds until the next time: soon, while every revoked token passes."""
        if self._list is None:
            return min(RETRY * 2.0 ** min(self._failures - 1, 10), TTL / 2)
        return self._list.ttl / 2

    def _failed(self, error: Exception) -> None:
        log(f"status list {self._uri}: {error}")
        self._failures += 1

    async def _ask(self) -> None:
        headers = {"Accept": f"application/{TYPE}"}
        # An expired list cannot be confirmed, only sent anew.
        if self._etag is not None and not self._has_expired():
            headers["If-None-Match"] = self._etag
        answer = await ask(self._source.given.fetch, self._uri, headers)
        if answer.status == NOT_MODIFIED and "If-None-Match" in headers:
            return
        require_success(self._uri, answer)
        self._list = await self._opened(answer)
        self._etag = answer.headers.get("etag")

    async def _opened(self, answer: Response) -> StatusList:
        """Check the JWT (Token Status List, section 8.3). Raises `ValueError`, `InvalidToken`."""
        expected = self._source.expected
        text = answer.body.decode("ascii")
        claims, _ = await self._source.signed.require(text, MOST_CHARACTERS)
        if claims.get("iss", expected.issuer) != expected.issuer or claims.get("sub") != self._uri:
            raise ValueError("another list")
        fetched = read(claims)
        now = self._clock.now()
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
