"""The reference project's conclusions, as statements that a number can refute; their verdicts."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from cifar_keras import results
from cifar_keras.results import History, Runs

# One rule makes all verdicts. From this many seeds on, those on several claims are corrected for
# their number; from fewer the correction could hardly let any claim hold.
CORRECTED_FROM = 5
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
        sentence: the conclusion; steps are the reference project's, of 64 images each.
        statement: what is measured, and what has to be positive for the conclusion to hold.
        unit: of the score; "points" are percentage points of test accuracy.
        score: from the histories of fully connected, average pooling and average pooling with
            dropout, trained from one seed, to a number; not a number where the runs are too short.
            Epochs are counted as passes over the runs' own training images.
    """

    number: str
    sentence: str
    statement: str
    unit: str
    score: Callable[[History, History, History], float]


@dataclass(frozen=True)
class Verdict:
    """Mean of paired differences with its 95% interval, and the word it comes to.

    Args:
        mean, low, high: the mean and its interval, in the unit of the differences; the bounds are
            not numbers where there is a single run, nor is the mean where runs are too short.
        runs: how many differences there are, one for each seed.
        p: how probable a mean as far from 0 would be if the true one were 0; below 0.05 where the
            interval leaves 0 aside, unless it is corrected for a family of claims.
    """

    mean: float
    low: float
    high: float
    runs: int
    p: float

    @property
    def word(self) -> str:
        if not self.p < 0.05:
            return OPEN
        return HOLDS if self.mean > 0 else FAILS

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return f"{self.word}: too few epochs"
        interval = f"{self.low:+.2f} … {self.high:+.2f}"
        if self.runs == 1:
            interval = "one seed, no interval"
        return f"{self.word}: {self.mean:+.2f} ({interval})"


