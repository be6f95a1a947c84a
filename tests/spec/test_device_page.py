"""The page on which people connect a device, over HTTP: what it asks, shows, counts and refuses."""

import html
import re

import pytest

from support import replicas
from support.api import FOREIGN_ORIGIN, Api, api_of
from support.browserless import Browserless, forms_of
from support.delays import delayed
from support.television import BEGIN, SELF, TELEVISION, Television, answered, entry, question
from support.visitor import Visitor, form_of, read

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
HOSTILE = "\"'><svg onload=alert(1)>{{73170*10007}}"
WRONG = "BCDF-BCDF"
ACCOUNT, ADDRESS, TOGETHER, CODES = 5, 8, 12, 3
"""Guesses of one person before delays; of one address, and altogether, on a strict server; codes
that one address may ask for there."""


@pytest.fixture(scope="module")
async def tv(api):
    return await api.client(TELEVISION)


@pytest.fixture
async def person(api):
    return await api.person()


@pytest.fixture
async def device(api, tv):
    return await Television.begun(api, tv)


@pytest.fixture
async def signed_in(api, person):
    """A browser that is signed in, at the empty form."""
    browser = Browserless(api)
    return browser, await entry(browser, person, "/device")


async def test_nobody_can_try_a_code_without_having_signed_in(api, device):
    for address in ("/device", f"/device?user_code={device.code}", f"/device?user_code={WRONG}"):
        page = await Browserless(api).open(address)
        assert set(forms_of(page)) == {"login"}
        assert "to connect a device" in page.text
    fields = {"user_code": device.code, "login": "", "csrf": "x"}
    assert (await Browserless(api).send("POST", "/device", data=fields)).status_code == 403


async def test_after_signing_in_the_code_of_the_link_is_filled_in_and_still_confirmed(
    api, person, device
):
    browser = Browserless(api)
    page = await entry(browser, person, device.told["verification_uri_complete"])
    assert f'value="{device.code}"' in page.text
    assert "Is this the code that your device shows?" in page.text
    assert await device.error() == "authorization_pending"
    page = await browser.submit(page, "device-code")
    assert set(forms_of(page)) == {"device"}
    await device.set("polled_at = null")
    assert await device.error() == "authorization_pending", "a link and a press are no answer"


async def test_the_question_says_who_asks_for_what_from_where_and_what_to_compare(api, person):
    links = {one: f"https://tv.example/{one}" for one in ("client_uri", "policy_uri", "tos_uri")}
    client = await api.client(TELEVISION, **links)
    device = await Television.begun(api, client, scope="openid email orders.read")
    await device.set("created_at = created_at - interval '3 minutes'")
    page = read(await question(Browserless(api), person, device))
    for said in (
        "Connect Television?", f"signed in as {person.email}", device.code, SELF, "127.0.0.1",
        "3 minutes ago", "know that it is you", "see your e-mail address", "use “orders.read”",
        "If somebody sent you the code or a link, they want to get into your account.",
    ):  # fmt: skip
        assert said in page.text, said
    shown = [told.get("href") for tag, told in page.elements if tag == "a"]
    assert set(links.values()) <= set(shown)


async def test_AZ_8_the_question_says_that_nobody_has_checked_who_asks(api, person):
    client = await api.client(TELEVISION)
    device = await Television.begun(api, client)
    browser = Browserless(api)
    assert 'id="unchecked"' not in (await question(browser, person, device)).text
    marked = "update clients set self_registered = true, updated_at = now() where id = $1"
    await api.sql.execute(marked, client)
    await api.settled()
    assert 'id="unchecked"' in (await question(browser, person, device)).text


@pytest.mark.parametrize("separator", ["", " ", "_", ".", "\u2013", " / "])
async def test_a_code_may_be_typed_in_any_case_with_any_separator(signed_in, device, separator):
    browser, form = signed_in
    typed = f" {separator.join(device.code.lower().split('-'))} "
    page = await browser.submit(form, "device-code", user_code=typed)
    assert "device" in forms_of(page)
    assert device.code in page.text


async def test_letters_that_look_like_ours_are_read_as_ours(api, signed_in, device):
    browser, form = signed_in
    misread = device.code.translate(str.maketrans("LZSGBVQ", "12568U0"))
    for typed in (misread, misread.replace("1", "i").replace("0", "o")):
        page = await browser.submit(form, "device-code", user_code=typed)
        assert "device" in forms_of(page), typed


@pytest.mark.parametrize(
    ("typed", "said"),
    [("", "Enter the code."), (WRONG, "wrong or has expired"), ("B", "wrong or has expired"),
     ("BCDF-BCDFG", "wrong or has expired"), (HOSTILE, "wrong or has expired"), ("é" * 8, "wrong")],
)  # fmt: skip
async def test_a_wrong_code_is_said_so_beside_what_was_typed(signed_in, typed, said):
    browser, form = signed_in
    answer = await browser.submit(form, "device-code", user_code=typed)
    assert answer.status_code == 400
    page = read(answer)
    assert said in page.text
    problem, field = page.by_id("problem"), page.by_id("user-code")
    assert (problem["role"], problem["tabindex"]) == ("alert", "-1")
    assert "autofocus" in problem
    assert (field["aria-invalid"], field["value"]) == ("true", typed)
    assert "summary" in field["aria-describedby"].split()
    assert "<svg" not in answer.text


