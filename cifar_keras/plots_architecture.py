"""The figures of lesson 08: what the architecture's mathematics predicts, and what nets do."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from cifar_keras import results, style
from cifar_keras.style import COLORS, FAINT, INK, LINES


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
