"""Times whole trainings on the full CIFAR-10: from the images in memory to the measured net.

    python benchmarks/time_to_accuracy.py [NAME...]

needs `pip install -e '.[backends]'` and a machine with nothing else to do; it takes two hours and
more. The clock starts with the uint8 arrays loaded and the library imported, and everything after
that counts: normalisation, compilation, changes of the images, evaluation. PyTorch trains the
reference project's best net by its recipe until the test accuracy is the reference project's; the
course's nets train by the recipes of their studies, whose length is fixed beforehand. Every
contestant is a process of its own, one after another. With names, those alone are measured, and
what this processor has recorded of the others stays. Writes `time_to_accuracy.json` and `.png`
beside this file.
"""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import epoch_time

from cifar_keras import files, machine, results

HERE = Path(__file__).parent
RECORD = HERE / "time_to_accuracy.json"
BASELINE = "PyTorch, the reference recipe"
CONTESTANTS = (BASELINE, "quick", "compact", "strong")
MOST_EPOCHS = 100  # the reference project's
TRAINING_IMAGES = 50_000


def target():
    """The last test accuracy of the reference project's best net, in [0, 1]."""
    return results.summarize(results.read_reference()["average_pooling_dropout"]).last_accuracy


def train_baseline():
    """PyTorch's training: `epochs`, a list of [seconds since the start, test accuracy]."""
    from cifar_keras.environment import keras

    import torch

    from cifar_keras import data, models, training

    # Weight decay takes the weights of dead units down to denormal numbers, on which processors are
    # many times slower: without this the fifth epoch took twice as long as the first. TensorFlow
    # does it unasked.
    torch.set_flush_denormal(True)
    (images, labels), (test_images, test_labels) = data.load_cifar10()
    keras.utils.set_random_seed(0)  # PyTorch's, too
    goal, epochs, recipe = target(), [], training.REFERENCE
    started = time.monotonic()
    images, test_images = (data.normalize(x, recipe.normalization) for x in (images, test_images))
    images, labels = epoch_time.tensors(images, labels)
    test_images, test_labels = epoch_time.tensors(test_images, test_labels)
    net = epoch_time.twin(models.build("average_pooling_dropout"))
    step = epoch_time.torch_step(net, recipe, mixed=False)
    while len(epochs) < MOST_EPOCHS and (not epochs or epochs[-1][1] < goal):
        net.train()
        for chosen in torch.randperm(len(images)).split(recipe.batch_size):
            step(images[chosen], labels[chosen])
        net.eval()
        with torch.no_grad():
            answers = torch.cat([net(batch).argmax(dim=1) for batch in test_images.split(500)])
        accuracy = int((answers == test_labels).sum()) / len(test_labels)
        epochs.append([round(time.monotonic() - started, 1), accuracy])
        print(f"epoch {len(epochs)}  {epochs[-1][0]:.0f} s  {accuracy:.2%}", file=sys.stderr)
    return {"epochs": epochs, "dtype": "float32"}


def train_study(name):
    """A study's training from seed 0: `epochs` holds its last one alone, as in `train_baseline`."""
    from cifar_keras import data, study, training

    described = study.load(name)
    arrays = data.load_cifar10()
    started = time.monotonic()
    model = described.new_model(name, seed=0)
    history = training.fit(model, arrays, described.recipe_of(name), seed=0, verbose=False)
    seconds = round(time.monotonic() - started, 1)
    return {"epochs": [[seconds, round(history[-1]["test_accuracy"], 4)]], "dtype": described.dtype}


def work(name):
    """A contestant's process: trains, and prints its result as JSON."""
    result = train_baseline() if name == BASELINE else train_study(name)
    print(json.dumps({**result, "peak_memory_mb": machine.peak_memory()}))


def size(name, epochs):
    """(trainable parameters, floating-point operations of the training) of a contestant.

    A multiply-add is two operations, and a training step costs three times the forward pass: the
    backward pass computes the gradients of the activations and those of the weights.
    """
    from cifar_keras import measure, models, study

    if name == BASELINE:
        model = models.build("average_pooling_dropout")
    else:
        described = study.load(name)
        model, epochs = described.build(name), described.recipe_of(name).epochs
    multiply_adds = sum(adds for _, adds in measure.costs(model).values())
    parameters = models.trainable_parameters(model)
    return parameters, TRAINING_IMAGES * epochs * 3 * 2 * multiply_adds


