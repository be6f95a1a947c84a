import asyncio
import json
from datetime import UTC, datetime
from io import BytesIO
from ipaddress import ip_network

import httpx2
import pytest
from prometheus_client.openmetrics.exposition import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from keyturn.clock import FixedClock
from keyturn.errors import InvalidGrant
from keyturn.telemetry.logs import LineWriter, current_request_id
from keyturn.telemetry.metrics import Metrics
from keyturn.web.client_ip import ClientAddress
from keyturn.web.request_log import RequestLog
from keyturn.web.responses import error_handlers, json_bytes
from support.log_lines import caught_logs

PROXIES = ClientAddress((ip_network("127.0.0.1/32"),))
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def thing(request: Request) -> Response:
    return json_bytes({"id": current_request_id(), "thing": request.path_params["name"]})


async def refusing(_request: Request) -> Response:
    raise InvalidGrant("parent of krt1_AAAAAAAA was replayed")


async def broken(_request: Request) -> Response:
    raise RuntimeError("boom")


async def half(_request: Request) -> Response:
    async def stream():
        yield b"half"
        raise RuntimeError("boom")

    return StreamingResponse(stream())


ROUTES = [
    Route("/things/{name}", thing, methods=["GET", "POST"]),
    Route("/refusing", refusing),
    Route("/broken", broken),
    Route("/half", half),
]


@pytest.fixture(autouse=True)
def caught():
    with caught_logs() as caught:
        yield caught


class Watched:
    """An application with its log and metrics."""

    def __init__(self, address=PROXIES, *, quiet=False):
        self.out, self.metrics = BytesIO(), Metrics()
        clock = FixedClock(datetime(2026, 9, 1, 12, tzinfo=UTC))
        routed = Starlette(routes=ROUTES, exception_handlers=error_handlers())
        self.app = RequestLog(
            routed, clock, self.metrics, LineWriter(self.out), address, quiet=quiet
        )

    async def ask(self, path, method="GET", headers=None):
        transport = httpx2.ASGITransport(app=self.app, client=("127.0.0.1", 5))
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, path, headers=headers)

    def lines(self):
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def scraped(self):
        return generate_latest(self.metrics.registry).decode()


async def test_a_request_is_one_line_with_nothing_a_caller_chose_but_the_method():
    watched = Watched(ClientAddress())
    answer = await watched.ask("/things/hunter2?token=hunter2", headers={"X-Evil": "hunter2"})
    assert watched.lines() == [
        {
            "time": "2026-09-01T12:00:00Z",
            "level": "info",
            "event": "request",
            "method": "GET",
            "route": "/things/{name}",
            "status": 200,
            "ms": 0.0,
            "ip": "127.0.0.1",
            "request_id": answer.headers["x-request-id"],
        }
    ]


async def test_code_behind_knows_the_request_id_and_nobody_after():
    watched = Watched()
    answer = await watched.ask("/things/a")
    assert answer.json()["id"] == answer.headers["x-request-id"]
    assert current_request_id() is None


async def test_request_ids_do_not_repeat():
    watched = Watched()
    answers = [await watched.ask("/things/a") for _ in range(20)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20


@pytest.mark.parametrize(
    ("address", "given", "kept"),
    [
        (PROXIES, "proxy-id-1234", True),
        (PROXIES, "short", False),
        (PROXIES, "has spaces in it", False),
        (PROXIES, 'quote"quote"quote', False),
        (PROXIES, "x" * 65, False),
        (ClientAddress(), "proxy-id-1234", False),
    ],
)
async def test_only_a_trusted_proxy_chooses_a_request_id(address, given, kept):
    answer = await Watched(address).ask("/things/a", headers={"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) is kept


async def test_a_refusal_is_logged_with_its_redacted_detail():
    watched = Watched()
    await watched.ask("/refusing")
    line = watched.lines()[0]
    assert (line["status"], line["error"]) == (400, "invalid_grant")
    assert line["detail"] == "parent of [redacted] was replayed"


async def test_a_failure_is_answered_logged_and_not_passed_on(caught):
    watched = Watched()
    answer = await watched.ask("/broken")
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    line = watched.lines()[-1]
    assert (line["level"], line["status"], line["error"]) == ("error", 500, "server_error")
    told = caught.all()[0]
    assert told["request_id"] == line["request_id"]
    assert "RuntimeError: boom" in told["exception"]


async def test_half_an_answer_is_cut_off_not_completed():
    with pytest.raises(RuntimeError, match="boom"):
        await Watched().ask("/half")


async def test_the_measurement_is_labelled_by_template_known_method_and_status():
    watched = Watched()
    await watched.ask("/things/a")
    await watched.ask("/things/b")
    await watched.ask("/never-heard-of/a")
    await watched.ask("/never-heard-of/b", method="BREW")
    scraped = watched.scraped()
    name = "http_server_request_duration_seconds_count"
    assert (
        f'{name}{{http_request_method="GET",http_response_status_code="200",http_route="/things/{{name}}"}} 2.0'
        in scraped
    )
    assert 'http_route="unmatched"' in scraped
    assert 'http_request_method="_OTHER"' in scraped
    assert "never-heard-of" not in scraped
    assert "BREW" not in scraped


async def test_OP_2_labels_stay_few_whatever_is_asked():
    watched = Watched()
    for number in range(200):
        await watched.ask(f"/unknown/{number}", method=f"M{number}")
    assert len(watched.metrics.requests._children) == 1


async def test_a_trace_id_becomes_an_exemplar():
    watched = Watched()
    await watched.ask("/things/a", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert watched.lines()[0]["trace_id"] == TRACE
    assert f'trace_id="{TRACE}"' in watched.scraped()


@pytest.mark.parametrize(
    "header",
    [
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7",
        "hunter2",
    ],
)
async def test_a_malformed_trace_is_ignored(header):
    watched = Watched()
    await watched.ask("/things/a", headers={"traceparent": header})
    assert "trace_id" not in watched.lines()[0]


async def test_a_quiet_log_tells_failures_only():
    watched = Watched(quiet=True)
    await watched.ask("/things/a")
    await watched.ask("/refusing")
    assert watched.lines() == []
    await watched.ask("/broken")
    assert [line["status"] for line in watched.lines()] == [500]


async def test_a_request_that_outlives_its_process_is_told_to_come_again():
    entered = asyncio.Event()

    async def waiting(scope, receive, send):
        entered.set()
        await asyncio.Event().wait()

    watched = Watched()
    watched.app.app = waiting
    asking = asyncio.create_task(watched.ask("/things/a"))
    await entered.wait()
    assert 'http_server_active_requests{http_request_method="GET"} 1.0' in watched.scraped()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (line,) = watched.lines()
    assert (line["status"], line["error"]) == (503, "temporarily_unavailable")
    assert 'http_server_active_requests{http_request_method="GET"} 0.0' in watched.scraped()
