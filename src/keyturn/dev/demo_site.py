"""Serves `examples/vue`: a built page of a few files, read once, on an origin of its own.

It runs in the event loop of `keyturn dev`, which needs no further process for it. The page learns
from `/config.json` where everything is, so its files are the same on every port.
"""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.dev import demo
from keyturn.settings import ServerSettings
from keyturn.web.responses import json_bytes
from keyturn.web.server import Site

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE: Final = "index.html"
HASHED: Final = "assets/"
"""Vite names what lies there after its contents, so it never changes under its name."""


@dataclass(frozen=True, slots=True)
class DemoSite:
    """The demo on `sockets`, for an issuer and the example API beside it."""

    sockets: Sequence[socket.socket]
    issuer: str
    api: str
    files: Mapping[str, bytes]

    @classmethod
    def of(
        cls, sockets: Sequence[socket.socket], issuer: str, api: str, folder: Path
    ) -> "DemoSite":
        """Read the built page in `folder`; nothing else can be asked for."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        return cls(sockets, issuer, api, files)

    @property
    def url(self) -> str:
        """The demo's origin."""
        return f"http://localhost:{self.sockets[0].getsockname()[1]}"

    @asynccontextmanager
    async def served(self, settings: ServerSettings) -> AsyncIterator[None]:
        """Answer until the end of the block."""
        running = Site(self.app(), self.sockets, self._headers()).start(settings, _unreadable)
        try:
            yield
        finally:
            await running.stop(now=True)

    def app(self) -> Starlette:
        """Return the application: the configuration, the files, and the page for all else."""
        return Starlette(
            routes=[Route("/config.json", self._config), Route("/{path:path}", self._file)]
        )

    async def _config(self, _request: Request) -> Response:
        """GET /config.json: `{issuer, api, clientId, people: [{email, password}]}`."""
        people = [{"email": one.email, "password": one.password} for one in demo.USERS]
        told = {"issuer": self.issuer, "api": self.api, "clientId": demo.APP, "people": people}
        return json_bytes(told)

    async def _file(self, request: Request) -> Response:
        """GET any other path: a file, 404 for one that is not there, else the page.

        The page's own addresses have no dot; its router knows them.
        """
        path = request.path_params["path"]
        if path not in self.files:
            if "." in path:
                return Response("There is no such file.", 404, media_type="text/plain")
            path = PAGE
        kept = "public, max-age=31536000, immutable" if path.startswith(HASHED) else "no-cache"
        media_type = MEDIA_TYPES.get(Path(path).suffix, "application/octet-stream")
        return Response(self.files[path], 200, {"Cache-Control": kept}, media_type)

    def _headers(self) -> list[tuple[str, str]]:
        """Return what every answer says: only the page's own files run, and they call two origins.

        Forms are sent by the page's code; `form-action 'none'` keeps a password out of the address
        should that code fail to load.
        """
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
            f" connect-src 'self' {self.issuer} {self.api};"
            " form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
        )
        return [
            ("content-security-policy", policy),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ]


def _unreadable(_status: int, _peer: str) -> None:
    """Take no note of requests that the parser would not read."""
