"""The run as one picture (SVG): faults as bars above what callers saw. Read without colour, too.

A fault's bar reaches from its beginning until everything was there again, and throws its shadow
over the panels below. Failing answers are hatched; lines differ by their dashes.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from chaos.history import Event
from chaos.judge import Verdict
from chaos.windows import ASKED, Window

WIDTH, LEFT, RIGHT, TOP, LANE, PANEL, GAP = 1430, 340, 170, 64, 20, 130, 46
INK, SHADOW, GRID, GOOD, BAD = "#1b1f24", "#eceff3", "#d5dae0", "#a9bfe0", "#9b1c1c"
HATCHES = f"""<defs><pattern id="bad" width="6" height="6" patternUnits="userSpaceOnUse" \
patternTransform="rotate(45)"><rect width="6" height="6" fill="#ffffff"/><rect width="3" height="6" \
fill="{BAD}"/></pattern></defs>"""
WORDS = 0.14
"""Share of the time axis that a fault's words take."""
STRETCH = 2.0
"""Seconds that one bar, or one point of a line, sums up."""
Bins = Sequence[Sequence[Event]]


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot of values over the seconds of the run."""

    top: float
    seconds: float
    most: float

    def x(self, at: float) -> float:
        """Return where a moment stands."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * at / self.seconds, 1)

    def y(self, value: float) -> float:
        """Return where a value stands."""
        return round(self.top + PANEL * (1 - min(value, self.most) / self.most), 1)

    def frame(self, title: str, unit: str) -> Iterable[str]:
        """Draw title, grid and axes."""
        yield _text(LEFT, self.top - 8, title, weight="bold")
        for share in (0.0, 0.5, 1.0):
            y = self.y(self.most * share)
            yield _line([(LEFT, y), (WIDTH - RIGHT, y)], GRID)
            yield _text(LEFT - 8, y + 4, f"{self.most * share:g} {unit}", anchor="end")
        for at in _ticks(self.seconds):
            yield _text(self.x(at), self.top + PANEL + 16, f"{at:g} s", anchor="middle")

    def line(
        self, name: str, place: float, values: Sequence[float | None], dash: str = ""
    ) -> Iterable[str]:
        """Draw a value of each stretch that has one, and what the line means."""
        middles = ((STRETCH * (number + 0.5), value) for number, value in enumerate(values))
        known = [(at, value) for at, value in middles if value is not None]
        places = [(self.x(min(at, self.seconds)), self.y(value)) for at, value in known]
        yield _line(places, INK, width=1.5, dash=dash)
        x, y = WIDTH - RIGHT + 12, self.top + 12 + 20 * place
        yield _line([(x, y), (x + 30, y)], INK, width=1.5, dash=dash)
        yield _text(x + 36, y + 4, name)

    def bars(
        self, name: str, place: float, spans: Iterable[tuple[float, float]], fill: str
    ) -> Iterable[str]:
        """Draw a bar for each stretch, from one value to another, and what they mean."""
        width = self.x(STRETCH) - self.x(0) - 0.5
        for number, (low, high) in enumerate(spans):
            if high > low:
                y = self.y(high)
                yield _box(self.x(number * STRETCH), y, width, self.y(low) - y, fill)
        x, y = WIDTH - RIGHT + 12, self.top + 6 + 20 * place
        yield _box(x, y, 30, 12, fill)
        yield _text(x + 36, y + 10, name)


