"""Whether a study records what it did, goes on where it stopped, and mixes nothing."""

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cifar_keras import data, environment, files, models, results, study, training, verification
from cifar_keras.__main__ import main
from cifar_keras.errors import UserError

ONE_EPOCH = dataclasses.replace(training.REFERENCE, epochs=1)
HEADLESS = {"model": "average_pooling", "classifier": False}
FILES = {"history.csv", "predictions.csv", "run.json", "weights.npz"}


@pytest.fixture
def planned(small_sample, tmp_path):
    """Two variants, one seed, one epoch, weights kept."""
    variants = {"average_pooling": {}, "average_pooling_no_classifier": HEADLESS}
    return study.Study(tmp_path / "study", "sample", ONE_EPOCH, (3,), variants, (3,))


@pytest.fixture
def recorded(planned):
    return planned, study.run(planned, verbose=False)


def folder_of(planned, variant="average_pooling"):
    return planned.folder / f"{variant}-seed3"


def one_of(folder):
    return results.Run("", 0, folder)


def record(folder):
    return one_of(folder).record


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def edit(folder, **changes):
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def forge(folder, **changes):
    """A record that speaks for whatever files lie beside it."""
    edit(folder, sha256=study.file_hashes(one_of(folder)), **changes)


def verdicts(planned):
    return [as_recorded for as_recorded, _ in verification.verify(planned)]


def complaint(planned):
    """The one line of `verify` that complains."""
    [line] = [line for as_recorded, line in verification.verify(planned) if not as_recorded]
    assert "\n" not in line
    return line


# --- What is recorded ---------------------------------------------------------------------------


def test_an_accelerator_is_recorded_by_its_model(monkeypatch):
    class Device:
        def __str__(self):
            return "cuda:0"

    class OfAModel(Device):
        device_kind = "NVIDIA H200"

    for device, recorded in ((OfAModel(), "NVIDIA H200"), (Device(), "cuda:0")):
        monkeypatch.setattr(
            environment.keras.ops, "zeros", lambda n, at=device: SimpleNamespace(device=at)
        )
        assert environment.device() == recorded


def test_every_run_is_recorded_with_all_that_it_depended_on(recorded, small):
    planned, runs = recorded
    assert {variant: list(by_seed) for variant, by_seed in runs.items()} == {
        "average_pooling": [3],
        "average_pooling_no_classifier": [3],
    }
    for variant, arguments in planned.variants.items():
        folder = folder_of(planned, variant)
        assert contents(folder).keys() == FILES
        run = record(folder)
        assert (run["variant"], run["seed"], run["arguments"]) == (variant, 3, arguments)
        assert run["recipe"] == ONE_EPOCH.record()
        assert run["data_sha256"] == [data.array_hash(array) for part in small for array in part]
        assert run["dtype"] == "float32"
        assert run["versions"].keys() >= {"python", "keras", "numpy", keras.backend.backend()}
        assert run["trained_on"] == [
            {
                "first_epoch": 1,
                "last_epoch": 1,
                "backend": keras.backend.backend(),
                "device": environment.device(),
                "threads": environment.threads(),
            }
        ]
        assert run["commit"] and run["seconds"] > 0
        assert run["peak_memory_mb"] is None or run["peak_memory_mb"] > 100
        history = runs[variant][3]
        assert run["summary"] == dataclasses.asdict(results.summarize(history))
        predictions = one_of(folder).predictions
        accuracy = np.mean(predictions == small[1][1].ravel())
        assert accuracy == pytest.approx(history[-1]["test_accuracy"])
    assert record(folder)["trainable_parameters"] == 1_130_272


def test_weights_are_half_as_long_where_that_changes_nothing(recorded, small):
    planned, _ = recorded
    path = folder_of(planned) / "weights.npz"
    with np.load(path) as stored:
        assert {stored[name].dtype for name in stored.files} == {np.dtype("float16")}
    model = study.load_model(planned, "average_pooling", seed=3)
    predictions = model.predict(data.normalize(small[1][0]), verbose=0).argmax(1)
    assert np.mean(predictions == one_of(path.parent).predictions) > 0.95


