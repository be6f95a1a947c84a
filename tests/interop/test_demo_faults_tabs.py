"""What a person sees of the demo with several tabs, kept pages and devices, in each mode.

As in `test_demo_faults.py`: a proxy below the browser lets requests meet or wait, and counts them.
"""

import pytest

from support.demo_cases import case
from support.demo_page import by
from support.demo_stage import SERVERS_SIGN_IN, until

pytestmark = pytest.mark.browser

REFRESH = {"cookie": "/auth/refresh", "body": "/auth/refresh", "code": "/oauth2/token"}
NO_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', {get: () => undefined})"
AGAIN = """
document.getElementById('app').replaceWith(Object.assign(document.createElement('div'), {id: 'app'}));
import(document.querySelector('script[type=module]').src + '?again').then(() => true)
"""
"""Starts the page's program once more in the same page; the first one's clients live on unseen."""
WATCH = "addEventListener('pageshow', one => { globalThis.wasKept = one.persisted })"
OUT = f"{by('sign-in')} || {SERVERS_SIGN_IN}"


@case("Two tabs refresh at once")
async def test_two_tabs_that_refresh_at_once_stay_signed_in(stage):
    await stage.sign_in()
    other = await stage.another_tab()
    stage.network.expire()
    await stage.call_ten(stage.page, other)
    await stage.shows(stage.page, other)
    assert await stage.judge(stage.page, other)
    # The lock saves the second one, where it can be had within three seconds.
    assert stage.refreshes() in ([200], [200, 200])


@case("The same without web locks")
async def test_without_locks_the_grace_answers_both_tabs(stage):
    await stage.before_each_load(NO_LOCKS)
    await stage.sign_in()
    other = await stage.another_tab(NO_LOCKS)
    assert await other.tab.evaluate("navigator.locks") is None
    stage.network.expire()
    stage.network.meet(2)
    await stage.call_ten(stage.page, other)
    await stage.shows(stage.page, other)
    assert await stage.judge(stage.page, other)
    assert stage.refreshes() == [200, 200]


@case("A tab is frozen in the middle of a refresh")
async def test_a_frozen_tab_holds_up_nobody_and_goes_on_later(stage):
    await stage.sign_in()
    other = await stage.another_tab()
    gate = stage.network.hold(REFRESH[stage.mode], answers=True)
    stage.network.expire()
    await stage.page.press("call-ten")
    await until(lambda: gate.waiting == 1)
    await stage.page.tab.call("Page.setWebLifecycleState", state="frozen")
    gate.open()
    await stage.call_ten(other)
    stage.network.expire()
    await stage.call_ten(other)
    frozen = await stage.page.tab.evaluate(f"!{by('outcome')}")
    assert frozen, "invalid: the tab was not frozen"
    await stage.page.tab.call("Page.setWebLifecycleState", state="active")
    await stage.page.until(f"{by('outcome')}?.dataset.done")
    await stage.shows(stage.page, other)
    assert await stage.judge(stage.page, other)
    assert set(stage.refreshes()) == {200}


@case("Back to a page that the browser kept")
async def test_a_page_from_the_back_forward_cache_goes_on(stage):
    await stage.sign_in()
    await leave(stage)
    stage.network.expire()
    await go_back(stage)
    assert await stage.page.tab.evaluate("globalThis.wasKept"), "invalid: it was not kept"
    await stage.call_ten()
    await stage.shows()
    assert await stage.judge()
    assert stage.refreshes() == [200]


@case("Back to it after signing out in another tab")
async def test_a_kept_page_does_not_bring_a_sign_in_back(stage):
    await stage.sign_in()
    other = await stage.another_tab()
    await leave(stage)
    await other.press("sign-out")
    await other.until(by("sign-in"))
    await go_back(stage)
    await stage.page.until(OUT)
    await stage.shows()
    assert not await stage.judge()


async def leave(stage):
    """Go to another site's page from the demo's."""
    await stage.page.tab.evaluate(WATCH)
    await stage.page.tab.open(f"{stage.page.dev['issuer']}/device")


