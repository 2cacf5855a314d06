"""Whether the benchmark's chart shows what was measured."""

import json
import statistics
from pathlib import Path

import epoch_time

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


def test_the_contestants_are_the_course_s():
    assert OURS in epoch_time.CONTESTANTS
    for library, backend, *switches in epoch_time.CONTESTANTS.values():
        assert (library, backend) in [("torch", None)] + [
            ("keras", name) for name in ("tensorflow", "torch", "jax")
        ]
        assert all(type(switch) is bool for switch in switches)


def recorded(name):
    """The ratios of a committed result, after a look whether they follow from its seconds."""
    path = Path(epoch_time.__file__).with_name(f"{name}.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    ratios = {name: each["ratio"] for name, each in result["contestants"].items()}
    unit = statistics.median(result["contestants"][epoch_time.BASELINE]["seconds"])
    for name, each in result["contestants"].items():
        assert abs(statistics.median(each["seconds"]) / unit - ratios[name]) < 1e-3
    return ratios


def test_what_the_readme_says_of_the_chart_was_measured():
    float32 = recorded("epoch_time")
    assert min(float32, key=float32.get) == OURS, "README: the course's epoch is the shortest"
    assert float32["Keras on TensorFlow as it comes"] > 2 * float32[OURS], "README: twice as long"


def test_what_the_readme_says_of_bfloat16_was_measured():
    ratios = recorded("epoch_time_bfloat16")
    ours = ratios["this course, bfloat16"]
    assert min(ratios.values()) == ours < 0.45, "README: less than half of plain PyTorch's"
    assert ours < 0.6 * ratios["PyTorch, bfloat16"], "README: little more than half"
    as_it_comes = ratios["Keras on TensorFlow as it comes"]
    assert abs(ratios[OURS] / as_it_comes - 1) < 0.1, "README: as fast as it comes"
