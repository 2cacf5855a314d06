"""The figures of a look inside a trained net; the rules are those of `plots`."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy import stats

from cifar_keras import inspection, style
from cifar_keras.style import FAINT, INK, STYLES


def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> Figure:
    """The share of each true class that a net gives to each class.

    Args:
        matrix: counts (classes, classes), a row for each true class.
        class_names: names of the classes in order.
    """
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    figure, axis = style.subplots(7, 5.8)
    shown = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.715 else "black"  # contrast with the cell: 4.5:1 or more
        axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color)
    ticks = range(len(class_names))
    axis.set_xticks(ticks, class_names, rotation=40, ha="right")
    axis.set_yticks(ticks, class_names)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.spines[:].set_visible(False)
    bar = figure.colorbar(shown, format=PercentFormatter(1), shrink=0.8)
    bar.set_label("share of the true class's images")
    errors = np.where(np.eye(len(shares), dtype=bool), -1, shares)
    true, predicted = (class_names[int(i)] for i in np.unravel_index(errors.argmax(), shares.shape))
    figure.suptitle(
        f"The commonest mistake: {errors.max():.0%} of “{true}” are called “{predicted}”"
    )
    figure.set_label(
        f"A {len(class_names)} by {len(class_names)} table in shades of blue, percent of each true "
        "class given to each class."
    )
    return figure


def gallery(
    images: np.ndarray, captions: Sequence[str], columns: int, title: str, description: str
) -> Figure:
    """Small pictures with a caption above each, row by row.

    Args:
        images: (n, height, width, 3), uint8 or floats in [0, 1].
        captions: n strings, of at most two short lines.
        columns: pictures in a row.
        title: the figure's finding. description: the figure in words.
    """
    rows = -(-len(images) // columns)
    lines = 1 + max(caption.count("\n") for caption in captions)
    height = (1.25 + 0.17 * lines) * rows + 0.4
    figure, axes = style.subplots(1.3 * columns, height, rows, columns, squeeze=False)
    figure.set_layout_engine("constrained", h_pad=0.08)
    for axis, image, caption in zip(axes.flat, images, captions, strict=False):
        axis.imshow(image)
        axis.set_title(caption, fontsize=8, color=INK)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.suptitle(title)
    figure.set_label(description)
    return figure


def reliability(logits: Mapping[str, Mapping[str, np.ndarray]], labels: np.ndarray) -> Figure:
    """Confidence against accuracy: the reliability diagrams of several nets, side by side.

    Below each diagram stands how many images each bin holds; bins of fewer than ten have no point.

    Args:
        logits: `{caption: {variant: floats (n, classes)}}`, a panel for each caption.
        labels: integers (n,).
    """
    figure, (axes, counts) = style.subplots(
        4.6 * len(logits),
        5.8,
        2,
        len(logits),
        sharex=True,
        sharey="row",
        height_ratios=(4, 1),
        squeeze=False,
    )
    errors = {caption: [] for caption in logits}
    for axis, below, (caption, by_variant) in zip(axes, counts, logits.items(), strict=True):
        axis.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        for variant, values in by_variant.items():
            images, confidence, accuracy = inspection.reliability(values, labels)
            enough = images >= 10
            error, look = 100 * inspection.calibration_error(values, labels), STYLES[variant]
            errors[caption].append(error)
            axis.plot(
                confidence[enough],
                accuracy[enough],
                look.line,
                marker="o",
                markersize=4,
                color=look.color,
                label=f"{error:.0f} points",
            )
            edges = np.linspace(0, 1, len(images) + 1)
            below.stairs(images, edges, color=look.color, linestyle=look.line, linewidth=1.5)
        axis.set(title=caption, xlabel="mean confidence of a bin", xlim=(0, 1), ylim=(0, 1))
        axis.title.set(fontsize=10, color=INK)
        style.percent(axis.yaxis)
        below.set_xlabel("confidence")
        style.percent(below.xaxis)
        axis.legend(
            frameon=False, fontsize=8, loc="upper left", title="calibration error", title_fontsize=8
        )
    axes[0].text(0.04, 0.52, "above the line:\nunderconfident", color=INK, fontsize=9)
    axes[0].text(0.97, 0.04, "below the line:\noverconfident", color=INK, fontsize=9, ha="right")
    axes[0].set_ylabel("accuracy (share of the bin's images)")
    counts[0].set_ylabel("images\nin the bin")
    lines = axes[0].get_legend_handles_labels()[0]
    names = [STYLES[variant].label for variant in by_variant]
    figure.legend(lines, names, loc="outside lower center", ncols=3, frameon=False)
    ranges = [f"{min(e):.0f} to {max(e):.0f} points {caption}" for caption, e in errors.items()]
    figure.suptitle(f"Calibration error: {', '.join(ranges)}")
    figure.set_label(
        f"Reliability diagrams, {' and '.join(logits)}: accuracy over confidence for "
        f"{', '.join(STYLES[v].label for v in by_variant)}, beside the diagonal on which a net is "
        "as accurate as it is sure; below, how many images each bin of confidence holds."
    )
    return figure


def loss_parts(
    parts: Mapping[str, Sequence[tuple[float, float]]], lowest: Mapping[str, float]
) -> Figure:
    """The test loss, split into what right and wrong images contribute, before and after scaling.

    Args:
        parts: `{variant: ((right, wrong), (right, wrong))}`, contributions to the mean
            cross-entropy in nats, as trained and with the temperature.
        lowest: `{variant: the lowest test loss of the training, in nats}`.
    """
    figure, axis = style.subplots(8, 0.95 * len(parts) + 1.3)
    for row, (variant, both) in enumerate(parts.items()):
        look = STYLES[variant]
        for offset, (right, wrong), name in zip(
            (-0.2, 0.2), both, ("as trained", "with temperature"), strict=True
        ):
            bar = {"height": 0.36, "color": look.color}
            axis.barh(row + offset, right, **bar)
            axis.barh(row + offset, wrong, left=right, alpha=0.45, hatch="//", **bar)
            text = f" {right + wrong:.2f} {name}"
            axis.text(max(right + wrong, lowest[variant]), row + offset, text, va="center")
        label = "lowest of the training" if row == 0 else None
        ends = (row - 0.45, row + 0.45)
        axis.plot([lowest[variant]] * 2, ends, color=INK, linewidth=2, label=label)
    axis.set_yticks(range(len(parts)), [STYLES[variant].label for variant in parts])
    axis.invert_yaxis()
    axis.set(
        xlabel="test loss (cross-entropy, nats); solid: from right images, hatched: from wrong"
    )
    axis.set_xlim(0, 1.35 * max(sum(before) for before, _ in parts.values()))
    axis.legend(frameon=False, loc="lower right")
    most = max(parts, key=lambda variant: sum(parts[variant][0]) - sum(parts[variant][1]))
    before, after = (sum(both) for both in parts[most])
    figure.suptitle(
        f"A temperature takes {STYLES[most].label} from {before:.2f} to {after:.2f} nats;\nthe "
        f"lowest of its training was {lowest[most]:.2f}"
    )
    figure.set_label(
        f"Pairs of bars of test loss for {', '.join(STYLES[v].label for v in parts)}, as trained "
        "and with the temperature, each split into what right and wrong images contribute, and a "
        "mark at the lowest loss of the training."
    )
    return figure


def feature_maps(image: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """The most active channels of several layers for one image.

    Args:
        image: uint8 (height, width, 3).
        maps: `{caption: float (height, width, channels)}`, a row for each.
    """
    columns = 8
    figure = style.figure(1.15 * columns + 2.4, 1.15 * len(maps) + 0.5)
    grid = figure.add_gridspec(len(maps), columns + 2)
    picture = figure.add_subplot(grid[:, :2])
    style.picture(picture, image)
    picture.set_title("the image", fontsize=9, color=INK)
    for row, (caption, values) in enumerate(maps.items()):
        chosen = np.argsort(values.mean(axis=(0, 1)))[::-1][:columns]
        for column, channel in enumerate(chosen):
            axis = figure.add_subplot(grid[row, column + 2])
            style.picture(axis, values[..., channel], vmin=0)
            if column == 0:
                axis.set_ylabel(caption, rotation=0, ha="right", va="center", fontsize=9)
    first, *_, last = ["×".join(map(str, values.shape[:2])) for values in [image, *maps.values()]]
    figure.suptitle(
        f"The {columns} most active feature maps of each layer, from an image of {first} pixels to "
        f"maps of {last}"
    )
    figure.set_label(
        f"One photograph, and beside it {len(maps)} rows of {columns} feature maps, a row for each "
        f"of: {', '.join(maps)}.".replace("\n", " ")
    )
    return figure


def dropout_maps(image: np.ndarray, before: np.ndarray, after: np.ndarray, rate: float) -> Figure:
    """A photograph, and six of its feature maps before and after a dropout layer, in training mode.

    Args:
        image: uint8 (height, width, 3).
        before, after: float (height, width, channels), the same activations of this image; the six
            most active maps are shown.
        rate: the layer's rate.
    """
    channels = 6
    chosen = np.argsort(before.sum(axis=(0, 1)))[::-1][:channels]
    before, after = before[..., chosen], after[..., chosen]
    figure = style.figure(1.25 * channels + 3.3, 3.2)
    grid = figure.add_gridspec(2, channels + 2)
    photograph = figure.add_subplot(grid[:, :2])
    style.picture(photograph, image)
    photograph.set_title("the image", fontsize=9, color=INK)
    for row, (name, maps) in enumerate((("before", before), ("after\ndropout", after))):
        for column in range(channels):
            axis = figure.add_subplot(grid[row, column + 2])
            shown = style.picture(axis, maps[..., column], vmin=0, vmax=after.max())
            if column == 0:
                axis.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.colorbar(shown, ax=figure.axes[1:], label="activation")
    active = before > 0
    ratios = (after / np.where(active, before, 1))[active]
    figure.suptitle(
        f"Dropout at rate {rate} sets {np.mean(ratios == 0):.0%} of the activations above 0 to 0 "
        f"and multiplies the others by {np.median(ratios[ratios > 0]):.3g}"
    )
    figure.set_label(
        f"A photograph, and beside it {channels} of its feature maps in two rows with one colour "
        "scale: above before dropout, below after it."
    )
    return figure


def heat_maps(images: np.ndarray, columns: Sequence[tuple[str, Iterable[np.ndarray]]]) -> Figure:
    """Images, and beside each where a net's logits come from.

    Args:
        images: uint8 (n, height, width, 3), a row for each.
        columns: `[(caption, [n maps]), ...]`, a column for each; each map is float
            (height, width), brighter where it is larger, on a scale of its own.
    """
    rows, across = len(images), len(columns) + 1
    figure, axes = style.subplots(1.75 * across, 1.62 * rows + 0.6, rows, across, squeeze=False)
    height, width = images.shape[1:3]
    halves: dict[int, list[int]] = {}
    for row, image in zip(axes, images, strict=True):
        for axis in row:
            style.picture(axis, image)
    for column, (caption, maps) in enumerate(columns, start=1):
        axes[0][column].set_title(caption, fontsize=9, color=INK)
        for row, values in zip(axes, maps, strict=True):
            edges = (-0.5, width - 0.5, height - 0.5, -0.5)
            heat = (values - values.min()) / max(np.ptp(values), 1e-9)
            row[column].imshow(heat, cmap="inferno", alpha=0.75 * heat, extent=edges)
            cells = _cells_of_half(np.maximum(values, 0).ravel())
            halves.setdefault(values.size, []).append(cells)
    axes[0][0].set_title("the image", fontsize=9, color=INK)
    ranges = [f"{min(n)} to {max(n)} of {size}" for size, n in sorted(halves.items())]
    title = f"Half of what speaks for a class lies in {' or '.join(ranges)} cells"
    figure.suptitle(title, fontsize=10)
    figure.set_label(
        f"{len(images)} photographs, a row for each, beside each the same photograph under heat "
        f"maps: {', '.join(caption for caption, _ in columns)}.".replace("\n", " ")
    )
    return figure


def _cells_of_half(parts):
    """The smallest number of cells of a map that have half of their sum."""
    sums = np.cumsum(np.sort(parts)[::-1])
    return int(np.searchsorted(sums, sums[-1] / 2)) + 1


def projection(
    points: np.ndarray, labels: np.ndarray, class_names: Sequence[str], share: float
) -> Figure:
    """Images as points in the plane, coloured by class, with a name at each class's mean.

    Args:
        points: float (n, 2), principal components. labels: integers (n,).
        class_names: names of the classes in order.
        share: of the variance that the two components hold, in [0, 1].
    """
    figure, axis = style.subplots(8, 4.6)
    vehicle = np.isin(class_names, ("airplane", "automobile", "ship", "truck"))
    means = np.array([points[labels == i].mean(axis=0) for i in range(len(class_names))])
    turned = means[vehicle, 0].mean() < means[~vehicle, 0].mean()
    kinds = (("animals", ~vehicle, style.VERMILION, "o"), ("vehicles", vehicle, style.BLUE, "s"))
    for kind, of_kind, color, marker in kinds:
        shown = points[of_kind[labels]].T
        axis.scatter(*shown, s=12, color=color, marker=marker, alpha=0.35, label=kind)
        x, align = (-0.02, "right") if (kind == "animals") != turned else (1.02, "left")
        by_height = sorted(np.flatnonzero(of_kind), key=lambda i: means[i, 1])
        for i, y in zip(by_height, np.linspace(0.15, 0.85, len(by_height)), strict=True):
            axis.plot(*means[i], "o", color=INK, markersize=4)
            axis.annotate(
                class_names[int(i)],
                means[i],
                (x, y),
                textcoords="axes fraction",
                ha=align,
                va="center",
                arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.7},
            )
    axis.set(xlabel="first principal component; lines lead to the means of the classes", yticks=[])
    axis.set_ylabel("second principal component", labelpad=50)
    axis.legend(frameon=False, loc="upper center", ncols=2)
    ends = np.array([means[of_kind, 0].mean() for _, of_kind, _, _ in kinds])
    nearer = np.abs(points[:, :1] - ends).argmin(axis=1)  # 0 where animals are, 1 vehicles
    parted = np.mean(nearer == vehicle[labels])
    figure.suptitle(
        f"Two directions hold {share:.0%} of the variance;\nthe first alone tells vehicles from "
        f"animals in {parted:.0%} of the images"
    )
    figure.set_label(
        "A cloud of points in two colours, images of vehicles and of animals; lines lead from the "
        "names of the classes to their means."
    )
    return figure


def robustness(accuracy: Mapping[str, Mapping[str, Mapping[float, float]]], images: int) -> Figure:
    """Accuracy over the strength of a perturbation, a panel for each kind, with 95% intervals.

    The intervals are Wilson's (1927, J. Am. Stat. Assoc. 22), of a share of independent images.

    Args:
        accuracy: `{kind: {variant: {strength: accuracy in [0, 1]}}}`, strength 0 included.
        images: on how many images each accuracy was measured.
    """
    width = max(7.5, 2.9 * len(accuracy))
    figure, axes = style.subplots(width, 3.8, 1, len(accuracy), sharey=True, squeeze=False)
    axes = axes[0]
    for axis, (kind, by_variant) in zip(axes, accuracy.items(), strict=True):
        apart = 0.012 * max(next(iter(by_variant.values())))  # so that no interval hides another
        for place, (variant, values) in enumerate(by_variant.items(), start=-1):
            look, shares = STYLES[variant], np.array(list(values.values()))
            bounds = [
                stats.binomtest(round(share * images), images).proportion_ci(method="wilson")
                for share in shares
            ]
            reach = np.abs(np.transpose([(b.low, b.high) for b in bounds]) - shares)
            axis.errorbar(
                np.array(list(values)) + place * apart,
                shares,
                reach,
                color=look.color,
                linestyle=look.line,
                linewidth=2,
                elinewidth=1,
                marker="o",
                markersize=4,
                label=look.label,
            )
        axis.axhline(1 / 10, color=FAINT, linewidth=1)
        axis.set(title=kind, xlabel=f"strength ({inspection.PERTURBATIONS[kind]})", ylim=(0, None))
        axis.set_xticks(list(values))
        style.grid(axis)
    axes[0].set_ylabel("accuracy (share of images)")
    style.percent(axes[0].yaxis)
    axes[0].text(0, 1 / 10, "guessing", color=INK, va="bottom", fontsize=9)
    style.legend_below(figure)
    left = {
        kind: np.mean([list(values.values())[-1] for values in by_variant.values()])
        for kind, by_variant in accuracy.items()
    }
    most, least = min(left, key=left.__getitem__), max(left, key=left.__getitem__)
    figure.suptitle(
        f"At full strength {most} leaves {left[most]:.0%} of {images} images right, {least} "
        f"{left[least]:.0%} (mean of the nets)"
    )
    figure.set_label(
        f"{len(accuracy)} panels ({', '.join(accuracy)}), accuracy over strength for "
        f"{', '.join(STYLES[v].label for v in by_variant)}, each with its 95% interval, and a thin "
        "line at guessing."
    )
    return figure
