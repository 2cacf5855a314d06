"""The site as people read it: built as documented, served, every page opened in a Chromium.

Needs what `conftest.py` here needs, and the extra `docs`.
"""

import functools
import html
import http.server
import re
import subprocess
import sys
import threading
import urllib.parse

import pytest
from lessons import PATHS, ROOT, read

LOOK = """
return {
  links: [...document.querySelectorAll("a[href]")].map((link) => link.href),
  anchors: [...document.querySelectorAll("[id]")].map((each) => each.id),
  pictures: [...document.querySelectorAll(".cell_output img")].map((each) => each.alt),
  unset: document.querySelectorAll("mjx-merror").length,
}
"""
# Once the formulas are set.
TYPESET = "(window.MathJax ? MathJax.startup.promise : Promise.resolve()).then(arguments[0])"
# What axe measures of one word of code holds for all of its kind, of which a lesson has thousands.
ONE_OF_A_KIND = """
const seen = new Set();
for (const word of document.querySelectorAll("pre span")) {
  const kind = word.className + word.style.cssText;
  if (seen.has(kind)) word.replaceWith(...word.childNodes); else seen.add(kind);
}
"""
# Folders whose pages are made from modules and from records.
TEMPLATES = ("docs/api/", "docs/results/")
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory):
    """The folder of the site, built without a warning."""
    pytest.importorskip("myst_nb", reason="needs `pip install -e '.[docs]'`, which builds the site")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-c", "docs", ".", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served, as on the web: browsers treat a page in a file otherwise."""
    serve = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def visits(browser, site, address, heard, axe_if_there):
    """`{page: what a visit tells}` of every page, by its path in the site."""
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    own = [page for page in pages if not page.startswith("_static/") and page != "play.html"]
    # Of the pages that one template makes, axe looks at the one that holds the most.
    made = [page for page in own if page.startswith(TEMPLATES) and "/index." not in page]
    most = [
        max(
            (page for page in made if page.startswith(folder)),
            key=lambda p: (site / p).stat().st_size,
        )
        for folder in TEMPLATES
    ]
    looked_at = [page for page in own if page in most or page not in made]
    assert 20 < len(looked_at) < len(own)
    return {
        page: visit(browser, address + page, heard, axe_if_there if page in looked_at else None)
        for page in own
    }


def visit(browser, url, heard, axe):
    browser.get(url)
    browser.execute_async_script(TYPESET)
    seen = browser.execute_script(LOOK)
    seen["asked"], complaints = heard(browser)
    seen["errors"] = [entry["message"] for entry in complaints if entry["level"] == "SEVERE"]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    seen["width"] = browser.execute_script("return document.documentElement.scrollWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    seen["barriers"] = axe and barriers(browser, axe)
    return seen


def barriers(browser, axe):
    browser.execute_script(ONE_OF_A_KIND)
    return axe(browser)


def test_every_page_is_there(visits):
    lessons = {f"notebooks/{path.stem}.html" for path in PATHS}
    studies = {f"docs/results/{path.parent.name}.html" for path in ROOT.glob("results/*/*-seed0")}
    others = {"index.html", "search.html", "docs/index.html", "docs/api/data.html"}
    assert lessons | studies | others <= visits.keys()


def test_no_page_complains(visits):
    assert {page: seen["errors"] for page, seen in visits.items() if seen["errors"]} == {}


def test_no_page_asks_another_host(visits, address):
    assert all(address + page in seen["asked"] for page, seen in visits.items())
    ours = (address, "data:", "blob:" + address)
    asked = [url for seen in visits.values() for url in seen["asked"] if not url.startswith(ours)]
    assert asked == []


def test_no_link_is_dead(visits, site, address):
    assert all(seen["links"] for page, seen in visits.items() if page != "index.html")
    dead = set()
    for page, seen in visits.items():
        for link in filter(lambda link: link.startswith(address), seen["links"]):
            target, anchor = urllib.parse.urldefrag(link.removeprefix(address))
            name = urllib.parse.unquote(target.partition("?")[0])
            anchors = visits[name]["anchors"] if name in visits and anchor else [anchor]
            if not (site / name).is_file() or urllib.parse.unquote(anchor) not in anchors:
                dead.add((page, link))
    assert dead == set()


def test_formulas_are_set(visits):
    assert not [page for page, seen in visits.items() if seen["unset"]]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_figures_of_a_lesson_are_described(visits, path):
    outputs = [output for cell in read(path).cells for output in cell.get("outputs", [])]
    shown = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    described = [html.unescape(alt) for alt in re.findall(r'<img alt="([^"]*)"', shown)]
    assert visits[f"notebooks/{path.stem}.html"]["pictures"] == described and all(described)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_lesson_can_be_downloaded(visits, site, address, path):
    links = visits[f"notebooks/{path.stem}.html"]["links"]
    [link] = {link for link in links if link.endswith(".ipynb")}
    assert (site / link.removeprefix(address)).read_bytes() == path.read_bytes()


def test_a_phone_need_not_scroll_sideways(visits):
    assert {page: seen["width"] for page, seen in visits.items() if seen["width"] > 390} == {}


def test_no_page_has_a_serious_barrier(visits, axe):
    assert {page: seen["barriers"] for page, seen in visits.items() if seen["barriers"]} == {}


@pytest.mark.parametrize("page", ["docs/index", f"notebooks/{PATHS[3].stem}", "docs/results/seeds"])
def test_nor_has_it_in_the_dark(browser, address, axe, page):
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        browser.get(f"{address}{page}.html")
        browser.execute_async_script(TYPESET)
        assert barriers(browser, axe) == []
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_search_finds_dropout(browser, address):
    browser.get(f"{address}search.html?q=dropout")
    found = """
    const done = arguments[0], end = Date.now() + 30_000;
    (function wait() {
      const links = [...document.querySelectorAll("#search-results li a")];
      const there = links.some((link) => link.textContent === "05 · Dropout");
      if (!there && Date.now() < end) setTimeout(wait, 100);
      else done(links.map((link) => link.textContent));
    })();
    """
    assert "05 · Dropout" in browser.execute_async_script(found)
