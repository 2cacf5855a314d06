"""The figures of lesson 08: what the architecture's mathematics predicts, and what nets do."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from cifar_keras import style
from cifar_keras.style import BLUE, COLORS, FAINT, GREEN, INK, LINES, ORANGE, SKY


def influence_of_pixels(maps: Mapping[str, np.ndarray], share: Mapping[str, float]) -> Figure:
    """How much each pixel counts, as shares of the most that any does.

    Args:
        maps: `{what: size of the gradient at each pixel, or what is predicted for it (32, 32)}`.
        share: `{what: a corner's influence as a share of the centre's}`.
    """
    figure, axes = style.subplots(11, 3.3, 1, len(maps), sharey=True, squeeze=False)
    axes = axes[0]
    figure.set_layout_engine("compressed")
    for axis, (what, values) in zip(axes, maps.items(), strict=True):
        shown = axis.imshow(values / values.max(), vmin=0, vmax=1, cmap="cividis")
        axis.set_title(what, fontsize=10, color=INK)
        axis.set_xlabel(f"column\ncorner/centre: {share[what]:.1%}")
    axes[0].set_ylabel("row")
    figure.colorbar(shown, ax=axes, label="share of the maximum", format=PercentFormatter(1))
    shares = " · ".join(f"{what} {share[what]:.0%}" for what in maps)
    figure.suptitle(f"A corner's share of the centre's influence: {shares}", fontsize=11)
    figure.set_label(
        f"{len(maps)} maps of 32 by 32 pixels, of how much each pixel counts: {', '.join(maps)}."
    )
    return figure


def receptive_fields(
    fields: Mapping[str, np.ndarray],
    seen: Sequence[int],
    predicted: np.ndarray,
    spread: Mapping[str, float],
) -> Figure:
    """What one unit looks at, within the square that it can see: two maps, and their columns.

    Args:
        fields: `{when: mean squared gradient per pixel (32, 32)}`, two of them.
        seen: the columns that the unit can see, in order.
        predicted: what share of the squared gradient each of these columns should hold.
        spread: `{when: standard deviation of the squared gradient along the columns, pixels}`,
            and that of the prediction as "predicted".
    """
    figure, axes = style.subplots(11, 3.7, 1, 3, width_ratios=[1, 1, 1.5])
    side, start = len(seen), seen[0]
    for axis, (when, values) in zip(axes, fields.items(), strict=False):
        axis.imshow(np.sqrt(values / values.max()), cmap="cividis", vmin=0, vmax=1)
        square = Rectangle((start - 0.5, start - 0.5), side, side, fill=False, ec="white", ls="--")
        axis.add_patch(square)
        axis.set_title(when, fontsize=10, color=INK)
        axis.set(xlabel="column", ylabel="row")
    profiles = axes[-1]
    for (when, values), color, line in zip(fields.items(), (SKY, ORANGE), ("--", "-"), strict=True):
        columns = values.sum(axis=0) / values.sum()
        label = f"{when}: ±{spread[when]:.1f} pixels"
        profiles.plot(seen, columns[list(seen)], line, color=color, linewidth=2.2, label=label)
    label = f"predicted: ±{spread['predicted']:.1f} pixels"
    profiles.plot(seen, predicted, "o", color=INK, mfc="white", markersize=4, label=label)
    profiles.set(xlabel="column", ylabel="share of the squared gradient")
    style.percent(profiles.yaxis)
    style.grid(profiles)
    profiles.set_ylim(0, 1.5 * profiles.dataLim.ymax)
    profiles.legend(frameon=False, loc="upper center")
    first, last = (spread[when] for when in fields)
    change = "shrinks" if last < first else "grows"
    figure.suptitle(
        f"The unit can see {side} pixels (dashed). What it looks at {change} with training: "
        f"±{first:.1f} → ±{last:.1f} pixels",
        fontsize=11,
    )
    figure.set_label(
        f"Two maps of 32 by 32 pixels, {' and '.join(fields)}: the gradient of one unit of the 5th "
        "convolution, in a dashed square around all that the unit can see. Beside them the share "
        "of the squared gradient in each column, as two lines and as predicted in circles."
    )
    return figure


def mcnemar(counts: Mapping[str, tuple[int, int, float]], base: str, level: float) -> Figure:
    """On how many images each network and a common other disagree, and whether that says anything.

    Args:
        counts: `{network: (images only it has right, images only base has right, p-value)}`, as
            `claims.mcnemar` returns them. base: the name of the common other.
        level: the p-value below which a difference counts.
    """
    figure, axis = style.subplots(8.2, 2.9)
    rows = np.arange(len(counts))
    it, other, p_values = np.array(list(counts.values())).T
    axis.barh(rows, it, 0.6, color=BLUE, label="only it is right")
    axis.barh(rows, -other, 0.6, color=ORANGE, label=f"only “{base}” is right")
    for row, p_value in enumerate(p_values):
        axis.text(it.max() * 1.05, row, f"p = {p_value:.2g}", va="center", color=INK)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_yticks(rows, list(counts))
    axis.set(xlim=(-1.1 * other.max(), 1.35 * it.max()), ylim=(len(counts) - 0.5, -0.5))
    axis.set(xlabel="validation images")
    axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    style.grid(axis, "x")
    style.legend_below(figure)
    different = [name for name, p in zip(counts, p_values, strict=True) if p < level]
    found = (
        f"By more than chance, {', '.join(different)} differs from “{base}”: p below {level:.3f}"
    )
    if not different:
        found = f"None differs from “{base}” by more than chance: every p is above {level:.3f}"
    figure.suptitle(found, fontsize=11)
    figure.set_label(
        f"Two bars for each of {', '.join(counts)}: to the right the validation images on which "
        f"only it is right, to the left those on which only {base} is right; a p-value beside them."
    )
    return figure


def costs_by_layer(costs: Mapping[str, tuple[int, int]]) -> Figure:
    """Where the parameters are and where the work is, layer by layer, as shares.

    Args:
        costs: `{layer: (parameters, multiply-adds)}`, as `measure.costs` returns.
    """
    figure, axis = style.subplots(8.4, 3.8)
    values = np.array(list(costs.values()), float)
    shares = values / values.sum(axis=0)
    place = np.arange(len(costs))
    for shift, column, color, label in (
        (-0.2, 0, BLUE, f"{values[:, 0].sum():,.0f} parameters"),
        (0.2, 1, ORANGE, f"{values[:, 1].sum() / 1e6:.1f} million multiply-adds"),
    ):
        axis.bar(place + shift, shares[:, column], 0.38, color=color, label=label)
    names = [name.replace("convolution_", "conv ") for name in costs]
    axis.set_xticks(place, names)
    axis.set(xlabel="layer, in order", ylabel="share of the network")
    style.percent(axis.yaxis)
    axis.legend(frameon=False, loc="upper left")
    style.grid(axis)
    most = [list(costs)[i].replace("_", " ") for i in shares.argmax(axis=0)]
    figure.suptitle(f"Most parameters: {most[0]} layer; most work: {most[1]}")
    figure.set_label(
        "Two bars for each layer, its share of the parameters and of the multiply-adds: "
        + ", ".join(
            f"{name} {parameters:.0%} and {work:.0%}"
            for name, (parameters, work) in zip(names, shares, strict=True)
        )
        + "."
    )
    return figure


def signal_over_depth(signal: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Activations forwards and gradients backwards, over the convolutions, on log axes.

    Args:
        signal: `{initialisation: {quantity: one value for each convolution}}`, root mean squares:
            "activations" and "gradients", what the formulas predict as "predicted activations"
            and "predicted gradients" (nan where they predict nothing), and as "between images"
            the part of the activations that differs from image to image.
    """
    figure, axes = style.subplots(11, 4, 1, 3)
    panels = {
        "activations": "activations",
        "between images": "what differs between images",
        "gradients": "gradient of the loss",
    }
    for (name, values), color, line in zip(signal.items(), COLORS, LINES, strict=False):
        depth = np.arange(1, len(values["activations"]) + 1)
        for axis, quantity in zip(axes, panels, strict=True):
            axis.plot(depth, values[quantity], line, color=color, linewidth=2, label=name)
            if f"predicted {quantity}" in values:
                predicted = values[f"predicted {quantity}"]
                axis.plot(depth, predicted, "o", color=color, mfc="white", markersize=5)
    axes[0].plot([], [], "o", color=FAINT, mfc="white", label="predicted")
    for axis, title in zip(axes, panels.values(), strict=True):
        axis.set(xlabel="convolution", ylabel="root mean square", yscale="log")
        axis.set_title(title, fontsize=10, color=INK)
        style.grid(axis)
    style.legend_below(figure)
    ends = {
        quantity: {name: values[quantity][-1] for name, values in signal.items()}
        for quantity in ("activations", "between images")
    }
    strongest = max(ends["activations"], key=ends["activations"].__getitem__)
    *_, last = signal
    times = [f"{values[strongest] / values[last]:,.0f}" for values in ends.values()]
    figure.suptitle(
        f"Behind the last convolution, “{last}” is {times[0]} times weaker than “{strongest}”; "
        f"what differs between images, {times[1]} times",
        fontsize=11,
    )
    figure.set_label(
        f"Three panels over the {len(depth)} convolutions for {', '.join(signal)}: the size of the "
        "activations, of their part that differs between images, and of the gradients; lines as "
        "measured, circles as predicted."
    )
    return figure


