"""The figures of lesson 09: what the training's mathematics predicts, and what nets do."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from cifar_keras import style
from cifar_keras.style import COLORS, FAINT, INK, LINES


def descent_by_scale(steps: np.ndarray, losses: Mapping[str, np.ndarray]) -> Figure:
    """Loss of the first layer alone over the steps of gradient descent, by pixel scale.

    Args:
        steps: (n,). losses: `{normalisation: losses (n,), as shares of the first}`.
    """
    figure, axis = style.subplots(7.5, 3.8)
    for (method, values), color, line in zip(losses.items(), COLORS, LINES, strict=True):
        axis.plot(steps, values, line, color=color, linewidth=2.2, label=f"“{method}”")
    axis.axhline(0.01, color=FAINT, linewidth=1)
    axis.text(1.1, 0.011, "1%", color=INK, va="bottom", fontsize=9)
    axis.set(xscale="log", yscale="log", ylim=(1e-3, 1.3))
    axis.set(xlabel="steps of gradient descent", ylabel="squared loss, share of the start")
    axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.06, 0.0))
    style.grid(axis)
    first = {m: (*steps[values < 0.01], np.inf)[0] for m, values in losses.items()}
    slow, quick = max(first, key=first.__getitem__), min(first, key=first.__getitem__)
    figure.suptitle(
        f"“{slow}” takes {first[slow] / first[quick]:,.0f} times the steps of “{quick}” to 1%"
        if np.isfinite(first[slow])
        else f"“{slow}” has not fallen to 1% after {steps[-1]:,} steps"
    )
    figure.set_label(
        "Squared loss of the first layer over the steps of gradient descent, both axes "
        f"logarithmic, for {', '.join(losses)}."
    )
    return figure


def descent_at_the_bound(losses: Mapping[str, Sequence[float]]) -> Figure:
    """Gradient descent with a learning rate below and one above 2/sharpness.

    Args:
        losses: `{which rate: losses in nats, step by step}`, the lower one first.
    """
    figure, axis = style.subplots(6.5, 3.4)
    for (which, values), color, line in zip(
        losses.items(), (COLORS[2], COLORS[0]), LINES, strict=False
    ):
        axis.plot(values, line, marker="o", color=color, linewidth=2, label=which)
    axis.set(xlabel="step of gradient descent", ylabel="loss (cross-entropy, nats)")
    axis.legend(frameon=False, loc="upper right")
    style.grid(axis)
    ends = [f"{v[0]:.2f} to {v[-1]:.2f} nats at {which}" for which, v in losses.items()]
    figure.suptitle("The loss goes from " + ",\nfrom ".join(ends))
    figure.set_label(
        f"Loss over the steps of gradient descent, a line for each learning rate: "
        f"{' and '.join(losses)}."
    )
    return figure


def range_test(rates: np.ndarray, losses: np.ndarray, bound: float) -> Figure:
    """The learning rate range test: the loss while the rate rises from batch to batch.

    Args:
        rates: (n,). losses: (n,), in nats. bound: the rate up to which Adam is stable.
    """
    figure, axis = style.subplots(7.5, 3.8)
    smooth = np.convolve(losses, np.ones(9) / 9, "valid")
    axis.plot(rates, losses, ".", color=FAINT, label="one batch")
    axis.plot(rates[4:-4], smooth, color=COLORS[2], linewidth=2.2, label="mean of 9 batches")
    low, high = min(losses) - 0.4, smooth[0] + 1.2
    for rate, text, line in ((1e-3, "the reference's", "-"), (bound, "Adam's bound", "--")):
        axis.axvline(rate, color=COLORS[0], linewidth=1.6, linestyle=line, label=text)
    axis.set(xscale="log", ylim=(low, high))
    axis.set(xlabel="learning rate", ylabel="training loss (cross-entropy, nats)")
    axis.legend(frameon=False, loc="upper left")
    style.grid(axis)
    broken = rates[4:-4][smooth > smooth[0] + 0.1]
    figure.suptitle(
        f"At {broken[0] / 1e-3:.0f} times the reference's learning rate the training breaks"
        if len(broken)
        else f"Up to {rates[-1] / 1e-3:.0f} times the reference's learning rate nothing breaks"
    )
    figure.set_label(
        "Training loss over a learning rate that rises with each batch, on a logarithmic axis, and "
        "vertical lines at the reference's rate and at Adam's bound."
    )
    return figure


def batch_sizes(noise_scales: Mapping[str, float]) -> Figure:
    """What a batch size costs, in steps and in images, for one or more noise scales.

    Args:
        noise_scales: `{when: noise scale in images}`.
    """
    figure, axes = style.subplots(9, 3.8, 1, len(noise_scales), sharey=True)
    sizes = np.logspace(0, 11, 200, base=2)
    for axis, (when, noise) in zip(np.ravel(axes), noise_scales.items(), strict=True):
        axis.plot(sizes, 1 + noise / sizes, color=COLORS[2], linewidth=2.2, label="steps")
        axis.plot(sizes, 1 + sizes / noise, "--", color=style.ORANGE, linewidth=2.2, label="images")
        axis.axvline(64, color=INK, linewidth=1, linestyle=":")
        axis.text(70, 90, "64", color=INK, fontsize=10)
        axis.axvline(noise, color=FAINT, linewidth=1)
        axis.set(xscale="log", yscale="log", ylim=(1, 150), xlabel="batch size (images)")
        axis.set_xticks([1, 4, 16, 64, 256, 1024], [1, 4, 16, 64, 256, 1024])
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_title(f"{when}: noise scale {noise:.0f} (grey)", fontsize=10, color=INK)
        style.grid(axis)
    np.ravel(axes)[0].set_ylabel("times the fewest possible")
    np.ravel(axes)[0].legend(frameon=False, loc="center right")
    values = list(noise_scales.values())
    where = "between" if min(values) < 64 < max(values) else "outside"
    figure.suptitle(
        f"64 lies {where} the noise scales: steps and images cross where noise = signal"
    )
    figure.set_label(
        f"{len(noise_scales)} panels, {' and '.join(noise_scales)}, logarithmic: with the batch "
        "size the steps needed fall and the images needed rise; the two cross at the noise "
        "scale; a dotted line marks 64."
    )
    return figure


def weights_into_dead_channels(weights: np.ndarray) -> Figure:
    """How large the weights into dead channels are, against how they started.

    Args:
        weights: absolute values times the root of the fan-in, uniform in [0, 1] at the start.
    """
    figure, axis = style.subplots(7.5, 3.6)
    bins = np.linspace(0, 1.2, 41)
    axis.hist(weights, bins, density=True, color=COLORS[2], label="after the training")
    axis.step([0, 1, 1], [1, 1, 0], color=COLORS[0], linewidth=2, label="at the start")
    axis.set(xlabel="size of a weight times the root of the fan-in", ylabel="density of weights")
    axis.legend(frameon=False)
    style.grid(axis)
    wiped = np.mean(weights < 0.03)
    figure.suptitle(f"{wiped:.0%} of the weights into dead channels end below 0.03, where 3% began")
    figure.set_label(
        "Histogram of the sizes of the weights into dead channels after the training, and a line "
        "for the start, flat from 0 to 1."
    )
    return figure
