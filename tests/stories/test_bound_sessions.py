"""Sessions bound to a key (RFC 9449): a line that loses every answer, and a thief without the key.

Minutes pass by SQL: what lies in the past is moved back there, nobody waits.
"""

import asyncio
from dataclasses import dataclass, field, replace

from support.api import PASSWORD, Api, SignedIn
from support.possession import Holder

TOKEN, USERINFO = "/oauth2/token", "/oauth2/userinfo"
MINUTE = 60
LOST_MINUTES = 10
DOORS = {
    "/auth/refresh": ("POST", {}),
    "/auth/logout": ("POST", {}),
    "/auth/logout-all": ("POST", {}),
    "/auth/reauthenticate": ("POST", {"password": PASSWORD}),
    "/auth/password": ("POST", {"newPassword": PASSWORD}),
}


@dataclass
class App:
    """An app that keeps a token and the key it is bound to, and proves it with each request."""

    api: Api
    device: SignedIn
    holder: Holder
    seen: list[str] = field(default_factory=list)
    """The proofs it has sent, as somebody on the way could have kept them."""

    @classmethod
    async def signed_in(cls, api):
        holder = Holder.of()
        proof = holder.proof("POST", f"{api.issuer}/auth/login")
        device = await api.sign_in(await api.person(), headers={"dpop": proof})
        return cls(api, device, holder)

    def proof(self, path, method="POST", **changes):
        proof = self.holder.proof(method, self.api.issuer + path, **changes)
        self.seen.append(proof)
        return proof

    async def ask(self, token=None, path=TOKEN, on=0):
        """Refresh with a fresh proof; keep nothing of the answer."""
        token, headers = token or self.device.refresh_token, {"dpop": self.proof(path)}
        if path != TOKEN:
            return await self.api.post(path, {"refreshToken": token}, on=on, headers=headers)
        fields = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.api.form(path, self.device.client_id, on=on, headers=headers, **fields)

    async def refresh(self, on=0):
        """Refresh and keep the answer."""
        answer = await self.ask(on=on)
        assert answer.status_code == 200, await self.api.refusal(answer)
        self.device.refresh_token = answer.json()["refresh_token"]
        self.device.access_token = answer.json()["access_token"]


async def test_a_bound_session_whose_answers_are_all_lost_for_ten_minutes_keeps_its_sign_in(api):
    app = await App.signed_in(api)
    await app.refresh()
    await api.age(app.device, MINUTE)
    given = set()
    for minute in range(LOST_MINUTES + 1):
        for path in (TOKEN, "/auth/refresh"):
            answer = await app.ask(path=path, on=minute % 2)
            assert answer.status_code == 200, await api.refusal(answer)
            said = answer.json()
            given.add(said.get("refresh_token") or said["refreshToken"])
        await api.age(app.device, MINUTE)
    assert len(given) == 1, "every retry was answered with the same token"
    assert (await api.row(app.device))["generation"] == 2
    await app.refresh(on=1)
    assert given == {app.device.refresh_token}
    await api.age(app.device, MINUTE)
    await app.refresh()
    row = await api.row(app.device)
    assert (row["generation"], row["revoked_at"]) == (3, None)
    token = app.device.access_token
    proof = app.proof("/auth/me", "GET", token=token)
    headers = {"authorization": f"DPoP {token}", "dpop": proof}
    assert (await api.get("/auth/me", headers=headers)).status_code == 200


async def test_without_a_key_such_a_line_looks_like_theft(api):
    """What the story above would come to otherwise: the test can fail."""
    device = await api.sign_in(await api.person())
    assert (await api.refresh(device)).status_code == 200
    await api.age(device, LOST_MINUTES * MINUTE)
    assert await api.refusal(await api.refresh(device)) == (
        400,
        "invalid_grant",
        "session: superseded token used",
    )


async def attempts(api, stolen, proofs):
    """Everything that a thief can do with tokens and proofs that were seen on the way."""
    for proof in proofs:
        headers = {} if proof is None else {"dpop": proof}
        for on in (0, 1):
            fields = {"grant_type": "refresh_token", "refresh_token": stolen.refresh_token}
            yield await api.form(TOKEN, stolen.client_id, on=on, headers=headers, **fields)
        doors = {**DOORS, f"/auth/sessions/{stolen.session_id}": ("DELETE", {})}
        for path, (method, members) in doors.items():
            body = {**stolen.credential, **members}
            yield await api.post(path, body, method=method, headers=headers)
        for path in ("/auth/me", "/auth/sessions", USERINFO):
            for scheme in ("Bearer", "DPoP"):
                shown = {"authorization": f"{scheme} {stolen.access_token}", **headers}
                yield await api.get(path, headers=shown)


async def test_a_thief_with_the_token_and_without_the_key_gets_nothing(api):
    """Not a token, not a verdict, not the end of the session; and leaves a trace."""
    app = await App.signed_in(api)
    thief = Holder.of()
    old = replace(app.device)
    for _ in range(3):
        await api.age(app.device, MINUTE)
        await app.refresh()
    await api.age(app.device, MINUTE)
    token = app.device.access_token
    me = app.proof("/auth/me", "GET", token=token)
    headers = {"authorization": f"DPoP {token}", "dpop": me}
    assert (await api.get("/auth/me", headers=headers)).status_code == 200
    own = [
        thief.proof(method, api.issuer + path, token=token)
        for path, method in ((TOKEN, "POST"), ("/auth/refresh", "POST"), ("/auth/me", "GET"))
    ]
    for stolen in (old, replace(app.device)):
        async for answer in attempts(api, stolen, [None, *app.seen, *own]):
            status, error, _ = await api.refusal(answer)
            assert (status, error) in {
                (400, "invalid_dpop_proof"),
                (401, "invalid_dpop_proof"),
                (401, "invalid_token"),
            }, answer.url
    row = await api.row(app.device)
    assert (row["generation"], row["revoked_at"]) == (3, None)
    await app.refresh()
    assert (await api.row(app.device))["generation"] == 4
    (event,) = await api.events("dpop_refused", session_id=app.device.session_id)
    assert event["result"] == "failed"


async def test_of_many_who_send_one_proof_at_once_one_is_answered(api):
    app = await App.signed_in(api)
    proof = app.proof(TOKEN)
    fields = {"grant_type": "refresh_token", "refresh_token": app.device.refresh_token}
    answers = await asyncio.gather(
        *(
            api.form(TOKEN, "app", on=number % 2, headers={"dpop": proof}, **fields)
            for number in range(20)
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [400] * 19