def test_weights_that_half_precision_would_harm_stay_whole(small):
    """Logits that differ by less than half precision can tell apart."""
    images = data.normalize(small[1][0])
    labels = small[1][1].ravel()
    model = models.build("average_pooling")
    bias = model.get_layer("logits").weights
    bias[0].assign(np.zeros(bias[0].shape))
    bias[1].assign(np.float32([1, 1, 1, 1, 1, 1, 1, 1, 1 + 1e-4, 1]))
    predictions = np.full(len(images), 8)
    assert np.mean(predictions == labels) != np.mean(labels == 0), "the test would see nothing"
    with np.load(io.BytesIO(study._weights(model, images, labels, predictions))) as w:
        assert {w[name].dtype for name in w.files} == {np.dtype("float32")}


def test_seeds_that_keep_no_weights_keep_none(planned):
    frugal = dataclasses.replace(planned, keep_weights=())
    study.run(frugal, verbose=False)
    assert not (folder_of(frugal) / "weights.npz").exists()
    with pytest.raises(UserError, match="there are no weights .*its study kept none"):
        study.load_model(frugal, "average_pooling", seed=3)
    assert verdicts(frugal) == [True, True]


# --- Going on -----------------------------------------------------------------------------------


def test_finished_runs_are_not_trained_again(recorded, monkeypatch):
    planned, runs = recorded
    monkeypatch.setattr(training, "fit", lambda *_: pytest.fail("trained again"))
    assert study.run(planned, verbose=False) == runs


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"recipe": dataclasses.replace(ONE_EPOCH, learning_rate=0.1)}, "recipe"),
        ({"variants": {"average_pooling": {"num_classes": 11}}}, "arguments"),
        ({"data": "full"}, "data"),
    ],
)
def test_a_run_with_other_settings_is_refused(recorded, change, named):
    planned, _ = recorded
    before = contents(folder_of(planned))
    with pytest.raises(UserError, match=f"another {named}; name another folder"):
        study.run(dataclasses.replace(planned, **change), verbose=False)
    assert contents(folder_of(planned)) == before


