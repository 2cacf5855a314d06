"""The reference project's conclusions, as statements that a number can refute; their verdicts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cifar_keras import results
from cifar_keras.errors import UserError
from cifar_keras.results import History, Runs

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"
# The same three nets as the reference project had them: pooled channels are the logits.
WITHOUT_CLASSIFIER = (
    "fully_connected",
    "average_pooling_no_classifier",
    "average_pooling_dropout_no_classifier",
)


@dataclass(frozen=True)
class Claim:
    """A conclusion of the reference project.

    Args:
        number: of the conclusion; those of one sentence share a number and have letters.
        sentence: the conclusion.
        statement: what is measured, and what has to be positive for the conclusion to hold.
        unit: of the score; "points" are percentage points of test accuracy.
        score: from the histories of fully connected, average pooling and average pooling with
            dropout, trained from one seed, to a number; not a number where the runs are too short.
    """

    number: str
    sentence: str
    statement: str
    unit: str
    score: Callable[[History, History, History], float]


@dataclass(frozen=True)
class Verdict:
    """Mean score with its 95% interval, and the word it comes to."""

    mean: float
    low: float
    high: float
    runs: int

    @property
    def word(self) -> str:
        if self.low > 0:
            return HOLDS
        return FAILS if self.high < 0 else OPEN

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return f"{self.word}: too few epochs"
        interval = f"{self.low:+.2f} … {self.high:+.2f}"
        if math.isnan(self.low):
            interval = "no spread known"
        return f"{self.word}: {self.mean:+.2f} ({interval})"


def _loss(history, first=1, last=None):
    """Mean test loss of the epochs `first` to `last`, counted from 1; nan if it has none."""
    values = results.column(history, "test_loss")[first - 1 : last]
    return float(np.mean(values)) if values else math.nan


def _rise(history):
    """How much the test loss falls before, or rises after, its minimum: the smaller, in nats."""
    summary = results.summarize(history)
    return min(history[0]["test_loss"], results.final(history, "test_loss")) - summary.lowest_loss


def _points(higher, *others):
    """Final accuracy above the best of the others', in percentage points."""
    best = max(results.final(history, "test_accuracy") for history in others)
    return 100 * (results.final(higher, "test_accuracy") - best)


CLAIMS = (
    Claim(
        "1",
        "Average pooling is more accurate than fully connected layers.",
        "final test accuracy, pooling minus fully connected",
        "points",
        lambda connected, pooled, dropped: _points(pooled, connected),
    ),
    Claim(
        "2a",
        "Up to epoch 40, average pooling has the lower loss.",
        "mean test loss of epochs 1 to 40, fully connected minus pooling",
        "nats",
        lambda connected, pooled, dropped: _loss(connected, 1, 40) - _loss(pooled, 1, 40),
    ),
    Claim(
        "2b",
        "After epoch 40, average pooling has the higher loss.",
        "mean test loss from epoch 41, pooling minus fully connected",
        "nats",
        lambda connected, pooled, dropped: _loss(pooled, 41) - _loss(connected, 41),
    ),
    Claim(
        "3",
        "The loss of both falls first and rises later.",
        "fall before and rise after the minimum, the smallest of the four, minus 0.1",
        "nats",
        lambda connected, pooled, dropped: min(_rise(connected), _rise(pooled)) - 0.1,
    ),
    Claim(
        "4",
        "Dropout starts with the highest loss.",
        "test loss of epoch 1, dropout minus the higher of the others",
        "nats",
        lambda connected, pooled, dropped: (
            _loss(dropped, 1, 1) - max(_loss(connected, 1, 1), _loss(pooled, 1, 1))
        ),
    ),
    Claim(
        "5",
        "After epoch 20, dropout has the lowest loss.",
        "mean test loss from epoch 21, the lower of the others minus dropout",
        "nats",
        lambda connected, pooled, dropped: (
            min(_loss(connected, 21), _loss(pooled, 21)) - _loss(dropped, 21)
        ),
    ),
    Claim(
        "6",
        "Dropout is the most accurate.",
        "final test accuracy, dropout minus the better of the others",
        "points",
        lambda connected, pooled, dropped: _points(dropped, connected, pooled),
    ),
)


