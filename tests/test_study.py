"""Whether a study records what it did, goes on where it stopped, and mixes nothing."""

import dataclasses
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from small_study import (
    FILES,
    ONE_EPOCH,
    contents,
    edit,
    folder_of,
    locked_elsewhere,
    record,
    run_in,
)

from cifar_keras import (
    data,
    environment,
    files,
    histories,
    results,
    study,
    training,
    verification,
)
from cifar_keras.__main__ import main
from cifar_keras.errors import UserError

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
                "dtype": "float32",
            }
        ]
        assert run["commit"] and run["seconds"] > 0
        assert run["peak_memory_mb"] is None or run["peak_memory_mb"] > 100
        history = runs[variant][3]
        assert run["summary"] == dataclasses.asdict(results.summarize(history))
        predictions = run_in(folder).predictions
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
    assert np.mean(predictions == run_in(path.parent).predictions) > 0.95


def test_seeds_that_keep_no_weights_keep_none(planned):
    one = {"average_pooling": planned.variants["average_pooling"]}
    frugal = dataclasses.replace(planned, keep_weights=(), variants=one)
    study.run(frugal, verbose=False)
    assert not (folder_of(frugal) / "weights.npz").exists()
    with pytest.raises(UserError, match="there are no weights .*its study kept none"):
        study.load_model(frugal, "average_pooling", seed=3)
    assert all(as_recorded for as_recorded, _ in verification.verify(frugal))


def test_without_fast_bfloat16_it_says_so_and_trains_in_float32(described, monkeypatch, capsys):
    monkeypatch.setattr(environment, "fastest_dtype", lambda: "float32")
    study.run(described)
    said = capsys.readouterr().out
    assert "bfloat16 is not faster on this processor: training in float32\n" in said
    assert record(described.folder / "quick-seed0")["dtype"] == "float32"


def test_with_bfloat16_layers_compute_in_it_and_logits_stay_whole(described, monkeypatch):
    monkeypatch.setattr(environment, "fastest_dtype", lambda: "mixed_bfloat16")
    built = []
    fit = training.fit
    monkeypatch.setattr(training, "fit", lambda model, *a: (built.append(model), fit(model, *a))[1])
    study.run(described, verbose=False)
    assert built[0].get_layer("convolution_1").compute_dtype == "bfloat16"
    assert built[0].get_layer("logits").compute_dtype == "float32"
    assert record(described.folder / "quick-seed0")["dtype"] == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"


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
    with locked_elsewhere(folder_of(planned)):
        runs = study.run(planned)
        assert runs["average_pooling"] == {}
        assert list(runs["average_pooling_no_classifier"]) == [3]
        assert "left to another process, which is training them: average_pooling-seed3" in (
            capsys.readouterr().out
        )
        assert "in training, 0 of 1 epochs done" in study.status(planned)[0]
    assert list(study.run(planned, verbose=False)["average_pooling"]) == [3]


def test_a_run_that_ends_while_it_is_looked_at_is_not_called_interrupted(recorded, monkeypatch):
    planned, _ = recorded
    before = study.status(planned)
    finished = folder_of(planned) / "run.json"
    hidden = finished.rename(finished.with_name("later"))
    monkeypatch.setattr(files, "locked", lambda folder: bool(hidden.rename(finished)) and False)
    assert study.status(planned) == before


def test_a_run_that_meets_the_test_images_once_is_unfinished_before_not_damaged(planned):
    recipe = dataclasses.replace(ONE_EPOCH, epochs=2, test_once=True)
    planned = dataclasses.replace(planned, recipe=recipe)
    unseen = dict.fromkeys(("test_loss", "test_accuracy"), "nan")
    row = dict.fromkeys(histories.COLUMNS, 0.5) | unseen
    folder = folder_of(planned)
    folder.mkdir(parents=True)
    lines = ("epoch," + ",".join(row), "1," + ",".join(map(str, row.values())))
    (folder / "history.csv").write_text("\n".join([*lines, ""]))
    assert study.status(planned)[0].endswith("interrupted, 1 of 2 epochs done")


