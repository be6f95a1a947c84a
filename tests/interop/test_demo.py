"""The demo in Chromium: signed in by all three modes, operated, looked at, read aloud; and rebuilt.

`KEYTURN_TEST_SCREENSHOTS` names a folder that keeps the pictures.
"""

import os
import subprocess
from pathlib import Path

import asyncpg
import pytest

from support import npm
from support.demo_page import by, demo_page
from support.dev_server import dev_server
from support.tree import ROOT

VUE = ROOT / "examples/vue"
MODES = ("cookie", "body", "code")
LOOKS = {
    "light": {"width": 1280, "height": 1000},
    "dark": {"width": 1280, "height": 1000, "dark": True},
    "320": {"width": 320, "height": 1600},
}
PAGES = {
    "orders": "/", "payment": "/payment", "profile": "/profile", "sessions": "/sessions",
    "device": "/device", "trouble": "/trouble?what=network", "nowhere": "/nowhere",
}  # fmt: skip
BUILD_PATIENCE = 300
SMALL = """
[...document.querySelectorAll(':not(p) > a, button, input')].filter(e => e.checkVisibility())
.map(e => [e.dataset.testid ?? e.innerText, e.closest('label') ?? e])
.filter(([_, e]) => !e.classList.contains('skip'))
.filter(([_, e]) => { const r = e.getBoundingClientRect(); return r.width < 24 || r.height < 24 })
.map(([name]) => name)
"""
"""Targets below WCAG 2.2's 24 pixels (2.5.8); a link within a sentence may be as it is."""


@pytest.fixture(scope="module")
def dev():
    with dev_server("--ephemeral") as facts:
        yield facts


@pytest.fixture
async def demo(browser, dev):
    async with demo_page(browser, dev) as page:
        yield page


@pytest.fixture(scope="session")
def axe() -> str:
    """The text of axe-core, from npm."""
    return (npm.packages() / "axe-core/axe.min.js").read_text()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    named = os.environ.get("KEYTURN_TEST_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def refused_by_policy(page):
    return [one for one in page.tab.complaints if "Content Security Policy" in one]


@pytest.mark.browser
@pytest.mark.parametrize("mode", MODES)
async def test_a_person_signs_in_and_uses_everything(demo, dev, mode):
    await demo.sign_in(mode)
    assert "a key" in await demo.text("orders")
    assert await demo.text("user") == "Ada Lovelace"
    await demo.fill("order-item", f"a lock of {mode}")
    await demo.press("order-add")
    await demo.until(f"{by('orders')}.innerText.includes('a lock of {mode}')")
    await demo.press("nav-profile")
    assert await demo.text("profile-email") == dev["users"][0]["email"]
    await demo.press("nav-sessions")
    await demo.until("document.querySelector('[data-current=true]')")
    await demo.open("/profile")  # a reload finds the sign-in again
    await demo.has("status", status="signedIn")
    await demo.press("sign-out")
    await demo.has("status", status="signedOut")
    await demo.until(by("sign-in"))
    assert refused_by_policy(demo) == []


@pytest.mark.browser
@pytest.mark.parametrize("mode", MODES)
async def test_an_expired_token_and_a_lost_answer_cost_one_refresh_and_nothing_else(demo, mode):
    await demo.sign_in(mode)
    await demo.press("fault-expire")
    await demo.has("outcome", done=True)
    await demo.press("fault-drop")
    await demo.press("call-ten")
    await demo.has("outcome", done=True, signedIn=True, refreshes=1)
    assert "All 10 requests were answered" in await demo.text("outcome")
    refreshes = [row["outcome"] for row in await demo.rows() if row.get("refresh") == "true"]
    assert refreshes[-2:] == ["lost", "ok"]


@pytest.mark.browser
@pytest.mark.parametrize("mode", MODES)
async def test_a_payment_is_made_after_a_fresh_proof(demo, dev, mode):
    await demo.sign_in(mode, person=1)
    connection = await asyncpg.connect(dev["postgresUrl"])
    for table in ("logins", "sessions"):
        await connection.execute(f"update {table} set auth_time = auth_time - interval '1 hour'")
    await connection.execute("update users set valid_after = valid_after - interval '1 hour'")
    await connection.close()
    await demo.press("refresh")
    await demo.has("outcome", done=True)
    await demo.press("nav-payment")
    await demo.press("pay")
    password = dev["users"][1]["password"]
    if mode == "code":
        await demo.until("document.getElementById('sign-in')")
        await demo.tab.type("password", password)
        await demo.tab.press("sign-in")
    else:
        await demo.fill("step-up-password", password)
        await demo.press("step-up-submit")
    assert await demo.text("payment-done") == "Paid 20."


@pytest.mark.browser
@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_fits_and_axe_finds_no_violation(demo, look, axe, pictures):
    await demo.tab.look(**LOOKS[look])
    for mode in MODES:
        await demo.choose(mode)
        await seen(demo, f"sign-in-{mode}-{look}", axe, pictures)
    await demo.sign_in("cookie")
    await demo.press("fault-expire")
    await demo.press("fault-500")
    await demo.press("call-ten")
    await demo.has("outcome", done=True, signedIn=True)
    for name, path in PAGES.items():
        await demo.open(path)
        await demo.has("status", status="signedIn")
        await seen(demo, f"{name}-{look}", axe, pictures)
    await demo.tab.call("Page.bringToFront")
    assert refused_by_policy(demo) == []


async def seen(demo, name, axe, pictures):
    """Take a picture, and refuse what does not fit or cannot be read aloud."""
    await demo.tab.picture(pictures / f"demo-{name}.png")
    assert await demo.tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    assert await demo.tab.evaluate(SMALL) == [], f"{name}: targets that are too small"
    await demo.tab.evaluate(axe)
    found = await demo.tab.evaluate(
        "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
    )
    assert found == [], name


@pytest.mark.interop
def test_the_committed_page_is_what_its_source_builds(tmp_path):
    modules = npm.packages(VUE)
    for program in (["vue-tsc/bin/vue-tsc.js", "--noEmit"],
                    ["vite/bin/vite.js", "build", "--emptyOutDir", "--outDir", str(tmp_path)]):  # fmt: skip
        done = subprocess.run(
            ["node", modules / program[0], *program[1:]],
            cwd=VUE, capture_output=True, text=True, timeout=BUILD_PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert contents(tmp_path) == contents(VUE / "built")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