def test_an_unfinished_run_goes_on(planned, monkeypatch):
    """The run whose end was never recorded resumes from its checkpoint, and only that one."""
    write, second = files.write, folder_of(planned, "average_pooling_no_classifier")

    def killed_at_the_end(path, content):
        if path == second / "run.json":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(files, "write", killed_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        study.run(planned, verbose=False)
    first = contents(folder_of(planned))
    assert (second / "checkpoint.npz").exists()
    assert "finished" in study.status(planned)[0]
    assert "interrupted, 1 of 1 epochs done" in study.status(planned)[1]
    assert "unfinished" in complaint(planned)
    assert list(results.read_runs(planned.folder)) == ["average_pooling"]

    monkeypatch.setattr(files, "write", write)
    assert list(study.run(planned, verbose=False)["average_pooling_no_classifier"]) == [3]
    assert not (second / "checkpoint.npz").exists()
    assert contents(folder_of(planned)) == first


def test_a_diverging_run_is_named_and_harms_no_other(planned, monkeypatch):
    fit = training.fit

    def diverge(model, *arguments):
        if model.output_shape[-1] == 256:
            raise UserError("the loss is no longer a number in epoch 1")
        return fit(model, *arguments)

    monkeypatch.setattr(training, "fit", diverge)
    with pytest.raises(UserError, match="^average_pooling_no_classifier-seed3: the loss is no"):
        study.run(planned, verbose=False)
    assert contents(folder_of(planned)).keys() == FILES


def test_a_full_disk_loses_no_finished_run(planned, monkeypatch):
    write, second = type(planned.folder).write_bytes, "average_pooling_no_classifier-seed3"

    def full(path, content):
        if path.parent.name == second:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(type(planned.folder), "write_bytes", full)
    with pytest.raises(UserError, match="cannot write .*No space left on device.*make room"):
        study.run(planned, verbose=False)
    assert contents(planned.folder / second) == {}
    assert "finished" in study.status(planned)[0]


def test_two_processes_share_a_study(planned, capsys):
    """What another process has claimed is left to it, and is free again once it was killed."""
    folder = folder_of(planned)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import pathlib, time
                from cifar_keras import files
                with files.lock(pathlib.Path({str(folder)!r})) as claimed:
                    print(claimed, flush=True)
                    time.sleep(600)
            """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "True\n"
        runs = study.run(planned)
        assert runs["average_pooling"] == {}
        assert list(runs["average_pooling_no_classifier"]) == [3]
        assert "left to another process, which is training them: average_pooling-seed3" in (
            capsys.readouterr().out
        )
        assert "in training, 0 of 1 epochs done" in study.status(planned)[0]
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert list(study.run(planned, verbose=False)["average_pooling"]) == [3]


def test_a_file_in_the_folders_place_is_an_error(planned):
    planned.folder.parent.mkdir(exist_ok=True)
    planned.folder.write_text("a file stands here")
    with pytest.raises(UserError, match="cannot write .*; make room or name another place"):
        study.run(planned, verbose=False)


# --- Verifying ----------------------------------------------------------------------------------


def test_what_was_recorded_is_verified(recorded):
    planned, _ = recorded
    lines = [line for _, line in verification.verify(planned)]
    assert verdicts(planned) == [True, True]
    assert all(", measured again " in line for line in lines)


def test_runs_that_are_not_there_are_counted(planned):
    assert list(verification.verify(planned)) == [(True, "2 of 2 runs are not recorded yet")]


def rewrite_history(folder, change):
    path = folder / "history.csv"
    path.write_text(change(path.read_text()))


def answer_wrongly(folder):
    path = folder / "predictions.csv"
    path.write_text(re.sub(r"\d+", "10", path.read_text()))


def answer_differently_wrongly(folder):
    """As many right answers as before, and every wrong answer another wrong one."""
    labels = data.load_data("sample")[1][1].ravel()
    old = one_of(folder).predictions
    new = [
        p if p == label else (p + 1 + ((p + 1) % 10 == label)) % 10
        for p, label in zip(old, labels, strict=True)
    ]
    (folder / "predictions.csv").write_bytes(study._predictions_csv(np.array(new)))
    forge(folder)


def sum_up(folder, **changes):
    edit(folder, summary=record(folder)["summary"] | changes)


def cut_the_weights(folder):
    """Bytes missing in the middle: the decompressor's own errors."""
    path = folder / "weights.npz"
    content = path.read_bytes()
    path.write_bytes(content[:5000] + content[5200:])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (answer_wrongly, "does not give the accuracy"),
        (lambda f: rewrite_history(f, lambda text: text + "2,1,0.5,1,0.5,1\n"), "has 2 epochs"),
        (lambda f: rewrite_history(f, lambda text: text.replace("\n1,", "\n2,")), "lacks an epoch"),
        (lambda f: rewrite_history(f, lambda text: text[:-4] + "x\n"), "is damaged"),
        (lambda f: sum_up(f, best_epoch=2), "does not sum up history.csv"),
        (lambda f: sum_up(f, last_accuracy=float("nan")), "run.json is damaged (summary"),
        (lambda f: edit(f, summary={}), "run.json is damaged (summary"),
        (lambda f: edit(f, seconds=1e6), "the seconds of run.json are not those"),
        (lambda f: edit(f, variant="fully_connected"), "with another variant than"),
        (lambda f: edit(f, seed=4), "with another seed than"),
        (lambda f: edit(f, arguments={"classifier": False}), "with another arguments than"),
        (lambda f: edit(f, recipe=ONE_EPOCH.record() | {"batch_size": 65}), "another recipe than"),
        (lambda f: edit(f, data="full"), "with another data than"),
        (lambda f: edit(f, data_sha256=["0"] * 4), "with another data_sha256 than"),
        (lambda f: edit(f, trainable_parameters=7), "trainable parameters"),
        (lambda f: edit(f, dtype="mixed_bfloat16"), "dtype is 'mixed_bfloat16'"),
        (lambda f: edit(f, trained_on=[]), "trained_on does not name"),
        (lambda f: edit(f, trained_on=[None]), "trained_on does not name"),
        (lambda f: edit(f, trained_on="a GPU"), "run.json is damaged (trained_on"),
        (lambda f: edit(f, sha256={}), "history.csv is not the file that run.json speaks for"),
        (lambda f: (f / "run.json").write_text("null"), "run.json is damaged"),
        (lambda f: (f / "run.json").write_text("[" * 100_000), "run.json is damaged"),
        (lambda f: ((f / "run.json").unlink(), (f / "run.json").mkdir()), "run.json is damaged"),
        (lambda f: rewrite_history(f, lambda text: text.replace("test_", "")), "lacks the columns"),
        (lambda f: rewrite_history(f, lambda text: text[:-2] + "nan\n"), "is damaged (seconds"),
        (lambda f: rewrite_history(f, lambda text: text + "1" * 200_000), "is damaged (field"),
        (answer_differently_wrongly, "of the predictions are not those of the weights"),
        (lambda f: edit(f, recipe_sha256="0"), "by another recipe than today's"),
        (lambda f: (f / "run.json").write_text("{"), "run.json is damaged"),
        (lambda f: (f / "predictions.csv").write_text("class\n1\n"), "does not give the accuracy"),
        (lambda f: (f / "predictions.csv").unlink(), "cannot be read"),
        (lambda f: (f / "weights.npz").write_bytes(b"PK"), "weights.npz is not the file"),
        (lambda f: ((f / "weights.npz").write_bytes(b"PK"), forge(f)), "weights.npz is damaged"),
        (lambda f: (cut_the_weights(f), forge(f)), "weights.npz is damaged"),
        (lambda f: (f / "weights.npz").unlink(), "weights.npz is not the file"),
        (lambda f: ((f / "weights.npz").unlink(), forge(f)), "weights.npz is missing"),
    ],
)
def test_damage_is_found_and_named(recorded, damage, named):
    planned, _ = recorded
    damage(folder_of(planned))
    assert named in complaint(planned)


