"""The figures of lessons 08 and 09, of what mathematics predicts and nets do; as in `plots`."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter, PercentFormatter

from cifar_keras import results, style
from cifar_keras.style import COLORS, FAINT, INK, LINES, STYLES


def influence_of_pixels(valid: np.ndarray, same: np.ndarray, trained: np.ndarray) -> Figure:
    """How much each pixel counts, as shares of the most that any does; three maps.

    Args:
        valid, same: paths from each pixel through seven 3×3 windows, without padding and with
            it. trained: mean size of a trained network's gradient at each pixel. All (32, 32).
    """
    figure, axes = style.subplots(9.4, 3.9, 1, 3, sharey=True)
    maps = {
        "seven layers, no padding": valid,
        "seven layers, padded": same,
        "the trained network, padded": trained,
    }
    figure.set_layout_engine("compressed")
    corners = []
    for axis, (title, values) in zip(axes, maps.items(), strict=True):
        shown = axis.imshow(values / values.max(), vmin=0, vmax=1, cmap="cividis")
        corner = values[[0, 0, -1, -1], [0, -1, 0, -1]].mean() / values[14:18, 14:18].mean()
        corners.append(f"{corner:.1%}")
        axis.set_title(title, fontsize=10, color=INK)
        axis.set_xlabel(f"pixel\ncorner/centre: {corners[-1]}")
    axes[0].set_ylabel("pixel")
    figure.colorbar(shown, ax=axes, label="share of the maximum", format=PercentFormatter(1))
    figure.suptitle(
        f"A corner counts {corners[0]} of the centre without padding, {corners[1]} with it, "
        f"{corners[2]} once trained"
    )
    figure.set_label(
        "Three maps of 32 by 32 pixels, of how much each pixel counts: through seven layers "
        "without padding, with padding, and in the trained network."
    )
    return figure


def receptive_fields(
    fields: Mapping[str, np.ndarray], start: int, side: int, effective: Mapping[str, int]
) -> Figure:
    """What one unit looks at, within the square that it can see.

    Args:
        fields: `{when: mean squared gradient per pixel (32, 32)}`.
        start: first row and column of the square that the unit can see; side: its side.
        effective: `{when: side of the centred square that holds 95% of the squared gradient}`.
    """
    figure, axes = style.subplots(8.6, 4.6, 1, len(fields), sharey=True)
    figure.set_layout_engine("compressed")
    for axis, (when, values) in zip(axes, fields.items(), strict=True):
        shown = axis.imshow(np.sqrt(values / values.max()), cmap="cividis", vmin=0, vmax=1)
        for width, color, line in (
            (side, "#ffffff", "--"),
            (effective[when], style.VERMILION, "-"),
        ):
            corner = start + (side - width) / 2 - 0.5
            axis.add_patch(
                Rectangle((corner, corner), width, width, fill=False, ec=color, ls=line, lw=2)
            )
        axis.set_title(f"{when}: 95% within {effective[when]} pixels", fontsize=10, color=INK)
        axis.set_xlabel("pixel")
    axes[0].set_ylabel("pixel")
    figure.colorbar(shown, ax=axes, label="gradient, share of the maximum", shrink=0.85)
    held = " and ".join(f"{effective[when]} {when}" for when in fields)
    figure.suptitle(f"A unit can see {side} pixels across (dashed); it looks at {held}")
    figure.set_label(
        f"{len(fields)} maps of 32 by 32 pixels, {' and '.join(fields)}: the gradient of one unit "
        "of the 5th convolution, a dashed square around all that the unit can see, and another "
        "that holds 95% of it."
    )
    return figure


def pools(accuracy: Mapping[str, float], images: int) -> Figure:
    """Test accuracy of networks that differ in their pools, with 95% intervals.

    Args:
        accuracy: `{pool: test accuracy in [0, 1]}`. images: how many it was measured on.
    """
    figure, axis = style.subplots(7.5, 3)
    for row, (_name, value) in enumerate(accuracy.items()):
        reach = 1.96 * results.standard_error(value, images)
        axis.errorbar(value, row, xerr=reach, fmt="o", color=COLORS[2], capsize=4, linewidth=1.6)
    axis.set_yticks(range(len(accuracy)), list(accuracy))
    axis.set(xlabel="test accuracy (share of images), 95% interval of the test set")
    axis.set_ylim(len(accuracy) - 0.5, -0.5)
    style.percent(axis.xaxis)
    style.grid(axis, "x")
    best = max(accuracy, key=accuracy.__getitem__)
    worst = min(accuracy, key=accuracy.__getitem__)
    ahead = accuracy[best] - accuracy[worst]
    chance = 1.96 * np.sqrt(2) * results.standard_error(accuracy[best], images)
    figure.suptitle(
        f"“{best}” is {100 * ahead:.1f} points above “{worst}”,\n"
        f"{'more' if ahead > chance else 'less'} than the test set's interval"
    )
    figure.set_label(
        f"Test accuracy of {len(accuracy)} networks, a dot and a 95% interval each: "
        f"{', '.join(accuracy)}."
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
        (-0.2, 0, COLORS[2], f"{values[:, 0].sum():,.0f} parameters"),
        (0.2, 1, style.ORANGE, f"{values[:, 1].sum() / 1e6:.1f} million multiply-adds"),
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


def signal_over_depth(
    signal: Mapping[str, Mapping[str, tuple[float, float]]],
    formula: Mapping[str, Mapping[str, float]],
) -> Figure:
    """Activations forwards and gradients backwards, over the convolutions, on log axes.

    Args:
        signal: `{initialisation: {layer: (activations, gradients)}}`, root mean squares.
        formula: `{initialisation: {layer: predicted root mean square of the activations}}`.
    """
    figure, (forwards, backwards) = style.subplots(9, 3.9, 1, 2)
    for (name, by_layer), color, line in zip(signal.items(), COLORS, LINES, strict=False):
        depth = np.arange(1, len(by_layer) + 1)
        activations, gradients = np.array(list(by_layer.values())).T
        forwards.plot(depth, activations, line, color=color, linewidth=2, label=name)
        forwards.plot(depth, list(formula[name].values()), "o", color=color, mfc="white")
        backwards.plot(depth, gradients, line, color=color, linewidth=2)
    forwards.plot([], [], "o", color=FAINT, mfc="white", label="predicted")
    forwards.legend(frameon=False, loc="lower left")
    for axis, text in ((forwards, "activations"), (backwards, "gradient of the loss")):
        axis.set(xlabel="convolution", ylabel=f"root mean square, {text}", yscale="log")
        style.grid(axis)
    last = {name: list(by_layer.values())[-1][0] for name, by_layer in signal.items()}
    weakest = min(last, key=last.__getitem__)
    figure.suptitle(
        f"{weakest}'s initialisation starts {max(last.values()) / last[weakest]:.0f} times "
        "weaker behind the last convolution"
    )
    figure.set_label(
        f"Two panels over the {len(by_layer)} convolutions for {', '.join(signal)}: the size of "
        "the activations, as lines and as predicted in circles, and of the gradients."
    )
    return figure


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


def dropout_sweep(losses: Mapping[tuple[str, float], tuple[float, float]]) -> Figure:
    """Training and test loss for several rates, and one place more.

    Args:
        losses: `{(place, rate): (training loss, test loss) in nats}`; the places are
            "convolutions" and "classifier", without dropout first.
    """
    figure, axis = style.subplots(7.5, 3.6)
    places = {"convolutions": "behind convolutions", "classifier": "before the classifier"}
    labels = [f"rate {rate:g}\n{places[place]}" for place, rate in losses]
    training, test = np.array(list(losses.values())).T
    position = np.arange(len(labels))
    axis.vlines(position, training, test, color=FAINT, linewidth=1.2, zorder=0)
    axis.plot(position, training, "o", color=FAINT, markersize=8, label="training")
    axis.plot(position, test, "s", color=style.GREEN, markersize=8, label="test")
    axis.set_xticks(position, labels)
    axis.set(xlim=(-0.5, len(labels) - 0.5), xlabel="dropout")
    axis.set_ylabel("loss (cross-entropy, nats)")
    axis.set_ylim(0, 1.1 * max(test.max(), training.max()))
    axis.legend(frameon=False, loc="lower right")
    style.grid(axis)
    gap = test - training
    figure.suptitle(
        f"Training and test loss lie {gap[0]:.1f} nats apart without dropout, with it at least "
        f"{gap[1:].min():.1f}"
    )
    figure.set_label(
        "Training and test loss as a pair of marks for each rate and place of dropout: "
        f"{', '.join(labels)}.".replace("\n", " ")
    )
    return figure


def seeds_needed(seeds: np.ndarray, reach: np.ndarray) -> Figure:
    """How small a difference a number of seeds can show.

    Args:
        seeds: numbers of seeds (n,). reach: half width of the 95% interval, shares of images.
    """
    figure, axis = style.subplots(7, 3.6)
    look = STYLES["average_pooling_dropout"]
    axis.plot(seeds, 100 * reach, color=look.color, linewidth=2.2)
    axis.axhline(0.5, color=COLORS[0], linewidth=1.4, linestyle="--")
    axis.text(seeds[-1], 0.52, "half a point", color=INK, ha="right", va="bottom")
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel="seeds of each network", ylabel="95% interval, ± points of accuracy")
    ticks = [n for n in (3, 5, 10, 20, 50, 100, 200) if seeds[0] <= n <= seeds[-1]]
    axis.set_xticks(ticks, ticks)
    axis.set_yticks([0.2, 0.5, 1, 2, 5, 10], [0.2, 0.5, 1, 2, 5, 10])
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_minor_formatter(NullFormatter())
    style.grid(axis)
    enough = seeds[np.argmax(reach < 0.005)] if (reach < 0.005).any() else None
    figure.suptitle(
        f"To see half a point takes {enough} seeds"
        if enough
        else f"Not even {seeds[-1]} seeds show half a point"
    )
    figure.set_label(
        "Half width of the 95% interval of a mean difference over the number of seeds, both axes "
        "logarithmic, and a dashed line at half a point."
    )
    return figure
