"""The figures of lesson 09: what the training's mathematics predicts, and what nets do."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from cifar_keras import style
from cifar_keras.style import BLUE, FAINT, GREEN, INK, LINES, ORANGE, SKY, VERMILION

Floats = Sequence[float] | np.ndarray


def _curves(axis: Axes, curves: Mapping, x: Floats | None = None) -> None:
    """A line for each of up to four curves, each over 0, 1, 2 … or over x."""
    looks = zip(curves.items(), (VERMILION, BLUE, GREEN, SKY), LINES, strict=False)
    for (which, values), color, line in looks:
        steps = range(len(values)) if x is None else x
        axis.plot(steps, values, line, color=color, linewidth=2, label=which)
    _finish(axis)


def _finish(axis: Axes, **legend: Any) -> None:
    axis.legend(frameon=False, **legend)
    style.grid(axis)


def _whole_ticks(axis: Axes, values: Sequence[int]) -> None:
    """These whole numbers alone along a logarithmic x axis."""
    axis.set_xscale("log")
    axis.set_xticks(values, [f"{value:,}" for value in values])
    axis.xaxis.set_minor_locator(NullLocator())


def valley(curvatures: tuple[float, float], path: np.ndarray) -> Figure:
    """The path of gradient descent in a valley that is steep across and flat along.

    Args:
        curvatures: of the loss, across and along. path: (steps + 1, 2), errors across and along.
    """
    figure, axis = style.subplots(7.5, 3.0)
    reach = 1.15 * np.abs(path).max(axis=0)
    across, along = np.meshgrid(*(np.linspace(-r, r, 121) for r in reach))
    loss = (curvatures[0] * across**2 + curvatures[1] * along**2) / 2
    axis.contour(along, across, loss, 9, colors=FAINT, linewidths=0.8)
    axis.plot(path[:, 1], path[:, 0], "o-", color=VERMILION, markersize=4, linewidth=1.6)
    axis.plot(0, 0, "x", color=INK, markersize=9, markeredgewidth=2)
    axis.set(xlabel="error along (flat)", ylabel="error across (steep)")
    left = np.abs(path[-1]) / np.abs(path[0])
    figure.suptitle(
        f"After {len(path) - 1} steps {left[0]:.0%} of the error across is left, "
        f"{left[1]:.0%} of the error along"
    )
    figure.set_label(
        "Contour lines of a loss with two weights, long ellipses around its minimum, and the path "
        "of gradient descent towards it."
    )
    return figure


def loss_by_eigenvector(parts: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Where the loss lies at the start, and how long each part of it stays.

    Args:
        parts: `{scale: (steps until a part is below 1%, share of the loss)}`, a part for each
            eigenvector.
    """
    figure, axes = style.subplots(8.5, 1.1 + 1.5 * len(parts), len(parts), sharex=True, sharey=True)
    for axis, (scale, (steps, shares)) in zip(np.ravel(axes), parts.items(), strict=True):
        axis.vlines(steps, 0, shares, color=BLUE, linewidth=2.5)
        axis.plot(steps, shares, "o", color=BLUE, markersize=5)
        axis.set_title(f"“{scale}”", loc="left", fontsize=10)
        axis.set(xscale="log", ylabel="of the loss", ylim=(0, None))
        style.percent(axis.yaxis)
        style.grid(axis)
    np.ravel(axes)[-1].set_xlabel("steps until this part of the loss is below 1% of itself")
    slow = {scale: steps[shares > 0.01].max() for scale, (steps, shares) in parts.items()}
    said = [f"{float(f'{count:.1g}'):,.0f} steps with “{scale}”" for scale, count in slow.items()]
    figure.suptitle(f"The slowest part above 1% of the loss takes {', '.join(said)}")
    figure.set_label(
        "The share of the loss along each eigenvector over the steps that it takes to shrink, on a "
        f"logarithmic axis, a panel each for {', '.join(parts)}."
    )
    return figure


