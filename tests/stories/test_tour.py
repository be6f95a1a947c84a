"""The README's tour, executed as it stands there."""

import re
import subprocess
import time

import httpx2

from support.tree import text


def _tour(facts):
    script = re.search(r"<!-- tour -->\n```sh\n(.*?)```", text("README.md"), re.DOTALL)
    assert script is not None
    return (
        script[1]
        .replace("http://localhost:8080", facts["issuer"])
        .replace("http://localhost:8082", facts["exampleApiUrl"])
    )


def _wait_for_the_example(facts):
    deadline = time.monotonic() + 30
    with httpx2.Client(transport=httpx2.HTTPTransport(retries=50)) as client:
        while client.get(f"{facts['exampleApiUrl']}/ready").status_code != 200:
            assert time.monotonic() < deadline, "the example API has no keys"
            time.sleep(0.05)


def _sign_out_everywhere(facts):
    """As a newcomer finds it: other stories may have signed the same person in."""
    with httpx2.Client(base_url=facts["issuer"]) as client:
        refresh = client.post("/auth/login", json=facts["users"][0]).json()["refreshToken"]
        assert client.post("/auth/logout-all", json={"refreshToken": refresh}).status_code == 200


def test_every_step_of_the_tour_does_what_the_readme_says(dev):
    _wait_for_the_example(dev)
    _sign_out_everywhere(dev)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _tour(dev)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    orders, same, sessions, ended, refresh, me = done.stdout.splitlines()
    assert '"orders"' in orders
    assert same == "the same token for both tabs"
    assert sessions.count('"clientName":"Demo app"') == 2
    assert ended == '{"ended":2}'
    assert '"error":"invalid_grant"' in refresh
    assert '"error":"invalid_token"' in me


def test_the_two_commands_are_in_the_readme_as_a_newcomer_copies_them():
    readme = text("README.md")
    install = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && "
    assert f"{install}.venv/bin/keyturn dev" in readme
    assert f"{install}.venv/bin/pytest" in readme
