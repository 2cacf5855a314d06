"""The figures of images and trainings: one function each, returning a `Figure`.

A figure's label (`figure.get_label()`) is its description in words, for whoever cannot see it;
`style.show` displays both.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cifar_keras import claims, results, style
from cifar_keras.results import History, Runs
from cifar_keras.style import FAINT, INK, STYLES

if TYPE_CHECKING:  # it takes seconds to start
    from cifar_keras.environment import keras


def image_grid(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], columns: int = 10
) -> Figure:
    """One row for each class: the first `columns` images of it.

    Args:
        images: uint8 (n, height, width, 3). labels: integers (n,) or (n, 1).
        class_names: names of the classes in order.
    """
    rows = len(class_names)
    bare = {"xticks": [], "yticks": [], "frameon": False}  # places without an image, too
    figure, axes = style.subplots(
        0.72 * columns + 1.3, 0.72 * rows + 0.5, rows, columns, squeeze=False, subplot_kw=bare
    )
    chosen = [np.flatnonzero(np.ravel(labels) == row)[:columns] for row in range(rows)]
    for row, name in enumerate(class_names):
        for axis, image in zip(axes[row], images[chosen[row]], strict=False):
            style.picture(axis, image)
        axes[row][0].set_ylabel(name, rotation=0, ha="right", va="center")
    height, width = images.shape[1:3]
    count = columns if min(map(len, chosen)) == columns else f"up to {columns}"
    figure.suptitle(f"{rows} classes, {count} images of each, {width}×{height} pixels")
    figure.set_label(
        f"A grid of photographs, one row for each class ({', '.join(class_names)}), "
        f"{count} images a row, each {width} by {height} pixels."
    )
    return figure


def parameter_bars(models: "Sequence[keras.Model]") -> Figure:
    """Where the parameters sit: one bar for each model, split into trunk and what follows it.

    Args:
        models: Keras models of the course, whose trunk ends in the layer `pool_4`.
    """
    names = [STYLES[model.name].label for model in models]
    totals = [model.count_params() for model in models]
    trunks = [_trunk_parameters(model) for model in models]
    rests = [total - trunk for total, trunk in zip(totals, trunks, strict=True)]
    figure, axis = style.subplots(8, 0.75 * len(models) + 1.3)
    for row, (model, trunk, rest) in enumerate(zip(models, trunks, rests, strict=True)):
        color = STYLES[model.name].color
        axis.barh(row, trunk / 1e6, color=color)
        axis.barh(row, rest / 1e6, left=trunk / 1e6, color=color, alpha=0.45, hatch="//")
        axis.text((trunk + rest) / 1e6 + 0.02, row, f"{trunk + rest:,}", va="center", color=INK)
    axis.set_yticks(range(len(models)), names)
    axis.invert_yaxis()
    axis.set(xlabel="parameters (millions); solid: the trunk, hatched: what follows it")
    axis.set_xlim(0, 1.2 * max(totals) / 1e6)
    figure.suptitle(
        f"{style.capital(names[-1])} has {totals[-1] / totals[0]:.0%} of the parameters of "
        f"{names[0]}; the trunk has {_range(trunks)}"
    )
    bars = [
        f"{name} {total:,}, of which {trunk:,} in the trunk"
        for name, total, trunk in zip(names, totals, trunks, strict=True)
    ]
    figure.set_label(f"Horizontal bars of parameter counts: {'; '.join(bars)}.")
    return figure


def _trunk_parameters(model):
    end = [layer.name for layer in model.layers].index("pool_4") + 1
    return sum(layer.count_params() for layer in model.layers[:end])


def comparison(runs: Runs, reference: Mapping[str, History] | None = None) -> Figure:
    """The course's main picture: test accuracy and test loss of the variants over the epochs.

    Args:
        runs: `{variant: {seed: history}}`; lines are means over the seeds, the bands go from
            the lowest to the highest seed.
        reference: `{variant: history}` of the reference project, drawn in a second row, or None.
    """
    seeds = max(len(by_seed) for by_seed in runs.values())
    spread = f"means of {seeds} seeds, bands: lowest to highest" if seeds > 1 else "one run each"
    rows = [(runs, spread)]
    if reference:
        single = {variant: {0: history} for variant, history in reference.items()}
        rows.append((single, "the reference project: 50,000 images, one run each"))
        length = claims.plural(len(next(iter(reference.values()))), "epoch")
    figure, axes = style.subplots(10, 3.9 * len(rows), len(rows), 2, squeeze=False, sharey="col")
    for row, (shown, caption) in zip(axes, rows, strict=True):
        for axis, quantity in zip(row, ("accuracy", "loss"), strict=True):
            _draw(axis, shown, f"test_{quantity}")
            style.over_epochs(axis, f"test {quantity}")
        row[0].set_title(caption, loc="left", fontsize=10, color=INK)
    style.legend_below(figure)
    places = ("Above, ", "below, ") if reference else ("",)
    findings = [place + _finding(shown) for place, (shown, _) in zip(places, rows, strict=True)]
    figure.suptitle(style.capital(";\n".join(findings)))
    figure.set_label(
        f"Test accuracy left and test cross-entropy right, over the epochs: "
        f"{', '.join(STYLES[v].label for v in runs)}"
        + (f", means of {seeds} seeds with bands from lowest to highest" if seeds > 1 else "")
        + (f"; below, the same of the reference project over its {length}" if reference else "")
        + "."
    )
    return figure


def reproduction(runs: Runs, reference: Mapping[str, History]) -> Figure:
    """The reference project's experiment repeated: our curves, its own thin behind them.

    Above, the pooling nets as it had them, without a classifier; below, with one.

    Args:
        runs: `{variant: {seed: history}}`, the variants and their twins whose name ends in
            `_no_classifier`, as many of them as there are. reference: `{variant: history}`.
    """
    captions = {
        "_no_classifier": "as the reference project had them: 256 channel means as logits",
        "": "with a classifier of 10 classes",
    }
    figure, axes = style.subplots(10, 7.8, 2, 2, sharey="col")
    differences = []  # of the final accuracies, ours and theirs, of the same nets
    for row, (suffix, caption) in zip(axes, captions.items(), strict=True):
        names = {variant: variant + suffix for variant in results.VARIANTS}
        names["fully_connected"] = "fully_connected"  # it always has a classifier
        ours = {variant: runs[name] for variant, name in names.items() if name in runs}
        for axis, quantity in zip(row, ("accuracy", "loss"), strict=True):
            for variant, history in reference.items():
                look, values = STYLES[variant], results.column(history, f"test_{quantity}")
                epochs = results.column(history, "epoch")
                axis.plot(epochs, values, color=look.color, linewidth=0.8, alpha=0.7)
            _draw(axis, ours, f"test_{quantity}")
            style.over_epochs(axis, f"test {quantity}")
        row[0].set_title(caption, loc="left", fontsize=10, color=INK)
        if suffix:
            for variant, by_seed in ours.items():
                final = [results.final(history, "test_accuracy") for history in by_seed.values()]
                theirs = results.final(reference[variant], "test_accuracy")
                differences.append(abs(np.mean(final) - theirs))
    figure.axes[0].plot([], [], color=FAINT, linewidth=0.8, label="the reference's own run")
    style.legend_below(figure)
    figure.suptitle(
        "Above, repeated as they were, the reference's networks end within "
        f"{100 * max(differences):.1f} points of its accuracies"
    )
    figure.set_label(
        "Test accuracy left and test cross-entropy right, over the epochs, our runs as thick and "
        "the reference project's as thin lines: above, pooling without a classifier, as the "
        "reference project had it; below, with one."
    )
    return figure


def with_and_without_classifier(runs: Runs) -> Figure:
    """Test loss of both pooling nets, with the 10-way classifier left, without it right.

    Args:
        runs: `{variant: {seed: history}}` with both pooling variants and their twins whose name
            ends in `_no_classifier`; lines are means over the seeds, bands lowest to highest.
    """
    figure, axes = style.subplots(10, 3.9, 1, 2, sharey=True)
    pooling = results.VARIANTS[1:]
    for axis, suffix, classes in zip(axes, ("", "_no_classifier"), (10, 256), strict=True):
        _draw(axis, {variant: runs[variant + suffix] for variant in pooling}, "test_loss")
        axis.axhline(np.log(classes), color=FAINT, linewidth=1)
        style.over_epochs(axis, "test loss")
        axis.text(1, np.log(classes), f"guessing among {classes}", color=INK, va="bottom")
    axes[0].set_ylim(0, 1.1 * np.log(256))
    axes[0].set_title("a classifier of 10 classes", loc="left", fontsize=10, color=INK)
    axes[1].set_title("the 256 channel means as logits", loc="left", fontsize=10, color=INK)
    axes[0].legend(frameon=False, loc="upper right")
    first = [
        np.mean([history[0]["test_loss"] for history in runs[pooling[1] + suffix].values()])
        for suffix in ("", "_no_classifier")
    ]
    figure.suptitle(
        f"With dropout the first epoch ends at {first[0]:.1f} nats with a classifier, "
        f"at {first[1]:.1f} without"
    )
    figure.set_label(
        "Test cross-entropy over the epochs of average pooling, without and with dropout: left "
        "with a classifier of 10 classes, right without."
    )
    return figure


def _draw(axis, runs, column):
    """One line for each variant, the mean over its seeds, and a band from lowest to highest."""
    for variant, by_seed in runs.items():
        look, histories = STYLES[variant], list(by_seed.values())
        epochs = results.column(histories[0], "epoch")
        values = np.array([results.column(history, column) for history in histories])
        axis.plot(
            epochs, values.mean(0), look.line, color=look.color, linewidth=2, label=look.label
        )
        if len(histories) > 1:
            axis.fill_between(
                epochs, values.min(0), values.max(0), color=look.color, alpha=0.2, linewidth=0
            )


def _finding(runs):
    """The comparison in one sentence, from the numbers: who ends highest, whose loss lowest."""
    last = {
        quantity: {
            variant: np.mean([history[-1][f"test_{quantity}"] for history in by_seed.values()])
            for variant, by_seed in runs.items()
        }
        for quantity in ("accuracy", "loss")
    }
    best = max(last["accuracy"], key=last["accuracy"].__getitem__)
    lowest = min(last["loss"], key=last["loss"].__getitem__)
    longest = max((h for by_seed in runs.values() for h in by_seed.values()), key=len)
    ending = (
        "and lowest in loss" if best == lowest else f"but {STYLES[lowest].label} lowest in loss"
    )
    return (
        f"after {claims.plural(len(longest), 'epoch')}, {STYLES[best].label} is most accurate "
        f"({last['accuracy'][best]:.0%}) {ending}"
    )


def _range(numbers):
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
