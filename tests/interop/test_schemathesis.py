"""`schemathesis`, unmodified, over both OpenAPI documents: no 5xx, and nothing they do not say."""

import asyncio
import re
import subprocess
import sys

import pytest

from support.administering import WRITE, administered
from support.api import Api, api_of
from support.replicas import GENEROUS, replicas, settings

pytestmark = pytest.mark.interop

EXAMPLES = 8
"""For each operation and phase."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
)
"""Not `missing_required_header`: it knows no 428 (RFC 6585). What is refused of generated data is
no finding either: a schema cannot say everything that the rules of clients do."""


@pytest.fixture(scope="module")
async def lone(databases, shared_redis_url):
    """A server of its own: what is sent at random may close anything."""
    async with databases.fresh(keyed=True) as url:
        environ = settings(url, shared_redis_url, **GENEROUS)
        with replicas(environ) as started:
            async with api_of(environ, started) as running:
                yield running


async def run(document: str, url: str, folder, *options: str, headers: dict[str, str]) -> int:
    """Run the program over a document; return how many requests it made, all without a finding."""
    given = [one for name, value in headers.items() for one in ("-H", f"{name}: {value}")]
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", document, "--url", url, *given, *options,
        "--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--seed", "7",
        "--request-timeout", "40", "--suppress-health-check", "all", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    made = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert made is not None, done.stdout[-20_000:]
    return int(made[2])


LAST = ("disableClient", "replaceClient", "rotateKeys")
"""What may shut out the client that calls: it is found in a list, or signed by that key."""


async def test_the_admin_api_is_as_its_document_says(lone: Api, tmp_path):
    async with administered(lone) as admin:
        base = str(admin.caller.base_url)
        document = f"{base}/admin/v1/openapi.json"
        headers = {"Authorization": f"Bearer {admin.tokens[WRITE]}"}
        for choose in ("--exclude-operation-id", "--include-operation-id"):
            chosen = [part for name in LAST for part in (choose, name)]
            assert await run(document, base, tmp_path, *chosen, headers=headers) > 50


async def test_the_session_api_is_as_its_document_says(lone: Api, tmp_path):
    person = await lone.person()
    device = await lone.sign_in(person)
    url = lone.replicas[0].url
    headers = {"Authorization": f"Bearer {device.access_token}", "X-Keyturn-Client": "app"}
    assert await run(f"{url}/auth/openapi.json", url, tmp_path, headers=headers) > 200