def toll(parts: Mapping[str, tuple[float, float]]) -> Figure:
    """A loss over too many classes, taken apart.

    Args:
        parts: `{network: (loss over the ten classes, toll for the empty ones) in nats}`; last the
            one that is compared with the largest toll.
    """
    figure, axis = style.subplots(8.4, 0.62 * len(parts) + 1.5)
    rows = np.arange(len(parts))
    real, paid = np.array(list(parts.values())).T
    axis.barh(rows, real, 0.6, color=SKY, label="loss over the ten classes")
    axis.barh(rows, paid, 0.6, left=real, color=style.VERMILION, label="toll for empty classes")
    for row, (start, length) in enumerate(zip(real, paid, strict=True)):
        axis.text(start + length + 0.05, row, f"toll {length:.2f}", va="center", color=INK)
    axis.set_yticks(rows, list(parts))
    axis.set(xlabel="cross-entropy (nats)", xlim=(0, 1.2 * (real + paid).max()))
    axis.set_ylim(len(parts) - 0.5, -0.5)
    style.grid(axis, "x")
    style.legend_below(figure)
    most, (*_, last) = max(parts, key=lambda name: parts[name][1]), parts
    figure.suptitle(
        f"The toll is {parts[most][1]:.2f} nats “{most}”, and {parts[last][1]:.2f} “{last}”",
        fontsize=11,
    )
    figure.set_label(
        "Horizontal bars of the loss in two parts, that over the ten classes and the toll for the "
        f"empty ones: {'; '.join(parts)}."
    )
    return figure


