"""The first lesson as its readers meet it: in JupyterLab, started as the README says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lessons import ROOT, read, tags

README = (ROOT / "README.md").read_text(encoding="utf-8")
# What the README gives to `jupyter lab`: it opens the students' edition; and the complete one.
[STUDENTS] = map(shlex.split, re.findall(r"\.venv/bin/jupyter lab ([^`\n]+)", README))
COMPLETE = [*STUDENTS[:-1], STUDENTS[-1].replace("student/", "")]
# No window, and scripts may ask what the page holds; a developer's language server says nothing.
FOR_TESTS = [
    "--no-browser",
    "--allow-root",
    "--LabApp.expose_app_in_browser=True",
    "--LanguageServerManager.autodetect=False",
]

OPEN = """
const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
return session?.isReady && session.session.kernel.status === "idle";
"""
# The command is back as soon as a cell fails; what the kernel is asked then, it answers at the end.
RUN_ALL = """
const {commands, shell} = jupyterapp, {kernel} = shell.currentWidget.sessionContext.session;
const asked = () => kernel.requestExecute({code: "pass", silent: true}).done;
commands.execute("notebook:run-all-cells").then(asked).finally(() => (window.ran = true));
"""
DRAWN = """
return window.ran && jupyterapp.shell.currentWidget.content.widgets.every(({model, node}) =>
  node.querySelectorAll(".jp-OutputArea-output").length >= (model.outputs?.length ?? 0) &&
  [...node.querySelectorAll(".jp-OutputArea-output img")].every((img) => img.naturalWidth));
"""
CELLS = """
return jupyterapp.shell.currentWidget.content.widgets.map(({model, node}) => {
  const all = (selector) => [...node.querySelectorAll(`.jp-OutputArea-output${selector}`)];
  return {
    id: model.id,
    number: model.executionCount,
    said: all("").map((output) => output.textContent.trim()).join("\\n"),
    complains: all("[data-mime-type$=stderr]").length > 0,
    pictures: all(" img").map(({alt, naturalWidth}) => [alt, naturalWidth > 0]),
  };
});
"""
EDITOR = """
const {widgets} = jupyterapp.shell.currentWidget.content;
return widgets.find(({model}) => model.id === arguments[0]).node.querySelector(".cm-content");
"""
CLICK = "[...document.links].find(({text}) => text === arguments[0]).click()"
TABS = "return [...jupyterapp.shell.widgets('main')].map((page) => page.title.label)"
BACK = "jupyterapp.shell.activateById([...jupyterapp.shell.widgets('main')][0].id)"


def until(ask, seconds=300):
    """What `ask` answers, as soon as that is something."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"waited {seconds} seconds in vain"
        time.sleep(0.1)
    return answer


@pytest.fixture(scope="class")
def lab(request, browser, tmp_path_factory):
    """A copy of the lesson in JupyterLab, once all its cells have run."""
    pytest.importorskip("jupyterlab")
    folder = tmp_path_factory.mktemp("lab")
    ignored = shutil.ignore_patterns("runs", ".ipynb_checkpoints")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=ignored)
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    own = dict.fromkeys(own, str(folder / "jupyter")) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jupyterlab", *request.cls.arguments, *FOR_TESTS]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        made = "jupyter/jpserver-file-to-run-*.html"  # which may not be written to its end yet
        [page] = until(lambda: [p for p in folder.glob(made) if "</html>" in p.read_text()])
        browser.get_log("browser")  # forgets what came before
        browser.get(page.as_uri())  # as the server does without --no-browser
        until(lambda: browser.execute_script(OPEN))
        browser.execute_script(RUN_ALL)
        until(lambda: browser.execute_script(DRAWN))
        yield browser
        browser.get("about:blank")  # a page would miss its server
    finally:
        server.kill()  # its kernels see that, and end
        server.wait()


