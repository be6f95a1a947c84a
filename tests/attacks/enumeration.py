"""Whether the clock tells two kinds of refusal apart: what an attacker could learn, and how surely.

Every kind is tried once a round, in shuffled order, so that what else the machine does falls on
all alike. Two questions, and both must be answered yes for a leak:

    is there a difference    the differences to the baseline, round by round, are as likely to be
                             the other way round if there is none (a permutation test of their
                             median, by signs), at one in a thousand for all comparisons together
    is it of any use         of one refusal of each kind the slower one is told right in more than
                             `USEFUL` of a hundred cases (Mann and Whitney's U as a share)
"""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

SURELY = 0.001
USEFUL = 0.60
PERMUTATIONS = 20_000


@dataclass(frozen=True)
class Comparison:
    """One kind against the baseline."""

    kind: str
    shift: float
    """Median difference, seconds."""
    p: float
    """How often chance alone makes as large a difference."""
    share: float
    """How often the slower of two is of one and the same kind: 0.5 to 1."""
    told_apart: bool

    def __str__(self) -> str:
        return f"{self.kind}: {self.shift * 1000:+.2f} ms, p {self.p:.4f}, share {self.share:.2f}"


def compare(
    times: dict[str, list[float]], baseline: str, chance: random.Random
) -> list[Comparison]:
    """Decide for every other kind whether it is told apart from the baseline."""
    others = [kind for kind in times if kind != baseline]
    return [_compared(kind, times[kind], times[baseline], len(others), chance) for kind in others]


def _compared(
    kind: str, some: Sequence[float], base: Sequence[float], comparisons: int, chance: random.Random
) -> Comparison:
    differences = [one - other for one, other in zip(some, base, strict=True)]
    p, share = by_signs(differences, chance), slower(some, base)
    surely = p < SURELY / comparisons
    return Comparison(kind, median(differences), p, share, surely and share > USEFUL)


def by_signs(
    differences: Sequence[float], chance: random.Random, permutations: int = PERMUTATIONS
) -> float:
    """Return the chance of a median as far from 0 when every sign is a toss of a coin."""
    seen, size = abs(median(differences)), len(differences)
    # A median of tossed signs reaches `seen` when so many of those beyond it agree.
    beyond = sum(abs(one) >= seen for one in differences)
    needed = size // 2 + size % 2
    tosses = (chance.getrandbits(beyond).bit_count() for _ in range(permutations))
    extreme = sum(max(heads, beyond - heads) >= needed for heads in tosses)
    return (extreme + 1) / (permutations + 1)


def slower(some: Sequence[float], others: Sequence[float]) -> float:
    """Return Mann and Whitney's U as a share, the more telling side of it."""
    ranked = sorted([(one, 1) for one in some] + [(one, 0) for one in others])
    ranks = sum(rank for rank, (_, is_some) in enumerate(ranked, 1) if is_some)
    wins = (ranks - len(some) * (len(some) + 1) / 2) / (len(some) * len(others))
    return max(wins, 1 - wins)


async def timed(
    kinds: Sequence[str], attempt: Callable[[str], Awaitable[None]], rounds: int, seed: int
) -> dict[str, list[float]]:
    """Try every kind once a round, in shuffled order; return how long each took."""
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    chance = random.Random(seed)
    for _ in range(rounds):
        for kind in chance.sample(list(kinds), k=len(kinds)):
            began = time.perf_counter()
            await attempt(kind)
            taken[kind].append(time.perf_counter() - began)
    return taken