def maximum_after_dropout(
    block: Sequence[float], rate: float, ratios: Mapping[str, tuple[float, float, float]]
) -> Figure:
    """The mean of a maximum after dropout: one block by the law, and the pools of a network.

    Args:
        block: activations of one pool's window. rate: of the dropout.
        ratios: `{pool: (measured, predicted, dropout after the pool)}`, each the mean output in
            training mode as a multiple of that in inference mode.
    """
    figure, (one, all_pools) = style.subplots(10, 3.8, 1, 2)
    values = np.sort(block)[::-1]
    terms = rate ** np.arange(len(values)) * values
    bottom = np.concatenate([[0], np.cumsum(terms)])
    one.bar(np.arange(1, len(values) + 1), values, 0.6, color=FAINT)
    place = len(values) + 1.5
    for start, term, color, k in zip(bottom, terms, COLORS, range(len(terms)), strict=False):
        one.bar(place, term, 0.6, bottom=start, color=color, label=f"$r^{k}\\,a_{k + 1}$")
    one.axhline(values[0], color=INK, linewidth=0.8, linestyle=":")
    one.set_xticks(
        [*range(1, len(values) + 1), place],
        [*(f"$a_{k}$" for k in range(1, len(values) + 1)), "mean of the\nmaximum"],
    )
    one.set(xlabel="sorted activations of one window", ylabel="activation")
    one.legend(frameon=False, loc="upper center", ncols=2)
    one.set_ylim(0, 1.45 * bottom[-1])
    rows = np.arange(len(ratios))
    measured, predicted, after = np.array(list(ratios.values())).T
    all_pools.bar(rows, measured, 0.5, color=BLUE, label="dropout before the pool")
    all_pools.plot(rows, predicted, "o", color=INK, mfc="white", label="predicted by the law")
    all_pools.plot(rows, after, "s", color=ORANGE, markersize=8, label="dropout after the pool")
    all_pools.axhline(1, color=INK, linewidth=0.8, linestyle=":")
    all_pools.set_xticks(rows, list(ratios))
    all_pools.set(
        xlabel="pool of the trained network", ylabel="mean in training mode / in inference mode"
    )
    all_pools.set_ylim(0, 1.5 * measured.max())
    all_pools.legend(frameon=False, loc="upper center")
    for axis in (one, all_pools):
        style.grid(axis)
    times = ", ".join(f"{value:.2f}" for value in measured)
    figure.suptitle(
        f"This window's maximum: {values[0]:g} in inference mode, {bottom[-1]:.3g} on average in "
        f"training mode; the network's pools give {times} times as much",
        fontsize=10,
    )
    figure.set_label(
        "Left: the sorted activations of one window as bars, and the terms of the law stacked to "
        "the mean of the maximum. Right: for each pool of the trained network the mean output "
        "in training mode over that in inference mode, as a bar, as predicted in a circle, and "
        "with dropout after the pool in a square."
    )
    return figure


