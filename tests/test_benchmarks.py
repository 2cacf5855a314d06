"""Whether the benchmarks' charts show what was measured, and whether the records agree."""

import functools
import json
import statistics
from pathlib import Path

import epoch_time
import keras
import pytest
import time_to_accuracy

from cifar_keras import measure, models, study

RECORDS = sorted(Path(epoch_time.__file__).parent.glob("*.json"))
OURS = "this course (Keras on TensorFlow)"


def test_the_chart_has_a_bar_for_each_and_says_our_ratio():
    result = {
        "processor": "a processor",
        "contestants": {
            epoch_time.BASELINE: {"seconds": [2, 2, 3], "ratio": 1.0, "peak_memory_mb": 900},
            OURS: {"seconds": [1, 1, 4], "ratio": 0.5, "peak_memory_mb": 1100},
        },
    }
    figure = epoch_time.chart(result)
    [axis] = figure.axes
    assert [t.get_text() for t in axis.get_yticklabels()] == [epoch_time.BASELINE, OURS]
    assert [bar.get_width() for bar in axis.patches] == [1.0, 0.5]
    spans = [list(line.get_xdata()) for line in axis.get_lines()[:2]]
    assert spans == [[1, 1.5], [0.5, 2]], "fastest and slowest epoch over the baseline's median"
    assert "takes 0.50 times as long" in figure.get_suptitle()
    assert axis.get_title().startswith("a processor;")
    assert "plain PyTorch" in axis.get_xlabel()


def test_the_chart_of_strong_compares_in_bfloat16():
    seconds = dict(zip(epoch_time.STRONG, (8, 6, 4, 2), strict=True))
    contestants = {
        name: {"seconds": [taken] * 3, "ratio": taken / 8, "peak_memory_mb": 900}
        for name, taken in seconds.items()
    }
    figure = epoch_time.chart({"processor": "a processor", "contestants": contestants})
    assert "In bfloat16" in figure.get_suptitle()
    assert "strong takes 0.50 times as long" in figure.get_suptitle()
    del contestants["PyTorch, bfloat16"], contestants["this course, bfloat16"]
    figure = epoch_time.chart({"processor": "a processor", "contestants": contestants})
    assert "takes 0.75 times as long" in figure.get_suptitle()


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_charts_can_be_read(path, check_legible):
    chart = epoch_time.chart if path.stem.startswith("epoch_time") else time_to_accuracy.chart
    figure = chart(json.loads(path.read_text(encoding="utf-8")))
    assert len(figure.get_label()) > 60
    check_legible(figure)


def made_up(accuracies):
    """A result with whole numbers; the baseline takes 2,000 s, the others 50, 500 and 1,000 s."""
    entries = {}
    for name, accuracy, seconds, parameters in zip(
        time_to_accuracy.CONTESTANTS,
        accuracies,
        (2000, 50, 500, 1000),
        (1_200_000, 300_000, 150_000, 2_100_000),
        strict=True,
    ):
        before = [[seconds / 2, 0.6]] if name == time_to_accuracy.BASELINE else []
        entries[name] = {
            "epochs": [*before, [seconds, accuracy]],
            "seconds": seconds,
            "test_accuracy": accuracy,
            "trainable_parameters": parameters,
            "training_flops": seconds * 10**12,
        }
    entries = time_to_accuracy.with_speed_ups(entries)
    return {"processor": "a processor", "target": 0.823, "contestants": entries}


