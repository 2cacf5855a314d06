"""Whether the commands, links, tables and pictures of README and docs hold."""

import re
import subprocess
from pathlib import Path

import pytest
import update_readme
from PIL import Image

from cifar_keras import style
from cifar_keras.__main__ import main

ROOT = Path(__file__).parents[1]
TEXTS = {path: path.read_text(encoding="utf-8") for path in update_readme.DOCUMENTS}
README = TEXTS[ROOT / "README.md"]
NOTEBOOKS = list((ROOT / "notebooks").glob("*.ipynb"))


def blocks(text):
    """The fenced shell blocks of a text, each a list of commands."""
    return [block.splitlines() for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)]


OPENING, TESTING = blocks(README)[1:3]


JUPYTER = ".venv/bin/jupyter lab --notebook-dir=. notebooks/student/00_start_here.ipynb"


def test_two_blocks_do_all_the_setting_up():
    install = ["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"]
    assert [*install, JUPYTER] == OPENING
    assert [*install, ".venv/bin/pytest --nbval"] == TESTING


def test_the_front_door_is_a_screen_and_a_bit():
    assert len(README.splitlines()) <= 110
    assert max(len(command) for text in TEXTS.values() for c in blocks(text) for command in c) <= 80


def run_ci(folder, *commands):
    """What .ci/run does, in a folder that has only it and a README with another test block."""
    (folder / ".ci").mkdir()
    (folder / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text())
    changed = README.replace("\n".join(TESTING), "\n".join(commands))
    (folder / "README.md").write_text(changed, encoding="utf-8")
    return subprocess.run(
        ["bash", ".ci/run"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_ci_refuses_another_command_before_it_does_anything(tmp_path):
    refused = run_ci(tmp_path, "echo pwned")
    assert refused.returncode == 1
    assert "is not the test command: echo pwned" in refused.stderr
    assert not refused.stdout


def test_ci_runs_every_line_of_the_test_block(tmp_path):
    done = run_ci(tmp_path, "echo the first", "echo the last, pytest --nbval").stdout
    assert done.splitlines()[-2:] == ["the first", "the last, pytest --nbval"]


def test_ci_stops_at_a_line_that_fails(tmp_path):
    stopped = run_ci(tmp_path, "false", "echo the last, pytest --nbval")
    assert stopped.returncode == 1
    assert "the last, pytest --nbval" not in stopped.stdout.splitlines()


def test_other_commands_are_known_to_the_command_line(capsys):
    commands = [c for text in TEXTS.values() for block in blocks(text) for c in block]
    ours = [c.split("-m cifar_keras ")[1].split() for c in commands if "-m cifar_keras" in c]
    assert ["compare"] in ours and ["verify"] in ours
    for words in ours:
        with pytest.raises(SystemExit, match="0"):
            main([*words, "--help"])
    capsys.readouterr()


@pytest.mark.parametrize("document", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXTS[document])
    assert targets
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_notebook_and_document_is_listed():
    for path in NOTEBOOKS + list(TEXTS)[1:]:
        assert f"]({path.relative_to(ROOT).as_posix()})" in README


@pytest.mark.parametrize("document", TEXTS, ids=lambda path: path.name)
def test_tables_and_descriptions_are_what_the_recorded_runs_say(document):
    assert update_readme.updated(document) == TEXTS[document], "run tools/update_readme.py"


def test_every_table_stands_in_one_place():
    placed = re.findall(r"<!-- table: (\w+) -->", "".join(TEXTS.values()))
    assert sorted(placed) == sorted(update_readme.tables())


def test_pictures_come_from_the_records():
    shown = {
        (document.parent / target).resolve()
        for document, text in TEXTS.items()
        for target in re.findall(r"!\[[^]]*\]\((.+?\.png)\)", text)
    }
    drawn = update_readme.pictures()
    measured = {path.with_suffix(".png"): [path] for path in (ROOT / "benchmarks").glob("*.json")}
    assert shown == drawn.keys() | measured.keys()
    sources = {path: files for path, (_, files) in drawn.items()} | measured
    for picture, files in sources.items():
        with Image.open(picture) as png:
            source = png.text.get("Source")
        assert source == f"SHA-256 {style.digest(files)}", f"draw {picture.name} again"
    for picture, (figure, _) in drawn.items():
        with Image.open(picture) as png:
            assert png.text["Description"] == figure.get_label()