def accuracy_gaps(accuracy: Mapping[str, tuple[float, float]]) -> Figure:
    """Training accuracy and that on other images, as pairs of marks.

    Args:
        accuracy: `{network and how it was measured: (training, other images) in [0, 1]}`.
    """
    figure, axis = style.subplots(8.2, 3.2)
    rows = np.arange(len(accuracy))
    training, other = np.array(list(accuracy.values())).T
    axis.hlines(rows, other, training, color=FAINT, linewidth=2, zorder=0)
    axis.plot(training, rows, "o", color=BLUE, markersize=9, label="training images")
    axis.plot(other, rows, "s", color=GREEN, markersize=8, label="other images")
    for row, gap in enumerate(training - other):
        middle = (training[row] + other[row]) / 2
        axis.text(middle, row - 0.18, f"{100 * gap:.0f} points", ha="center", color=INK)
    axis.set_yticks(rows, list(accuracy))
    axis.set(xlabel="accuracy (share of images)", xlim=(other.min() - 0.1, 1.02))
    axis.set_ylim(len(accuracy) - 0.5, -0.6)
    style.percent(axis.xaxis)
    style.grid(axis, "x")
    style.legend_below(figure)
    gaps = " · ".join(
        f"{name} {100 * gap:.0f} points"
        for name, gap in zip(accuracy, training - other, strict=True)
    )
    figure.suptitle(f"The gap: {gaps}".replace("\n", " "), fontsize=11)
    figure.set_label(
        "Training accuracy and accuracy on other images as a pair of marks for each of "
        f"{'; '.join(accuracy)}.".replace("\n", " ")
    )
    return figure
