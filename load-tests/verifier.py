"""How fast `keyturn_verifier` is on one core, beside PyJWT and joserfc, and whom a hang delays.

    PYTHONPATH=packages/verifier/src python load-tests/verifier.py [--quick] [--json]

All three make the same checks of the same RS256 tokens: signature by `kid`, `typ`, `iss`, `aud`,
`exp`. Beside them the limit: the RSA signatures alone, by `cryptography`, which all three call.
They take turns, round by round, and the median of the rounds is printed, with the extremes.
README.md says what the figures mean.
"""

import argparse
import asyncio
import base64
import json
import os
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet, RSAKey

from keyturn_verifier import Response, UrllibFetch, Verifier
from keyturn_verifier.clock import SystemClock
from keyturn_verifier.testing import FakeIssuer

TYPE = "at+jwt"
HANG = 10.0
PAUSE = 0.001
Verify = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True)
class Plan:
    """How much to do."""

    tokens: int
    rounds: int
    cached_calls: int
    hang: float


@dataclass(frozen=True)
class Row:
    """One way to verify: verifications a second, in each round."""

    name: str
    rates: list[float]

    def document(self) -> dict[str, Any]:
        """Return the figures as they are printed."""
        return {
            "name": self.name,
            "median": round(statistics.median(self.rates)),
            "slowest": round(min(self.rates)),
            "fastest": round(max(self.rates)),
        }


class Others:
    """The same checks by other libraries, their keys at hand as well."""

    def __init__(self, issuer: FakeIssuer, jwks: dict[str, Any]) -> None:
        self._issuer = issuer
        self._pyjwt_keys = {one.key_id: one for one in pyjwt.PyJWKSet.from_dict(jwks).keys}
        self._joserfc_keys = KeySet.import_key_set(jwks)
        self._joserfc_claims = joserfc_jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": issuer.issuer},
            aud={"essential": True, "value": issuer.audience},
            exp={"essential": True},
        )

    async def pyjwt(self, token: str) -> Any:
        """As PyJWT's documentation does it, the header read for `kid` and `typ`."""
        header = pyjwt.get_unverified_header(token)
        if header.get("typ") != TYPE:
            raise ValueError("typ")
        return pyjwt.decode(
            token,
            self._pyjwt_keys[header["kid"]],
            algorithms=["RS256"],
            issuer=self._issuer.issuer,
            audience=self._issuer.audience,
            options={"require": ["exp", "iss", "aud"]},
        )

    async def joserfc(self, token: str) -> Any:
        """As joserfc's documentation does it."""
        decoded = joserfc_jwt.decode(token, self._joserfc_keys, algorithms=["RS256"])
        if decoded.header.get("typ") != TYPE:
            raise ValueError("typ")
        self._joserfc_claims.validate(decoded.claims)
        return decoded.claims


class Limit:
    """The signatures and nothing else: taken apart before, by a key at hand."""

    def __init__(self, tokens: list[str], jwks: dict[str, Any]) -> None:
        self._key = RSAKey.import_key(jwks["keys"][0]).public_key
        self._padding, self._hash = PKCS1v15(), SHA256()
        self._parts = {token: _parts(token) for token in tokens}

    async def verify(self, token: str) -> None:
        """Raise `InvalidSignature`, or return."""
        signature, text = self._parts[token]
        self._key.verify(signature, text, self._padding, self._hash)


def _parts(token: str) -> tuple[bytes, bytes]:
    text, _, signature = token.rpartition(".")
    return base64.urlsafe_b64decode(signature + "=="), text.encode()


async def rates(plan: Plan) -> list[Row]:
    """Measure every way in turns."""
    issuer = FakeIssuer(clock=SystemClock(), algorithm="RS256")
    tokens = [issuer.token("orders.read") for _ in range(plan.tokens)]
    jwks = json.loads((await issuer.fetch(issuer.jwks_uri, {})).body)
    others = Others(issuer, jwks)
    async with issuer.verifier(cache_size=0) as uncached, issuer.verifier() as cached:
        again = list(_repeated(tokens[: min(100, plan.tokens)], plan.cached_calls))
        ways: list[tuple[str, Verify, list[str]]] = [
            ("keyturn_verifier, cached", cached.verify, again),
            ("keyturn_verifier, uncached", uncached.verify, tokens),
            ("PyJWT", others.pyjwt, tokens),
            ("joserfc", others.joserfc, tokens),
        ]
        await _require_same_answers(ways, issuer)
        ways.append(("the limit: RSA signatures alone", Limit(tokens, jwks).verify, tokens))
        rounds = [
            [await _rate(verify, given) for _, verify, given in ways] for _ in range(plan.rounds)
        ]
    return [
        Row(name, list(seen))
        for (name, _, _), seen in zip(ways, zip(*rounds, strict=True), strict=True)
    ]