def steps_by_scale(needed: Mapping[str, Mapping[str, int]]) -> Figure:
    """The steps that optimizers need, by the scale of the pixels.

    Args:
        needed: `{optimizer: {scale: steps to 1% of the loss}}`.
    """
    figure, axis = style.subplots(7.5, 3.2)
    looks = zip(needed.items(), (VERMILION, BLUE), "os", LINES, strict=False)
    for (optimizer, counts), color, marker, line in looks:
        x, y = list(counts.values()), list(counts)
        axis.plot(x, y, marker + line, color=color, label=optimizer, markersize=8)
    axis.set(xscale="log", xlabel="steps until 1% of the loss is left")
    axis.invert_yaxis()
    axis.legend(frameon=False, loc="lower right")
    style.grid(axis, "x")
    spread = [f"{max(c.values()) / min(c.values()):,.0f} for {name}" for name, c in needed.items()]
    figure.suptitle(f"Slowest over quickest scale: {', '.join(spread)}")
    figure.set_label(
        f"The steps until 1% of the loss is left, on a logarithmic axis, for each scale of the "
        f"pixels, a line each for {' and '.join(needed)}."
    )
    return figure


def three_rates(paths: Mapping[float, np.ndarray]) -> Figure:
    """Gradient descent in a bowl of curvature 1, for some learning rates.

    Args:
        paths: `{learning rate times curvature: errors, step by step}`.
    """
    figure, axes = style.subplots(9, 3.2, 1, len(paths), sharey=True)
    bowl = np.linspace(-1.6, 1.6, 101)
    grows = []
    for axis, (rate, errors) in zip(np.ravel(axes), paths.items(), strict=True):
        axis.plot(bowl, bowl**2 / 2, color=FAINT)
        axis.plot(errors, errors**2 / 2, "o-", color=VERMILION, markersize=4, linewidth=1.2)
        axis.plot(errors[0], errors[0] ** 2 / 2, "o", color=INK, markersize=7)
        axis.set(title=f"rate {rate:g} / λ", xlabel="error $e$", xlim=(-1.65, 1.65))
        grows += [f"{rate:g} / λ"] if abs(errors[-1]) > abs(errors[0]) else []
    np.ravel(axes)[0].set_ylabel("loss")
    figure.suptitle(f"With the rate {' and '.join(grows) or 'of no panel'} the error grows")
    figure.set_label(
        f"{len(paths)} bowls with the steps of gradient descent in them, a panel for each learning "
        "rate; the start is black."
    )
    return figure


def descent_at_the_bound(
    losses: Mapping[str, Floats], steps: Floats, sharpness: Floats, edge: float
) -> Figure:
    """Gradient descent with a learning rate below and one above 2/sharpness.

    Args:
        losses: `{which rate: losses, step by step}`, the rate above the bound last.
        steps, sharpness: of the last one. edge: 2 over its rate.
    """
    figure, (above, below) = style.subplots(8, 5, 2, 1, sharex=True)
    _curves(above, losses)
    [first, *_], last = next(iter(losses.values())), list(losses.values())[-1]
    above.axhline(first, color=FAINT, linewidth=1)
    above.set(ylabel="squared loss")
    below.plot(steps, sharpness, "o--", color=BLUE, markersize=4)
    below.axhline(edge, color=INK, linewidth=1, linestyle=":")
    below.text(steps[-1], edge, "2/η", color=INK, va="bottom", ha="right")
    below.set(xlabel="step of gradient descent", ylabel="sharpness", ylim=(0, None))
    style.grid(below)
    figure.suptitle(
        f"{list(losses)[-1]}: the loss rises from {first:.2f} to {max(last):.2f}, "
        f"then falls to {last[-1]:.2f}"
    )
    figure.set_label(
        "Above, loss over the steps of gradient descent, and a grey line at its start; a curve "
        f"each for {' and '.join(losses)}. Below, the sharpness along the last one, and a dotted "
        "line at 2/η."
    )
    return figure


