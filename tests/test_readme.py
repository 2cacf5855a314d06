"""Whether the README's commands, links and numbers hold."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import time_to_accuracy
import update_readme
from PIL import Image

from cifar_keras import models, results, style
from cifar_keras.__main__ import main

ROOT = Path(__file__).parents[1]

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = " ".join(README.split())  # however its lines are broken
COMMANDS = [
    command
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for command in block.splitlines()
]


def test_two_commands_do_all_the_setting_up():
    install = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && "
    opening, testing = (command.removeprefix(install) for command in COMMANDS[:2])
    assert opening == ".venv/bin/jupyter lab notebooks/00_start_here.ipynb"
    assert testing == ".venv/bin/pytest --nbval"
    assert not any("pip install" in command for command in COMMANDS[2:])


def test_ci_takes_its_command_from_the_readme(tmp_path):
    """.ci/run, on a README with another test command, refuses before it does anything."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text((ROOT / ".ci" / "run").read_text())
    (tmp_path / "README.md").write_text(README.replace(COMMANDS[1], "echo pwned"))
    run = subprocess.run(
        ["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "is not the test command: echo pwned" in run.stderr
    assert not run.stdout


def test_other_commands_are_known_to_the_command_line(capsys):
    ours = [c.split("-m cifar_keras ")[1].split() for c in COMMANDS if "-m cifar_keras" in c]
    assert ["compare"] in ours
    for words in ours:
        with pytest.raises(SystemExit, match="0"):
            main([*words, "--help"])
    capsys.readouterr()


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_notebook_is_listed():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"](notebooks/{path.name})" in README


def test_tables_are_what_the_recorded_runs_say():
    assert update_readme.with_tables(README) == README, "run tools/update_readme.py"


def test_pictures_come_from_the_records():
    shown = {ROOT / target for target in re.findall(r"!\[[^]]*\]\((.+?\.png)\)", README)}
    drawn = update_readme.pictures()
    measured = {path.with_suffix(".png"): [path] for path in (ROOT / "benchmarks").glob("*.json")}
    assert shown <= drawn.keys() | measured.keys()
    sources = {path: files for path, (_, files) in drawn.items()} | measured
    for picture, files in sources.items():
        with Image.open(picture) as png:
            source = png.text.get("Source")
        assert source == f"SHA-256 {style.digest(files)}", f"draw {picture.name} again"
    for picture, (figure, _) in drawn.items():
        with Image.open(picture) as png:
            assert png.text["Description"] == figure.get_label()


def test_three_epochs_pass_the_reference_s_hundred():
    runs = update_readme.recorded("quick")
    assert "passes the reference project's 100 epochs in three" in PROSE
    assert {run["recipe"]["epochs"] for run in runs} == {3}
    best = results.summarize(results.read_reference()["average_pooling_dropout"]).best_accuracy
    assert len(runs) >= 5 and min(accuracies(runs)) > best


def test_an_eighth_of_the_parameters_passes_ninety_percent():
    runs = update_readme.recorded("compact")
    assert "passes 90% with an eighth of the parameters" in PROSE
    reference = models.build("average_pooling_dropout", classifier=False).count_params()
    assert {round(reference / run["trainable_parameters"]) for run in runs} == {8}
    assert len(runs) >= 5 and sum(accuracies(runs)) / len(runs) > 0.9
    assert "Muon takes the steps of its convolutions" in PROSE
    assert all(run["recipe"]["kernel_rate"] > 0 for run in runs)


def test_strong_gets_ninety_four_percent_with_mirror_images():
    runs = update_readme.recorded("strong")
    assert "*strong* gets 94% with mirror images, from more parameters and 27 epochs" in PROSE
    assert {run["recipe"]["epochs"] for run in runs} == {27}
    mirrored = [run["accuracy_both_ways"] for run in runs]
    assert len(runs) >= 3 and sum(mirrored) / len(runs) >= 0.94 > sum(accuracies(runs)) / len(runs)


def test_other_recipes_that_met_the_test_images_are_told():
    assert "two of compact's before, by SGD, and one of strong's afterwards, by Muon" in PROSE
    for name, seeds, muon in (("compact_sgd", 5, False), ("strong_muon", 2, True)):
        runs = update_readme.recorded(name)
        assert len(runs) == seeds
        assert {run["recipe"].get("kernel_rate", 0) > 0 for run in runs} == {muon}


def test_quick_passes_the_student_a_hundred_times_as_fast():
    assert "Quick is past that accuracy more than a hundred times as fast" in PROSE
    result = json.loads(time_to_accuracy.RECORD.read_text(encoding="utf-8"))
    quick = result["contestants"]["quick"]
    assert quick["test_accuracy"] > result["target"] and quick["speed_up"] > 100


def test_the_seconds_are_of_what_the_text_says():
    assert "seconds are those of two CPU cores in bfloat16" in PROSE
    runs = update_readme.recorded("quick") + update_readme.recorded("compact")
    assert {(part["threads"], run["dtype"]) for run in runs for part in run["trained_on"]} == {
        (2, "mixed_bfloat16")
    }


def accuracies(runs):
    return [run["summary"]["last_accuracy"] for run in runs]
