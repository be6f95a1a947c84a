"""The front door as the crowd knocks at it: each question is asked once, and noted with its answer."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from chaos.history import NO_ANSWER, History, Kind
from keyturn import paths
from support.api import Person
from support.fleet import generation_of

PATIENCE = 4.0
"""Seconds an app waits for an answer: two tries fit into a grace."""
CLIENT_HEADER = "x-keyturn-client"


@dataclass(eq=False)
class Session:
    """What an app stores of a session; two tabs may share it."""

    id: str
    digest: str
    refresh: str = field(repr=False)
    access: str = field(repr=False)
    due: float
    """When half of the access token's life is over, in seconds of the history."""
    over: float
    """Before this it has not expired."""
    seen: list[str] = field(default_factory=list, repr=False)
    """Every refresh token there was before, the oldest first: what a thief may have copied."""
    moved_at: float = 0.0
    """When the app came to know its newest token."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `body` is empty unless it was JSON."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    error: str
    retry_after: float
    asked_at: float
    """By the history's clock."""

    @property
    def is_good(self) -> bool:
        """Whether what was asked for was done."""
        return 200 <= self.status < 300

    @property
    def ends_the_session(self) -> bool:
        """Only `invalid_grant` means that the session is over."""
        return self.error == "invalid_grant"


@dataclass(frozen=True)
class Front:
    """Asks by one kept set of connections, as browsers of one machine would."""

    caller: httpx2.AsyncClient
    history: History
    reader: tuple[str, str]
    """Id and secret of an API that introspects."""
    begun: dict[str, str] = field(default_factory=dict)
    """The ids of all sessions by their digests, for who asks the database in the end."""

    async def sign_in(self, app: str, person: Person, client: str) -> Session | None:
        """Sign a person in; None when that was not answered as it should be."""
        began = self.history.now
        body = {"email": person.email, "password": person.password}
        answer = await self._post(paths.LOGIN, json=body, headers={CLIENT_HEADER: client})
        if not answer.is_good:
            said = {"status": answer.status, "error": answer.error}
            self.history.append("sign_in", began=began, app=app, **said)
            return None
        session = self._begun(answer)
        self._note("sign_in", app, session, began, answer)
        return session

    async def refresh(
        self, kind: Kind, app: str, session: Session, token: str, client: str
    ) -> Answer:
        """Present a refresh token at the protocol's door."""
        began = self.history.now
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client}
        answer = await self._post(paths.TOKEN, data=form)
        self._note(kind, app, session, began, answer, presented=token)
        return answer

    async def refresh_as_json(self, app: str, session: Session, token: str, client: str) -> Answer:
        """Present it at the session API."""
        began = self.history.now
        named = {CLIENT_HEADER: client}
        answer = await self._post(paths.REFRESH, json={"refreshToken": token}, headers=named)
        self._note("refresh", app, session, began, answer, presented=token)
        return answer

    async def end(
        self, kind: Kind, app: str, sessions: Sequence[Session], token: str, client: str
    ) -> Answer:
        """Log out; `sessions` are all that end by it, the one whose token is presented first.

        A refusal is about that one: its token may have been stolen, and the session ended by it.
        """
        began = self.history.now
        path = {"log_out": paths.LOGOUT, "log_out_all": paths.LOGOUT_ALL}[kind]
        named = {CLIENT_HEADER: client}
        answer = await self._post(path, json={"refreshToken": token}, headers=named)
        for session in sessions[:1] if answer.ends_the_session else sessions:
            self._note(kind, app, session, began, answer)
        return answer

    async def introspect(self, app: str, session: Session) -> None:
        """Ask about the access token, as an API that does not check by itself."""
        began, over = self.history.now, session.over
        form = {"token": session.access}
        answer = await self._post(paths.INTROSPECT, data=form, auth=self.reader)
        if answer.is_good and not answer.body.get("active"):
            why = "inactive" if self.history.now < over else "expired"
            answer = replace(answer, error=why)
        self._note("introspect", app, session, began, answer)

    def renewed(self, session: Session, answer: Answer) -> None:
        """Keep what an answer brought."""
        given = _given(answer)
        if given != session.refresh:
            session.seen.append(session.refresh)
            session.moved_at = self.history.now
        session.refresh = given
        session.access = answer.body.get("access_token") or answer.body["accessToken"]
        self._date(session, answer)

    def _begun(self, answer: Answer) -> Session:
        given = answer.body
        digest = self.history.digest(given["sessionId"])
        session = Session(given["sessionId"], digest, _given(answer), given["accessToken"], 0, 0)
        self._date(session, answer)
        self.begun[digest] = session.id
        return session

    def _date(self, session: Session, answer: Answer) -> None:
        lives = answer.body.get("expires_in") or answer.body["expiresIn"]
        # It was signed after the question, so it lives so long at least.
        session.due, session.over = answer.asked_at + lives / 2, answer.asked_at + lives

    def _note(
        self,
        kind: Kind,
        app: str,
        session: Session,
        began: float,
        answer: Answer,
        *,
        presented: str = "",
    ) -> None:
        said: dict[str, Any] = {"status": answer.status, "error": answer.error}
        given = _given(answer)
        if presented:
            said["generation"] = generation_of(presented)
        if answer.is_good and given:
            said |= {"given": generation_of(given), "token": self.history.digest(given)}
        self.history.append(kind, began=began, app=app, session=session.digest, **said)

    async def _post(self, path: str, **options: Any) -> Answer:
        asked_at = self.history.now
        try:
            async with asyncio.timeout(PATIENCE):
                response = await self.caller.post(path, **options)
        except (httpx2.TransportError, TimeoutError) as trouble:
            return Answer(NO_ANSWER, {}, type(trouble).__name__, 0.0, asked_at)
        body = _json(response)
        wait = float(response.headers.get("retry-after", 0))
        error = str(body.get("error", ""))
        return Answer(response.status_code, body, error, wait, asked_at)


def _given(answer: Answer) -> str:
    return str(answer.body.get("refresh_token") or answer.body.get("refreshToken") or "")


def _json(response: httpx2.Response) -> Mapping[str, Any]:
    """Return the members; the balancer's own answers are pages."""
    if response.headers.get("content-type", "").startswith("application/json"):
        said: Mapping[str, Any] = response.json()
        return said
    return {}