def edge_of_stability(steps: Floats, sharpness: Mapping[float, Floats]) -> Figure:
    """The sharpness over a training by gradient descent, beside 2/η.

    Args:
        steps: (n,). sharpness: `{learning rate η: sharpness (n,)}`.
    """
    figure, axis = style.subplots(8, 3.8)
    _curves(axis, {f"η = {rate:g}": values for rate, values in sharpness.items()}, steps)
    for rate, line in zip(sharpness, list(axis.lines), strict=True):
        axis.axhline(2 / rate, color=line.get_color(), linewidth=1, linestyle=":")
        axis.text(steps[0], 2 / rate, f"2/{rate:g}", color=INK, va="bottom", fontsize=9)
    axis.set(xlabel="step of gradient descent", ylabel="sharpness", ylim=(0, None))
    last = [f"{np.mean(v[-5:]) * rate / 2:.1f}" for rate, v in sharpness.items()]
    figure.suptitle(f"The sharpness ends at {' and '.join(last)} times 2/η")
    figure.set_label(
        "Sharpness over the steps, a line for each learning rate, and a dotted line at 2/η for "
        f"each: {', '.join(f'{rate:g}' for rate in sharpness)}."
    )
    return figure


def bound_over_rate(rates: Floats, bounds: Floats, losses: Floats) -> Figure:
    """Adam's bound after a training at each rate, and the loss that the rate has led to.

    Args:
        rates, bounds: learning rates. losses: on validation images, in nats.
    """
    figure, (left, right) = style.subplots(9, 3.6, 1, 2)
    left.plot(rates, bounds, "o-", color=VERMILION, label="38 / sharpness")
    left.plot(rates, rates, ":", color=INK, label="bound = rate")
    left.set(yscale="log", ylabel="bound on Adam's rate")
    left.legend(frameon=False)
    right.plot(rates, losses, "s-", color=BLUE)
    right.set(ylabel="validation loss (nats)")
    for axis in (left, right):
        axis.set(xscale="log", xlabel="learning rate η of the training")
        style.grid(axis)
    rates, bounds = np.asarray(rates), np.asarray(bounds)
    figure.suptitle(
        f"A rate {rates.max() / rates.min():.0f} times as large makes the bound "
        f"{bounds[rates.argmax()] / bounds[rates.argmin()]:.1f} times as large; "
        f"lowest loss at {rates[np.argmin(losses)]:g}"
    )
    figure.set_label(
        "Left, over the learning rate of a training, the bound that its network has afterwards, "
        "and a dotted diagonal; right, the validation loss after the training."
    )
    return figure


def noise_scales(scales: Mapping[int, float]) -> Figure:
    """The noise scale over a training, and what a batch costs with the lowest and the highest.

    Args:
        scales: `{epochs trained: noise scale in images}`, in order.
    """
    figure, (left, right) = style.subplots(9.5, 3.8, 1, 2)
    left.plot(list(scales), list(scales.values()), "o-", color=VERMILION)
    left.axhline(64, color=INK, linewidth=1, linestyle=":")
    left.text(max(scales), 64, "64", color=INK, va="bottom", ha="right")
    left.set(xlabel="epochs trained", ylabel="noise scale (images)", ylim=(0, None))
    sizes = np.logspace(0, 11, 200, base=2)
    lowest, *_, highest = sorted(scales.items(), key=lambda pair: pair[1])
    for (epoch, noise), line in ((lowest, "-"), (highest, "--")):
        when = f"after epoch {epoch}"
        right.plot(sizes, 1 + noise / sizes, line, color=BLUE, label=f"steps, {when}")
        right.plot(sizes, 1 + sizes / noise, line, color=ORANGE, label=f"images, {when}")
    right.axvline(64, ymax=0.6, color=INK, linewidth=1, linestyle=":")
    right.text(64, 1.1, " 64", color=INK)
    _whole_ticks(right, (1, 4, 16, 64, 256, 1024))
    right.set(yscale="log", ylim=(1, 150), xlabel="batch size (images)")
    right.set_ylabel("times the fewest possible")
    right.legend(frameon=False, fontsize=9)
    for axis in (left, right):
        style.grid(axis)
    figure.suptitle(
        f"In one training the noise scale lies between {lowest[1]:.0f} and {highest[1]:.0f} images"
    )
    figure.set_label(
        "Left, the noise scale over the epochs, with a dotted line at 64. Right, over the batch "
        "size, the steps needed, which fall, and the images needed, which rise, for the lowest and "
        "the highest of these noise scales."
    )
    return figure