def test_weights_of_another_variant_are_refused(recorded):
    planned, _ = recorded
    other = folder_of(planned, "average_pooling_no_classifier") / "weights.npz"
    (folder_of(planned) / "weights.npz").write_bytes(other.read_bytes())
    forge(folder_of(planned))
    assert "does not fit average_pooling: it holds the weights of another net" in complaint(planned)


def test_weights_of_another_training_are_found_out(recorded, small):
    """Same shapes, other values: only measuring tells."""
    planned, _ = recorded
    path = folder_of(planned) / "weights.npz"
    with np.load(path) as stored:
        weights = {name: stored[name] for name in stored.files}
    rarest = np.bincount(small[1][1].ravel(), minlength=10)
    accuracy = record(path.parent)["summary"]["last_accuracy"]
    wrong = int(np.argmax(np.abs(rarest / rarest.sum() - accuracy)))
    weights["logits/bias"][wrong] = 1000
    np.savez(path, **weights)
    forge(path.parent)
    assert "the weights give" in complaint(planned)


# --- Descriptions and the command line ----------------------------------------------------------


@pytest.mark.parametrize("name", study.names())
def test_described_studies_can_be_built(name):
    described = study.load(name)
    assert described.folder == results.RESULTS / name
    assert set(described.keep_weights) <= set(described.seeds)
    for variant in described.variants:
        model = described.build(variant)
        assert model.name == variant
        assert model.output_shape[-1] == (256 if variant.endswith("no_classifier") else 10)