def scores(claim: Claim, runs: Runs, variants: Sequence[str] = results.VARIANTS) -> np.ndarray:
    """A claim's score for each seed from which all three variants were trained.

    Args:
        claim: a `Claim`. runs: `{variant: {seed: history}}`. variants: which runs play fully
            connected, average pooling and average pooling with dropout.

    Returns:
        float array (seeds,), by rising seed, in the claim's unit.

    Raises:
        UserError: no seed has all three.
    """
    by_variant = [by_seed.values() for by_seed in results.paired(runs, variants).values()]
    return np.array([claim.score(*histories) for histories in zip(*by_variant, strict=True)])


def judge(
    differences: Sequence[float] | np.ndarray, spread_of: Sequence[float] | np.ndarray | None = None
) -> Verdict:
    """The verdict on differences which a claim says are positive, one for each seed.

    The interval is Student's: mean ± t · s / √n. A single run has no spread of its own; it borrows
    that of other runs, as if the same difference scattered there as much as here.

    Args:
        differences: numbers (n,), n ≥ 1. spread_of: at least two numbers whose standard deviation
            is s if n is 1.

    Returns:
        A `Verdict`; its bounds are not numbers if the differences are not.

    Raises:
        UserError: one difference, and no spread to borrow.
    """
    sample = differences if len(differences) > 1 else spread_of
    if sample is None or len(sample) < 2:
        raise UserError("one difference has no spread: record a second seed, or name other runs")
    n, mean = len(differences), float(np.mean(differences))
    t = stats.t.ppf(0.975, len(sample) - 1)
    half_width = float(t * np.std(sample, ddof=1) / math.sqrt(n))
    return Verdict(mean, mean - half_width, mean + half_width, n)


def verdicts(
    runs: Runs, variants: Sequence[str] = results.VARIANTS, like: Runs | None = None
) -> list[Verdict]:
    """The `Verdict` on each of `CLAIMS`.

    Args:
        runs, variants: as in `scores`.
        like: other runs of these variants, whose spread a single seed borrows, as in `judge`.

    Raises:
        UserError: as `scores` and `judge` do.
    """
    return [
        judge(
            scores(claim, runs, variants), None if like is None else scores(claim, like, variants)
        )
        for claim in CLAIMS
    ]


def bootstrap_interval(differences: np.ndarray) -> tuple[float, float]:
    """95% bootstrap interval of a mean (BCa; Efron 1987, J. Am. Stat. Assoc. 82), in their unit.

    Needs no normal distribution, but many values: from ten it is too narrow, and covers the truth
    less often than it says.

    Args:
        differences: at least two different numbers.
    """
    interval = stats.bootstrap(
        (np.asarray(differences),), np.mean, n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def mcnemar(one: np.ndarray, other: np.ndarray) -> tuple[int, int, float]:
    """Whether two nets differ on the same test images: McNemar's exact test.

    Only the images on which one net is right and the other wrong count; if the nets are equally
    good, each of those is a toss of a coin (McNemar 1947, Psychometrika 12; exact: the binomial
    test). It knows the noise of the test set, not that of the seeds.

    Args:
        one, other: bool (n,), whether each net is right on each image.

    Returns:
        (images on which only `one` is right, only `other` is right, two-sided p-value).
    """
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    discordant = only_one + only_other
    p = stats.binomtest(only_one, discordant).pvalue if discordant else 1.0
    return only_one, only_other, float(p)


def reproduction_table(runs: Runs, reference: Mapping[str, History]) -> str:
    """Repeated networks beside the reference project's, as a Markdown table.

    Args:
        runs: `{variant: {seed: history}}`; a variant whose name ends in `_no_classifier` stands
            beside the reference project's network without one.
        reference: `{variant: history}`.
    """
    lines = [
        "| network | seeds | final test accuracy | the reference's | final loss | its |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for variant, by_seed in runs.items():
        theirs = reference[variant.removesuffix("_no_classifier")]
        pairs = []
        for column, form in (("test_accuracy", ".1%"), ("test_loss", ".2f")):
            ours = np.mean([results.final(history, column) for history in by_seed.values()])
            pairs += [format(ours, form), format(results.final(theirs, column), form)]
        lines.append(f"| {variant} | {len(by_seed)} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def table(columns: Mapping[str, Sequence[Verdict]]) -> str:
    """The verdicts as a Markdown table, one line for each claim.

    Args:
        columns: `{heading: verdicts}`, verdicts in the order of `CLAIMS`.
    """
    lines = ["| claim | unit | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for claim, verdicts in zip(CLAIMS, zip(*columns.values(), strict=True), strict=True):
        cells = [f"{claim.number}. {claim.sentence}", claim.unit, *map(str, verdicts)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
