"""`@keyturn/client` as npm would publish it, in an application that has never seen it before.

The tarball is installed into an empty Vite project (`vite/`) in a folder of its own. The TypeScript
in the docs is checked there, too: it is what people copy.
"""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from support import npm

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "packages/js"
PAGES = [ROOT / "docs/browser-client.md", *PACKAGE.glob("README.md")]
TEMPLATE = Path(__file__).parent / "vite"
ENTRIES = ("account", "axios", "dpop", "mock", "vue")
PATIENCE = 300
BLOCK = re.compile(r"^```(ts|vue)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(*command: str, cwd: Path) -> str:
    """Run a program to its end; return what it printed. A failure shows everything."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory) -> Path:
    """The package as it is published."""
    npm.built(PACKAGE)
    folder = tmp_path_factory.mktemp("tarball")
    pack = ("npm", "pack", "--json", "--ignore-scripts", "--pack-destination", str(folder))
    told = run(*pack, cwd=PACKAGE)
    return folder / json.loads(told)[0]["filename"]


@pytest.fixture(scope="module")
def project(tarball, tmp_path_factory) -> Path:
    """An application that has just installed it."""
    npm.packages(TEMPLATE)
    folder = tmp_path_factory.mktemp("cold") / "app"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("node_modules"))
    run("npm", "install", "--prefer-offline", "--save", str(tarball), cwd=folder)
    return folder


def contents(tarball: Path) -> dict[str, bytes]:
    with tarfile.open(tarball) as archive:
        files = {one.name: archive.extractfile(one) for one in archive if one.isfile()}
        return {name.removeprefix("package/"): file.read() for name, file in files.items() if file}


def test_the_tarball_holds_what_applications_need_and_nothing_else(tarball):
    held = contents(tarball)
    described = json.loads(held["package.json"])
    assert described.get("dependencies", {}) == {}
    assert not {"preinstall", "install", "postinstall"} & set(described.get("scripts", {}))
    assert {name.split("/")[0] for name in held} == {
        "dist", "src", "package.json", "README.md", "LICENSE",
    }  # fmt: skip
    assert [
        name for name in held if re.search(r"\.test\.|^tests|-lock\.json|node_modules", name)
    ] == []
    assert set(described["exports"]) >= {".", *(f"./{one}" for one in ENTRIES)}
    targets = [target for one in described["exports"].values() for target in resolved(one)]
    assert [one for one in targets if one.removeprefix("./") not in held] == []


def resolved(export: object) -> list[str]:
    """Return every file that an export may lead to."""
    if isinstance(export, dict):
        return [target for one in export.values() for target in resolved(one)]
    return [str(export)]


def test_optional_peers_are_not_forced_on_anybody(tarball):
    described = json.loads(contents(tarball)["package.json"])
    peers = described["peerDependencies"]
    assert set(peers) == {"axios", "vue", "vue-router"}
    optional = described["peerDependenciesMeta"]
    assert all(optional[one] == {"optional": True} for one in peers)


def test_every_entry_point_can_be_imported_without_a_browser(project):
    exported = json.loads(run("node", "every_entry.mjs", cwd=project))
    assert set(exported) == {"@keyturn/client", *(f"@keyturn/client/{one}" for one in ENTRIES)}
    assert {"AuthError", "createAuth"} <= set(exported["@keyturn/client"])


def test_an_application_type_checks_and_builds(project):
    run("npx", "vue-tsc", "--noEmit", "--skipLibCheck", cwd=project)
    run("npx", "vue-tsc", "--noEmit", "--skipLibCheck", "-p", "tsconfig.node16.json", cwd=project)
    run("npx", "vite", "build", cwd=project)
    assert list((project / "dist/assets").glob("*.js"))


def blocks(page: Path) -> dict[str, str]:
    """Return the examples of a page by the name of a file each."""
    found = BLOCK.findall(page.read_text())
    return {f"{page.stem}-{n}.{kind}": code for n, (kind, code) in enumerate(found)}


def check_examples(project: Path, examples: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    folder = project / "docs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, code in examples.items():
        module = code if name.endswith(".vue") else f"{code}\nexport {{}};\n"
        (folder / name).write_text(module)
    return subprocess.run(
        ["npx", "vue-tsc", "--noEmit", "--skipLibCheck"],
        cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_what_the_docs_show_type_checks(project):
    examples = {name: code for page in PAGES for name, code in blocks(page).items()}
    assert len(examples) >= 8
    done = check_examples(project, examples)
    assert done.returncode == 0, done.stdout


def test_an_example_that_names_what_does_not_exist_is_found(project):
    wrong = 'import { createAuht } from "@keyturn/client";\n'
    done = check_examples(project, {"wrong.ts": wrong})
    assert done.returncode != 0
    assert "createAuht" in done.stdout
