"""Latency and throughput over time as one SVG: nothing is needed to draw it, a browser shows it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from k6_samples import Point

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP, BOTTOM = 960, 240, 64, 168, 56, 56, 44
HEIGHT = TOP + PANEL + GAP + PANEL + BOTTOM
COLOURS = ("#1f5fbf", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d")
INK, FAINT, FAILED = "#1b1f24", "#d5dae0", "#d00000"
TICKS = 5
LINE_HEIGHT = 14
ENDS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot: where it begins (y), and the largest value of each axis."""

    top: float
    seconds: float
    most: float
    unit: str

    def place(self, at: float, value: float) -> tuple[float, float]:
        """Return where a value stands."""
        width = WIDTH - LEFT - RIGHT
        x = LEFT + width * at / self.seconds
        return round(x, 1), round(self.top + PANEL * (1 - min(value, self.most) / self.most), 1)

    def frame(self, title: str) -> Iterable[str]:
        """Draw title, grid and axes."""
        yield _text(LEFT, self.top - 10, title, weight="bold")
        for tick in range(TICKS + 1):
            value = self.most * tick / TICKS
            _, y = self.place(0, value)
            yield _line([(LEFT, y), (WIDTH - RIGHT, y)], FAINT)
            yield _text(LEFT - 8, y + 4, f"{value:g} {self.unit}", anchor="end")
            x, bottom = self.place(self.seconds * tick / TICKS, 0)
            yield _text(
                x, bottom + 18, f"{round(self.seconds * tick / TICKS, 1):g} s", anchor="middle"
            )


def draw(
    title: str, series: Mapping[str, Sequence[Point]], seconds: float, limits: Mapping[str, float]
) -> str:
    """Return the picture. `limits` are dashed lines over the latencies: name and milliseconds."""
    points = [one for line in series.values() for one in line]
    slowest = max(*(one.p99 or 0 for one in points), *limits.values(), 1)
    busiest = max(*(one.per_second for one in points), 1)
    latency = Panel(TOP, seconds, _rounded(slowest), "ms")
    throughput = Panel(TOP + PANEL + GAP, seconds, _rounded(busiest), "/s")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label={quoteattr(title)} '
        'font-family="sans-serif" font-size="12">'
    )
    parts = [
        head,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 22, title, weight="bold", size=15),
        *latency.frame("Latency: p99 (line) and p50 (dotted)"),
        *throughput.frame("Answers a second; red: failed (5xx, or no answer)"),
        *_limits(latency, limits),
        *_lines(latency, throughput, series),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lines(
    latency: Panel, throughput: Panel, series: Mapping[str, Sequence[Point]]
) -> Iterable[str]:
    for number, (kind, points) in enumerate(sorted(series.items())):
        colour = COLOURS[number % len(COLOURS)]
        p99 = [latency.place(one.at, one.p99) for one in points if one.p99 is not None]
        p50 = [latency.place(one.at, one.p50) for one in points if one.p50 is not None]
        answered = [throughput.place(one.at, one.per_second) for one in points]
        yield _line(p99, colour, width=2)
        yield _line(p50, colour, dash="2 3")
        yield _line(answered, colour, width=2)
        y = throughput.top + 16 + 20 * number
        yield _line([(WIDTH - RIGHT + 14, y), (WIDTH - RIGHT + 34, y)], colour, width=3)
        yield _text(WIDTH - RIGHT + 40, y + 4, kind)
        failed = [one for one in points if one.failed_per_second]
        for x, y in (throughput.place(one.at, one.failed_per_second) for one in failed):
            yield f'<circle cx="{x}" cy="{y}" r="4" fill="{FAILED}"/>'


def _limits(latency: Panel, limits: Mapping[str, float]) -> Iterable[str]:
    lowest = latency.top
    for name, milliseconds in sorted(limits.items(), key=lambda limit: -limit[1]):
        x, y = latency.place(latency.seconds, milliseconds)
        lowest = max(y, lowest + LINE_HEIGHT)  # words of limits that lie close stand apart
        yield _line([(LEFT, y), (x, y)], INK, dash="6 4")
        yield _text(x + 6, round(lowest + 4, 1), f"{name} {milliseconds:g} ms")


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


def _rounded(value: float) -> float:
    """Return where the axis ends: the next number that five ticks divide without a long rest."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(one * power for one in ENDS if value <= one * power)
