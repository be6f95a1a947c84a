"""The front door: whether an access token is good, for this API, now."""

from collections.abc import Collection
from hashlib import sha256
from random import random  # noqa: TID251 - when to ask again; no secret
from types import TracebackType

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.checks import CLAIM_CHECKS, Expected
from keyturn_verifier.claims import access_token
from keyturn_verifier.clock import Clock, SystemClock
from keyturn_verifier.compact import MOST_CHARACTERS
from keyturn_verifier.errors import InvalidToken, Reason, Refused, Unavailable
from keyturn_verifier.fetch import Fetch, UrllibFetch
from keyturn_verifier.jwks import Jwks
from keyturn_verifier.observer import Observer, Silent
from keyturn_verifier.origin import require_safe
from keyturn_verifier.public_key import ALGORITHMS
from keyturn_verifier.signed import SignedJwts
from keyturn_verifier.status_lists import StatusLists, StatusPolicy
from keyturn_verifier.surroundings import Jitter, Surroundings
from keyturn_verifier.verified import Verified, VerifiedTokens

USUAL_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
TYPES = frozenset({"at+jwt"})
LONGEST_LEEWAY = 300.0


class Verifier:
    """Verifies the access tokens that one issuer makes for one API.

    It belongs to one event loop. Nothing is fetched before the first token, or `warmup`. Every
    option is described in the package's README.

    Args:
        issuer: the issuer's identifier, exactly as tokens say it in `iss`.
        audience: this API's identifier, one of a token's `aud`.
        jwks_uri: where the keys are; by default the issuer's metadata says so.
        algorithms: the signatures accepted; only asymmetric ones exist here.
        leeway: seconds by which clocks may differ, 300 at most.
        allow_legacy_typ: accept `typ: JWT`, or none: for issuers without RFC 9068.
        status: what happens while status lists cannot be had; by default tokens pass.
        cache_size: how many verified tokens are remembered; 0 for none.
        fetch: how documents are fetched; by default in threads of its own.
        clock: time; by default the machine's.
        jitter: a number of 0 to 1 that spreads fetches; by default a random one.
        observer: hears what happens, to count it.

    Raises:
        ValueError: an option makes no sense or is not safe.

    """

    def __init__(  # noqa: PLR0913 - options, each by name
        self,
        issuer: str,
        audience: str,
        *,
        jwks_uri: str | None = None,
        algorithms: Collection[str] = USUAL_ALGORITHMS,
        leeway: float = 60.0,
        allow_legacy_typ: bool = False,
        status: StatusPolicy | None = None,
        cache_size: int = 10_000,
        fetch: Fetch | None = None,
        clock: Clock | None = None,
        jitter: Jitter = random,
        observer: Observer | None = None,
    ) -> None:
        require_safe(issuer)
        if not audience:
            raise ValueError("audience is required: without it every token of the issuer passes")
        if jwks_uri is not None:
            require_safe(jwks_uri)
        self._expected = Expected(
            issuer,
            audience,
            _known(algorithms),
            TYPES | {"jwt"} if allow_legacy_typ else TYPES,
            _bounded(leeway),
        )
        self._own_fetch = UrllibFetch() if fetch is None else None
        self._clock = clock or SystemClock()
        self._observer = observer or Silent()
        fetching = fetch or self._own_fetch or UrllibFetch()
        given = Surroundings(fetching, self._clock, jitter, self._observer)
        self._keys = Jwks(issuer, jwks_uri, given)
        self._signed = SignedJwts(self._expected, self._keys)
        self._status_lists = StatusLists(
            self._expected, self._keys, given, status or StatusPolicy()
        )
        self._cache = VerifiedTokens(cache_size)

    @property
    def jwks_age(self) -> float | None:
        """Seconds since the issuer last sent its keys; None before."""
        return self._keys.age

    @property
    def status_list_age(self) -> float | None:
        """Seconds since the least recent of the status lists was confirmed; None without any."""
        return self._status_lists.age

    async def verify(self, token: str, *, bound_to: str | None = None) -> AccessToken:
        """Return what a good token says.

        Args:
            token: the token alone, without `Bearer` or `DPoP` before it.
            bound_to: the thumbprint of the key whose possession the caller has just proven (RFC
                9449), after that proof was checked; a token that is bound passes with it only.

        Raises:
            InvalidToken: the token is not good; `reason` says why.
            Unavailable: nobody can say now; answer 503.

        """
        try:
            verified, cached = await self._verified(token)
            _require_binding(verified, bound_to)
        except Refused as refused:
            self._observer.refused(refused.reason)
            raise
        except Unavailable:
            self._observer.unavailable()
            raise
        self._observer.verified(cached=cached)
        return verified

    async def warmup(self) -> None:
        """Fetch the keys before the first token comes. Raises `Unavailable`."""
        await self._keys.warmup()

    async def aclose(self) -> None:
        """Stop fetching in the background."""
        await self._status_lists.aclose()
        await self._keys.aclose()
        if self._own_fetch is not None:
            self._own_fetch.close()

    async def __aenter__(self) -> "Verifier":  # noqa: PYI034 - Python 3.10 has no Self
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _verified(self, token: str) -> tuple[AccessToken, bool]:
        """Return a good token, and whether it had been seen before."""
        _require_plausible(token)
        self._keys.keep_fresh()
        digest = sha256(token.encode("ascii")).digest()
        found = self._seen(digest)
        verified = found or await self._checked(token)
        await self._require_unrevoked(verified.token, digest)
        if found is None:
            self._cache.put(digest, verified)
        return verified.token, found is not None

    def _seen(self, digest: bytes) -> Verified | None:
        """Return a token that was good, if it has not expired and its key is still published."""
        found = self._cache.get(digest)
        if found is None:
            return None
        if found.until > self._clock.now() and self._keys.find(found.key.kid) is found.key:
            return found
        self._cache.drop(digest)
        return None

    async def _checked(self, token: str) -> Verified:
        claims, key = await self._signed.require(token)
        now = self._clock.now()
        for check in CLAIM_CHECKS:
            check(claims, self._expected, now)
        read = access_token(claims)
        return Verified(read, key, read.expires_at + self._expected.leeway)

    async def _require_unrevoked(self, token: AccessToken, digest: bytes) -> None:
        if token.status is None:
            return
        try:
            await self._status_lists.require_good(*token.status)
        except InvalidToken:
            self._cache.drop(digest)
            raise


def _require_plausible(token: str) -> None:
    if not token:
        raise InvalidToken(Reason.MISSING)
    if len(token) > MOST_CHARACTERS:
        raise InvalidToken(Reason.TOO_LARGE, "token")
    if not token.isascii():
        raise InvalidToken(Reason.MALFORMED, "not ASCII")


def _require_binding(token: AccessToken, bound_to: str | None) -> None:
    """RFC 9449 section 7.1: a bound token is nobody's without the key, an unbound one has none.

    Equal also when both are missing: a bearer token, shown as one.
    """
    if token.key_thumbprint != bound_to:
        raise InvalidToken(Reason.PROOF, "bound to another key than was proven")


def _known(algorithms: Collection[str]) -> frozenset[str]:
    unknown = sorted(set(algorithms) - set(ALGORITHMS))
    if unknown or not algorithms:
        raise ValueError(f"algorithms: choose among {sorted(ALGORITHMS)}, not {unknown}")
    return frozenset(algorithms)


def _bounded(leeway: float) -> float:
    if not 0 <= leeway <= LONGEST_LEEWAY:
        raise ValueError("leeway: 0 to 300 seconds, as long as status lists remember a token")
    return leeway
