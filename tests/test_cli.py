"""The command line as a process: what it prints where, how it ends, what it asks for first."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import locked_elsewhere

from cifar_keras import files, results, study, training, verification
from cifar_keras.__main__ import main

pty = pytest.importorskip("pty", reason="Windows has none")

COMMANDS = [
    *([], ["data"], ["data", "fetch"], ["data", "verify"], ["data", "where"], ["compare"]),
    *(["train"], ["study"], ["study", "run"], ["study", "status"], ["study", "verify"]),
    *(["play"], ["verify"]),
]


def run(arguments, **options):
    """A finished process of `python -m cifar_keras`."""
    command = [sys.executable, "-m", "cifar_keras", *arguments]
    return subprocess.run(command, **{"capture_output": True, "text": True, **options})


# --- What is printed ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example_within_80_columns(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    printed = capsys.readouterr().out
    assert f"\nexample: python -m cifar_keras {' '.join(command)}" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_the_version_is_that_of_all_that_computes(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    printed = capsys.readouterr().out
    assert printed.startswith("cifar_keras 0.1.0, Python 3.")
    assert f", keras {training.keras.__version__}, " in printed


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp949"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["ascii", "cp949", "C"],
)
@pytest.mark.parametrize("to_file", [False, True], ids=["pipe", "file"])
def test_other_encodings_than_utf_8(variables, to_file, tmp_path):
    with (tmp_path / "printed").open("wb") as file:
        done = run(
            ["compare", "--help"],
            env=os.environ | variables,
            capture_output=False,
            stdout=file if to_file else subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="cp949",
        )
    printed = (tmp_path / "printed").read_text(encoding="cp949") if to_file else done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert "(runs/...)" in printed or "(runs/…)" in printed


@pytest.mark.parametrize("command", [["--help"], ["data", "where"]], ids=" ".join)
def test_when_nobody_reads_any_more_it_ends_quietly(command):
    read, write = os.pipe()
    os.close(read)
    done = run(command, capture_output=False, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.stderr == "" and done.returncode in (0, 141)  # argparse itself passes it over


def test_ctrl_c_ends_the_progress_line_and_says_what_to_do_next(tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cifar_keras", "compare", "--out", str(tmp_path)]
    with subprocess.Popen(
        command,
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        # Whoever runs tests in the background hands it on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        os.close(theirs)
        printed = ""
        with contextlib.suppress(OSError):  # how a terminal tells that all have left
            while part := os.read(ours, 1000).decode(errors="replace"):
                if "░" in part and "░" not in printed:
                    process.send_signal(signal.SIGINT)
                printed += part
    os.close(ours)
    assert process.returncode == 130
    *_, bar, last = printed.splitlines()
    assert "░" in bar
    assert last == "interrupted; the same command goes on after the last finished epoch"


# --- What is asked for first --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["compare", "--seed", "4294967296"], "must be at most 4294967295"),
        (["train", "quick", "--seed", "-1"], "must be at least 0"),
    ],
)
def test_seeds_are_those_that_all_backends_take(arguments, complaint, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert complaint in capsys.readouterr().err


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = None  # to import it is an error
from cifar_keras.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("action", ["run", "status", "verify"])
def test_a_misspelt_study_is_refused_before_keras_starts(action):
    command = [sys.executable, "-c", WITHOUT_KERAS, "study", action, "sedds"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no study 'sedds'; choose one of: compact, ")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def installed(tmp_path):
    """Runs a script with a copy of the package alone, as a wheel installs it."""
    folder = files.CHECKOUT / "cifar_keras"
    shutil.copytree(folder, tmp_path / "cifar_keras", ignore=shutil.ignore_patterns("__pycache__"))

    def run(*arguments):
        command = [sys.executable, "-c", WITHOUT_KERAS, *arguments]
        variables = os.environ | {"PYTHONPATH": str(tmp_path), "KERAS_HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path)

    return run


@pytest.mark.parametrize(
    "command",
    [["compare"], ["train", "quick"], ["study", "run", "seeds"], ["study", "status", "seeds"]]
    + [["study", "verify", "seeds"], ["verify"]],
    ids=" ".join,
)
def test_without_the_repository_it_is_refused_at_once(installed, command):
    done = installed(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "was installed without the course's studies and results; clone" in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_without_the_repository_and_keras_the_data_are_there(installed):
    assert installed("data", "where").returncode == 0
    done = installed("data", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "(embedded sample)\nabsent " in done.stdout


# --- Runs that others have ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "run"),
    [
        (["compare", "--epochs", "1"], "average_pooling-seed0"),
        (["train", "quick", "--data", "sample"], "quick-seed0"),
    ],
)
def test_what_another_process_trains_is_named_and_nothing_is_shown(
    small_sample, tmp_path, capsys, command, run
):
    with locked_elsewhere(tmp_path / run):
        assert main([*command, "--out", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert err == (
        f"error: another process is training {run} in {tmp_path}; give the same command when it "
        "is done, or name another --out\n"
    )
    assert "|" not in out and "test accuracy" not in out and "picture:" not in out
    assert not list(tmp_path.glob("*.png"))


def test_questions_and_finished_studies_lock_and_write_nothing(small_sample, tmp_path, monkeypatch):
    """They may be another user's."""
    recipe = training.Recipe(epochs=1)
    finished = study.Study(tmp_path, "sample", recipe, (0,), {"average_pooling": {}})
    history = study.run(finished, verbose=False)
    (tmp_path / "fully_connected-seed0").mkdir()
    both = study.Study(
        tmp_path, "sample", recipe, (0,), {"average_pooling": {}, "fully_connected": {}}
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(files, "lock", lambda folder: pytest.fail(f"locks {folder}"))
    assert study.run(finished, verbose=False) == history
    assert "interrupted, 0 of 1 epochs" in study.status(both)[1]
    assert [as_recorded for as_recorded, _ in verification.verify(both)] == [True, False]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# --- Where it is started ------------------------------------------------------------------------


def test_nbval_finds_its_patterns_from_any_folder(pytestconfig):
    path = Path(pytestconfig.option.nbval_sanitize_with)
    assert path.is_absolute() and path.is_file()


# --- The fast nets -------------------------------------------------------------------------------


def train_quick(tmp_path, capsys, *arguments):
    status = main(["train", "quick", "--out", str(tmp_path / "out"), *arguments])
    return status, capsys.readouterr()


def test_train_prints_accuracy_seconds_and_parameters(described, tmp_path, capsys):
    status, printed = train_quick(tmp_path, capsys, "--seed", "4")
    folder = tmp_path / "out" / "quick-seed4"
    recorded = results.Run("", 0, folder).record
    both_ways, accuracy, seconds, parameters = printed.out.splitlines()[-4:]
    assert status == 0 and (folder / "weights.npz").exists()
    assert accuracy == f"test accuracy {recorded['summary']['last_accuracy']:.4f}"
    assert both_ways == f"test accuracy {recorded['accuracy_both_ways']:.4f} with mirror images"
    assert seconds == f"{recorded['seconds']:.0f} seconds"
    # 3x3 kernels from 24 to 8, 8, 16, 16 channels, an offset for each, and the classifier
    expected = 9 * (24 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 2 * (8 + 16) + 160
    assert parameters == f"{expected:,} parameters"
    status, again = train_quick(tmp_path, capsys, "--seed", "4")
    assert status == 0 and again.out.splitlines()[-4:] == printed.out.splitlines()[-4:]


def test_a_target_is_a_share(capsys):
    for wrong, said in (("ninety", "invalid share value: 'ninety'"), ("90", "from 0 to 1")):
        with pytest.raises(SystemExit):
            main(["train", "quick", "--target", wrong])
        assert said in capsys.readouterr().err


def test_a_missed_target_is_told(described, tmp_path, capsys):
    for target, status in (("0.0", 0), ("1.0", 1)):  # the second finds it trained
        done, printed = train_quick(tmp_path, capsys, "--target", target)
        assert done == status
        assert ("is below the target, 1.0" in printed.err) == (status == 1)


def test_an_unknown_net_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "tiny"])
    assert "invalid choice: 'tiny'" in capsys.readouterr().err
