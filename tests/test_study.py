"""Whether a study records what it did, goes on where it stopped, and mixes nothing."""

import dataclasses
import json

import pytest

from cifar_keras import data, files, results, study, training
from cifar_keras.errors import UserError

ONE_EPOCH = dataclasses.replace(training.REFERENCE, epochs=1)


@pytest.fixture
def recorded(small_sample, tmp_path):
    runs = study.run(tmp_path, "sample", ONE_EPOCH, seeds=(3,), verbose=False)
    return tmp_path, runs


def test_every_run_is_recorded_with_all_that_it_depended_on(recorded, small):
    folder, runs = recorded
    assert {variant: list(by_seed) for variant, by_seed in runs.items()} == {
        variant: [3] for variant in results.VARIANTS
    }
    for variant in results.VARIANTS:
        run_folder = folder / f"{variant}-seed3"
        assert {path.name for path in run_folder.iterdir()} == {"history.csv", "run.json"}
        run = json.loads((run_folder / "run.json").read_text())
        assert (run["variant"], run["seed"]) == (variant, 3)
        assert run["recipe"] == dataclasses.asdict(ONE_EPOCH)
        assert run["data_sha256"] == [data.array_hash(array) for part in small for array in part]
        assert run["dtype"] == "float32"
        assert run["versions"].keys() >= {"python", "keras", "numpy", run["backend"]}
        assert run["cpu"] and run["commit"] and run["seconds"] > 0


def test_finished_runs_are_not_trained_again(recorded, monkeypatch):
    folder, runs = recorded
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained again"))
    assert study.run(folder, "sample", ONE_EPOCH, seeds=(3,), verbose=False) == runs


def test_a_run_with_other_settings_is_refused(recorded):
    folder, runs = recorded
    other = dataclasses.replace(ONE_EPOCH, learning_rate=0.1)
    with pytest.raises(UserError, match="another recipe; name another folder"):
        study.run(folder, "sample", other, seeds=(3,), verbose=False)
    assert results.read_runs(folder) == runs


def test_an_unfinished_run_goes_on(small_sample, tmp_path, monkeypatch):
    """The run whose end was never recorded resumes from its checkpoint, and only that one."""
    write = files.write

    def killed_at_the_end(path, content):
        if path == tmp_path / "average_pooling-seed0" / "run.json":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(files, "write", killed_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        study.run(tmp_path, "sample", ONE_EPOCH, verbose=False)
    assert (tmp_path / "fully_connected-seed0" / "run.json").exists()
    checkpoint = tmp_path / "average_pooling-seed0" / "checkpoint.npz"
    assert checkpoint.exists()

    monkeypatch.setattr(files, "write", write)
    runs = study.run(tmp_path, "sample", ONE_EPOCH, verbose=False)
    assert list(runs) == list(results.VARIANTS)
    assert not checkpoint.exists()
