"""What must not grow is found when it does, and a record keeps what was not measured again."""

import importlib
import json
from pathlib import Path

import pytest

LOAD_TESTS = Path(__file__).parents[2] / "load-tests"
SOUND = {
    "part": "sessions",
    "sessions": 10_021_729,
    "bytes_in_all": 699,
    "updates": 5,
    "hot_updates": 5,
    "heap_grown": 0,
    "indexes_grown": 0,
}
DAY = {"rows": {"logins": 10**6}, "bytes": {"logins": 10**8}, "server_mib": 99, "valkey_mib": 2}


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(LOAD_TESTS)
    return importlib.import_module("growth")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"bytes_in_all": 700}, "700 bytes a session"),
        ({"hot_updates": 3}, "2 updates were not HOT"),
        ({"heap_grown": 8192}, "refreshes made the table grow: 8192 bytes, its indexes 0"),
        ({"indexes_grown": 8192}, "refreshes made the table grow: 0 bytes, its indexes 8192"),
    ],
)
def test_sessions_that_take_more_than_promised_are_found(growth, broken, complaint):
    found = growth.FAILURES["sessions"](SOUND | broken)
    assert found == [f"10,021,729 sessions: {complaint}"]
    assert growth.FAILURES["sessions"](SOUND) == []


@pytest.mark.parametrize(
    ("left", "complaint"),
    [
        ({"rows": {"logins": 2 * 10**6}}, "logins: 1,000,000 rows after a day, 2,000,000 after"),
        ({"bytes": {"logins": 2 * 10**8}}, "logins: 100,000,000 bytes after a day, 200,000,000"),
        ({"server_mib": 120}, "server_mib: 99 after a day, 120 after two"),
    ],
)
def test_what_a_second_day_leaves_behind_is_found(growth, left, complaint):
    [found] = growth.FAILURES["day"]({"first_day": DAY, "second_day": DAY | left})
    assert found.startswith(complaint)
    assert growth.FAILURES["day"]({"first_day": DAY, "second_day": DAY}) == []


def test_a_record_keeps_the_rows_that_were_not_measured_again(growth, tmp_path):
    file, small = tmp_path / "growth.json", SOUND | {"sessions": 9987}
    file.write_text(json.dumps({"rows": [small, SOUND, {"part": "clients", "clients": 10}]}))
    measured = [SOUND | {"bytes_in_all": 600}, {"part": "clients", "clients": 100}]
    kept = growth.kept(file, measured)
    assert [row for row in kept if row["part"] == "sessions"] == [small, measured[0]]
    assert [row["clients"] for row in kept if row["part"] == "clients"] == [10, 100]
