"""A fixed path is looked up, a template matched; both fail alike."""

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from keyturn.errors import InvalidRequest
from keyturn.web.request_notes import notes_of
from keyturn.web.responses import HUNG_UP
from keyturn.web.routing import Routed


async def refuse(_request):
    raise InvalidRequest("private detail")


async def fail(_request):
    raise ZeroDivisionError("private detail")


async def hang_up(_request):
    raise ClientDisconnect


async def find_nothing(_request):
    raise HTTPException(404)


async def greet(_request):
    return Response("hello")


DOORS = {
    "refuse": refuse,
    "fail": fail,
    "hang_up": hang_up,
    "greet": greet,
    "nothing": find_nothing,
}
APP = Routed.of(
    [
        route
        for name, door in DOORS.items()
        for route in (Route(f"/{name}", door), Route(f"/{{anything}}/{name}", door))
    ]
)


def ask(path, method="GET"):
    """Return status, body and route of one answer, and what was raised behind it."""
    sent, raised = [], None
    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    notes_of(scope)

    async def send(message):
        sent.append(message)

    async def receive():
        raise AssertionError("nobody reads the body")

    try:
        asyncio.run(APP(scope, receive, send))
    except ZeroDivisionError as error:
        raised = str(error)
    return (
        sent[0]["status"],
        sent[1]["body"],
        scope["route"].path if "route" in scope else None,
        raised,
    )


@pytest.mark.parametrize("name", DOORS)
def test_a_fixed_path_is_answered_as_a_template_is(name):
    status, body, route, raised = ask(f"/{name}")
    assert (status, body, raised) == ask(f"/x/{name}")[:2] + ask(f"/x/{name}")[3:]
    assert route == f"/{name}"


def test_a_refusal_a_failure_and_a_caller_who_left_are_told_apart():
    refused, failed, left = ask("/refuse"), ask("/fail"), ask("/hang_up")
    assert (refused[0], failed[0], left[0]) == (400, 500, HUNG_UP)
    assert b"private" not in refused[1] + failed[1]
    # Raised once it is answered, so that the log has it.
    assert failed[3] == "private detail"


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/nothing", "GET", 404), ("/greet", "PUT", 405)]
)
def test_what_no_door_answers_is_refused(path, method, status):
    assert ask(path, method)[0] == status


def test_a_head_is_answered_where_a_get_is():
    assert ask("/greet", "HEAD")[0] == 200


def greet_at_once(_request):
    return Response("hello")


@pytest.mark.parametrize(
    "routes",
    [
        [Route("/a", greet), Route("/b", greet), Route("/a", refuse)],
        [Route("/a", greet_at_once)],
    ],
)
def test_a_door_twice_and_one_that_is_no_coroutine_are_refused(routes):
    with pytest.raises(ValueError, match="routing"):
        Routed.of(routes)
