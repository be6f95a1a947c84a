"""`@keyturn/client`: its own tests, its types and its weight; and what other clients weigh."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.npm import packages

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "packages/js"
OTHERS = Path(__file__).parent / "browser_clients"
MOST = 5000
"""Bytes of the core: minified by esbuild for ES2022, then gzip -9."""
PATIENCE = 300


def run(*command: str, folder: Path = CLIENT) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder whose packages are installed."""
    packages(folder)
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize("script", ["check", "test", "size"])
def test_the_browser_client_passes(script: str) -> None:
    ran = run("npm", "run", "--silent", script)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


def test_a_core_that_is_too_heavy_is_refused(tmp_path: Path) -> None:
    packages(CLIENT)
    heavy = tmp_path / "js"
    shutil.copytree(CLIENT / "src", heavy / "src")
    shutil.copytree(CLIENT / "tools", heavy / "tools")
    (heavy / "node_modules").symlink_to(CLIENT / "node_modules")
    noise = json.dumps([hash(("noise", n)) for n in range(500)])
    with (heavy / "src/index.ts").open("a") as index:
        index.write(f"export const noise = {noise};\n")
    ran = subprocess.run(
        ["node", "tools/size.mjs"], cwd=heavy, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert f"over the {MOST} it may have" in ran.stderr


def test_others_weigh_more() -> None:
    packages(CLIENT)
    ran = run("node", "weigh.mjs", folder=OTHERS)
    assert ran.returncode == 0, ran.stderr[-2000:]
    ours, *theirs = [json.loads(line) for line in ran.stdout.splitlines()]
    for one in (ours, *theirs):
        print(f"{one['name']:<24} {one['minified']:>7} bytes, gzip {one['gzip']:>6}")
    assert ours["gzip"] <= MOST
    assert len(theirs) == 6
    assert ours["gzip"] < min(one["gzip"] for one in theirs)
    readme = (CLIENT / "README.md").read_text()
    for one in (ours, *theirs):
        row = re.search(
            rf"^\| \**{re.escape(one['name'])}\** [\d.]+ \| ([\d,]+) \|$", readme, re.MULTILINE
        )
        assert row is not None, one["name"]
        # Another version of zlib may differ by a few bytes.
        assert abs(int(row[1].replace(",", "")) - one["gzip"]) <= one["gzip"] // 100, one


def undocumented(types: str, readme: str) -> list[str]:
    """Return options, methods, events and error codes that a README does not name."""
    told = []
    for name in ("AuthOptions", "Auth", "AuthEvents", "Credentials", "SignInOptions"):
        (body,) = re.findall(
            rf"^export interface {name} {{\n(.*?)^}}", types, re.MULTILINE | re.DOTALL
        )
        told += re.findall(r"^  (?:readonly )?(\w+)[?:(<]", body, re.MULTILINE)
    told += re.findall(r'^  \| "(\w+)"', types, re.MULTILINE)
    return [one for one in told if not re.search(rf"\b{one}\b", readme)]


def test_the_readme_names_everything_an_application_sees() -> None:
    types, readme = (CLIENT / "src/types.ts").read_text(), (CLIENT / "README.md").read_text()
    assert undocumented(types, readme) == []
    assert undocumented(
        types, readme.replace("keepAlive", "").replace("unrepeatable_body", "")
    ) == [
        "keepAlive",
        "unrepeatable_body",
    ]


def test_the_package_holds_what_it_exports(tmp_path: Path) -> None:
    ran = run("npm", "pack", "--silent", "--json", "--pack-destination", str(tmp_path))
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads(ran.stdout[ran.stdout.index("[\n") :])
    files = {one["path"] for one in told[0]["files"]}
    manifest = json.loads((CLIENT / "package.json").read_text())
    assert "dependencies" not in manifest
    for entry in manifest["exports"].values():
        if (
            isinstance(entry, dict)
            and (CLIENT / f"src/{Path(entry['default']).name[:-3]}.ts").exists()
        ):
            assert {path.removeprefix("./") for path in entry.values()} <= files
    assert {"README.md", "package.json", "src/index.ts"} <= files
    assert not any(path.startswith(("tests/", "node_modules/")) for path in files)
