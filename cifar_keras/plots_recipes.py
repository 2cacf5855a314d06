"""The figures of lesson 11, where accuracy comes from and what it costs; as in `plots`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from cifar_keras import claims, style
from cifar_keras.style import FAINT, INK, STYLES

# From the largest feature maps to what follows them.
SIZES = (style.SKY, style.BLUE, style.ORANGE, style.VERMILION, style.PURPLE)
OURS, REFERENCE = style.VERMILION, style.ORANGE
GOAL = 0.9  # what the reference's report leaves open
# What a verdict on a difference says of a change.
GAIN_OR_LOSS = {claims.HOLDS: "a gain", claims.FAILS: "a loss", claims.OPEN: claims.OPEN}


def parameter_diet(parameters: Mapping[str, Mapping[str, int]]) -> Figure:
    """Where the parameters of several nets sit: one bar for each net, split by size of the maps.

    Args:
        parameters: `{net: {group of layers: trainable parameters}}`, the same groups in each, up
            to five.
    """
    figure, axis = style.subplots(9, 0.8 * len(parameters) + 1.9)
    groups = list(next(iter(parameters.values())))
    for row, counts in enumerate(parameters.values()):
        left = 0
        for group, color in zip(groups, SIZES, strict=False):
            label = group if row == 0 else None
            axis.barh(row, counts[group] / 1e6, left=left, color=color, label=label)
            left += counts[group] / 1e6
        axis.text(left + 0.02, row, f"{sum(counts.values()):,}", va="center", color=INK)
    nets, totals = list(parameters), [sum(counts.values()) for counts in parameters.values()]
    axis.set_yticks(range(len(nets)), nets)
    axis.invert_yaxis()
    axis.set(xlabel="trainable parameters (millions)", xlim=(0, 1.2 * max(totals) / 1e6))
    axis.legend(frameon=False, loc="lower right")
    share = totals[-1] / totals[0]
    figure.suptitle(f"{style.capital(nets[-1])} has {share:.0%} of the parameters of {nets[0]}")
    figure.set_label(
        "Horizontal bars of trainable parameters, split by where they sit: "
        + "; ".join(
            f"{net} {sum(counts.values()):,}, of which "
            + ", ".join(f"{group} {count:,}" for group, count in counts.items())
            for net, counts in parameters.items()
        )
        + "."
    )
    return figure


def idle_weights(counts: Mapping[str, Mapping[str, tuple[int, int]]]) -> Figure:
    """Which share of a trained net's weights ended at 0, layer by layer.

    Args:
        counts: `{variant: {layer: (weights at 0, all weights)}}`, layers in order; the one with the
            most layers first.
    """
    figure, axis = style.subplots(9, 3.8)
    layers, totals = list(next(iter(counts.values()))), {}
    for variant, of_layers in counts.items():
        look, (idle, every) = STYLES[variant], np.sum(list(of_layers.values()), axis=0)
        totals[look.label] = idle / every
        # A line ends where a net lacks a layer.
        shares = [np.divide(*of_layers.get(layer, (np.nan, 1))) for layer in layers]
        label = f"{look.label}: {idle / every:.0%} of all"
        axis.plot(range(len(layers)), shares, look.line, color=look.color, marker="o", label=label)
    axis.set_xticks(
        range(len(layers)), [layer.replace("convolution_", "conv ") for layer in layers]
    )
    axis.set(xlabel="layer", ylabel="weights at 0 (share)", ylim=(0, None))
    style.percent(axis.yaxis)
    axis.legend(frameon=False, loc="upper left")
    most = max(totals, key=totals.__getitem__)
    figure.suptitle(f"Training ended with {totals[most]:.0%} of {most}'s weights at 0")
    figure.set_label(
        "The share of weights that ended at 0, layer by layer; of all weights: "
        + ", ".join(f"{label} {share:.0%}" for label, share in totals.items())
        + "."
    )
    return figure


def schedule(rates: np.ndarray) -> Figure:
    """The learning rate over the steps of a training.

    Args:
        rates: learning rates (steps,).
    """
    figure, axis = style.subplots(6.4, 2.8)
    axis.plot(np.arange(1, len(rates) + 1), rates, color=OURS, linewidth=2.2)
    axis.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    up, steps = int(np.argmax(rates)) + 1, len(rates)
    figure.suptitle(
        f"The rate rises for {up} steps to {max(rates):.3g}, and ends at {rates[-1]:.1g}"
    )
    figure.set_label(
        f"The learning rate over the {steps:,} steps of a training, highest at step {up:,}."
    )
    return figure


def directions(gradient: np.ndarray, step: np.ndarray) -> Figure:
    """How far a gradient, and the step made from it, go in each of their directions.

    Args:
        gradient, step: arrays (height, width, channels, filters), each taken as a matrix with one
            column a filter; its singular values are shown, over the largest.
    """
    figure, axis = style.subplots(6.4, 3.2)
    values = [np.linalg.svd(np.reshape(a, (-1, a.shape[-1])))[1] for a in (gradient, step)]
    for sizes, label, color, line in zip(
        values, ("gradient", "Muon's step"), (REFERENCE, OURS), ("--", "-"), strict=True
    ):
        places = np.arange(1, len(sizes) + 1)
        axis.plot(places, sizes / sizes[0], line, color=color, marker=".", label=label)
    axis.set(xlabel="direction (singular vector)", ylabel="distance over the first", yscale="log")
    axis.set_ylim(None, 1.5)
    style.percent(axis.yaxis)
    axis.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.75))
    first, evened = (100 * sizes[len(sizes) // 2] / sizes[0] for sizes in values)
    figure.suptitle(
        f"Halfway down its directions the gradient goes {first:.0f}% as far as in the first,\n"
        f"Muon's step {evened:.0f}%"
    )
    figure.set_label(
        "The singular values, over the largest, of a kernel's gradient and of the step made from "
        "it, in two falling lines on a logarithmic axis."
    )
    return figure


def ladder(accuracies: Mapping[str, Sequence[float]], verdicts: Iterable[claims.Verdict]) -> Figure:
    """Test accuracy of recipes that differ from one to the next by one change.

    Args:
        accuracies: `{recipe: accuracies}` in order, in [0, 1], one for each seed.
        verdicts: on what each recipe but the first gains over the one before it, in percentage
            points.
    """
    names, values = list(accuracies), np.array(list(accuracies.values()))
    means, verdicts = values.mean(axis=1), list(verdicts)
    figure, axis = style.subplots(9, 0.55 * len(names) + 1.5)
    for row, of_seeds in enumerate(values):
        color = REFERENCE if row == 0 else OURS
        axis.plot(of_seeds, [row] * len(of_seeds), "o", color=color, alpha=0.5, markersize=6)
        axis.plot(means[row], row, "|", color=INK, markersize=18, markeredgewidth=2)
    axis.plot(means, range(len(names)), color=FAINT, linewidth=1, zorder=0)
    beside: Any = {"x": 1.02, "va": "center", "color": INK}
    beside["transform"] = axis.get_yaxis_transform()
    for row, verdict in enumerate(verdicts, start=1):
        text = f"{verdict.mean:+.1f} ± {verdict.high - verdict.mean:.1f}".replace("-", "−")
        weight = "normal" if verdict.word == claims.OPEN else "bold"
        axis.text(y=row, s=text, weight=weight, **beside)
    axis.text(y=0, s="points, 95%\n(bold: gain or loss)", **beside)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlabel(f"test accuracy (dots: {values.shape[1]} seeds, bars: their means)")
    style.percent(axis.xaxis)
    style.grid(axis, "x")
    words = [verdict.word for verdict in verdicts]
    gained, lost, open_ = (words.count(w) for w in (claims.HOLDS, claims.FAILS, claims.OPEN))
    figure.suptitle(
        f"From {means[0]:.0%} to {means[-1]:.0%} in {len(verdicts)} changes: {gained} gain, {lost} "
        f"lose, of {open_} it cannot be told"
    )
    figure.set_label(
        "Test accuracy of recipes, one change a row: "
        + ", ".join(f"{name} {mean:.1%}" for name, mean in zip(names, means, strict=True))
        + "; a dot for each seed, the gain over the row above with its 95% interval at the right."
    )
    return figure


def race(histories: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Validation accuracy over the seconds of training, for nets that had the same time.

    Args:
        histories: `{net: [(seconds, accuracy), ...]}` of two nets, the reference project's first.
    """
    figure, axis = style.subplots(7, 3.6)
    for (name, points), color, line in zip(
        histories.items(), (REFERENCE, OURS), ("--", "-"), strict=True
    ):
        seconds, accuracies = zip(*points, strict=True)
        axis.plot(seconds, accuracies, line, color=color, linewidth=2, marker=".", label=name)
    axis.set(xlabel="seconds of training", ylabel="validation accuracy (share of images)")
    axis.set_xlim(left=0)
    style.percent(axis.yaxis)
    style.grid(axis)
    axis.legend(frameon=False, loc="upper left")
    (reference, theirs), (ours, own) = histories.items()
    (slow, before), (quick, after) = theirs[-1], own[-1]
    figure.suptitle(
        f"{style.capital(reference)} has {before:.0%} after {slow:.0f} seconds, "
        f"{ours} {after:.0%} after {quick:.0f}"
    )
    figure.set_label(
        f"Validation accuracy over the seconds of training, a line for {reference}, one for {ours}."
    )
    return figure


