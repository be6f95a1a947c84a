"""Pages for people: rendered on the server, complete without scripts, bound to nothing foreign.

Every page carries the same headers, whatever is on it and whatever went wrong (WB-5): nothing is
loaded from elsewhere, nothing is framed, nothing is kept, no address leaks in a Referer, and no
script runs but one whose hash the page names. Templates escape what they are given, always.
"""

import base64
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import BaseLoader, Environment, StrictUndefined
from starlette.responses import Response

from keyturn.errors import Refusal, Throttled, Unavailable

MEDIA_TYPE: Final = "text/html; charset=utf-8"

HEADERS: Final[Mapping[str, str]] = {
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(),"
        " publickey-credentials-get=(self)"
    ),
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """What one page may use beyond its own style sheet."""

    form_targets: tuple[str, ...] = ()
    """Addresses its forms lead to in the end: browsers hold redirects after a POST against
    `form-action` too."""
    script: str | None = None
    """The text of the one inline script that may run."""
    images: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """The Content-Security-Policy (level 3) of such a page."""
        script = f"; script-src '{script_hash(self.script)}'" if self.script else ""
        targets = " ".join(("'self'", *map(form_source, self.form_targets)))
        images = " ".join(("'self'", "data:", *self.images))
        return (
            f"default-src 'none'; style-src 'self'; img-src {images}{script};"
            f" form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
        )


NOTHING_ELSE: Final = Sources()


def script_hash(script: str) -> str:
    """Return the source expression that lets exactly this script run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def form_source(target: str) -> str:
    """Return the narrowest source expression for the address of a form.

    An origin for https and http. A private scheme has no origin, and a literal IPv6 host cannot
    be written in a policy: their scheme alone.
    """
    parts = urlsplit(target)
    if parts.scheme in {"https", "http"} and "[" not in parts.netloc:
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:"


@dataclass(frozen=True, slots=True)
class Html:
    """Renders templates. `images` are sources every page may show: the logo's."""

    loader: BaseLoader
    images: tuple[str, ...] = ()
    _environment: Environment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Set up the template language: everything escaped, a name nobody gave is an error."""
        environment = Environment(
            loader=self.loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        object.__setattr__(self, "_environment", environment)

    def answer(
        self,
        template: str,
        values: Mapping[str, Any],
        *,
        status: int = 200,
        sources: Sources = NOTHING_ELSE,
    ) -> Response:
        """Return a template as a page, with every header a page needs."""
        body = self._environment.get_template(template).render(values)
        allowed = Sources(
            sources.form_targets, sources.script, (*self.images, *sources.images)
        ).policy
        return page(body, status, allowed)


def page(body: str, status: int, policy: str) -> Response:
    """Return HTML as an answer that nobody keeps, frames or learns an address from."""
    return Response(body, status, {**HEADERS, "Content-Security-Policy": policy}, MEDIA_TYPE)


def bare_error(refusal: Refusal, request_id: str) -> Response:
    """Return a refusal as a page that needs no template, no catalogue and no style sheet.

    For what goes wrong before, or in place of, a page of `keyturn.pages`.
    """
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark"><title>Error</title></head><body><main>'
        f"<h1>Error</h1><p>{html.escape(refusal.sentence)}</p>"
        "<p>Go back to the application you came from and start again.</p>"
        f"<p>Request: {html.escape(request_id)}</p></main></body></html>"
    )
    response = page(body, refusal.status, NOTHING_ELSE.policy)
    add_retry_after(response, refusal)
    return response


def add_retry_after(response: Response, refusal: Refusal) -> None:
    """Say when to come back, where that is known."""
    if isinstance(refusal, Throttled | Unavailable):
        response.headers["Retry-After"] = str(max(1, refusal.retry_after))
