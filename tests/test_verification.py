"""Whether what is recorded is checked, and whether damage is found and named."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
from small_study import ONE_EPOCH, edit, folder_of, forge, record, run_in

from cifar_keras import data, files, study, verification
from cifar_keras.__main__ import main


def verdicts(planned):
    return [as_recorded for as_recorded, _ in verification.verify(planned)]


def complaint(planned):
    """The one line of `verify` that complains."""
    [line] = [line for as_recorded, line in verification.verify(planned) if not as_recorded]
    assert "\n" not in line
    return line


def test_what_was_recorded_is_verified(recorded):
    planned, _ = recorded
    lines = [line for _, line in verification.verify(planned)]
    assert verdicts(planned) == [True, True]
    assert all(", weights " in line for line in lines)


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
    old = run_in(folder).predictions
    new = [
        p if p == label else (p + 1 + ((p + 1) % 10 == label)) % 10
        for p, label in zip(old, labels, strict=True)
    ]
    (folder / "predictions.csv").write_bytes(study._predictions_csv(np.array(new)))
    forge(folder)


def sum_up(folder, **changes):
    edit(folder, summary=record(folder)["summary"] | changes)


def two_columns(folder):
    path = folder / "predictions.csv"
    path.write_text(re.sub(r"(?m)^(\d+)$", r"\1 \1", path.read_text()))


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
        (lambda f: edit(f, trained_on=[{"first_epoch": 1}]), "trained_on does not name"),
        (lambda f: edit(f, trained_on="a GPU"), "run.json is damaged (trained_on"),
        (lambda f: edit(f, sha256={}), "history.csv is not the file that run.json speaks for"),
        (lambda f: (f / "run.json").write_text("null"), "run.json is damaged"),
        (lambda f: (f / "run.json").write_text("[" * 100_000), "run.json is damaged"),
        (lambda f: ((f / "run.json").unlink(), (f / "run.json").mkdir()), "run.json is damaged"),
        (lambda f: rewrite_history(f, lambda text: text.replace("test_", "")), "lacks the column"),
        (
            lambda f: rewrite_history(f, lambda text: text.replace("seconds", "s")),
            "lacks the column",
        ),
        (lambda f: rewrite_history(f, lambda text: text.replace("\n1,", "\n1,-")), "cannot be"),
        (
            lambda f: ((f / "weights.npz").unlink(), (f / "weights.npz").mkdir()),
            "cannot be checked",
        ),
        (lambda f: two_columns(f), "holds more than one class an image"),
        (lambda f: edit(f, seconds=float("nan")), "run.json is damaged (seconds is nan)"),
        (lambda f: edit(f, accuracy_both_ways="high"), "is damaged (accuracy_both_ways is 'high')"),
        (lambda f: edit(f, seed=True), "run.json is damaged (seed is True)"),
        (
            lambda f: rewrite_history(f, lambda text: re.sub(r",[^,]*\n$", ",nan\n", text)),
            "is damaged (seconds",
        ),
        (lambda f: rewrite_history(f, lambda text: text + "1" * 200_000), "is damaged (field"),
        (answer_differently_wrongly, "predictions are not those of the weights"),
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
    shutil.rmtree(folder_of(planned, "average_pooling_no_classifier"))
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


def test_verifying_nothing_is_no_success(planned, monkeypatch, capsys):
    monkeypatch.setattr(study, "load", lambda name: planned)
    for names in ([], ["mine"]):
        monkeypatch.setattr(files, "studies", lambda names=names: names)
        assert main(["verify"]) == 1
        assert "nothing was checked" in capsys.readouterr().err


def test_a_folder_that_the_study_does_not_plan_is_named(recorded):
    planned, _ = recorded
    folder_of(planned).rename(planned.folder / "average_pooling-seed7")
    assert "average_pooling-seed7" in complaint(planned)
    assert "the study plans no such run" in complaint(planned)


@pytest.mark.parametrize("name", ["average_pooling-seed3 copy", "average_pooling-seed03"])
def test_a_folder_that_is_no_run_s_is_named(recorded, name):
    planned, _ = recorded
    shutil.copytree(folder_of(planned), planned.folder / name)
    assert f"{name} " in complaint(planned) and "is no folder of a run" in complaint(planned)


LACKING = {"full": 18}  # runs that wait for idle hours


@pytest.mark.parametrize("name", files.studies())
def test_shipped_records_are_what_their_files_say(name):
    """The part of `verify` that needs no images; it reads every file of every run."""
    described = study.load(name)
    assert set(described.keep_weights) <= set(described.seeds)
    told = list(verification.verify(described, measure=False))
    assert [line for as_recorded, line in told if not as_recorded] == []
    verified = sum(" verified, " in line for _, line in told)
    assert verified == len(described.runs()) - LACKING.get(name, 0)


def test_verify_measures_mirrored_images_again(described, small_sample, tmp_path):
    whole = {"data": "sample", "mixed_precision": False}  # 60 images are too few for bfloat16
    kept = dataclasses.replace(described, keep_weights=(0,), **whole)
    study.run(kept, verbose=False)
    assert [as_recorded for as_recorded, _ in verification.verify(kept)] == [True]
    edit(tmp_path / "quick-seed0", accuracy_both_ways=0.99)
    [(as_recorded, line)] = verification.verify(kept)
    assert not as_recorded and "mirror" in line
