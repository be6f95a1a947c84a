"""The requests that begin and end no session, as whole HTTP messages."""

import base64
import random
from collections import deque
from collections.abc import Sequence
from itertools import cycle, islice
from urllib.parse import urlencode

import seed
import wire
from keyturn import paths

FORM = "application/x-www-form-urlencoded"


class Traffic:
    """What each connection sends; refreshes go on with their tokens from round to round."""

    def __init__(self, seeded: seed.Seeded, connections: int) -> None:
        self._connections = connections
        pair = f"{seeded.machine_id}:{seeded.machine_secret}".encode()
        self._basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        fields = urlencode({"grant_type": "refresh_token", "client_id": seeded.client_id})
        start = f"{fields}&refresh_token="
        headers = form_headers(len(start) + len(seeded.tokens[0]))
        prefix = wire.message("POST", paths.TOKEN, headers, start.encode())
        tokens = [token.encode() for token in seeded.tokens]
        # People come in no order; rows that lie side by side must not all move at once.
        random.Random(len(tokens)).shuffle(tokens)
        self._refreshes = [
            wire.RotatingTokens(prefix, deque(tokens[first::connections]))
            for first in range(connections)
        ]

    def refreshes(self) -> Sequence[wire.Source]:
        """Return refreshes: each connection has its share of the sessions."""
        return self._refreshes

    def client_credentials(self) -> Sequence[wire.Source]:
        """Return requests of the machine for tokens of its own."""
        return self._same(self._form(paths.TOKEN, {"grant_type": "client_credentials"}))

    def introspections(self) -> Sequence[wire.Source]:
        """Return questions about access tokens that refreshes brought."""
        tokens = [source.access_token for source in self._refreshes if source.access_token]
        return [
            wire.Repeated(self._form(paths.INTROSPECT, {"token": token}))
            for token in islice(cycle(tokens), self._connections)
        ]

    def jwks(self) -> Sequence[wire.Source]:
        """Return requests for the published keys."""
        return self._same(wire.message("GET", paths.JWKS, {}))

    def _same(self, message: bytes) -> Sequence[wire.Source]:
        return [wire.Repeated(message) for _ in range(self._connections)]

    def _form(self, path: str, fields: dict[str, str]) -> bytes:
        body = urlencode(fields).encode()
        return wire.message("POST", path, form_headers(len(body)) | self._basic, body)


def form_headers(length: int) -> dict[str, str]:
    """Return the headers of a form of so many bytes."""
    return {"Content-Type": FORM, "Content-Length": str(length)}
