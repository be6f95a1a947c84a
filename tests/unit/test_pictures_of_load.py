"""What k6 wrote down becomes series and a picture: nothing is lost, and nothing is made up."""

import importlib.util
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

LOAD_TESTS = Path(__file__).parents[2] / "load-tests"
HEAD = "metric_name,timestamp,metric_value,name,status\n"


def module(name):
    spec = importlib.util.spec_from_file_location(name, LOAD_TESTS / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def k6_samples():
    return module("k6_samples")


@pytest.fixture(scope="module")
def picture(k6_samples):
    return module("picture")


@pytest.fixture
def samples(k6_samples, tmp_path):
    """200 answers in 10 s, each tenth of them a failure, and what must not be counted."""
    rows = [
        f"http_req_duration,{1000 + 50 * one},{one},refresh,{503 if one % 10 == 0 else 200}\n"
        for one in range(200)
    ]
    other = "http_req_duration,0,9,setup,200\nhttp_reqs,1000,1,refresh,200\n"
    (tmp_path / "csv").write_text(HEAD + "".join(reversed(rows)) + other)
    return k6_samples.Samples.read(tmp_path / "csv")


def test_every_answer_is_in_the_figures_and_in_one_stretch_of_time(samples):
    figures = samples.figures()["refresh"]
    assert (figures["requests"], figures["failed"]) == (200, 20)
    assert (figures["p50_ms"], figures["p99_ms"], figures["max_ms"]) == (100, 198, 199)
    points = samples.series()["refresh"]
    step = samples.seconds / len(points)
    assert sum(one.per_second for one in points) * step == pytest.approx(200)
    assert sum(one.failed_per_second for one in points) * step == pytest.approx(20)


def test_no_request_is_no_picture(k6_samples, tmp_path):
    (tmp_path / "csv").write_text(HEAD)
    with pytest.raises(ValueError, match="no request"):
        k6_samples.Samples.read(tmp_path / "csv")


def test_the_picture_names_its_lines_and_stays_in_its_frame(samples, picture):
    limits = {"token": 100.0, "log<in": 101.0}
    drawn = ET.fromstring(picture.draw("a & b", samples.series(), samples.seconds, limits))
    words = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert {"a & b", "refresh", "token 100 ms", "log<in 101 ms"} <= set(words)
    places = [
        tuple(map(float, place.split(",")))
        for one in drawn.iter()
        if one.tag.endswith("polyline")
        for place in one.get("points").split()
    ]
    assert all(0 <= x <= picture.WIDTH and 0 <= y <= picture.HEIGHT for x, y in places)
    assert sum(one.tag.endswith("circle") for one in drawn.iter()) == 20
    heights = [float(one.get("y")) for one in drawn.iter() if str(one.text).endswith("0 ms")]
    assert len(set(heights)) == len(heights)