def test_the_chart_of_whole_trainings_names_every_net_and_says_the_ratios():
    figure = time_to_accuracy.chart(made_up([0.824, 0.854, 0.902, 0.94]))
    assert figure.get_suptitle() == (
        "Quick passes the reference's 82.3% 40 times as fast; compact 90.2% in 25% of its time; "
        "strong 94.0% in 50% of its time"
    )
    lasts = (
        ("33 min", "50 s", "8 min", "17 min"),
        ("2 PFLOP", "0.05 PFLOP", "0.5 PFLOP", "1 PFLOP"),
    )
    for axis, unit, last in zip(figure.axes, (1, 10**12), lasts, strict=True):
        baseline, quick, compact, strong = last
        assert [text.get_text().strip() for text in axis.texts] == [
            "82.3%",
            f"PyTorch, the reference recipe, 82.4%\n1,200,000 parameters, {baseline}",
            f"quick, 85.4%\n300,000 parameters, {quick}",
            f"compact, 90.2%\n150,000 parameters, {compact}",
            f"strong, 94.0%\n2,100,000 parameters, {strong}",
        ]
        dots = [dot.get_offsets()[0].tolist() for dot in axis.collections]
        assert dots[:2] == [[2000 * unit, 0.824], [50 * unit, 0.854]]
        areas = [dot.get_sizes()[0] for dot in axis.collections]
        assert areas[0] == 4 * areas[1] == 8 * areas[2]
        curve = axis.get_lines()[1]
        assert curve.get_xydata().tolist() == [[1000 * unit, 0.6], [2000 * unit, 0.824]]
    assert figure.axes[0].get_title(loc="left") == "a processor"


def test_the_finding_leaves_out_nets_below_the_target():
    finding = time_to_accuracy.finding(made_up([0.824, 0.8, 0.902, 0.81]))
    assert finding == "Compact passes the reference's 82.3% 4 times as fast"
    none = time_to_accuracy.finding(made_up([0.824, 0.8, 0.8, 0.8]))
    assert none == "None of the course's nets reaches the reference's 82.3%"


def test_the_target_is_the_reference_s_last_accuracy():
    assert time_to_accuracy.target() == 0.8233


def test_operations_are_six_times_the_multiply_adds_of_all_images():
    quick = study.load("quick")
    nets = {
        time_to_accuracy.BASELINE: (models.build("average_pooling_dropout"), 45),
        "quick": (quick.build("quick"), quick.recipe.epochs),
    }
    for name, (model, epochs) in nets.items():
        parameters, operations = time_to_accuracy.size(name, 45)
        adds = sum(adds for _, adds in measure.costs(model).values())
        assert operations == 6 * adds * 50_000 * epochs
        assert parameters == sum(weight.numpy().size for weight in model.trainable_weights)


# --- The recorded values against each other -----------------------------------------------------