async def go_back(stage):
    """Go back to the demo as the browser's button does."""
    history = await stage.page.tab.call("Page.getNavigationHistory")
    entry = history["entries"][history["currentIndex"] - 1]
    await stage.page.tab.call("Page.navigateToHistoryEntry", entryId=entry["id"])
    await stage.page.until(f"location.href !== {stage.page.dev['issuer'] + '/device'!r}")


@case("Signing out during a refresh that is answered later")
async def test_a_late_answer_does_not_bring_a_sign_in_back(stage):
    await signs_out_during_a_refresh(stage, answers=True)


@case("Signing out before a refresh arrives")
async def test_a_late_refresh_does_not_bring_a_sign_in_back(stage):
    await signs_out_during_a_refresh(stage, answers=False)


async def signs_out_during_a_refresh(stage, *, answers):
    await stage.sign_in()
    other = await stage.another_tab()
    gate = stage.network.hold(REFRESH[stage.mode], answers=answers)
    stage.network.expire()
    await stage.page.press("call-ten")
    await until(lambda: gate.waiting == 1)
    await stage.page.press("sign-out")
    await stage.page.until(by("sign-in"))
    await other.has("status", status="signedOut")
    gate.open()
    await until(lambda: len(stage.refreshes()) == 1)
    await stage.shows()
    assert not await stage.judge(stage.page)
    assert not await stage.is_signed_in(other)


@case("Signing out while the server hears of it late")
async def test_another_tab_does_not_bring_back_a_sign_in_that_is_being_given_up(stage):
    await stage.sign_in()
    other = await stage.another_tab()
    gate = stage.network.hold("/oauth2/revoke" if stage.mode == "code" else "/auth/logout")
    await stage.page.press("sign-out")
    await until(lambda: gate.waiting == 1)
    await other.has("status", status="signedOut")
    await other.until(OUT)
    await stage.shows(other)
    gate.open()
    await stage.page.until(by("sign-in"))
    assert not await stage.judge()
    assert not await stage.is_signed_in(other)


@case("The session is ended on another device")
async def test_a_session_that_was_ended_elsewhere_is_over_at_the_next_refresh(stage):
    await stage.sign_in()
    await stage.page.press("nav-profile")
    session = await stage.page.text("session-id")
    await stage.page.press("nav-orders")
    device = await stage.another_device()
    await device.press("nav-sessions")
    await device.press(f"end-{session}")
    await device.until(f"!{by(f'end-{session}')}")
    await stage.page.tab.evaluate("globalThis.isTheOldPage = true")
    await stage.page.press("refresh")
    # The server's own sign-in lives on: mode `code` goes there, and comes back as a new session.
    lives_on = stage.mode == "code"
    back = f"!globalThis.isTheOldPage && {by('orders')} && {by('user')}"
    await stage.page.until(back if lives_on else OUT)
    await stage.shows()
    assert await stage.judge() is lives_on
    assert set(stage.refreshes()) <= {400, 401}


@case("Signed out everywhere, and nobody refreshes", "cookie")
async def test_an_api_refuses_what_was_ended_elsewhere_by_itself(stage):
    await stage.sign_in()
    device = await stage.another_device()
    await device.press("nav-sessions")
    # The list above the button may still be loading, and move it.
    await device.until(
        f"({by('sign-out-everywhere')}?.click(), {by('status')}?.dataset.status === 'signedOut')"
    )
    await stage.page.until(
        f"{by('status')}?.dataset.status === 'signedOut' || {by('call')}.click()"
    )
    await stage.page.until(OUT)
    await stage.shows()
    assert not await stage.judge()


@case("The page is mounted twice")
async def test_two_clients_in_one_page_get_along(stage):
    await stage.sign_in()
    await stage.page.tab.evaluate(AGAIN)
    await stage.page.until(by("orders"))
    stage.network.expire()
    await stage.call_ten()
    await stage.shows()
    assert await stage.judge()
    assert stage.refreshes() == [200]