def draw(title: str, events: Sequence[Event], verdict: Verdict, titles: Mapping[str, str]) -> str:
    """Return the picture; `titles` are those of the faults, by their ids."""
    seconds = max((one.at for one in events), default=1.0)
    asked = _bins([one for one in events if one.kind in ASKED], seconds)
    lanes = sorted({one.fault for one in verdict.windows}, key=_number)
    below = TOP + LANE * len(lanes) + GAP
    tops = [below + (PANEL + GAP) * number for number in range(4)]
    height = tops[-1] + PANEL + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>{HATCHES}",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 24, title, weight="bold", size=16),
        _text(16, 44, ", ".join(f"{name}: {count}" for name, count in verdict.zeros.items())),
        *_shadows(verdict.windows, Panel(TOP, seconds, 1), height - GAP),
        *_faults(lanes, titles, verdict.windows, Panel(TOP, seconds, 1)),
        *_rates(asked, seconds, tops[0]),
        *_success(asked, seconds, tops[1]),
        *_refreshes(asked, seconds, tops[2]),
        *_latency(asked, seconds, tops[3]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _shadows(windows: Sequence[Window], panel: Panel, bottom: float) -> Iterable[str]:
    """Drawn first, so that everything else stands on them."""
    for one in windows:
        begin, width = _reach(one, panel)
        yield _box(begin, TOP, width, bottom - TOP, SHADOW)


def _faults(
    lanes: Sequence[str], titles: Mapping[str, str], windows: Sequence[Window], panel: Panel
) -> Iterable[str]:
    for number, lane in enumerate(lanes):
        name = f"{titles.get(lane, '')}  {lane}"
        yield _text(LEFT - 8, TOP + LANE * number + 14, name, anchor="end")
    for one in windows:
        begin, width = _reach(one, panel)
        y = TOP + LANE * lanes.index(one.fault) + 3
        yield _box(begin, y, width, LANE - 6, INK)
        failed = f"{one.failed} failed in {one.seconds:.1f} s" if one.failed else "no error"
        is_left = begin > panel.x(panel.seconds * 0.75) or _is_followed(one, windows, panel)
        x, anchor = (begin - 5, "end") if is_left else (begin + width + 5, "start")
        yield _text(x, y + 11, failed, anchor=anchor, size=11)


def _is_followed(window: Window, windows: Sequence[Window], panel: Panel) -> bool:
    """Whether the same fault comes again where its words would stand."""
    again = (one.began - window.began for one in windows if one.fault == window.fault)
    return any(0 < later < panel.seconds * WORDS for later in again)


def _reach(window: Window, panel: Panel) -> tuple[float, float]:
    begin = panel.x(window.began)
    return begin, max(panel.x(window.began + window.lasted) - begin, 2)


def _rates(asked: Bins, seconds: float, top: float) -> Iterable[str]:
    good = [len(one) / STRETCH - _failing(one) for one in asked]
    bad = [_failing(one) for one in asked]
    most = _rounded(max(*(len(one) / STRETCH for one in asked), 1))
    panel = Panel(top, seconds, most)
    yield from panel.frame("Answers a second, of apps, people and APIs that ask", "/s")
    yield from panel.bars("answered", 0, ((0, value) for value in good), GOOD)
    stacked = ((low, low + more) for low, more in zip(good, bad, strict=True))
    yield from panel.bars("failed", 1, stacked, "url(#bad)")


def _success(asked: Bins, seconds: float, top: float) -> Iterable[str]:
    rates = [100 * (1 - _failing(one) * STRETCH / len(one)) if one else None for one in asked]
    panel = Panel(top, seconds, 100)
    yield from panel.frame("Share of answers that were none of 5xx, cut or timed out", "%")
    yield from panel.line("success", 0, rates)


def _refreshes(asked: Bins, seconds: float, top: float) -> Iterable[str]:
    def per_second(is_meant: Callable[[Event], bool]) -> Sequence[float]:
        return [
            sum(one.kind == "refresh" and one.is_good and is_meant(one) for one in bin_) / STRETCH
            for bin_ in asked
        ]

    moved = per_second(lambda one: one.given > one.generation)
    same = per_second(lambda one: one.given == one.generation)
    panel = Panel(top, seconds, _rounded(max(*moved, *same, 1)))
    yield from panel.frame("Refreshes a second", "/s")
    yield from panel.line("a newer token", 0, moved)
    yield from panel.line("the same token", 1, same, "2 3")


def _latency(asked: Bins, seconds: float, top: float) -> Iterable[str]:
    slowest = [_slowest(one) for one in asked]
    panel = Panel(top, seconds, _rounded(max((one or 0.0 for one in slowest), default=0) or 1.0))
    yield from panel.frame("The slowest refresh that was answered, seconds", "s")
    yield from panel.line("slowest", 0, slowest)


def _slowest(answers: Sequence[Event]) -> float | None:
    took = (one.at - one.began for one in answers if one.kind == "refresh" and one.is_good)
    return max(took, default=None)


def _failing(answers: Sequence[Event]) -> float:
    return sum(one.is_failing for one in answers) / STRETCH


def _bins(events: Sequence[Event], seconds: float) -> Bins:
    bins: list[list[Event]] = [[] for _ in range(math.ceil(seconds / STRETCH) + 1)]
    for one in events:
        bins[int(one.at / STRETCH)].append(one)
    return bins


def _number(fault: str) -> tuple[int, str]:
    digits = "".join(one for one in fault if one.isdigit())
    return int(digits or 0), fault


def _ticks(seconds: float) -> Iterable[float]:
    step = next(one for one in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600) if seconds / one <= 12)
    return range(0, int(seconds) + 1, step)


def _rounded(value: float) -> float:
    """Return where the axis ends: the next number that is read at a glance."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(one * power for one in (1, 2, 4, 5, 10) if value <= one * power)


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x}" y="{y:.1f}" {size} fill="{fill}"/>'


def _line(
    places: Sequence[tuple[float, float]], colour: str, *, width: float = 1, dash: str = ""
) -> str:
    path = " ".join(f"{x},{y}" for x, y in places)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'
    )


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal", size: int = 12
) -> str:
    return (
        f'<text x="{x}" y="{y}" fill="{INK}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}">{escape(words)}</text>'
    )
