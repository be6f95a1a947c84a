"""What a person sees of the demo when the network, the clock or the browser fails them, in each mode.

The faults come from a proxy between Chromium and everything else (`support.demo_network`), which
also counts the refreshes; that somebody is still signed in, the API's answer shows.
`KEYTURN_TEST_SCREENSHOTS` names a folder that keeps the pictures and the table.
"""

import pytest

from support.demo_cases import case
from support.demo_network import LOST, Instead
from support.demo_page import by

pytestmark = pytest.mark.browser

WRONG_CLOCK = """
{{ const right = Date.now.bind(Date); const Right = Date;
globalThis.Date = class extends Right {{
  constructor(...words) {{ super(...(words.length ? words : [right() + {hours} * 3600000])); }}
  static now() {{ return right() + {hours} * 3600000; }} }}; }}
"""
FULL_STORAGE = """
const put = Storage.prototype.setItem;
Storage.prototype.setItem = function (key, value) {
  if (this === localStorage && key.startsWith("keyturn:")) throw new DOMException("", "QuotaExceededError");
  put.call(this, key, value);
};
"""


async def calls_ten_refused(stage):
    """Let the API refuse the token from now on, and have the page call it ten times at once."""
    stage.network.expire()
    await stage.call_ten()
    await stage.shows()


@case("Signing in")
async def test_a_person_signs_in(stage):
    await stage.sign_in()
    await stage.shows()
    assert await stage.judge()
    assert stage.refreshes() == []


@case("Ten 401s at once")
async def test_ten_401s_at_once_make_one_refresh(stage):
    await stage.sign_in()
    await calls_ten_refused(stage)
    assert await stage.judge()
    assert stage.refreshes() == [200]
    assert stage.network.orders().count(401) > 1, "invalid: the calls came one after the other"


@case("The answer to a refresh is lost")
async def test_a_lost_answer_is_asked_for_again(stage):
    await stage.sign_in()
    stage.network.fates = [LOST]
    await calls_ten_refused(stage)
    assert await stage.judge()
    assert stage.refreshes() == [0, 200]


@case("500, then a gateway's bare 502")
async def test_a_burst_of_server_errors_is_not_noticed(stage):
    await stage.sign_in()
    stage.network.fates = [Instead(500), Instead(502, cors=False)]
    await calls_ten_refused(stage)
    assert await stage.judge()
    assert stage.refreshes() == [500, 502, 200]


@case("500 for longer than three tries")
async def test_an_outage_is_said_and_signs_nobody_out(stage):
    await stage.sign_in()
    stage.network.fates = [Instead(500)] * 3
    await calls_ten_refused(stage)
    assert "The server has trouble. Try again." in stage.row.sees
    await stage.call_ten()
    # Inside the grace it is asked for once more, for all ten; later a failed token is remembered.
    assert stage.refreshes() in ([500] * 3, [500, 500, 500, 200]), "no storm follows"
    await stage.call_ten(button="refresh")
    assert await stage.judge()
    assert stage.refreshes()[:3] == [500] * 3
    assert set(stage.refreshes()[3:]) == {200}


@case("429, wait a second")
async def test_a_short_429_is_waited_for(stage):
    await stage.sign_in()
    stage.network.fates = [Instead(429, retry_after=1)]
    await calls_ten_refused(stage)
    assert await stage.judge()
    assert stage.refreshes() == [429, 200]


@case("429, wait a minute")
async def test_a_long_429_is_said_and_signs_nobody_out(stage):
    await stage.sign_in()
    stage.network.fates = [Instead(429, retry_after=60)]
    await calls_ten_refused(stage)
    assert "Too many tries. Wait a moment" in stage.row.sees
    assert stage.refreshes() == [429]
    await stage.call_ten(button="refresh")
    assert await stage.judge()


@case("The clock jumps an hour ahead")
async def test_a_clock_an_hour_ahead_costs_one_refresh(stage):
    await jumps(stage, "fault-clock-fast", +1)


@case("The clock jumps an hour back")
async def test_a_clock_an_hour_back_costs_one_refresh(stage):
    await jumps(stage, "fault-clock-slow", -1)


async def jumps(stage, fault, hours):
    """Set the clock wrong below an open page, then load the page by the wrong clock."""
    await stage.sign_in()
    await stage.page.press(fault)
    await stage.call_ten()
    await stage.call_ten()
    await stage.before_each_load(WRONG_CLOCK.format(hours=hours))
    await stage.page.open("/")
    await stage.page.until(by("orders"))
    await stage.call_ten()
    await stage.shows()
    assert await stage.judge()
    assert stage.refreshes() == [200]


@case("The server is down while the page loads")
async def test_a_page_that_loads_during_an_outage_can_be_asked_again(stage):
    await stage.sign_in()
    # So that the stored access token is too old, and the server has to be asked.
    await stage.before_each_load(WRONG_CLOCK.format(hours=1))
    stage.network.fates = [Instead(503, retry_after=1)] * 3
    await stage.page.open("/")
    await stage.page.until(by("orders-error"))
    await stage.shows()
    assert "The server has trouble. Try again." in stage.row.sees
    await stage.call_ten(button="refresh")
    assert await stage.judge()


@case("Storage is full or blocked")
async def test_storage_that_throws_is_replaced_by_memory(stage):
    await stage.before_each_load(FULL_STORAGE)
    await stage.sign_in()
    await calls_ten_refused(stage)
    assert await stage.judge()
    assert stage.refreshes() == [200]


@case("Third-party cookies are blocked", "cookie")
async def test_without_its_cookie_a_sign_in_ends_with_the_access_token(stage):
    stage.network.cookies = False
    await stage.sign_in()
    await stage.call_ten()
    stage.network.expire()
    await stage.page.press("call-ten")
    await stage.page.has("status", status="signedOut")
    await stage.page.until(by("sign-in"))
    await stage.shows()
    assert not await stage.judge()
    assert stage.row.refreshes == 1, "no loop"