async def _require_same_answers(
    ways: list[tuple[str, Verify, list[str]]], issuer: FakeIssuer
) -> None:
    """A way that checks less would look fast: each must take a good token and refuse bad ones."""
    bad = [
        issuer.token(claims={"aud": "https://other.test"}),
        issuer.token(claims={"iss": "https://other.test"}),
        issuer.token(header={"typ": "JWT"}),
        issuer.token(lifetime=-3600),
        f"{issuer.token()[:-8]}AAAAAAAA",
    ]
    for name, verify, _ in ways:
        await verify(issuer.token())
        for token in bad:
            try:
                await verify(token)
            except Exception:  # noqa: BLE001 - each library refuses in its own words
                continue
            raise RuntimeError(f"{name} takes a token that it should refuse")


async def _rate(verify: Verify, tokens: list[str]) -> float:
    began = time.thread_time()
    for token in tokens:
        await verify(token)
    return len(tokens) / (time.thread_time() - began)


def _repeated(tokens: list[str], count: int) -> Iterator[str]:
    for number in range(count):
        yield tokens[number % len(tokens)]


async def hanging(seconds: float) -> dict[str, float]:
    """Let every fetch hang; return the longest that a verification with a known key took.

    A real hang of the real fetch: a socket that takes connections and never answers.
    """
    issuer = FakeIssuer(clock=SystemClock(), algorithm="RS256")
    hung: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nowhere = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        blocking = UrllibFetch(timeout=seconds)

        async def fetch(url: str, headers: Mapping[str, str], /) -> Response:
            if not hung:
                return await issuer.fetch(url, headers)
            hung.append(url)
            return await blocking(nowhere, headers)

        async with issuer.verifier(fetch=fetch, cache_size=0) as verifier:
            known = issuer.token()
            await verifier.verify(known)
            hung.append("from now on")
            issuer.rotate()
            waiting = asyncio.create_task(_outcome(verifier, issuer.token()))
            delays = await _delays(verifier, known, seconds)
            outcome = await waiting
        blocking.close()
    if len(hung) == 1 or outcome == "verified":
        raise RuntimeError("nothing hung")
    longest = round(max(delays) * 1000, 2)
    return {"seconds": seconds, "verifications": len(delays), "longest_ms": longest}


async def _delays(verifier: Verifier, token: str, seconds: float) -> list[float]:
    """Verify again and again; each delay counts from when the loop was to begin with it."""
    delays, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        due = time.perf_counter() + PAUSE
        await asyncio.sleep(PAUSE)
        await verifier.verify(token)
        delays.append(time.perf_counter() - due)
    return delays


async def _outcome(verifier: Verifier, token: str) -> str:
    """A token by a key that nobody can fetch: its caller waits, nobody else."""
    try:
        await verifier.verify(token)
    except Exception as error:  # noqa: BLE001 - whichever refusal, the name is the outcome
        return type(error).__name__
    return "verified"


def text(rows: list[Row], hang: dict[str, float]) -> str:
    lines = [f"{'verifications a second, one core':36}{'median':>10}{'slowest':>10}{'fastest':>10}"]
    for said in (row.document() for row in rows):
        numbers = "".join(f"{said[one]:>10,}" for one in ("median", "slowest", "fastest"))
        lines.append(f"{said['name']:36}{numbers}")
    lines.append("")
    lines.append(
        f"a fetch that hangs for {hang['seconds']:g} s: {hang['verifications']:,.0f} verifications "
        f"with a known key meanwhile, the longest {hang['longest_ms']:.2f} ms"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the verifier on one core.")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each way (9)")
    parser.add_argument("--quick", action="store_true", help="does it all work? a few seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    plan = Plan(50, 2, 500, 0.2) if asked.quick else Plan(2000, asked.rounds, 50_000, HANG)
    rows = asyncio.run(rates(plan))
    hang = asyncio.run(hanging(plan.hang))
    if asked.json:
        print(json.dumps({"rates": [row.document() for row in rows], "hanging": hang}))
    else:
        print(text(rows, hang))


if __name__ == "__main__":
    main()