async def test_an_address_shows_nothing_that_is_no_code(api, person):
    page = await entry(Browserless(api), person, "/device?user_code=CALL-0800-NOW")
    assert (page.status_code, "CALL" in page.text) == (200, False)


async def test_WB_5_every_page_of_it_carries_the_headers_of_pages(api, person, device):
    browser = Browserless(api)
    form = await entry(browser, person, "/device")
    wrong = await browser.submit(form, "device-code", user_code=WRONG)
    asked = await question(browser, person, device)
    done = await browser.submit(asked, "device", "allow")
    for page in (form, wrong, asked, done):
        assert page.headers["content-security-policy"] == POLICY
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-frame-options"] == "DENY"
        assert len(page.content) < 30_000
        assert "<script" not in page.text
    other = await api.callers[0].put("/device")
    assert (other.status_code, set(other.headers["allow"].split(", "))) == (
        405,
        {"GET", "HEAD", "POST"},
    )


async def test_WB_4_a_forged_or_foreign_form_does_nothing(api, person, device):
    browser = Browserless(api)
    asked = await question(browser, person, device)
    good = forms_of(asked)["device"].fields
    another = await Television.begun(api, device.client)
    forged = [
        {**good, "csrf": ""},
        {**good, "csrf": good["csrf"][:-1] + ("0" if good["csrf"][-1] != "0" else "1")},
        # The answer to one device is none to another: a link must not put a code under a button.
        {**good, "user_code": another.code},
        {**good, "login": "x"},
    ]
    for fields in forged:
        answer = await browser.send("POST", "/device", data={**fields, "decision": "allow"})
        assert answer.status_code == 403, fields
    entry_token = forms_of(await browser.open("/device"))["device-code"].fields["csrf"]
    swapped = {**good, "csrf": entry_token, "decision": "allow"}
    assert (await browser.send("POST", "/device", data=swapped)).status_code == 403
    for headers in ({"origin": FOREIGN_ORIGIN}, {"sec-fetch-site": "cross-site"}):
        answer = await browser.send(
            "POST", "/device", data={**good, "decision": "allow"}, headers=headers
        )
        assert answer.status_code == 403
    elsewhere = Browserless(api)
    await entry(elsewhere, person, "/device")
    answer = await elsewhere.send("POST", "/device", data={**good, "decision": "allow"})
    assert answer.status_code == 403
    answer = await browser.send("POST", "/device", data={**good, "decision": "maybe"})
    assert answer.status_code == 400
    for one in (device, another):
        assert await one.error() == "authorization_pending"


async def test_nothing_is_done_in_the_name_of_who_signed_in_since(api, person, device):
    browser, other = Browserless(api), await api.person()
    asked = await question(browser, person, device)
    link = html.unescape(re.search(r'id="other-account" href="([^"]+)"', asked.text)[1])
    page = await browser.open(link)
    assert person.email not in page.text, "an empty form for another account"
    page = await browser.sign_in(page, other)
    assert f'value="{device.code}"' in page.text
    answer = await browser.submit(asked, "device", "allow")
    assert "device-code" in forms_of(answer), "asked again, as who is signed in now"
    assert await device.error() == "authorization_pending"
    page = await browser.submit(await browser.submit(answer, "device-code"), "device", "allow")
    given = (await device.poll()).json()
    session = await api.sql.fetchrow("select user_id from sessions where user_id = $1", other.id)
    assert given["access_token"]
    assert session is not None


async def test_signed_out_meanwhile_leads_to_the_sign_in_and_back_to_the_code(api, person, device):
    browser = Browserless(api)
    asked = await question(browser, person, device)
    await api.operator.accounts.logout_everywhere(person.id)
    page = await browser.submit(asked, "device", "allow")
    assert "login" in forms_of(page)
    page = await browser.sign_in(page, person)
    assert f'value="{device.code}"' in page.text


@pytest.mark.parametrize("button", ["allow", "deny"])
async def test_a_double_click_ends_on_the_same_page(api, person, device, button):
    browser = Browserless(api)
    asked = await question(browser, person, device)
    first = await browser.submit(asked, "device", button)
    if button == "allow":
        assert (await device.poll()).status_code == 200
    second = await browser.submit(asked, "device", button)
    assert first.status_code == second.status_code == 200
    assert read(first).text == read(second).text


async def test_who_said_yes_may_still_say_no_until_the_device_has_fetched_it(api, person, device):
    browser = Browserless(api)
    asked = await question(browser, person, device)
    await browser.submit(asked, "device", "allow")
    await browser.submit(asked, "device", "deny")
    assert await device.error() == "access_denied"


async def test_a_code_that_somebody_else_answered_is_unknown(api, person, device):
    await answered(Browserless(api), person, device)
    page = await question(Browserless(api), await api.person(), device)
    assert page.status_code == 400


