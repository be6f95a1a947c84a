"""The verdict in words: the four zeros, what each fault cost, and every finding."""

from collections.abc import Iterable, Mapping, Sequence

from chaos.judge import Verdict

MOST_FINDINGS = 20


def report(title: str, verdict: Verdict, titles: Mapping[str, str]) -> str:
    """Return what the command prints."""
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(verdict.counts.items()))
    p99 = "-" if verdict.p99_outside is None else f"{verdict.p99_outside * 1000:.0f} ms"
    lines = [
        title,
        f"asked: {counts}",
        f"p99 of a refresh outside of faults: {p99}",
        "",
        *_windows(verdict, titles),
        "",
        *(f"{name}: {count}" for name, count in verdict.zeros.items()),
        *(f"not promised, {name}: {count}" for name, count in verdict.excused.items()),
        *_undone(verdict),
        *(f"never tried: {kind}" for kind in verdict.untried),
        *_unreached(verdict, titles),
        *_findings(verdict),
    ]
    return "\n".join(lines)


def unreached(verdict: Verdict, titles: Mapping[str, str]) -> Sequence[str]:
    """Return the faults that the time was too short for."""
    return sorted(set(titles) - {one.fault for one in verdict.windows})


def _unreached(verdict: Verdict, titles: Mapping[str, str]) -> Iterable[str]:
    names = unreached(verdict, titles)
    if names:
        yield f"not reached: {', '.join(names)}"


def _undone(verdict: Verdict) -> Iterable[str]:
    counts = ", ".join(f"{fault} {count}" for fault, count in sorted(verdict.undone.items()))
    if counts:
        yield f"rotations undone, which must heal: {counts}"


def _windows(verdict: Verdict, titles: Mapping[str, str]) -> Iterable[str]:
    yield f"{'fault':<60} {'at':>6} {'lasted':>7} {'asked':>6} {'failed':>6} {'error window':>14}"
    for one in verdict.windows:
        window = "-" if one.first is None else f"{one.first:.1f} to {one.last:.1f} s"
        name = f"{one.fault} {titles.get(one.fault, '')}"
        yield (
            f"{name:<60} {one.began:>6.1f} {one.lasted:>7.1f} {one.asked:>6} {one.failed:>6} "
            f"{window:>14}"
        )


def _findings(verdict: Verdict) -> Iterable[str]:
    found = [*verdict.lost, *verdict.forked, *verdict.accepted, *verdict.blamed]
    yield from found[:MOST_FINDINGS]
    if len(found) > MOST_FINDINGS:
        yield f"and {len(found) - MOST_FINDINGS} more"