def steps(epochs: float, images: int = 50_000) -> int:
    """How many steps the reference project's batches of 64 make of some epochs.

    Args:
        epochs: passes over all training images. images: how many of them.
    """
    return round(epochs * math.ceil(images / 64))


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
        f"Up to epoch 40 (step {steps(40):,}), average pooling has the lower loss.",
        "mean test loss of epochs 1 to 40, fully connected minus pooling",
        "nats",
        lambda connected, pooled, dropped: _loss(connected, 1, 40) - _loss(pooled, 1, 40),
    ),
    Claim(
        "2b",
        f"After epoch 40 (step {steps(40):,}), average pooling has the higher loss.",
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
        f"After epoch 20 (step {steps(20):,}), dropout has the lowest loss.",
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


def judge(differences: Sequence[float] | np.ndarray) -> Verdict:
    """The verdict on differences which a claim says are positive, one for each seed.

    The interval is Student's: mean ± t · s / √n, with t for n - 1 degrees of freedom.

    Args:
        differences: numbers (n,), n ≥ 1.

    Returns:
        A `Verdict`. One difference has a mean and no interval; differences that are not numbers
        have neither.
    """
    n, mean = len(differences), float(np.mean(differences))
    if n == 1:
        return Verdict(mean, math.nan, math.nan, n, math.nan)
    error = float(np.std(differences, ddof=1)) / math.sqrt(n)
    reach = float(stats.t.ppf(0.975, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error else float(mean == 0)
    return Verdict(mean, mean - reach, mean + reach, n, p)


def judge_family(families: Iterable[Sequence[float] | np.ndarray]) -> list[Verdict]:
    """The verdicts on several claims that are judged together.

    Each has its own interval, as in `judge`. From `CORRECTED_FROM` seeds on the words follow
    p-values by Holm's correction (`holm`), so that a claim may be open though its interval leaves
    0 aside.

    Args:
        families: of each claim its differences, as in `judge`.
    """
    found = [judge(differences) for differences in families]
    corrected = holm([verdict.p for verdict in found])
    return [
        replace(verdict, p=float(p)) if verdict.runs >= CORRECTED_FROM else verdict
        for verdict, p in zip(found, corrected, strict=True)
    ]


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values corrected for their number (Holm 1979, Scand. J. Stat. 6).

    If all of m hypotheses are true, the smallest of the corrected values is below 0.05 with a
    probability of at most 0.05. The smallest p-value is multiplied by m, the next by m - 1, and so
    on; none is corrected to less than one before it.

    Args:
        p: p-values (m,). Those that are not numbers are no hypotheses, and stay as they are.

    Returns:
        float array (m,), in the order of `p`.
    """
    values = np.array(p, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known])]
    factors = np.arange(len(order), 0, -1)
    values[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1)
    return values


def verdicts(runs: Runs, variants: Sequence[str] = results.VARIANTS) -> list[Verdict]:
    """The `Verdict` on each of `CLAIMS`, as a family.

    Args:
        runs, variants: as in `scores`.

    Raises:
        UserError: as `scores` does.
    """
    return judge_family(scores(claim, runs, variants) for claim in CLAIMS)


def basis(runs: Runs, images: int, variants: Sequence[str] = results.VARIANTS) -> str:
    """What verdicts rest on, in words: "3 seeds, 25 epochs (1,975 steps), not corrected".

    Args:
        runs, variants: as in `scores`. images: how many training images an epoch passes.

    Raises:
        UserError: as `scores` does.
    """
    by_seed = results.paired(runs, variants)[variants[0]]
    epochs = len(next(iter(by_seed.values())))
    said = f"{plural(len(by_seed), 'seed')}, {plural(epochs, 'epoch')}"
    remark = ", not corrected" if 1 < len(by_seed) < CORRECTED_FROM else ""
    return f"{said} ({steps(epochs, images):,} steps){remark}"


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


def reproduction_table(
    runs: Runs, reference: Mapping[str, History], right: Mapping[str, np.ndarray]
) -> str:
    """Repeated networks beside the reference project's, as a Markdown table.

    Args:
        runs: `{variant: {seed: history}}`; a variant whose name ends in `_no_classifier` stands
            beside the reference project's network without one.
        reference: `{variant: history}`.
        right: `{variant: whether each run's final net is right on each image}`, as in
            `results.spread`.
    """
    lines = [
        "| network | seeds | final test accuracy | the reference's | final loss "
        f"| the reference's | {' | '.join(results.SPREADS)} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for variant, by_seed in runs.items():
        theirs = reference[variant.removesuffix("_no_classifier")]
        cells = [variant, str(len(by_seed))]
        for column, form in (("test_accuracy", ".1%"), ("test_loss", ".2f")):
            ours = np.mean([results.final(history, column) for history in by_seed.values()])
            cells += [format(ours, form), format(results.final(theirs, column), form)]
        lines.append(f"| {' | '.join([*cells, *results.spread_cells(right[variant])])} |")
    return "\n".join(lines)


def side_by_side(ours: Runs, theirs: Mapping[str, History]) -> str:
    """What the claims measure on our nets without a classifier and on the reference project's.

    Its runs are one experiment's and ours another's: no interval holds for both.

    Args:
        ours: `{variant: {seed: history}}`; the mean over the seeds that all three nets have.
        theirs: `{variant: history}` of the reference project, one run each.
    """
    names = WITHOUT_CLASSIFIER
    seeds = len(results.paired(ours, names)[names[0]])
    alone = {variant: {0: history} for variant, history in theirs.items()}
    lines = [
        f"| claim | unit | ours, {plural(seeds, 'seed')} | the reference's, 1 seed |",
        "|---|---|--:|--:|",
    ]
    for claim in CLAIMS:
        values = scores(claim, ours, names).mean(), scores(claim, alone).mean()
        cells = " | ".join(f"{value:+.2f}" for value in values)
        lines.append(f"| {claim.number}. {claim.sentence} | {claim.unit} | {cells} |")
    return "\n".join(lines)


def table(columns: Mapping[str, Sequence[Verdict]]) -> str:
    """The verdicts as a Markdown table, one line for each claim; each cell ends in its seeds, n.

    Args:
        columns: `{heading: verdicts}`, verdicts in the order of `CLAIMS`.
    """
    lines = ["| claim | unit | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for claim, verdicts in zip(CLAIMS, zip(*columns.values(), strict=True), strict=True):
        said = (f"{verdict}, n = {verdict.runs}" for verdict in verdicts)
        cells = [f"{claim.number}. {claim.sentence}", claim.unit, *said]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plural(number: int, noun: str) -> str:
    """A number with its noun: "1 seed", "10 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
