"""How the site is built: `sphinx-build -W -c docs . build/site`, from the checkout, offline.

The source folder is the checkout itself. So lessons and pages stay where they are, readable as
files, and the links between them hold on the site as they do there.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import site_pages  # noqa: E402

from cifar_keras import __version__, play  # noqa: E402

project = "What should come after the last convolution?"
author = "the cifar_keras authors"
copyright = f"{author}; MIT licence, the images apart"
version = release = __version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax as a package: no other host is asked
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "notebooks/glossary.md",
    "cifar_keras/_sample/README.md",
    "results/reference/README.md",
]
exclude_patterns = [".*", "build", "**/runs", "docs/_*"]

nb_execution_mode = "off"  # lessons are committed with their results
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath"]
autodoc_inherit_docstrings = False  # not those of Keras

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_use_index = html_domain_indices = False  # the search does it, and on a phone, too
html_theme_options = {
    "show_toc_level": 2,
    "max_navbar_depth": 1,  # deeper, the theme folds them by buttons without a name
    "navbar_persistent": [],  # a second field to search
}
html_show_sphinx = False
html_context = {"default_mode": "auto"}  # light or dark; unset, the theme complains of it

# What is a folder or the front page of the repository is another page here.
ELSEWHERE = {
    "../README.md": "index.md",
    "../results": "results/index.md",
    "../studies": "results/index.md",
}
# A page at the site's root, which leads to the first one.
ROOT_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta http-equiv="refresh" content="0; url=docs/index.html">
<link rel="icon" href="_static/favicon.svg"><title>{project}</title>
<a href="docs/index.html">{project}</a>
"""


def mend_links(app, name, source):
    """Leads links to what is no page to the page that says the same."""
    for target, page in ELSEWHERE.items():
        source[0] = source[0].replace(f"]({target})", f"]({page})")


def plain_docstring(app, what, name, thing, options, lines):
    """Docstrings are plain text with `code`; what else would be markup stands for itself."""

    def escaped(found):
        return f"``{found[1]}``\\ " if found[1] else f"\\{found[0]}"

    lines[:] = re.sub(r"`([^`]+)`|[*|]|_(?!\w)", escaped, "\n".join(lines)).splitlines()
    if what == "property":  # whose first line Napoleon would take for a type up to a colon
        lines.insert(0, "")


def add_pages(app, error):
    """The page of nets, which the landing page embeds, and the root."""
    if not error:
        play.write_page(Path(app.outdir, "play.html"))
        Path(app.outdir, "index.html").write_text(ROOT_PAGE.format(project=project))


def setup(app):
    site_pages.write(ROOT / "docs")
    app.connect("source-read", mend_links)
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)  # before napoleon
    app.connect("build-finished", add_pages)
