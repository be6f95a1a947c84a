"""The one style sheet of every page, with the operator's colours in it.

A file of its own, because the policy of the pages lets no inline style pass; named after its
content, so that browsers may keep it for as long as they like.
"""

import hashlib
import re
from dataclasses import dataclass, field
from importlib import resources
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.errors import NotFound
from keyturn.settings_pages import PagesSettings

_NAME: Final = re.compile(r"pages\.[0-9a-f]{16}\.css")
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """GET /static/pages.HASH.css: for every page alike."""

    name: str
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: PagesSettings) -> Self:
        """Put the colours of the settings into the style sheet of this package."""
        text = resources.files(__package__).joinpath("static/pages.css").read_text("utf-8")
        for name, value in settings.model_dump().items():
            if isinstance(value, str) and value.startswith("#"):
                text = text.replace(f"--{name.replace('_', '-')}--", value)
        content = text.encode()
        return cls(f"pages.{hashlib.sha256(content).hexdigest()[:16]}.css", content)

    @property
    def path(self) -> str:
        """Where it is."""
        return paths.STATIC.replace("{name}", self.name)

    async def get(self, request: Request) -> Response:
        """Answer 200, or 404 for what is none of ours.

        During a rollout a page of another replica may name a sheet of other colours: it gets
        this one, which nobody keeps, rather than none.
        """
        wanted = request.path_params["name"]
        if not _NAME.fullmatch(wanted):
            raise NotFound("static: no such file")
        keeping = _FOREVER if wanted == self.name else "no-store"
        return Response(self.content, 200, {"Cache-Control": keeping}, "text/css; charset=utf-8")
