"""Whether the benchmark's chart shows what was measured."""

import json
from pathlib import Path

import epoch_time
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


def test_the_contestants_are_the_course_s():
    assert OURS in epoch_time.CONTESTANTS
    for library, backend, *switches in epoch_time.CONTESTANTS.values():
        assert (library, backend) in [("torch", None)] + [
            ("keras", name) for name in ("tensorflow", "torch", "jax")
        ]
        assert all(type(switch) is bool for switch in switches)


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


def test_the_recorded_trainings_follow_from_their_seconds():
    result = json.loads(time_to_accuracy.RECORD.read_text(encoding="utf-8"))
    contestants = result["contestants"]
    assert list(contestants) == list(time_to_accuracy.CONTESTANTS)
    assert result["target"] == time_to_accuracy.target()
    baseline = contestants[time_to_accuracy.BASELINE]
    before = [accuracy for _, accuracy in baseline["epochs"][:-1]]
    assert baseline["test_accuracy"] >= result["target"] > max(before)
    for name, each in contestants.items():
        assert [each["seconds"], each["test_accuracy"]] == each["epochs"][-1]
        assert abs(baseline["seconds"] / each["seconds"] - each["speed_up"]) < 0.006
        parameters, operations = time_to_accuracy.size(name, len(each["epochs"]))
        assert (each["trainable_parameters"], each["training_flops"]) == (parameters, operations)