def test_a_variant_can_change_the_recipe(small_sample, tmp_path):
    longer = {"model": "average_pooling", "recipe": {"epochs": 2, "normalization": "unit"}}
    planned = study.Study(
        tmp_path, "sample", ONE_EPOCH, (3,), {"average_pooling": {}, "longer": longer}, (3,)
    )
    assert [line.split()[0] for line in study.status(planned)] == [
        "average_pooling-seed3",
        "longer-seed3",
    ]
    runs = study.run(planned, verbose=False)
    assert [len(by_seed[3]) for by_seed in runs.values()] == [1, 2]
    run = record(folder_of(planned, "longer"))
    assert run["recipe"] == dataclasses.replace(ONE_EPOCH, epochs=2, normalization="unit").record()
    assert run["arguments"] == longer
    assert all(verdicts(planned))
    assert len(study.run(planned, verbose=False)["longer"][3]) == 2  # and is known again


def test_the_full_study_is_the_reference_project_s():
    assert study.load("full").recipe == training.REFERENCE
    assert study.load("full").data == "full"


def test_an_unknown_or_damaged_study_is_one_line(tmp_path, monkeypatch, capsys):
    assert main(["study", "status", "fulll"]) == 2
    assert capsys.readouterr().err == (
        "error: there is no study 'fulll'; choose one of: compact, compact_sgd, full, ladder, "
        "ladder_full, quick, seeds, strong, strong_muon\n"
    )
    monkeypatch.setattr(study, "STUDIES", tmp_path)
    (tmp_path / "mine.toml").write_text("data = 'sample'\n")
    with pytest.raises(UserError, match="mine.toml does not describe a study"):
        study.load("mine")
    text = "data = 'sample'\nseeds = [0]\nkeep_weights = []\n[recipe]\n[variants]\n"
    (tmp_path / "mine.toml").write_text(text + "fully_connected = { recipe = { epoch = 2 } }\n")
    with pytest.raises(UserError, match="mine.toml does not describe a study .*epoch"):
        study.load("mine")


def test_the_command_line_runs_tells_and_verifies(planned, monkeypatch, capsys):
    monkeypatch.setattr(study, "load", lambda name: planned)
    monkeypatch.setattr(study, "names", lambda: ["mine"])
    assert main(["study", "run", "mine"]) == 0
    printed = capsys.readouterr().out
    assert "run 1 of 2: average_pooling-seed3\n" in printed
    assert "run 2 of 2: average_pooling_no_classifier-seed3 (the study has " in printed
    assert main(["study", "status", "mine"]) == 0
    assert capsys.readouterr().out.count("finished, last test accuracy") == 2
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.endswith("2 runs are as recorded, 0 problems\n")
    edit(folder_of(planned), summary={})
    assert main(["study", "verify", "mine"]) == 1
    assert capsys.readouterr().out.endswith("1 runs are as recorded, 1 problems\n")
    assert main(["study", "status", "mine"]) == 0
    damaged, whole = capsys.readouterr().out.splitlines()
    assert "run.json is damaged" in damaged and "finished" in whole


def test_verifying_nothing_is_no_success(planned, monkeypatch, capsys):
    monkeypatch.setattr(study, "load", lambda name: planned)
    for names in ([], ["mine"]):
        monkeypatch.setattr(study, "names", lambda names=names: names)
        assert main(["verify"]) == 1
        assert "nothing was checked" in capsys.readouterr().err


def test_a_folder_that_the_study_does_not_plan_is_named(recorded):
    planned, _ = recorded
    folder_of(planned).rename(planned.folder / "average_pooling-seed7")
    assert "average_pooling-seed7" in complaint(planned)
    assert "the study plans no such run" in complaint(planned)
