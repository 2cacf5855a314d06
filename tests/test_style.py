"""Whether figures look alike, and are shown and saved with their descriptions."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.colors import to_rgb
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image

from cifar_keras import results, style


@pytest.fixture
def figure():
    """A small figure with a title and a description."""
    drawn, axis = style.subplots(3, 2)
    axis.plot([1, 2, 3], [1, 3, 2])
    drawn.suptitle("It rises, then falls: 2 of 3")
    drawn.set_label("A line over three places.")
    return drawn


def test_variants_differ_in_colour_line_and_grey():
    looks = [style.STYLES[variant] for variant in results.VARIANTS]
    assert len({look.line for look in looks}) == len({look.color for look in looks}) == 3
    for one, other in combinations(looks, 2):
        greys = [np.dot(to_rgb(look.color), (0.2126, 0.7152, 0.0722)) for look in (one, other)]
        assert abs(greys[0] - greys[1]) > 0.08, (one.label, other.label)


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.51, 0.635, ["52%", "54%", "56%", "58%", "60%", "62%"]),
        (0.8, 0.8201, ["80%", "80.5%", "81%", "81.5%", "82%"]),
        (0, 1, ["0%", "20%", "40%", "60%", "80%", "100%"]),
    ],
)
def test_shares_are_marked_as_what_they_are(low, high, marks):
    figure, axis = style.subplots(9, 3)
    axis.set_xlim(low, high)
    style.percent(axis.xaxis)
    figure.draw_without_rendering()
    shown = [mark.get_text() for mark in axis.get_xticklabels()]
    assert [mark for mark, x in zip(shown, axis.get_xticks(), strict=True) if low <= x <= high] == (
        marks
    )


def test_axes_are_open_at_the_top_and_the_right(figure):
    spines = figure.axes[0].spines
    assert {side for side in spines if spines[side].get_visible()} == {"left", "bottom"}


SHOWS = """
from cifar_keras import style
figure, axis = style.subplots(3, 2)
figure.suptitle("“It” rises, then falls: 2 of 3")
figure.set_label('Empty axes, "open" & <wide>.')
style.show(figure)
"""


def pictures(notebook):
    """The `img` elements of the page that nbconvert makes of a notebook."""
    page, _ = HTMLExporter().from_notebook_node(notebook)
    return BeautifulSoup(page, "html.parser").main.find_all("img")


DRAWN_BY_HAND = """
import matplotlib.pyplot as plt
from cifar_keras import style
figure, axis = plt.subplots(layout="constrained")
axis.set_title("It rises")
style.show(figure, alt="Empty axes, drawn by hand.")
"""


def test_a_page_shows_each_picture_once_with_its_description_as_the_alternative():
    cells = [nbformat.v4.new_code_cell(source) for source in (SHOWS, DRAWN_BY_HAND)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120).execute()
    [made], [drawn] = (cell.outputs for cell in notebook.cells)
    assert made.data.keys() == {"text/html", "text/plain"}
    assert made.data["text/plain"] == 'Empty axes, "open" & <wide>.'
    assert drawn.data["text/plain"] == "Empty axes, drawn by hand."
    first, second = pictures(notebook)
    assert first["alt"] == f"“It” rises, then falls: 2 of 3. {made.data['text/plain']}"
    assert first["src"].startswith("data:image/png;base64,iVBOR")
    assert second["alt"] == "It rises. Empty axes, drawn by hand."


@pytest.mark.parametrize(
    ("script", "name"),
    [(SHOWS, "it-rises-then-falls-2-of-3.png"), (DRAWN_BY_HAND, "it-rises.png")],
    ids=["figure", "pyplot"],
)
def test_a_script_saves_the_picture_and_says_where(tmp_path, script, name):
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    path = Path("runs", name)
    assert run.stdout == f"picture: {path}\n"
    assert (tmp_path / path).read_bytes().startswith(b"\x89PNG")


def test_saving_writes_a_png_with_its_description_and_what_it_was_drawn_from(figure, tmp_path):
    data = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, text in zip(data, (b"epoch\r\n1\r\n", b"epoch\n2\n"), strict=True):
        path.write_bytes(text)
    picture = tmp_path / "new folder" / "picture.png"
    style.save(figure, picture, drawn_from=data)
    with Image.open(picture) as png:
        assert png.text["Description"] == "A line over three places."
        assert png.text["Source"] == f"SHA-256 {style.digest(data)}"
    before = style.digest(data)
    data[0].write_bytes(b"epoch\n1\n")
    assert style.digest(data) == before, "Git may change the ends of lines"
    data[0].write_bytes(b"epoch\n3\n")
    assert style.digest(data) != before
