"""How every figure of the course looks, and how it is shown and saved.

A figure's label (`figure.get_label()`) is its description in words, for whoever cannot see it.
"""

import base64
import hashlib
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib import pyplot, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cifar_keras import files

# The colour-blind safe palette of Okabe & Ito (2008), without its yellow, too pale on white.
ORANGE, SKY, GREEN, BLUE = "#E69F00", "#56B4E9", "#009E73", "#0072B2"
VERMILION, PURPLE = "#D55E00", "#CC79A7"
# Text is INK or black; most of the other colours are too pale for it (below 4.5:1 on white).
INK, FAINT, GRID = "#333333", "#999999", "#dddddd"
# Up to four things that are no variants of the net.
COLORS, LINES = (VERMILION, SKY, BLUE, PURPLE), ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Style:
    """How one variant looks in every figure."""

    label: str
    color: str
    line: str


# The reference project's blue, yellow, green; they differ in lightness and line style too, and so
# in grey.
STYLES = {
    "fully_connected": Style("fully connected", BLUE, "-"),
    "average_pooling": Style("average pooling", ORANGE, "--"),
    "average_pooling_dropout": Style("average pooling + dropout", GREEN, "-."),
}


def figure(width: float, height: float) -> Figure:
    """An empty figure, `width` × `height` inches, that makes room for its labels."""
    return Figure(figsize=(width, height), layout="constrained")


def subplots(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """A figure and its axes as `pyplot.subplots` gives them, open at the top and the right."""
    drawn = figure(width, height)
    with rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        return drawn, drawn.subplots(rows, columns, **options)


def grid(axis: Axes, direction: Literal["x", "y"] = "y") -> None:
    """Pale lines behind what is drawn, from the ticks of "x" or "y"."""
    axis.set_axisbelow(True)
    axis.grid(axis=direction, color=GRID, linewidth=0.6)


def percent(axis: Axis) -> None:
    """Shares of 1 along `axis.xaxis` or `axis.yaxis` as percents, whole ones if there is room."""
    if axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))  # not 2.5%
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))


def capital(text: str) -> str:
    """A title that begins with a name: its first letter large."""
    return text[:1].upper() + text[1:]


def over_epochs(axis: Axes, quantity: str) -> None:
    """The axes of a learning curve, once it is drawn; the quantity ends in "accuracy" or "loss"."""
    unit = "cross-entropy, nats" if quantity.endswith("loss") else "share of images"
    axis.set(xlabel="epoch", ylabel=f"{quantity} ({unit})")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for line in axis.lines:
        if np.size(line.get_xdata()) == 1:  # a single epoch makes no line
            marker = line.get_marker()
            line.set(marker="o" if marker == "None" else marker, markevery=None)
    grid(axis)
    if quantity.endswith("accuracy"):
        percent(axis.yaxis)
    elif axis.get_yscale() == "linear":
        axis.set_ylim(bottom=0, auto=None)  # and the top as high as later lines need it


def legend_below(figure: Figure) -> None:
    """One legend for all axes, the first one's, below them and clear of every curve."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)


def picture(axis: Axes, image: Any, **options: Any) -> AxesImage:
    """An image without ticks and frame; `options` are those of `Axes.imshow`."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    return axis.imshow(image, **options)


def show(figure: Figure, alt: str | None = None) -> None:
    """Displays a figure in a notebook, with its title and description as its text alternative.

    Elsewhere, as in a notebook exported to a script, it saves the figure under `runs` and says so.

    Args:
        figure: one of the course's, or one drawn with pyplot, which is closed: else it would be
            shown once more at the end of the cell.
        alt: the description of a figure that has none yet: what is to be seen, in words.
    """
    if alt is not None:
        figure.set_label(alt)
    pyplot.close(figure)
    title = figure.get_suptitle() or " ".join(axis.get_title() for axis in figure.axes)
    if not hasattr(get_ipython(), "kernel"):
        name = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
        path = Path("runs") / f"{name[:60] or 'figure'}.png"
        save(figure, path)
        print(f"picture: {path}")
        return
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    # As HTML: JupyterLab and nbconvert drop the text alternative of an image/png output.
    said = (" ".join(title.split()), str(figure.get_label()))
    alternative = html.escape(". ".join(part for part in said if part))
    source = base64.b64encode(png.getvalue()).decode()
    picture = f'<img alt="{alternative}" src="data:image/png;base64,{source}">'
    display({"text/html": picture, "text/plain": figure.get_label()}, raw=True)


def save(figure: Figure, path: Path, drawn_from: Sequence[Path] = ()) -> None:
    """Writes a figure as PNG, with its description and its sources in the file's metadata.

    Args:
        path: of the picture; its folder is made if need be.
        drawn_from: the files that the figure shows; their `digest` is kept under "Source".

    Raises:
        UserError: it cannot be written.
    """
    metadata = {"Description": figure.get_label()}
    if drawn_from:
        metadata["Source"] = f"SHA-256 {digest(drawn_from)}"
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=150, metadata=metadata)
    files.write(path, png.getbuffer())


def digest(paths: Sequence[Path]) -> str:
    """SHA-256, in hexadecimal, of text files one after the other, whatever ends their lines."""
    text = b"".join(path.read_bytes().replace(b"\r\n", b"\n") for path in paths)
    return hashlib.sha256(text).hexdigest()
