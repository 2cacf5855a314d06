"""What recorded runs come to: the course in one picture for the README, and any study in one."""

import itertools
import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cifar_keras import claims, results, style
from cifar_keras.style import COLORS, INK, LINES, STYLES, Style

MARKERS = "osD^vXPd<>"


def summary(runs: results.Runs) -> Figure:
    """Final test accuracy of the nets left, their test loss over the epochs right.

    Dots and lines are means over the seeds; bars and bands their 95% intervals (`claims.judge`),
    which a single seed lacks.

    Args:
        runs: of variants in `style.STYLES`, all of one length.
    """
    figure, (left, right) = style.subplots(6.4, 3.8, 1, 2)
    accuracies, losses = {}, {}
    for place, (variant, by_seed) in enumerate(runs.items()):
        look, histories = STYLES[variant], list(by_seed.values())
        accuracy = claims.judge([results.final(each, "test_accuracy") for each in histories])
        left.plot([accuracy.low, accuracy.high], [place] * 2, color=look.color, linewidth=3)
        left.plot(accuracy.mean, place, "o", color=look.color, markersize=10)
        text = f"{look.label}\n{accuracy.mean:.1%}"
        above = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
        left.annotate(text, (accuracy.mean, place), color=INK, **above)

        epochs = results.column(histories[0], "epoch")
        by_epoch = zip(*(results.column(each, "test_loss") for each in histories), strict=True)
        loss = [claims.judge(values) for values in by_epoch]
        low, mean, high = zip(*((each.low, each.mean, each.high) for each in loss), strict=True)
        right.fill_between(epochs, low, high, color=look.color, alpha=0.25, linewidth=0)
        right.plot(epochs, mean, look.line, color=look.color, linewidth=2.5, label=look.label)
        accuracies[look.label] = accuracy.mean
        losses[look.label] = np.mean([results.final(each, "test_loss") for each in histories])
    left.set(yticks=[], ylim=(len(runs) - 0.7, -0.8), xlabel="final test accuracy")
    left.margins(x=0.65)
    left.spines["left"].set_visible(False)
    style.percent(left.xaxis)
    style.grid(left, "x")
    style.over_epochs(right, "test loss")
    figure.legend(loc="outside lower center", ncols=len(runs), handlelength=3, frameon=False)

    best, lowest = max(accuracies, key=accuracies.__getitem__), min(losses, key=losses.__getitem__)
    ending = "its final loss is lowest" if best == lowest else f"{lowest} has the lowest loss"
    figure.suptitle(f"{style.capital(best)} is most accurate; {ending}")
    shares = ", ".join(f"{name} {share:.1%}" for name, share in accuracies.items())
    figure.set_label(
        f"Left, the final test accuracy with its 95% interval: {shares}. Right, the test loss over "
        f"{len(epochs)} epochs, with 95% bands. Means of {len(histories)} seeds; in the end the "
        f"loss of {lowest} is the lowest."
    )
    return figure


def curves(runs: results.Runs, images: str = "test") -> Figure:
    """Accuracy and loss of all variants of a study over the epochs, means over the seeds.

    Lines are those of the images that the runs were measured on, after each epoch; where these were
    looked at once, at the end, they are marks there, and the lines those of the training images.

    Args:
        runs: of a study, up to ten variants. images: what they were measured on, one word.
    """
    figure, axes = style.subplots(8.4, 4.2, 1, 2)
    of_variants = [list(by_seed.values()) for by_seed in runs.values()]
    once = any(math.isnan(row["test_loss"]) for row in of_variants[0][0])
    lines, final = "training" if once else images, {}
    looks = zip(_looks(runs), itertools.cycle(MARKERS), strict=False)
    for histories, (look, marker) in zip(of_variants, looks, strict=True):
        epochs = results.column(histories[0], "epoch")
        end: Any = {"marker": marker, "markersize": 8, "color": look.color}
        for axis, quantity in zip(axes, ("accuracy", "loss"), strict=True):
            curves = {
                part: np.mean([results.column(h, f"{part}_{quantity}") for h in histories], axis=0)
                for part in ("training", "test")
            }
            drawn = curves["training" if once else "test"]
            last = [] if once else [len(epochs) - 1]
            axis.plot(
                epochs, drawn, look.line, linewidth=2, label=look.label, markevery=last, **end
            )
            if once:
                axis.plot(epochs[-1], curves["test"][-1], **end)
        final[look.label] = np.mean([results.final(h, "test_accuracy") for h in histories])
    for axis, quantity in zip(axes, ("accuracy", "loss"), strict=True):
        style.over_epochs(axis, f"{lines} {quantity}")
        if once:
            axis.set_title(f"marks: {images} {quantity}", loc="left", fontsize=10, color=INK)
    handles, labels = axes[0].get_legend_handles_labels()
    place: Any = {"loc": "outside lower center", "ncols": min(len(labels), 3)}
    figure.legend(handles, labels, handlelength=3, frameon=False, **place)

    best = max(final, key=final.__getitem__)
    ends = "reaches" if len(final) == 1 else f"is the best of {len(final)}, with"
    figure.suptitle(f"{style.capital(best)} {ends} a final {images} accuracy of {final[best]:.1%}")
    shares = ", ".join(f"{name} {share:.1%}" for name, share in final.items())
    figure.set_label(
        f"Accuracy left and cross-entropy right on the {lines} images, over {len(epochs)} epochs"
        + (f", with marks at the end for the {images} images" if once else "")
        + f"; final {images} accuracy: {shares}. Means over the seeds."
    )
    return figure


def _looks(variants):
    """A `Style` for each variant: its own, or a colour and a line that no other one has."""
    for k, name in enumerate(variants):
        line = LINES[(k + k // len(COLORS)) % len(LINES)]
        yield STYLES.get(name, Style(name.replace("_", " "), COLORS[k % len(COLORS)], line))