def weights_without_gradient(curves: Mapping[str, Floats], small: float) -> Figure:
    """A weight whose gradient is 0, under several weight decays.

    Args:
        curves: `{which decay: the weight, step by step}`. small: below this it counts as gone.
    """
    figure, axis = style.subplots(8, 3.6)
    _curves(axis, curves)
    axis.set(xlabel="step", ylabel="weight")
    ends = []
    for which, values in curves.items():
        below = np.flatnonzero(np.asarray(values) < small)
        ends.append(f"{which} {below[0] + 1 if len(below) else 'never'}")
    figure.suptitle(f"Steps until the weight is below {small:g}:\n{', '.join(ends)}")
    figure.set_label(f"A weight without a gradient, step by step, for {', '.join(curves)}: lines.")
    return figure


def weights_by_decay(sizes: Mapping[str, np.ndarray], small: float) -> Figure:
    """How many weights of a kind are near 0.

    Args:
        sizes: `{which weights: absolute values, 1 at most at the start}`.
        small: what counts as near 0.
    """
    figure, axis = style.subplots(8, 0.9 + 0.55 * len(sizes))
    shares = {which: np.mean(values < small) for which, values in sizes.items()}
    bars = axis.barh(list(shares), list(shares.values()), color=BLUE)
    axis.bar_label(bars, [f"{share:.0%}" for share in shares.values()], padding=4, color=INK)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.1 * max(shares.values())), xlabel=f"share of weights below {small:g}")
    style.percent(axis.xaxis)
    figure.suptitle("Near 0: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
    figure.set_label(f"Horizontal bars for the share of weights near 0, for {', '.join(sizes)}.")
    return figure


def decay_sweep(
    losses: Mapping[float, tuple[float, float]], without: tuple[float, float]
) -> Figure:
    """Training and validation loss over the weight decay.

    Args:
        losses: `{weight decay: (training loss, validation loss)}`. without: those without decay.
    """
    figure, axis = style.subplots(7.5, 3.4)
    looks = ("training", BLUE, "s--"), ("validation", VERMILION, "o-")
    for (name, color, line), *values, alone in zip(looks, *losses.values(), without, strict=True):
        axis.plot(list(losses), values, line, color=color, label=name)
        axis.axhline(alone, color=color, linewidth=1, linestyle=":")
    axis.plot([], [], ":", color=INK, label="without decay")
    axis.set(xscale="log", xlabel="coupled weight decay", ylabel="loss (cross-entropy, nats)")
    _finish(axis)
    gaps = [pair[1] - pair[0] for pair in (without, losses[max(losses)])]
    figure.suptitle(
        f"The gap is {gaps[0]:.2f} nats without decay, {gaps[1]:.2f} at {max(losses):.1g}"
    )
    figure.set_label(
        "Training loss and validation loss over the weight decay, a logarithmic axis; dotted lines "
        "for the training without decay."
    )
    return figure


def bias_correction(factors: Floats, losses: Mapping[str, Floats]) -> Figure:
    """How much longer Adam's steps are without its bias correction, and what that does.

    Args:
        factors: length without over length with the correction, from step 1 on.
        losses: `{"corrected" or not: losses}`.
    """
    figure, (left, right) = style.subplots(9.5, 3.6, 1, 2)
    left.plot(np.arange(1, len(factors) + 1), factors, color=VERMILION, linewidth=2.2)
    left.axhline(1, color=FAINT, linewidth=1)
    left.set(xscale="log", xlabel="step", ylabel="step without / with correction", ylim=(0, None))
    style.grid(left)
    _curves(right, losses)
    right.set(xlabel="step", ylabel="squared loss")
    figure.suptitle(
        f"Without correction, steps are up to {np.max(factors):.1f} times as long, "
        f"in step {np.argmax(factors) + 1}"
    )
    figure.set_label(
        "Left, the length of Adam's step without the bias correction over that with it, over the "
        f"steps. Right, the loss of a network, a line each for {' and '.join(losses)}."
    )
    return figure


def kernel_sizes(sizes: Mapping[str, Floats], angles: Mapping[str, Floats]) -> Figure:
    """Size of a normalised kernel, and by what angle each step turns it.

    Args:
        sizes, angles: `{which training: (steps,)}`; angles in degrees.
    """
    figure, axes = style.subplots(9.5, 3.6, 1, 2)
    for axis, values in zip(axes, (sizes, angles), strict=True):
        _curves(axis, values)
        axis.get_legend().remove()
        axis.set(xlabel="step", ylim=(0, None))
    axes[0].set_ylabel("size of the kernel")
    axes[1].set_ylabel("angle of a step (degrees)")
    style.legend_below(figure)
    ends = [f"{np.mean(curve[-100:]):.1f}° ({which})" for which, curve in angles.items()]
    figure.suptitle(f"In the end a step turns the kernel by\n{', '.join(ends)}")
    figure.set_label(
        "Left the size of a kernel before batch normalisation, right the angle by which each step "
        f"turns it, over the steps; a line each for {', '.join(sizes)}."
    )
    return figure


def as_predicted(
    measured: Mapping[float, float],
    curve: tuple[Floats, Floats],
    names: tuple[str, str],
    scale: str = "linear",
) -> Figure:
    """A measured quantity over what was changed, and the curve that was predicted.

    Args:
        measured: `{what was changed: the quantity}`, in order. curve: (x, y), as predicted.
        names: of what was changed and of the quantity. scale: of both axes.
    """
    figure, axis = style.subplots(7.5, 3.4)
    axis.plot(*curve, color=FAINT, linewidth=2, label="predicted")
    axis.plot(list(measured), list(measured.values()), "o", color=VERMILION, label="measured")
    if scale == "log":
        _whole_ticks(axis, [int(value) for value in measured])
    axis.set(yscale=scale, xlabel=names[0], ylabel=names[1])
    _finish(axis)
    off = max(abs(value / np.interp(x, *curve) - 1) for x, value in measured.items())
    figure.suptitle(f"The {names[1]} lies within {math.ceil(100 * off)}% of the prediction")
    figure.set_label(
        f"The {names[1]} over the {names[0]}: dots as measured, and a line as predicted."
    )
    return figure


def steepest(falls: Mapping[str, Mapping[str, float]]) -> Figure:
    """How far the loss falls for kinds of step, each as long as a norm allows.

    Args:
        falls: `{norm: {step: fall of the loss over the largest of that norm}}`.
    """
    figure, axes = style.subplots(9.5, 3.0, 1, len(falls), sharey=True, squeeze=False)
    axes = axes[0]
    for axis, (norm, shares) in zip(axes, falls.items(), strict=True):
        best = max(shares, key=shares.__getitem__)
        colors = [VERMILION if step == best else SKY for step in shares]
        bars = axis.barh(list(shares), list(shares.values()), color=colors)
        axis.bar_label(bars, [f"{share:.0%}" for share in shares.values()], padding=3, color=INK)
        style.percent(axis.xaxis)
        axis.set(xlim=(0, 1.25), xlabel="fall of the loss", title=f"same {norm}")
        axis.set_xticks((0, 0.5, 1))
    axes[0].invert_yaxis()
    best = [max(shares, key=shares.__getitem__) for shares in falls.values()]
    figure.suptitle("Steepest: " + ", ".join(map("{} by {}".format, best, falls)))
    figure.set_label(
        "Horizontal bars, how far the loss falls with each kind of step, over the largest fall; a "
        f"panel for steps of the same {', '.join(falls)}."
    )
    return figure