def measure_contestant(name):
    """A contestant's entry in the result."""
    process = subprocess.run(
        [sys.executable, __file__, "--work", name],
        env=os.environ | {"KERAS_BACKEND": "torch" if name == BASELINE else "tensorflow"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(process.stdout.splitlines()[-1])
    seconds, accuracy = result["epochs"][-1]
    parameters, operations = size(name, len(result["epochs"]))
    print(f"{name}: {accuracy:.2%} in {seconds:.0f} s", flush=True)
    return {
        "seconds": seconds,
        "test_accuracy": accuracy,
        "trainable_parameters": parameters,
        "training_flops": operations,
        **result,
    }


def with_speed_ups(contestants):
    """The entries in order, each with how many times as fast as the baseline it was."""
    ordered = {name: contestants[name] for name in CONTESTANTS if name in contestants}
    if BASELINE in ordered:
        unit = ordered[BASELINE]["seconds"]
        for each in ordered.values():
            each["speed_up"] = round(unit / each["seconds"], 2)
    return ordered


def main(names):
    result = {
        "what": "seconds from the images in memory to the trained and measured net, full CIFAR-10",
        "processor": epoch_time.processor(),
        "target": target(),
        "contestants": {},
    }
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if names and recorded.get("processor") == result["processor"]:
        result["contestants"] = recorded["contestants"]
    for name in names or CONTESTANTS:
        result["contestants"][name] = measure_contestant(name)
        result["contestants"] = with_speed_ups(result["contestants"])
        files.write(RECORD, (json.dumps(result, indent=1) + "\n").encode())
    baseline = result["contestants"].get(BASELINE)
    if baseline and baseline["test_accuracy"] < result["target"]:
        sys.exit(f"PyTorch did not reach {result['target']:.1%} in {MOST_EPOCHS} epochs")
    if baseline:
        epoch_time.draw(RECORD, chart)


def chart(result):
    """Test accuracy against seconds and against operations; areas of dots show the parameters."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    from cifar_keras import style
    from cifar_keras.plots_recipes import OURS, REFERENCE

    contestants, goal = result["contestants"], result["target"]
    figure, axes = style.subplots(12, 6.2, 1, 2, sharey=True)
    panels = {
        "seconds": lambda each: duration(each["seconds"]),
        "training_flops": lambda each: f"{each['training_flops'] / 1e15:.2g} PFLOP",
    }
    for axis, (quantity, say) in zip(axes, panels.items(), strict=True):
        values = [each[quantity] for each in contestants.values()]
        low, high = min(values) / 1.7, max(values) * 1.7
        axis.set(xscale="log", xlim=(low, high), ylim=(0.5, 1))
        axis.axhline(goal, color=style.INK, linewidth=1, linestyle=":")
        axis.text(low, goal, f" {goal:.1%}", va="bottom", color=style.INK)
        for name, each in contestants.items():
            x, y = each[quantity], each["test_accuracy"]
            color = REFERENCE if name == BASELINE else OURS
            axis.scatter(x, y, s=each["trainable_parameters"] / 3000, color=color, zorder=3)
            text = f"{name}, {y:.1%}\n{each['trainable_parameters']:,} parameters, {say(each)}"
            if name == BASELINE:
                accuracies = [accuracy for _, accuracy in each["epochs"]]
                # Its epochs, each with its share of all seconds or operations.
                shares = [taken / each["seconds"] for taken, _ in each["epochs"]]
                axis.plot([x * share for share in shares], accuracies, color=color, linewidth=2)
                shift, align = (28, -85), {"ha": "right", "va": "top"}  # below its curve
            else:  # away from the nearer edge, and from the dot
                right = x < math.sqrt(low * high)
                shift = (14, 0) if right else (-16, 0)
                align = {"ha": "left" if right else "right", "va": "center"}
            axis.annotate(text, (x, y), shift, textcoords="offset points", color=style.INK, **align)
        style.percent(axis.yaxis)
        style.grid(axis)
    seconds, operations = axes
    seconds.set_ylabel("test accuracy (area of a dot: trainable parameters)")
    low, high = seconds.get_xlim()
    marks = [t for t in (10, 30, 60, 120, 300, 600, 1800, 3600, 7200) if low <= t <= high]
    seconds.set_xticks(marks, [duration(mark) for mark in marks])
    seconds.set_xlabel("time from the images in memory to the measured net")
    operations.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1e15:g}"))
    operations.set_xlabel("training, in PFLOP (10¹⁵ floating-point operations)")
    for axis in figure.axes:
        axis.xaxis.set_minor_formatter(NullFormatter())
    figure.suptitle(finding(result))
    seconds.set_title(result["processor"], fontsize=9, color=style.INK, loc="left")
    nets = [
        f"{name} {each['test_accuracy']:.1%} in {duration(each['seconds'])}"
        for name, each in contestants.items()
    ]
    figure.set_label(
        "Test accuracy against seconds, left, and against operations, right, on logarithmic axes: "
        f"{', '.join(nets)}."
    )
    return figure


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def finding(result):
    """What came out, in a sentence: the fastest to the target, then the others that passed it."""
    passed = {
        name: each
        for name, each in result["contestants"].items()
        if name != BASELINE and each["test_accuracy"] >= result["target"]
    }
    if not passed:
        return f"None of the course's nets reaches the reference's {result['target']:.1%}"
    first = max(passed, key=lambda name: passed[name]["speed_up"])
    times = passed.pop(first)["speed_up"]
    others = [
        f"{name} {each['test_accuracy']:.1%} in {1 / each['speed_up']:.0%} of its time"
        for name, each in passed.items()
    ]
    sentence = f"{first.capitalize()} passes the reference's {result['target']:.1%}"
    return f"{sentence} {times:.0f} times as fast" + "".join(f"; {other}" for other in others)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2])
    else:
        main(sys.argv[1:])
