"""The issuer's keys, at hand: nobody waits for the network who has a key that is known.

- kept for their `max-age` and fetched again before it is over, by a loop in the background;
- a failed or broken answer changes nothing: the keys held stay good for 24 hours;
- a key that a fresh set lacks is gone at once;
- an unknown `kid` causes one fetch that all share, and then none for a while: whoever sends
  invented ones cannot make us flood the issuer.
"""

import re
from types import MappingProxyType

from keyturn_verifier import key_set
from keyturn_verifier.errors import InvalidToken, Reason, Unavailable
from keyturn_verifier.fetch import FetchFailed, Response, ask, log, require_success
from keyturn_verifier.metadata import discover_jwks_uri
from keyturn_verifier.public_key import PublicKey
from keyturn_verifier.refresher import Refresher, Wait, again, within
from keyturn_verifier.surroundings import Surroundings

MAX_AGE = 300.0
"""Seconds a set is fresh when the answer does not say."""
SHORTEST, LONGEST = 15.0, 3600.0
"""Bounds of what an answer may say."""
STALE = 86_400.0
"""Seconds after which keys that could not be renewed are given up."""
COOL_DOWN = 10.0
"""Seconds between two fetches that unknown keys cause."""
MISSING_FOR = 30.0
"""Seconds for which the same unknown `kid` causes no other."""
MOST_MISSING = 1000
PATIENCE = 5.0
"""Seconds somebody waits for a key that is not here."""
RETRY, LONGEST_RETRY = 1.0, 30.0
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})")


class Jwks:
    """The keys of one issuer, from `uri` or, without one, from where its metadata says."""

    def __init__(self, issuer: str, uri: str | None, given: Surroundings) -> None:
        self._issuer = issuer
        self._given = uri
        self._discovered: str | None = None
        self._fetch = given.fetch
        self._clock = given.clock
        self._observer = given.observer
        self._keys: key_set.KeySet = MappingProxyType({})
        self._fetched_at: float | None = None
        self._failures = 0
        self._refetch_after = float("-inf")
        self._missing: dict[str, float] = {}
        self._refresher = Refresher(self._load, given)

    @property
    def age(self) -> float | None:
        """Seconds since the keys were last confirmed; None without any."""
        return None if self._fetched_at is None else self._clock.monotonic() - self._fetched_at

    def keep_fresh(self) -> None:
        """Begin to fetch in the background, unless that goes on already."""
        self._refresher.start()

    def find(self, kid: str) -> PublicKey | None:
        """Return a key held, without waiting."""
        return self._keys.get(kid) if self._is_usable else None

    async def require(self, kid: str) -> PublicKey:
        """Return the key, after a fetch if need be.

        Raises `InvalidToken` when the issuer has no such key, `Unavailable` when it does not say.
        """
        key = self.find(kid)
        if key is None and self._may_refetch(kid):
            key = await self._refetched(kid)
        if key is not None:
            return key
        if self._failures or not self._is_usable:
            raise Unavailable("the issuer's keys cannot be fetched")
        raise InvalidToken(Reason.UNKNOWN_KEY)

    async def warmup(self) -> None:
        """Fetch the keys now. Raises `Unavailable`."""
        self.keep_fresh()
        if self.age is None:
            await self._refresher.refresh(PATIENCE)
        if self.age is None:
            raise Unavailable("the issuer's keys cannot be fetched")

    async def aclose(self) -> None:
        """Stop fetching."""
        await self._refresher.aclose()

    @property
    def _is_usable(self) -> bool:
        age = self.age
        return age is not None and age < STALE

    def _may_refetch(self, kid: str) -> bool:
        now = self._clock.monotonic()
        # One that runs is shared, and the first of all is nobody's doing.
        if self._refresher.is_loading or (self.age is None and not self._failures):
            return True
        if now < self._refetch_after or now < self._missing.get(kid, now):
            return False
        self._refetch_after = now + COOL_DOWN
        return True

    async def _refetched(self, kid: str) -> PublicKey | None:
        if not await self._refresher.refresh(PATIENCE):
            raise Unavailable("the issuer does not answer")
        key = self.find(kid)
        if key is None and not self._failures:
            self._remember_missing(kid)
        return key

    def _remember_missing(self, kid: str) -> None:
        self._missing.pop(kid, None)
        self._missing[kid] = self._clock.monotonic() + MISSING_FOR
        if len(self._missing) > MOST_MISSING:
            del self._missing[next(iter(self._missing))]

    async def _load(self) -> Wait:
        """Fetch once; return when to do so again."""
        try:
            answer = await self._answer()
            self._keys = key_set.parse(answer.body, self._keys)
        except FetchFailed as error:
            return self._failed(str(error), error.retry_after)
        except ValueError as error:
            return self._failed(str(error))
        self._fetched_at = self._clock.monotonic()
        self._failures = 0
        self._observer.jwks_fetched(ok=True, age=self.age)
        return within(max_age(answer) * 0.8)

    async def _answer(self) -> Response:
        uri = self._given or self._discovered
        if uri is None:
            uri = self._discovered = await discover_jwks_uri(self._fetch, self._issuer)
        answer = await ask(
            self._fetch, uri, {"Accept": "application/jwk-set+json, application/json"}
        )
        require_success(uri, answer)
        return answer

    def _failed(self, why: str, retry_after: float = 0.0) -> Wait:
        """Keep what is held, and look again soon; the address may have moved, too."""
        log(f"keys of {self._issuer}: {why}")
        self._discovered = None
        self._failures += 1
        self._observer.jwks_fetched(ok=False, age=self.age)
        # Nor do unknown keys make us ask sooner than the issuer wants to be asked.
        until = self._clock.monotonic() + retry_after
        self._refetch_after = max(self._refetch_after, until)
        return again(min(RETRY * 2.0 ** min(self._failures - 1, 10), LONGEST_RETRY), retry_after)


def max_age(answer: Response) -> float:
    """Return for how many seconds the answer is fresh (RFC 9111 section 5.2.2.1)."""
    stated = _MAX_AGE.search(answer.headers.get("cache-control", ""))
    return MAX_AGE if stated is None else min(max(float(stated[1]), SHORTEST), LONGEST)
