"""docs/scaling.md says what its program reckons from the recorded figures, and the program is right."""

import math
from dataclasses import replace

import pytest

from support.load_programs import load_program
from support.tree import text

capacity, queueing, scaling = map(load_program, ("capacity", "queueing", "scaling"))
PAGE = "docs/scaling.md"


def test_the_page_says_what_the_program_reckons():
    page = text(PAGE)
    assert page == scaling.written(page, capacity.Plan(capacity.measured())), (
        "write it anew: .venv/bin/python load-tests/scaling.py --write"
    )
    assert {name for _, name, _ in scaling.BLOCK.findall(page)} == {*scaling.TABLES}


# -- what the guards find when it is planted ------------------------------------------------------

INPUTS = capacity.Measured(
    server_us=600.0,
    postgres_us=200.0,
    signing_us=300.0,
    rotate={"wal_bytes": 250, "syncs": 0.1},
    after_checkpoint={"wal_bytes": 6250, "page_images": 1.0},
    parts={"sessions": 512.0, "sessions_pkey": 40.0},
    backend_bytes=2e6,
    revocation_bytes=100.0,
    sources=("a machine",),
)
PLAN = capacity.Plan(INPUTS)


def test_the_arithmetic():
    assert PLAN.processes == 100, "100,000 a second of 600 µs, 60 % busy"
    assert PLAN.connections == 100 * (2 * 4 + 2)
    assert PLAN.postgres_cores == 34
    assert PLAN.hours_to_freeze == pytest.approx(2e8 / 1e5 / 3600)
    assert PLAN.sign_ins == pytest.approx(1e8 / 30 / 86400)
    assert INPUTS.image_bytes == 6000
    assert PLAN.heap_pages == pytest.approx(6.25e6)


def test_every_page_is_written_whole_once_between_two_checkpoints_at_most():
    seconds = PLAN.hardware.checkpoint_minutes * 60
    assert PLAN.image_rate * seconds == pytest.approx(PLAN.heap_pages, rel=0.01)
    calm = replace(PLAN, target=capacity.Target(refreshes=1))
    assert calm.image_rate == pytest.approx(1, rel=0.01)
    assert calm.wal_rate == pytest.approx(250 + 6000, rel=0.01)


def test_cells_divide_what_there_is():
    four = replace(PLAN, cells=4)
    assert (four.rate, four.sessions, four.processes) == (25_000, 2.5e7, 25)
    assert four.hours_to_freeze == pytest.approx(4 * PLAN.hours_to_freeze)


def test_other_figures_are_another_page():
    for name in ("whole", "limits", "cells"):
        dearer = replace(PLAN, inputs=replace(INPUTS, server_us=900.0, postgres_us=300.0))
        assert scaling.TABLES[name](dearer) != scaling.TABLES[name](PLAN)
    assert capacity.list_bytes(0.01) > capacity.list_bytes(0.001)


# -- the simulation -------------------------------------------------------------------------------

ALONE = queueing.Cell(
    rate=500, processes=1, server_ms=1.0, lines=50, cores=50, postgres_ms=1e-6, sync_ms=0.0
)


def test_one_process_alone_is_the_queue_that_has_a_formula():
    """Two visits of mean 0.4 and 0.6 ms at half use: near the 2 ms of one visit, and never below 1."""
    took = queueing.Simulation(ALONE, 3).run(20_000)
    assert 1.0 < math.fsum(took) / len(took) < 2.2


def test_a_seed_repeats_a_run():
    runs = [queueing.Simulation(ALONE, seed).run(500) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_commits_share_a_sync_and_wait_for_it():
    slow = replace(ALONE, server_ms=0.01, sync_ms=10.0)
    took = queueing.Simulation(slow, 3).run(2000)
    assert queueing.quantile(took, 0.5) == pytest.approx(15, abs=1), "half a sync, and its own"
    assert max(took) < 22, "500 a second and 100 syncs a second: they do share"


def test_one_line_is_one_commit_a_sync():
    crowded = replace(ALONE, server_ms=0.01, sync_ms=10.0, lines=1)
    assert max(queueing.Simulation(crowded, 3).run(500)) > 1000, "500 a second, and 100 are done"


def test_while_nothing_commits_everybody_waits_and_then_all_go_on():
    stalled = replace(ALONE, stall=(200.0, 400.0))
    took = queueing.Simulation(stalled, 3).run(1000)
    assert 190 < max(took) < 400
    assert queueing.quantile(took[700:], 0.5) < 5
