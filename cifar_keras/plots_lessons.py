"""Figures that return in Part I, and those of lessons 05 and 12; the rules are those of `plots`."""

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike
from scipy import special

from cifar_keras import claims, data, style
from cifar_keras.errors import UserError
from cifar_keras.plots_statistics import LOOKS
from cifar_keras.style import BLUE, FAINT, INK, ORANGE

# What happens to an image in a training, and what each box says once it is known.
PATH = {
    "image": "32×32×3\nnumbers",
    "convolutions": "feature\nmaps",
    "head": "ten\nlogits",
    "probabilities": "softmax of\nthe logits",
    "loss": "cross-\nentropy",
    "step": "new\nweights",
}
WIDTH, GAP = 1.3, 0.35  # of a box and between two, in inches
NETWORK = ("convolutions", "head")  # the boxes that have weights


def path(known: int | Collection[str]) -> Figure:
    """The path of an image through a training, six boxes: the known ones are filled.

    Args:
        known: how many boxes, counted from the left, 0..6; or which ones, by their names in `PATH`.

    Raises:
        UserError: no such box.
    """
    if isinstance(known, int) and 0 <= known <= len(PATH):
        known = list(PATH)[:known]
    elif isinstance(known, str | int) or not set(known) <= PATH.keys():
        raise UserError(
            f"no such boxes: {known!r}; a number up to 6, or some of: {', '.join(PATH)}"
        )
    length = len(PATH) * (WIDTH + GAP) - GAP
    figure, axis = style.subplots(length + 0.2, 2.3)
    axis.set(xlim=(-0.1, length + 0.1), ylim=(-0.75, 1.1), aspect="equal")
    axis.set_axis_off()
    lefts = dict(zip(PATH, np.arange(len(PATH)) * (WIDTH + GAP), strict=True))
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.4}
    for name, left in lefts.items():
        face, edge, line = (BLUE, BLUE, "-") if name in known else ("white", FAINT, "--")
        box = Rectangle(
            (left, 0), WIDTH, 1, facecolor=face, edgecolor=edge, linestyle=line, linewidth=1.4
        )
        axis.add_patch(box)
        middle, color = left + WIDTH / 2, "white" if name in known else INK
        height = 0.76 if name in known else 0.5
        axis.text(middle, height, name, ha="center", va="center", color=color, weight="bold")
        if name in known:
            axis.text(middle, 0.33, PATH[name], ha="center", va="center", color=color, fontsize=9)
        if left:
            axis.annotate("", (left, 0.5), (left - GAP, 0.5), arrowprops=arrow)
    back = lefts["step"] + WIDTH / 2
    axis.plot([back, back], [0, -0.4], color=INK, linewidth=1.4)
    ends = [lefts[name] + WIDTH / 2 for name in NETWORK]
    axis.plot([back, ends[0]], [-0.4, -0.4], color=INK, linewidth=1.4)
    for end in ends:
        axis.annotate("", (end, 0), (end, -0.42), arrowprops=arrow)
    axis.text((ends[1] + back) / 2, -0.46, "a step changes the weights", ha="center", va="top")
    figure.suptitle(f"The path of an image through a training: {len(known)} of {len(PATH)} known")
    filled = ", ".join(name for name in PATH if name in known) or "none"
    figure.set_label(
        f"Six boxes in a row, joined by arrows: {', '.join(PATH)}. An arrow leads from the step "
        f"back to {' and '.join(NETWORK)}. Filled: {filled}."
    )
    return figure


def ten_bars(image: ArrayLike, probabilities: ArrayLike, label: int) -> Figure:
    """A photograph and the probabilities that a network gives to the ten classes.

    Args:
        image: uint8 (32, 32, 3), as loaded.
        probabilities: floats (10,) in [0, 1] that sum to 1.
        label: the true class, 0..9; an array of one number will do.

    Raises:
        UserError: an image that was scaled, or ten numbers that are no probabilities.
    """
    image, shares = np.asarray(image), np.asarray(probabilities)
    if image.dtype != np.uint8 or image.ndim != 3:
        raise UserError(
            f"ten_bars takes one image of bytes, got {image.dtype} of shape {image.shape}: "
            "pass images[i], as loaded"
        )
    classes = len(data.CLASS_NAMES)
    if shares.shape != (classes,) or shares.min() < 0 or not np.isclose(shares.sum(), 1, atol=1e-3):
        raise UserError(
            f"ten_bars takes ten probabilities, which sum to 1, got shape {shares.shape} with sum "
            f"{shares.sum():.3g}: take the softmax of one image's logits"
        )
    true = int(np.ravel(label)[0])
    figure, (photograph, axis) = style.subplots(8, 3.4, 1, 2, width_ratios=(1, 1.6))
    style.picture(photograph, image)
    photograph.set_title(f"true class: {data.CLASS_NAMES[true]}", fontsize=10, color=INK)
    colors = [ORANGE if i == true else BLUE for i in range(classes)]
    axis.barh(range(classes), shares, color=colors)
    for row, share in enumerate(shares):
        axis.text(share + 0.01, row, f"{share:.0%}", va="center", color=INK, fontsize=9)
    axis.set_yticks(range(classes), data.CLASS_NAMES)
    axis.invert_yaxis()
    style.percent(axis.xaxis)
    axis.set(xlim=(0, 1.1), xlabel="probability", xticks=np.linspace(0, 1, 5))
    names, largest = data.CLASS_NAMES, int(shares.argmax())
    title = f"The true class, {names[true]}, gets {shares[true]:.0%}"
    if np.allclose(shares, 0.1):
        title = "All ten classes get 10%"
    elif largest == true:
        title += ", most of the ten"
    else:
        title += f"; {names[largest]} gets most, {shares[largest]:.0%}"
    figure.suptitle(title)
    figure.set_label(
        f"A photograph of class {data.CLASS_NAMES[true]}, and beside it ten horizontal bars from 0 "
        "to 100%, one for each class: the probabilities that a network gives. The bar of the true "
        "class is orange, the others are blue."
    )
    return figure


