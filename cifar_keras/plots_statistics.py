"""The figures of how sure a result is; as in `plots`."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy import stats

from cifar_keras import claims, results, style
from cifar_keras.results import History
from cifar_keras.style import BLUE, FAINT, INK, PURPLE, SKY, STYLES, VERMILION

# Marker, colour and filling of a verdict's word.
LOOKS = {
    claims.HOLDS: ("o", BLUE, BLUE),
    claims.FAILS: ("X", VERMILION, VERMILION),
    claims.OPEN: ("s", FAINT, "white"),
}


def pairs(accuracies: Mapping[str, np.ndarray]) -> Figure:
    """Every two variants side by side: a line joins their accuracies from the same seed.

    Lines that are parallel say that a seed is good or bad for both.

    Args:
        accuracies: `{variant: accuracies in [0, 1], one for each seed}`, the seeds in one order.
    """
    names = list(accuracies)
    twos = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    figure, axes = style.subplots(9, 3.9, 1, len(twos), sharey=True, squeeze=False)
    shares = []
    for axis, (a, b) in zip(axes[0], twos, strict=True):
        left, right = accuracies[a], accuracies[b]
        axis.plot([0, 1], [left, right], color=FAINT, linewidth=1.2)
        for place, (name, values) in enumerate(((a, left), (b, right))):
            axis.plot([place] * len(values), values, "o", color=STYLES[name].color)
        unpaired = math.sqrt(left.var(ddof=1) + right.var(ddof=1))
        shares.append((right - left).std(ddof=1) / unpaired)
        correlation = np.corrcoef(left, right)[0, 1]
        title = f"correlation {correlation:+.2f}".replace("-", "−")
        axis.set_title(title, fontsize=10, color=INK)
        axis.set_xticks([0, 1], [STYLES[name].label.replace(" + ", "\n+ ") for name in (a, b)])
        axis.set(xlim=(-0.35, 1.35), xlabel="a line joins the runs of one seed")
        style.grid(axis)
        style.percent(axis.yaxis)
    axes[0][0].set_ylabel("final test accuracy (share of images)")
    figure.suptitle(
        "Pairing by seed leaves "
        + ", ".join(f"{share:.0%}" for share in shares)
        + " of the spread that unpaired differences have"
    )
    figure.set_label(
        "Final test accuracies of two networks a panel, as dots on two vertical lines; a grey line "
        "joins the two dots of each seed."
    )
    return figure


def disagreements(counts: Mapping[str, tuple[int, int, int, int]]) -> Figure:
    """How two nets answer the same test images: one bar for each two nets.

    Args:
        counts: `{comparison: (both right, only the first, only the second, both wrong)}`.
    """
    figure, axis = style.subplots(9, 0.7 * len(counts) + 1.6)
    colors = {"both right": style.GRID, "only the first": SKY, "only the second": PURPLE}
    for row, parts in enumerate(counts.values()):
        edges = np.cumsum([0, *parts]) / sum(parts)
        for part, (label, color) in enumerate((colors | {"both wrong": "#f4f4f4"}).items()):
            width = edges[part + 1] - edges[part]
            name = label if row == 0 else None
            bars = axis.barh(row, width, left=edges[part], color=color, edgecolor=FAINT, label=name)
            axis.bar_label(bars, [f"{width:.0%}"], label_type="center", color="black")
    axis.set_yticks(range(len(counts)), counts)
    axis.invert_yaxis()
    axis.set(xlabel="share of the test images", xlim=(0, 1))
    style.percent(axis.xaxis)
    style.legend_below(figure)
    shares = [
        (first + second) / (b + first + second + w) for b, first, second, w in counts.values()
    ]
    figure.suptitle(
        f"Exactly one of the two is right on {min(shares):.0%} to {max(shares):.0%} of the images"
    )
    figure.set_label(
        "A bar for each two networks, divided into the shares of test images on which both, only "
        f"the first, only the second, or neither is right: {'; '.join(counts)}."
    )
    return figure


def seeds_needed(seeds: np.ndarray, reach: np.ndarray, found: np.ndarray) -> Figure:
    """How small a difference a number of seeds can show.

    Args:
        seeds: numbers of seeds (n,). reach: half width of the 95% interval, shares of images.
        found: the smallest difference whose interval lies above 0 in four of five experiments.
    """
    figure, axis = style.subplots(7, 3.8)
    looks = (
        (found, VERMILION, "--", "difference that is found in 4 of 5 experiments"),
        (reach, BLUE, "-", "half width of the 95% interval"),
    )
    enough = []
    for values, color, line, label in looks:
        axis.plot(seeds, 100 * values, line, color=color, linewidth=2.2, label=label)
        enough.append(f"{seeds[np.argmax(values < 0.005)]}" if (values < 0.005).any() else None)
        if enough[-1]:
            axis.plot(int(enough[-1]), 0.5, "o", color=color)
    axis.axhline(0.5, color=FAINT, linewidth=1.4, linestyle=":")
    axis.text(seeds[0], 0.47, "half a point", color=INK, ha="left", va="top")
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel="seeds of each network", ylabel="points of accuracy")
    ticks = [n for n in (3, 5, 10, 20, 50, 100, 200) if seeds[0] <= n <= seeds[-1]]
    axis.set_xticks(ticks, ticks)
    axis.set_yticks([0.2, 0.5, 1, 2, 5, 10], [0.2, 0.5, 1, 2, 5, 10])
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_minor_formatter(NullFormatter())
    style.grid(axis)
    axis.legend(frameon=False, loc="upper right")
    more, few = (number or f"more than {seeds[-1]}" for number in enough)
    figure.suptitle(
        f"An interval of half a point takes {few} seeds,\nto find half a point takes {more}"
    )
    figure.set_label(
        "Two falling lines over the number of seeds, both axes logarithmic: the half width of the "
        "95% interval of a mean difference, and above it the difference that is found in four of "
        "five experiments; a dotted line at half a point."
    )
    return figure


def luck(
    spreads: Mapping[str, tuple[float, float, int]],
    falling: Collection[str],
    changes: Sequence[tuple[str, str]] = (),
) -> Figure:
    """The spread of accuracies that luck alone makes against the spread that was seen.

    Args:
        spreads: `{recipe: (by luck, seen, runs)}`, standard deviations as shares of images, at
            least three runs each; see `results.spread`.
        falling: the recipes whose learning rate falls to 0.
        changes: pairs of recipes that an arrow joins, and whose names are written.
    """
    figure, axis = style.subplots(7.6, 5)
    kinds = {
        True: ("o", BLUE, BLUE, "rate falls to 0"),
        False: ("s", VERMILION, "white", "constant"),
    }
    ratios, shown = {True: [], False: []}, set()
    for name, (expected, seen, runs) in spreads.items():
        kind = name in falling
        marker, color, face, label = kinds[kind]
        chi = stats.chi2.ppf([0.975, 0.025], runs - 1)
        axis.plot([100 * expected] * 2, 100 * seen * np.sqrt((runs - 1) / chi), color=FAINT, lw=0.8)
        axis.plot(
            *(100 * expected, 100 * seen),
            marker,
            color=color,
            markerfacecolor=face,
            label=None if kind in shown else label,
        )
        shown.add(kind)
        ratios[kind].append(seen / expected)
    for before, after in changes:
        start, end = (np.multiply(100, spreads[name][:2]) for name in (before, after))
        axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": INK, "shrinkB": 5})
        for name, place in ((before, start), (after, end)):
            offset = {"xytext": (9, -7), "textcoords": "offset points", "va": "center"}
            axis.annotate(name, place, fontsize=9, color=INK, **offset)
    limits = np.array([0.08, 2.5])
    axis.plot(limits, limits, color=INK, linewidth=0.8)
    along = {"rotation": 45, "transform_rotates_text": True, "rotation_mode": "anchor"}
    axis.text(0.45, 0.43, "seen = by luck", color=INK, fontsize=9, va="top", **along)
    axis.set(xscale="log", yscale="log", xlim=limits, ylim=(0.05, 30))
    axis.set(xlabel="spread by luck alone (points)", ylabel="spread seen (points)")
    axis.set_xticks([0.1, 0.2, 0.5, 1, 2], [0.1, 0.2, 0.5, 1, 2])
    axis.set_yticks([0.1, 0.2, 0.5, 1, 2, 5, 10], [0.1, 0.2, 0.5, 1, 2, 5, 10])
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_minor_formatter(NullFormatter())
    style.grid(axis)
    axis.legend(frameon=False, loc="upper left", title="learning rate")
    said = [
        f"{text} {min(values):.1f} to {max(values):.1f}"
        for values, text in ((ratios[True], "falling rate"), (ratios[False], "constant rate"))
        if values
    ]
    figure.suptitle("Spread seen over spread by luck:\n" + ", ".join(said))
    figure.set_label(
        "The standard deviation of accuracies between seeds as seen, over that by luck alone, both "
        "logarithmic, a dot for each recipe with a vertical line for its 95% interval and a "
        "diagonal where both are equal; arrows join recipes that differ in one change."
    )
    return figure


def best_epoch(history: History) -> Figure:
    """One training's test accuracy: its best epoch, its last, and the mean of the last tenth."""
    accuracy = 100 * np.array(results.column(history, "test_accuracy"))
    epochs = np.arange(1, len(accuracy) + 1)
    tenth, best = math.ceil(len(epochs) / 10), accuracy.argmax()
    final = 100 * results.final(history, "test_accuracy")
    figure, axis = style.subplots(7, 3.6)
    axis.plot(epochs, accuracy, color=SKY, linewidth=1.4)
    axis.plot([epochs[-tenth] - 0.5, epochs[-1]], [final] * 2, color=INK, linewidth=3)
    for name, epoch, marker in (("best", best, "^"), ("last", len(epochs) - 1, "s")):
        axis.plot(epochs[epoch], accuracy[epoch], marker, color=VERMILION, label=name)
    axis.plot([], [], color=INK, linewidth=3, label="final")
    axis.set(xlabel="epoch", ylabel="test accuracy (%)")
    axis.set_ylim(accuracy[len(epochs) // 20] - 2, accuracy.max() + 1)
    style.grid(axis)
    axis.legend(frameon=False, loc="lower center", ncols=3)
    figure.suptitle(
        f"The best of {len(epochs)} epochs is {accuracy[best] - final:.1f} points above the final "
        "accuracy"
    )
    figure.set_label(
        "Test accuracy over the epochs of one training, with a triangle at the best epoch, a "
        "square at the last, and a thick line at the mean of the last tenth."
    )
    return figure


def holm(p: Mapping[str, float]) -> Figure:
    """p-values of a family, from the smallest to the largest, below Holm's thresholds or not.

    Args:
        p: `{claim: p-value}`, none of them NaN.
    """
    names = sorted(p, key=lambda name: p[name])
    places, values = np.arange(len(names)), np.array([p[name] for name in names])
    thresholds = 0.05 / (len(names) - places)
    corrected = claims.holm(values) < 0.05
    figure, axis = style.subplots(7, 3.6)
    axis.step(places, thresholds, where="mid", color=INK, linewidth=1.4, label="Holm's thresholds")
    axis.axhline(0.05, color=FAINT, linestyle=":", linewidth=1.4, label="0.05")
    for mask, (marker, color, face), label in (
        (corrected, LOOKS[claims.HOLDS], "below"),
        (~corrected, LOOKS[claims.OPEN], "not below"),
    ):
        if mask.any():
            axis.plot(
                *(places[mask], values[mask], marker), color=color, mfc=face, label=label, ls="none"
            )
    axis.set(yscale="log", ylabel="p-value", xlabel="claims, from the smallest p-value on")
    axis.set_xticks(places, names)
    style.grid(axis)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(
        f"{(values < 0.05).sum()} of {len(names)} p-values are below 0.05, "
        f"{corrected.sum()} after Holm's correction"
    )
    figure.set_label(
        "p-values of several claims on a logarithmic axis, sorted, with a rising step line of "
        "Holm's thresholds and a dotted line at 0.05."
    )
    return figure


def verdicts(columns: Mapping[str, Sequence[claims.Verdict]]) -> Figure:
    """Every claim's score on several sets of runs, with 95% intervals: true to the right of 0.

    An interval that leaves the axis ends in an arrowhead.

    Args:
        columns: `{heading: verdicts}`, `claims.Verdict`s in the order of `claims.CLAIMS`.
    """
    rows = math.ceil((len(claims.CLAIMS) + 1) / 2)
    height = 0.9 + rows * (0.85 + 0.17 * len(columns))
    figure, axes = style.subplots(10, height, rows, 2, sharey=True)
    panels, (*unused, legend) = axes.flat[: len(claims.CLAIMS)], axes.flat[len(claims.CLAIMS) :]
    for axis, claim, row in zip(
        panels, claims.CLAIMS, zip(*columns.values(), strict=True), strict=True
    ):
        means = [abs(verdict.mean) for verdict in row if not math.isnan(verdict.mean)]
        reach = 1.7 * max(means, default=1.0)
        for place, verdict in enumerate(row):
            _interval(axis, verdict, place, reach)
            if math.isnan(verdict.mean):
                axis.text(0.02 * reach, place, "too few epochs", fontsize=9, va="center", color=INK)
        axis.set(xlim=(-reach, reach), xlabel=claim.unit, ylim=(len(columns) - 0.5, -0.5))
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.locator_params(axis="x", nbins=5)
        sentence = claim.sentence.replace("), ", "),\n").replace(" than ", "\nthan ")
        axis.set_title(f"{claim.number}. {sentence}", loc="left", fontsize=9, color=INK)
        axis.set_yticks(range(len(columns)), columns)
    for axis in (*unused, legend):
        axis.axis("off")
    for word, (marker, color, face) in LOOKS.items():
        legend.plot([], [], marker + "-", color=color, markerfacecolor=face, label=word)
    legend.legend(frameon=False, loc="center", title="the claim, by the rule of the course")
    several = (verdict for each in columns.values() for verdict in each if verdict.runs > 1)
    words = [verdict.word for verdict in several if not math.isnan(verdict.mean)]
    hold, fail, open_ = (words.count(w) for w in (claims.HOLDS, claims.FAILS, claims.OPEN))
    figure.suptitle(
        f"Of {len(words)} verdicts from several seeds {hold} hold, "
        f"{fail} {'does' if fail == 1 else 'do'} not hold, {open_} cannot be told"
    )
    figure.set_label(
        "One panel a claim: its score as a dot with its interval, to the right of 0 where it is "
        f"true, a row each for {'; '.join(columns)}. A single run has a dot alone."
    )
    return figure


def _interval(axis: Axes, verdict: claims.Verdict, place: int, reach: float) -> None:
    """A verdict in its row, cut off with an arrowhead where it leaves -reach to reach."""
    marker, color, face = LOOKS[verdict.word]
    ends = np.clip([verdict.low, verdict.high], -reach, reach)
    axis.plot(ends, [place] * 2, color=color, linewidth=1.6)
    axis.plot(verdict.mean, place, marker, color=color, markerfacecolor=face)
    for end, head in ((verdict.low, "<"), (verdict.high, ">")):
        if abs(end) > reach:
            axis.plot(math.copysign(reach, end), place, head, color=color, clip_on=False)


def run_among_recorded(history: History, recorded: Mapping[int, History], seed: int) -> Figure:
    """Test accuracy of one run against the recorded runs of the same variant.

    Args:
        history: the new run's. recorded: `{seed: history}`, at least as many epochs each.
        seed: the new run's seed, for the legend.
    """
    figure, axis = style.subplots(7, 3.6)
    epochs = results.column(history, "epoch")
    for i, other in enumerate(recorded.values()):
        values = results.column(other[: len(history)], "test_accuracy")
        label = f"recorded seeds {', '.join(map(str, recorded))}" if i == 0 else None
        axis.plot(epochs, values, color=FAINT, linewidth=1.2, label=label)
    values = results.column(history, "test_accuracy")
    axis.plot(epochs, values, color=VERMILION, linewidth=2.2, marker="o", label=f"seed {seed}")
    style.over_epochs(axis, "test accuracy")
    axis.legend(frameon=False, loc="lower right")
    last = [other[len(history) - 1]["test_accuracy"] for other in recorded.values()]
    inside = min(last) <= values[-1] <= max(last)
    length = claims.plural(len(history), "epoch")
    figure.suptitle(
        f"After {length} seed {seed} lies "
        f"{'among' if inside else 'outside'} the {len(recorded)} recorded seeds"
    )
    figure.set_label(
        f"Test accuracy over {length}: {len(recorded)} recorded runs as thin grey "
        f"lines and the run from seed {seed} as a thick line with dots."
    )
    return figure
