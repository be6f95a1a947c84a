"""What an issuer serves, handed to the verifier as its `fetch`: for tests that own the clock.

`loopback` serves the same over real sockets.
"""

import asyncio

from issuing import AUDIENCE, ISSUER, JWKS_URI, LIST_URI, NOW, jwks, metadata, rsa, status_list

from keyturn_verifier import FetchFailed, FixedClock, Reason, Response, Verifier

OAUTH = f"{ISSUER}/.well-known/oauth-authorization-server"


class Documents:
    """Answers by address: a text, a `Response`, or an exception to raise. Counts who asked."""

    def __init__(self, *keys):
        self.clock = FixedClock(NOW)
        self.asked = []
        self.headers = []
        self.answers = {
            OAUTH: metadata(),
            JWKS_URI: jwks(*(keys or (rsa(),))),
            LIST_URI: status_list(),
        }
        self.away = False
        self.answering = asyncio.Event()
        self.answering.set()

    async def __call__(self, url, headers, /):
        self.asked.append(url)
        self.headers.append(headers)
        await self.answering.wait()
        answer = self.answers.get(url, Response(404, {}, b""))
        if self.away:
            raise FetchFailed("connection refused")
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else Response(200, {}, answer.encode())

    def asked_for(self, url):
        return self.asked.count(url)

    def verifier(self, **options):
        usual = {"fetch": self, "clock": self.clock, "jitter": lambda: 0.0}
        return Verifier(ISSUER, AUDIENCE, **(usual | options))

    async def pass_time(self, seconds, step=1.0):
        """Let time pass in small steps, and everybody work who waited for it."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            await settle()


async def settle():
    """Give everybody a few turns who can go on without waiting."""
    for _ in range(20):
        await asyncio.sleep(0)


class Counting:
    """An observer that remembers."""

    def __init__(self):
        self.verifications = []
        self.refusals: list[Reason] = []
        self.nothing_said = 0
        self.jwks = []
        self.lists = []

    def verified(self, *, cached):
        self.verifications.append(cached)

    def refused(self, reason):
        self.refusals.append(reason)

    def unavailable(self):
        self.nothing_said += 1

    def jwks_fetched(self, *, ok, age):
        self.jwks.append((ok, age))

    def status_list_fetched(self, *, ok, age):
        self.lists.append((ok, age))