@pytest.mark.parametrize("query", ["done=allow", "done=allow&seal=1.00", "done=deny&seal=x"])
async def test_a_mere_link_does_not_say_that_a_device_is_connected(api, person, query):
    browser = Browserless(api)
    await entry(browser, person, "/device")
    page = await browser.open(f"/device?{query}")
    assert set(forms_of(page)) == {"device-code"}
    assert "is connected" not in page.text


async def test_WB_6_whatever_a_device_calls_itself_is_text(api, person):
    client = await api.client(TELEVISION, name=HOSTILE)
    device = Television(api, client)
    answer = await api.form("/oauth2/device_authorization", client, headers={"user-agent": HOSTILE})
    device.told = answer.json()
    page = await question(Browserless(api), person, device)
    assert page.status_code == 200
    assert "<svg" not in page.text
    assert "732221" not in page.text, "no template language"


async def test_it_speaks_german_and_keeps_the_choice(api, person, device):
    visitor = Visitor(api, language="de-DE,de;q=0.9")
    page = await visitor.get(f"/device?user_code={device.code}")
    page = await visitor.sign_in(page, person)
    assert "Gerät verbinden" in read(page).text
    page = await visitor.submit(form_of(page, "device-code"))
    assert "Television verbinden?" in read(page).text
    english = next(
        told["href"] for tag, told in read(page).elements if tag == "a" and told.get("lang") == "en"
    )
    page = await visitor.get(english)
    assert f'value="{device.code}"' in page.text
    page = await visitor.submit(form_of(page, "device-code"))
    page = await visitor.submit(form_of(page, "device"), decision="deny")
    assert "Nothing was connected" in read(page).text


# -- CR-6: guessing ---------------------------------------------------------------------------------


async def test_CR_6_right_codes_of_ones_own_do_not_buy_more_guesses(api, tv, person):
    """An attacker has as many right codes as they like: they are given to anybody."""
    browser, own = Browserless(api), await Television.begun(api, tv)
    form = await entry(browser, person, "/device")

    async def enter(code: str) -> int:
        return (await browser.submit(form, "device-code", user_code=code)).status_code

    for _ in range(ACCOUNT - 1):
        assert (await enter(own.code), await enter(WRONG)) == (200, 400)
    with delayed(seconds=1):
        assert (await enter(WRONG), await enter(own.code)) == (400, 429)


async def test_right_codes_are_not_counted(api, tv, person):
    browser, own = Browserless(api), await Television.begun(api, tv)
    form = await entry(browser, person, "/device")
    for _ in range(2 * ACCOUNT):
        assert (await browser.submit(form, "device-code", user_code=own.code)).status_code == 200


@pytest.fixture(scope="module")
async def strict(databases):
    """A server that counts in its own memory, behind a proxy, with limits that are soon reached."""
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url,
            None,
            **replicas.GENEROUS
            | {
                "server__trusted_proxies": "127.0.0.0/8",
                "throttle__address_attempts": str(ADDRESS),
                "device__wrong_codes": str(TOGETHER),
                "device__codes_per_address": str(CODES),
            },
        )
        with replicas.replicas(environ) as started:
            async with api_of(environ, started) as running:
                yield running


async def guesses(api: Api, address: str, most: int) -> int:
    """Type wrong codes as new people at one address until that is refused; return how many."""
    for done in range(most):
        if done % (ACCOUNT - 1) == 0:
            browser = Browserless(api, headers={"x-forwarded-for": address})
            form = await entry(browser, await api.person(), "/device")
        if (await browser.submit(form, "device-code", user_code=WRONG)).status_code == 429:
            return done
    return most


async def test_CR_6_an_address_and_everybody_together_have_limits_of_their_own(strict):
    assert await guesses(strict, "192.0.2.1", 20) == ADDRESS
    assert await guesses(strict, "192.0.2.2", 20) == TOGETHER - ADDRESS
    assert await guesses(strict, "192.0.2.3", 20) == 0
    # Passwords have limits of their own: nobody is kept from signing in by it.
    browser = Browserless(strict, headers={"x-forwarded-for": "192.0.2.4"})
    assert (await entry(browser, await strict.person(), "/account")).status_code == 200


async def test_RL_3_a_public_client_has_so_many_codes_for_an_address(strict):
    public = await strict.client(TELEVISION)
    proven = await strict.client(TELEVISION, kind="confidential")

    async def begin(client: str, address: str) -> int:
        answer = await strict.form(
            BEGIN, client, scope="openid", headers={"x-forwarded-for": address}
        )
        if answer.status_code == 429:
            assert (await strict.refusal(answer))[2] == "throttle: client"
        return answer.status_code

    here = [await begin(public, "192.0.2.9") for _ in range(CODES + 2)]
    assert here == [200] * CODES + [429] * 2
    assert await begin(public, "192.0.2.10") == 200, "it slows down nobody else"
    assert {await begin(proven, "192.0.2.9") for _ in range(2 * CODES)} == {200}