def accuracy_by_parameters(nets: Mapping[str, tuple[int, Sequence[float]]]) -> Figure:
    """Test accuracy against trainable parameters, on a logarithmic axis.

    Args:
        nets: `{net: (trainable parameters, accuracies in [0, 1], one for each seed)}`, the
            reference project's first.
    """
    figure, axis = style.subplots(7, 3.8)
    axis.axhline(GOAL, color=FAINT, linewidth=1, linestyle="--")
    for i, (name, (parameters, accuracies)) in enumerate(nets.items()):
        color, mean = REFERENCE if i == 0 else OURS, np.mean(accuracies)
        axis.vlines(parameters, min(accuracies), max(accuracies), color=color, linewidth=4)
        axis.plot(parameters, mean, "o", color=color, markersize=9)
        above = mean >= GOAL  # then the label stands above its dot, and clear of the line
        axis.annotate(
            f"{name}, {mean:.1%}",
            (parameters, mean),
            (0, 8 if above else -8),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
        )
    counts = [parameters for parameters, _ in nets.values()]
    axis.set(xscale="log", xlim=(min(counts) / 2, 2 * max(counts)))
    axis.margins(y=0.15)
    axis.set(xlabel="trainable parameters", ylabel="test accuracy (share of images)")
    ticks = [n for n in (100_000, 200_000, 500_000, 1_000_000, 2_000_000) if n >= min(counts) / 2]
    axis.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    style.percent(axis.yaxis)
    past = [n for n, (_, accuracies) in nets.items() if np.mean(accuracies) >= GOAL]
    fewest = min(past, key=lambda name: nets[name][0]) if past else None
    figure.suptitle(
        f"{style.capital(fewest)} passes {GOAL:.0%} with {nets[fewest][0] / counts[0]:.0%} of the "
        f"parameters of {next(iter(nets))}"
        if fewest
        else f"None reaches {GOAL:.0%} yet"
    )
    figure.set_label(
        "Test accuracy against trainable parameters: "
        + ", ".join(f"{n} {p:,} and {np.mean(a):.1%}" for n, (p, a) in nets.items())
        + f"; a dashed line at {GOAL:.0%}."
    )
    return figure


