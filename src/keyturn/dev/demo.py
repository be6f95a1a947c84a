"""The people and applications a developer finds on the first start.

They are made once and kept; a developer who changed or removed them finds them so. Their
secrets are constants on purpose: they exist on loopback only, and a tour can name them.
"""

from dataclasses import dataclass
from typing import Any

EXAMPLE_AUDIENCE = "https://api.example.com"
APP = "demo-app"
"""The client of the tour and of the demo in the browser."""


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A person who can sign in at once."""

    email: str
    password: str
    name: str


USERS = (
    DemoUser("ada@example.com", "engine-of-1843", "Ada Lovelace"),
    DemoUser("grace@example.com", "compiler-of-1952", "Grace Hopper"),
)

SERVICE_SECRET = "kts_demo_on_loopback_only_4b1d7c02a95e"  # noqa: S105 - for laptops
READER_SECRET = "kts_demo_on_loopback_only_9f63e8d1c07a"  # noqa: S105 - for laptops

PARTNER_SECRET = "kts_demo_on_loopback_only_c5a81f30e7d2"  # noqa: S105 - for laptops

SECRETS = {
    APP: None,
    "demo-service": SERVICE_SECRET,
    "demo-api": READER_SECRET,
    "demo-partner": PARTNER_SECRET,
    "demo-tv": None,
}
"""The demo clients, and how the confidential ones prove themselves."""


CALLBACKS = ["http://127.0.0.1/callback", "http://localhost:8083/callback"]
"""Where codes are sent: to the first on any port, as RFC 8252 has it for native apps."""

ABOUT_PEOPLE = ["openid", "profile", "email", "offline_access"]

TELEVISION: dict[str, Any] = {
    "id": "demo-tv",
    "name": "Demo television",
    "kind": "public",
    "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    "scopes": ["orders.read", *ABOUT_PEOPLE],
    "audiences": [EXAMPLE_AUDIENCE],
}


def clients(demo_origin: str, example_origin: str, issuer: str) -> list[dict[str, Any]]:
    """Return the demo clients as a clients file would list them."""
    callbacks = [*CALLBACKS, f"{demo_origin}/callback"]
    return [
        {
            "id": APP,
            "name": "Demo app",
            "kind": "public",
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": ["orders.read", "orders.write", *ABOUT_PEOPLE],
            "audiences": [EXAMPLE_AUDIENCE],
            "origins": [issuer, example_origin, demo_origin],
            "session_api": True,
            "redirect_uris": callbacks,
            "post_logout_redirect_uris": [*callbacks, f"{demo_origin}/sign-in"],
            "skip_consent": True,
        },
        {
            "id": "demo-service",
            "name": "Demo service",
            "kind": "confidential",
            "grant_types": ["client_credentials"],
            "scopes": ["orders.read"],
            "audiences": [EXAMPLE_AUDIENCE],
            "secret": SERVICE_SECRET,
        },
        {
            "id": "demo-api",
            "name": "Demo API, which may introspect its tokens",
            "kind": "confidential",
            "grant_types": ["client_credentials"],
            "scopes": [],
            "audiences": [EXAMPLE_AUDIENCE],
            "introspects": [EXAMPLE_AUDIENCE],
            "secret": READER_SECRET,
        },
        {
            "id": "demo-partner",
            "name": "Demo partner",
            "kind": "confidential",
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": ["orders.read", *ABOUT_PEOPLE],
            "audiences": [EXAMPLE_AUDIENCE],
            "redirect_uris": CALLBACKS,
            "post_logout_redirect_uris": CALLBACKS,
            "secret": PARTNER_SECRET,
        },
        TELEVISION,
    ]
