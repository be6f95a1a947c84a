"""What Prometheus' own linter says of the metrics of a running server."""

import subprocess

import httpx2
import pytest

pytestmark = pytest.mark.operations


def check(promtool, page: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )


async def test_promtool_finds_nothing_in_a_live_page(api, program):
    device = await api.sign_in(await api.person())
    await api.refresh(device)
    await api.is_active(device.access_token)
    page = httpx2.get(f"{api.replicas[0].management_url}/metrics", timeout=5).text
    promtool = program("promtool", "prometheus")
    checked = check(promtool, page)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    spoilt = page.replace("keyturn_tokens_issued_total", "keyturn_tokens_issued")
    assert check(promtool, spoilt).returncode != 0, "it does look"