def mean_or_maximum(
    gains: Mapping[str, Sequence[float]], verdicts: Mapping[str, claims.Verdict]
) -> Figure:
    """What the maximum gains in place of the mean, net by net, with 95% intervals.

    Args:
        gains: `{net: accuracy with the maximum minus accuracy with the mean, in percentage points,
            one for each seed}`. verdicts: on them, by net.
    """
    figure, axis = style.subplots(9, 0.7 * len(gains) + 1.4)
    for row, (net, verdict) in enumerate(verdicts.items()):
        axis.plot(gains[net], [row] * len(gains[net]), "o", color=OURS, alpha=0.5, zorder=3)
        axis.plot([verdict.low, verdict.high], [row] * 2, color=INK, linewidth=2)
        axis.plot(verdict.mean, row, "|", color=INK, markersize=16, markeredgewidth=2)
    axis.axvline(0, color=FAINT, linewidth=1)
    axis.set_yticks(range(len(gains)), gains)
    axis.set_ylim(len(gains) - 0.5, -0.5)
    axis.set_xlabel("points gained by the maximum (dots: seeds, line: 95% interval of the mean)")
    style.grid(axis, "x")
    figure.suptitle(
        "The maximum in place of the mean: "
        + ",\n".join(
            f"{verdict.mean:+.1f} points in {net} ({GAIN_OR_LOSS[verdict.word]})"
            for net, verdict in verdicts.items()
        )
    )
    figure.set_label(
        f"Points of accuracy gained by the global maximum in place of the mean, in "
        f"{', '.join(gains)}: a dot for each seed, the mean with its 95% interval, and a line at 0."
    )
    return figure