def test_a_repository_around_the_checkout_is_not_its_commit(monkeypatch, tmp_path):
    if not (files.CHECKOUT / ".git").exists():
        pytest.skip("this is no clone, but an unpacked archive")
    assert re.fullmatch(r"[0-9a-f]{40}\+?", study._commit())
    monkeypatch.setattr(files, "CHECKOUT", tmp_path)
    assert study._commit() is None


def test_one_run_of_a_study_is_a_study(planned):
    one = planned.only("average_pooling_no_classifier-seed3")
    assert one.runs() == planned.runs()[1:]
    assert one.build("average_pooling_no_classifier").output_shape == (None, 256)
    with pytest.raises(UserError, match="no run 'average_pooling-seed4' is planned"):
        planned.only("average_pooling-seed4")


# --- Descriptions and the command line ----------------------------------------------------------


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
    assert all(as_recorded for as_recorded, _ in verification.verify(planned))
    assert len(study.run(planned, verbose=False)["longer"][3]) == 2  # and is known again


def test_the_full_study_is_the_reference_project_s():
    assert study.load("full").recipe == training.REFERENCE
    assert study.load("full").data == "full"


def test_the_command_line_runs_tells_and_verifies(planned, monkeypatch, capsys):
    monkeypatch.setattr(study, "load", lambda name: planned)
    monkeypatch.setattr(files, "study_file", lambda name: name)
    monkeypatch.setattr(files, "studies", lambda: ["mine"])
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


# --- Wrong files ---------------------------------------------------------------------------------

GOOD = """
data = "sample"
seeds = [0, 4294967295]
keep_weights = [0]
mixed_precision = false

[recipe]
epochs = 2

[variants]
fully_connected = {}
other = { model = "average_pooling", classifier = false, recipe = { mirror = true } }
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes `studies/NAME.toml`."""
    monkeypatch.setattr(files, "STUDIES", tmp_path)

    def write(text, name="mine"):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")

    return write