@pytest.fixture
def cells(lab):
    """What the page shows of each cell, by the cell's id."""
    return {cell["id"]: cell for cell in lab.execute_script(CELLS)}


class Edition:
    """What holds for either edition."""

    @pytest.fixture(scope="class")
    def committed(self):
        return read(ROOT / self.arguments[-1]).cells

    def test_every_cell_is_run(self, committed, cells):
        code = [cell.id for cell in committed if cell.cell_type == "code"]
        numbers = [cells[cell_id]["number"] for cell_id in code]
        assert numbers == list(range(1, len(code) + 1))

    def test_nothing_complains_but_checks_that_wait_for_an_answer(self, committed, cells):
        complaining = [cell_id for cell_id, cell in cells.items() if cell["complains"]]
        assert complaining == [cell.id for cell in committed if "raises-exception" in tags(cell)]

    def test_every_figure_is_there_with_its_description(self, committed, cells):
        described = {
            cell.id: [output.data["text/plain"] for output in cell.outputs if "data" in output]
            for cell in committed
            if cell.cell_type == "code"
        }
        assert sum(map(len, described.values())) >= 5
        for cell_id, descriptions in described.items():
            pictures = zip(cells[cell_id]["pictures"], descriptions, strict=True)
            assert all(alt.endswith(said) and drawn for (alt, drawn), said in pictures)

    def test_the_links_of_its_first_cell_open_what_they_name(self, committed, lab):
        links = dict(re.findall(r"\[([^]]+)\]\(([^)]+)\)", committed[0].source))
        names = [Path(target).name for target in (self.arguments[-1], *links.values())]
        try:
            for number, text in enumerate(links, start=1):
                lab.execute_script(CLICK, text)
                until(lambda number=number: len(lab.execute_script(TABS)) > number, 60)
            assert lab.execute_script(TABS) == names
        finally:
            lab.execute_script(BACK)

    def test_the_browser_does_not_complain(self, lab):
        assert [each for each in lab.get_log("browser") if each["level"] == "SEVERE"] == []


class TestComplete(Edition):
    arguments = COMPLETE


class TestStudents(Edition):
    arguments = STUDENTS

    def test_what_is_not_answered_yet_is_told_so_in_a_line(self, committed, cells):
        checks = [cell.id for cell in committed if "exercise-check" in tags(cell)]
        for cell_id in checks:
            line = "error: .+: not written yet; write your answer into the cell above"
            assert re.fullmatch(line, cells[cell_id]["said"])
        line = "your guess: no guess yet; write one into the cell above"
        replies = [cell_id for cell_id, cell in cells.items() if line in cell["said"]]
        assert len(replies) == sum("guess" in tags(cell) for cell in committed)

    @pytest.mark.parametrize(
        ("answer", "line", "below", "reply"),
        [
            ("guess-untrained", "my_guess = 'c'", "reveal-untrained", "your guess: c: half right"),
            ("guess-untrained", "my_guess = 'b'", "reveal-untrained", "your guess: b: right"),
            (
                "exercise-accuracy",
                "def accuracy(answers, labels): return np.mean(answers == labels)",
                "check-accuracy",
                "error: accuracy: compare each answer with its own label only",
            ),
            (
                "exercise-accuracy",
                "def accuracy(answers, labels): return np.mean(answers == labels.ravel())",
                "check-accuracy",
                "accuracy: right",
            ),
        ],
    )
    def test_what_is_typed_gets_its_reply(self, lab, answer, line, below, reply):
        keys = pytest.importorskip("selenium.webdriver").Keys
        lab.execute_script(EDITOR, answer).send_keys(keys.CONTROL, "a", keys.NULL, line)
        for _ in range(2):  # this cell, and the one below
            lab.switch_to.active_element.send_keys(keys.SHIFT, keys.ENTER, keys.NULL)

        def said():
            return {cell["id"]: cell["said"] for cell in lab.execute_script(CELLS)}[below]

        until(lambda: said().startswith(reply), 60)
