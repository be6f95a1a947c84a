"""A device without a keyboard, and a person who connects it from a browser of their own."""

import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from support.api import Api, Person
from support.browserless import STANDARD, Browserless, forms_of
from support.replicas import AUDIENCE

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
BEGIN = "/oauth2/device_authorization"
TELEVISION = {
    "kind": "public",
    "name": "Television",
    "grant_types": [DEVICE_CODE, "refresh_token"],
    "scopes": [*STANDARD, "orders.read", "orders.write"],
    "audiences": [AUDIENCE, "https://billing.example.com"],
}
SELF = "Television/4.2 (living room)"
AGED = "update device_authorizations set {} where device_code_hash = $1"


@dataclass
class Television:
    """One device that has begun to connect, and what it was told."""

    api: Api
    client: str
    told: dict[str, Any] = field(default_factory=dict)

    @classmethod
    async def begun(cls, api: Api, client: str, **fields: str) -> "Television":
        """Begin, as it is when somebody presses its button."""
        one = cls(api, client)
        answer = await one.begin(**{"scope": "openid orders.read", **fields})
        assert answer.status_code == 200, answer.text
        one.told = answer.json()
        return one

    async def begin(self, **fields: str) -> httpx2.Response:
        """POST /oauth2/device_authorization."""
        return await self.api.form(BEGIN, self.client, headers={"user-agent": SELF}, **fields)

    @property
    def code(self) -> str:
        """What it shows on its screen."""
        shown: str = self.told["user_code"]
        return shown

    async def poll(self, *, on: int = 0, **fields: str) -> httpx2.Response:
        """Ask whether somebody has answered."""
        given = {"grant_type": DEVICE_CODE, "device_code": self.told["device_code"], **fields}
        return await self.api.token(self.client, on=on, **given)

    async def error(self, **fields: str) -> str:
        """Ask, and return why there is nothing."""
        status, code, _ = await self.api.refusal(await self.poll(**fields))
        assert status == 400
        return code

    async def set(self, assignments: str) -> None:
        """Change its row: a test does not wait."""
        digest = hashlib.sha256(self.told["device_code"].encode()).digest()
        assert await self.api.sql.execute(AGED.format(assignments), digest) == "UPDATE 1"

    async def row(self) -> Any:
        """Return its row."""
        digest = hashlib.sha256(self.told["device_code"].encode()).digest()
        query = "select * from device_authorizations where device_code_hash = $1"
        return await self.api.sql.fetchrow(query, digest)


async def question(browser: Browserless, person: Person, television: Television) -> httpx2.Response:
    """Go where the device sends its person, sign in, and come to the question."""
    page = await entry(browser, person, television.told["verification_uri_complete"])
    return await browser.submit(page, "device-code")


async def entry(browser: Browserless, person: Person, address: str) -> httpx2.Response:
    """Open the device page, signing in where that is asked for."""
    where = urlsplit(address)
    page = await browser.open(f"{where.path}?{where.query}" if where.query else where.path)
    return await browser.sign_in(page, person) if "login" in forms_of(page) else page


async def answered(
    browser: Browserless, person: Person, television: Television, button: str = "allow"
) -> httpx2.Response:
    """Go all the way; return the last page."""
    page = await question(browser, person, television)
    return await browser.submit(page, "device", button)
