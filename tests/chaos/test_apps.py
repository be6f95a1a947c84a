"""Apps stop when they are told to, whatever they are answered, and settle when all is over."""

import asyncio
import random
import time

import httpx2
import pytest

from chaos import apps
from chaos.apps import App, Household
from chaos.front import Front
from chaos.history import History

GIVEN = {"sessionId": "id", "refreshToken": "", "accessToken": "a", "expiresIn": 0}
AWAY = httpx2.Response(503, headers={"retry-after": "3600"}, json={"error": "unavailable"})
SECONDS = 30
"""Longer than an app needs that does as it is told."""


class Person:
    email, password = "a@example.com", "a password"


class Server:
    """Answers what it is given, the last of it for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, request):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setattr(apps, "AGAIN", (0.0, 0.01))
    monkeypatch.setattr(apps, "LONGEST_WAIT", 0.05)
    history = History(time.monotonic, b"salt")

    def of(*answers):
        caller = httpx2.AsyncClient(
            base_url="http://localhost", transport=httpx2.MockTransport(Server(*answers))
        )
        household = Household(Person())
        return App("app 1", household, Front(caller, history, ("r", "s")), None, random.Random(1))

    return of


def statuses(app):
    return [one.status for one in app.front.history.events]


async def test_an_app_that_is_never_answered_stops_all_the_same(app, monkeypatch):
    monkeypatch.setattr(apps, "LAST", 0.3)
    one = app(httpx2.Response(200, json=GIVEN), AWAY)
    await one.sign_in()
    async with asyncio.timeout(SECONDS):
        life = asyncio.create_task(one.live())
        while len(statuses(one)) < 3:
            await asyncio.sleep(0.01)
        one.stopped = True
        await life
        await one.settle()
    assert statuses(one)[-1] == 503


async def test_who_has_no_session_in_the_end_signs_in_until_that_is_answered(app):
    one = app(AWAY, AWAY, httpx2.Response(200, json=GIVEN))
    one.stopped = True
    async with asyncio.timeout(SECONDS):
        await one.settle()
    assert statuses(one) == [503, 503, 200]
