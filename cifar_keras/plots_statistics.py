"""The figures of how sure a result is; as in `plots`."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from cifar_keras import style
from cifar_keras.style import COLORS, INK, STYLES


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