def pooling_weights(scores: ArrayLike) -> Figure:
    """A feature map, and how much each of its positions counts in three ways of pooling.

    The mean counts all positions alike; attention by the softmax of their scores, for which the
    map itself is taken; the maximum counts the largest alone.

    Args:
        scores: floats (height, width), one feature map.

    Raises:
        UserError: another shape.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 2:
        raise UserError(
            f"pooling_weights takes one feature map, got shape {scores.shape}: "
            "pass maps[0, :, :, channel]"
        )
    shares = {
        "mean": np.full(scores.shape, 1 / scores.size),
        "attention": special.softmax(scores),
        "maximum": (np.arange(scores.size) == scores.argmax()).reshape(scores.shape),
    }
    figure, axes = style.subplots(9, 2.7, 1, 4)
    for axis, (name, grid) in zip(axes, {"feature map": scores, **shares}.items(), strict=True):
        form, top = ("{:.1f}", max(scores.max(), 1e-9)) if name == "feature map" else ("{:.0%}", 1)
        style.picture(axis, grid, cmap="Blues", vmin=0, vmax=2 * top)  # pale enough for the numbers
        axis.set_title(name, fontsize=10, color=INK)
        for (row, column), value in np.ndenumerate(grid):
            axis.text(column, row, form.format(value), ha="center", va="center", fontsize=9)
    counts = [f"{np.max(grid):.0%} in the {name}" for name, grid in shares.items()]
    figure.suptitle("The largest position counts " + ", ".join(counts).replace("the att", "att"))
    figure.set_label(
        f"Four grids of {scores.shape[0]} by {scores.shape[1]} positions: a feature map with its "
        "numbers, and the share with which each position counts in the mean, in attention pooling "
        "and in the maximum."
    )
    return figure


def dropout_gains(
    loss: Mapping[str, claims.Verdict], accuracy: Mapping[str, claims.Verdict]
) -> Figure:
    """What dropout gains over none, by where it stands and how much it drops, with 95% intervals.

    Args:
        loss: how much lower the lowest loss is, in nats, by the name of the variant.
        accuracy: how much higher the final accuracy is, in percentage points, by the same names.
    """
    figure, axes = style.subplots(9, 1.3 + 0.35 * len(loss), 1, 2, sharey=True)
    units = ("lowest loss, lower by (nats; 95%)", "final accuracy, higher by (points; 95%)")
    for axis, verdicts, unit in zip(axes, (loss, accuracy), units, strict=True):
        for row, verdict in enumerate(verdicts.values()):
            marker, color, face = LOOKS[verdict.word]
            axis.plot([verdict.low, verdict.high], [row, row], color=color, linewidth=1.8)
            axis.plot(verdict.mean, row, marker, color=color, markerfacecolor=face)
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.set(xlabel=unit, ylim=(len(verdicts) - 0.5, -0.5))
        axis.locator_params(axis="x", nbins=5)
        style.grid(axis, "x")
    axes[0].set_yticks(range(len(loss)), loss)
    lower, higher = (
        sum(verdict.word == claims.HOLDS for verdict in verdicts.values())
        for verdicts in (loss, accuracy)
    )
    figure.suptitle(
        f"Of {len(loss)} variants with dropout, {lower} reach a lower loss and {higher} a higher "
        "accuracy"
    )
    figure.set_label(
        "What dropout gains over none, as dots with their intervals, left in lowest loss and right "
        f"in final accuracy: {', '.join(loss)}. Blue dots: the interval lies above 0; red crosses: "
        "below 0; grey squares: it contains 0."
    )
    return figure