def load(name):
    """A committed result."""
    path = Path(epoch_time.__file__).with_name(f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def check_epochs(result, net, bfloat16):
    contestants = result["contestants"]
    planned = epoch_time.NETS[net]
    assert list(contestants) == [
        n for n, (_, _, mixed, _) in planned.items() if bfloat16 or not mixed
    ]
    unit = statistics.median(contestants[epoch_time.BASELINE]["seconds"])
    for each in contestants.values():
        assert len(each["seconds"]) == epoch_time.ROUNDS and min(each["seconds"]) > 0
        assert each["ratio"] == round(statistics.median(each["seconds"]) / unit, 3)
        assert 100 < each["peak_memory_mb"] < 10_000


size = functools.cache(time_to_accuracy.size)
load_study = functools.cache(study.load)


def check_trainings(result):
    contestants = result["contestants"]
    assert list(contestants) == list(time_to_accuracy.CONTESTANTS)
    assert result["target"] == time_to_accuracy.target()
    baseline = contestants[time_to_accuracy.BASELINE]
    before = [accuracy for _, accuracy in baseline["epochs"][:-1]]
    assert baseline["test_accuracy"] >= result["target"] > max(before)
    for name, each in contestants.items():
        seconds = [taken for taken, _ in each["epochs"]]
        assert seconds == sorted(seconds)
        assert [each["seconds"], each["test_accuracy"]] == each["epochs"][-1]
        assert each["speed_up"] == round(baseline["seconds"] / each["seconds"], 2)
        parameters, operations = size(name, len(each["epochs"]))
        assert (each["trainable_parameters"], each["training_flops"]) == (parameters, operations)
        if name != time_to_accuracy.BASELINE:
            records = [run.record for run in load_study(name).runs() if run.finished]
            accuracies = [round(record["summary"]["last_accuracy"], 4) for record in records]
            assert min(accuracies) <= each["test_accuracy"] <= max(accuracies)
            assert {each["dtype"]} == {record["dtype"] for record in records}


def check_all(records):
    """Checks the committed results, a dict by the names of their files."""
    check_epochs(records["epoch_time"], "reference", bfloat16=False)
    check_epochs(records["epoch_time_bfloat16"], "reference", bfloat16=True)
    check_epochs(records["epoch_time_strong"], "strong", bfloat16=True)
    check_trainings(records["time_to_accuracy"])
    other, *same = [records[path.stem]["processor"] for path in RECORDS]
    assert len(set(same)) == 1 and other not in same


def test_what_is_recorded_agrees_with_itself_and_with_the_studies():
    check_all({path.stem: load(path.stem) for path in RECORDS})


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("epoch_time", (OURS, "ratio"), 0.737),
        ("epoch_time", (OURS, "seconds", 0), 11.6),
        ("epoch_time", (epoch_time.BASELINE, "seconds", 0), 16.3),
        ("epoch_time_bfloat16", ("this course, bfloat16", "ratio"), 0.39),
        ("epoch_time_strong", (OURS, "peak_memory_mb"), 1.388),
        ("time_to_accuracy", ("quick", "seconds"), 42.0),
        ("time_to_accuracy", ("quick", "epochs", 0, 0), 42.0),
        ("time_to_accuracy", ("compact", "speed_up"), 17.22),
        ("time_to_accuracy", ("strong", "trainable_parameters"), 1_971_329),
        ("time_to_accuracy", ("strong", "training_flops"), 957467433600001),
        ("time_to_accuracy", ("strong", "dtype"), "float32"),
        ("time_to_accuracy", (time_to_accuracy.BASELINE, "test_accuracy"), 0.8242),
        ("time_to_accuracy", (time_to_accuracy.BASELINE, "epochs", 7, 1), 0.83),
        ("time_to_accuracy", (time_to_accuracy.BASELINE, "epochs", 7, 0), 1.0),
    ],
)
def test_a_changed_value_is_noticed(name, keys, value):
    records = {path.stem: load(path.stem) for path in RECORDS}
    place = records[name]["contestants"]
    for key in keys[:-1]:
        place = place[key]
    assert place[keys[-1]] != value
    place[keys[-1]] = value
    with pytest.raises(AssertionError):
        check_all(records)


@pytest.mark.parametrize("accuracy", [0.94, 0.937])
def test_an_accuracy_that_no_recorded_seed_has_is_noticed(accuracy):
    result = load("time_to_accuracy")
    strong = result["contestants"]["strong"]
    strong["test_accuracy"] = strong["epochs"][-1][1] = accuracy
    with pytest.raises(AssertionError):
        check_trainings(result)


def test_another_processor_or_target_is_noticed():
    for name, key, value in (
        ("epoch_time_strong", "processor", "another"),
        ("time_to_accuracy", "target", 0.82),
    ):
        records = {path.stem: load(path.stem) for path in RECORDS}
        records[name][key] = value
        with pytest.raises(AssertionError):
            check_all(records)


# --- The contestants ----------------------------------------------------------------------------


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data is TensorFlow's")
def test_tensorflow_as_it_comes_has_its_autotuner_again(monkeypatch):
    import tensorflow

    datasets = tensorflow.data.Dataset
    changed = datasets.__iter__
    monkeypatch.setattr(datasets, "__iter__", changed)  # and back, after the test
    epoch_time.leave_out_settings()
    assert datasets.__iter__ is changed.__wrapped__ and not hasattr(
        datasets.__iter__, "__wrapped__"
    )