def test_what_has_a_default_may_be_left_out(write):
    write('data = "sample"\n')
    least = study.load("mine")
    assert least == study.Study(least.folder, "sample")
    write(GOOD)
    assert study.load("mine").seeds == (0, 2**32 - 1)
    assert study.load("mine").recipe_of("other").mirror


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        # the study's own values
        ('data = "sample"', "", "data is missing; give one of sample, sample-held-out, full"),
        ('"sample"', '"all"', "data is 'all'; give one of"),
        ('"sample"', "3", "data is 3; give one of"),
        ("[0, 4294967295]", "[0, 4294967296]", "give different whole numbers from 0 to 2**32 - 1"),
        ("[0, 4294967295]", "[]", "seeds is (); give at least one"),
        ("[0, 4294967295]", "[-1]", "seeds is (-1,); give"),
        ("[0, 4294967295]", "[1, 1]", "seeds is (1, 1); give"),
        ("[0, 4294967295]", "[true]", "seeds is (True,); give"),
        ("[0, 4294967295]", '"0"', "seeds is '0'; give"),
        ("[0, 4294967295]", "0", "seeds is 0; give"),
        ("classifier = false", "num_classes = 9", "other has 9 logits, fewer than classes"),
        ("keep_weights = [0]", "keep_weights = [0.5]", "keep_weights is (0.5,); give"),
        ("= false\n\n", '= "no"\n\n', "mixed_precision is 'no'; give true or false"),
        ("mixed_precision", "mixed", "there is no 'mixed' in a study"),
        ("data =", "folder = 'x'\ndata =", "there is no 'folder' in a study"),
        # recipes
        ("epochs = 2", "epoch = 2", "there is no 'epoch' in a recipe; choose from: epochs, "),
        ("epochs = 2", "epochs = 0", "epochs is 0; give a whole number from 1"),
        ("epochs = 2", "epochs = 2.5", "epochs is 2.5; give a whole number from 1"),
        ("epochs = 2", 'epochs = "2"', "epochs is '2'; give a whole number from 1"),
        ("epochs = 2", "epochs = true", "epochs is True; give a whole number from 1"),
        ("epochs = 2", "batch_size = -64", "batch_size is -64; give a whole number from 1"),
        ("epochs = 2", "learning_rate = -0.1", "learning_rate is -0.1; give a number from 0"),
        ("epochs = 2", "learning_rate = nan", "learning_rate is nan; give a number from 0"),
        ("epochs = 2", "weight_decay = inf", "weight_decay is inf; give a number from 0"),
        ("epochs = 2", "label_smoothing = 2", "label_smoothing is 2; give a share from 0"),
        ("epochs = 2", "momentum = 1", "momentum is 1; give a share from 0"),
        ("epochs = 2", "warmup = 1.0", "warmup is 1.0; give a share from 0"),
        ("epochs = 2", 'mirror = "no"', "mirror is 'no'; give true or false"),
        ("epochs = 2", "test_once = 1", "test_once is 1; give true or false"),
        ("epochs = 2", "translation = 32", "translation is 32; give a whole number of pixels"),
        ("epochs = 2", 'initialization = "he"', "initialization is 'he'; give one of pytorch"),
        ("epochs = 2", "initialization = []", "initialization is []; give one of pytorch"),
        ("epochs = 2", 'normalization = "z"', "normalization is 'z'; give one of symmetric"),
        ("epochs = 2", "kernel_rate = 0.1", "kernel_rate needs SGD"),
        ("[recipe]\nepochs = 2", "recipe = 3", "recipe is 3; give a table"),
        # variants
        ("fully_connected = {}", "fully = {}", "there is no model 'fully'; choose one of"),
        ("fully_connected = {}", "fully_connected = 1", "give a table for each"),
        ("fully_connected = {}", '"../x" = {}', "name is '../x'; give lower-case letters"),
        ("fully_connected = {}", "'' = {}", "name is ''; give lower-case letters"),
        ("classifier = false", "clasifier = false", "no argument 'clasifier'; choose from"),
        ("classifier = false", 'classifier = "no"', "classifier is 'no': give True or False"),
        ("classifier = false", 'num_classes = "10"', "num_classes is '10': give a whole number"),
        ("classifier = false", "input_shape = 32", "input_shape is 32: give (height, width"),
        ('model = "average_pooling"', "model = 3", "there is no model 3"),
        ('model = "average_pooling"', "model = []", "there is no model []"),
        ("classifier = false", 'name = "x"', "no argument 'name'; choose from"),
        ("epochs = 2", "momentum = 0.9\nkernel_rate = 0.1\nlearning_rate = 0", "which is 0"),
        (
            "other = {",
            "w = { model = 'whitened', widths = [9999] }\nother = {",
            "from 1 to 4096",
        ),
        ("other = {", "w = { model = 'whitened', depths = [99, 1, 1] }\nother = {", "1 to 64"),
        ("seeds = [0", "x = " + "[" * 5000 + "]" * 5000 + "\nseeds = [0", "not describe a study"),
        ("classifier = false", 'initialization = "keras"', "initialization belongs to the recipe"),
        ("mirror = true", "mirror = 1", "variant other: mirror is 1; give true or false"),
        ("{ mirror = true }", "7", "variant other: recipe is 7; give a table"),
        # the file
        ("data =", "data", "mine.toml does not describe a study"),
        ("data =", "base = 'nobody'\ndata =", "base is 'nobody'; give one of"),
        ("data =", "base = 'mine'\ndata =", "base is 'mine'; give one of"),
        ("data =", "base = 1\ndata =", "base is 1; give one of"),
    ],
)
def test_a_wrong_file_is_one_line(write, old, new, named):
    assert old in GOOD
    write(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        study.load("mine")
    assert named in str(caught.value)
    assert "mine.toml does not describe a study" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_base_of_a_base_is_refused(write):
    write(GOOD, "under")
    write('base = "under"\n', "between")
    write('base = "between"\n')
    with pytest.raises(UserError, match="base is 'between'; give a study that has no base itself"):
        study.load("mine")


def test_a_study_takes_from_its_base_what_it_does_not_say(write):
    write(GOOD, "under")
    write('base = "under"\nseeds = [5]\n[recipe]\nbatch_size = 8\n[variants.average_pooling]\n')
    both, under = study.load("mine"), study.load("under")
    assert both.seeds == (5,) and both.folder.name == "mine"
    assert both.recipe.epochs == 2 and both.recipe.batch_size == 8
    assert both.variants == under.variants | {"average_pooling": {}}
    assert under.recipe.batch_size == 64
