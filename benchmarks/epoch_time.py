"""Times one epoch of the reference net (average pooling with dropout) on the sample, batch 64.

    python benchmarks/epoch_time.py [strong]

or of the net and recipe of the study `strong`. It needs `pip install -e '.[backends]'` and a
machine with nothing else to do. Every contestant is a process of its own that waits for its turn;
the turns are interleaved, so that a machine which slows down slows them all. Writes
`epoch_time.json` and `epoch_time.png` beside this file, on a processor with fast
bfloat16 `epoch_time_bfloat16.json` and `.png`; of the study `epoch_time_strong.json` and `.png`.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from cifar_keras import files, machine

HERE = Path(__file__).parent
ROUNDS = 3
BASELINE = "PyTorch, eager"
# Name: (library, Keras backend, mixed precision or not, without this course's settings). Keras, on
# PyTorch, hands plain PyTorch the net and its batches; it trains nothing there.
CONTESTANTS = {
    BASELINE: ("torch", "torch", False, False),
    "this course (Keras on TensorFlow)": ("keras", "tensorflow", False, False),
    "Keras on TensorFlow as it comes": ("keras", "tensorflow", False, True),
    "Keras on PyTorch": ("keras", "torch", False, False),
    "Keras on JAX": ("keras", "jax", False, False),
    "PyTorch, bfloat16": ("torch", "torch", True, False),
    "this course, bfloat16": ("keras", "tensorflow", True, False),
}
STRONG = {
    name: CONTESTANTS[name]
    for name in (
        *(BASELINE, "this course (Keras on TensorFlow)"),
        *("PyTorch, bfloat16", "this course, bfloat16"),
    )
}
NETS = {"reference": CONTESTANTS, "strong": STRONG}
# What PyTorch calls a layer's weights, where the name is another than Keras'.
TORCH_NAMES = {
    "kernel": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def prepared(net, mixed=False):
    """(model, batches, recipe) of one of `NETS`, on the sample: compiled, and what `fit` takes."""
    from cifar_keras import data, environment, models, study, training

    with environment.dtype_policy("mixed_bfloat16" if mixed else "float32"):
        if net == "strong":
            described = study.load("strong")
            model, recipe = described.build("strong"), described.recipe_of("strong")
        else:
            recipe = training.REFERENCE
            model = training.compile_model(models.build("average_pooling_dropout"), recipe)
    batches, _ = training.prepare(model, data.load_sample(), recipe)
    return model, batches, recipe


def leave_out_settings():
    """Starts Keras on TensorFlow as it comes: its choice of convolutions, tf.data's autotuner."""
    import keras

    keras.ops.zeros(1)  # TensorFlow reads the environment now, before the course adds to it
    import tensorflow

    from cifar_keras import environment  # noqa: F401  whose change of `iter` is taken back

    datasets = tensorflow.data.Dataset
    datasets.__iter__ = datasets.__iter__.__wrapped__


def keras_epoch(net, mixed, as_it_comes):
    """A function that trains for one epoch with `model.fit`."""
    if as_it_comes:
        leave_out_settings()
    model, batches, _ = prepared(net, mixed)
    return lambda: model.fit(batches, shuffle=False, verbose=0)


def torch_epoch(net, mixed):
    """The same net and recipe in plain PyTorch: a function that trains for one epoch."""
    import torch

    model, batches, recipe = prepared(net)
    step = torch_step(twin(model), recipe, mixed)
    images, labels = tensors(batches.images, batches.labels)

    def as_they_are():
        for chosen in torch.randperm(len(images)).split(recipe.batch_size):
            yield images[chosen], labels[chosen]

    def changed():
        return (tensors(*batches[batch]) for batch in range(len(batches)))

    def epoch():
        for batch in changed() if recipe.mirror or recipe.translation else as_they_are():
            step(*batch)

    return epoch


def tensors(images, labels):
    """A batch as PyTorch's tensors.

    Args:
        images: float32 (n, height, width, channels).
        labels: class numbers (n, 1), or shares of the classes (n, classes).
    """
    import torch

    images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    numbers = labels.dtype.kind in "iu"
    return images, torch.from_numpy(labels.ravel().astype("int64") if numbers else labels)


def twin(model):
    """A net of the course in plain PyTorch: its layers in their order, with its weights.

    Args:
        model: one whose layers follow each other, in float32; it stays as it is.
    """
    import torch

    return torch.nn.Sequential(*(module for layer in model.layers for module in modules(layer)))


def modules(layer):
    """PyTorch's modules that do what a layer of Keras does, with its weights."""
    import keras
    import torch
    from torch import nn

    class Scaled(nn.Module):
        def forward(self, x):
            return x * layer.scale

    weights = {
        weight.name: torch.tensor(keras.ops.convert_to_numpy(weight)) for weight in layer.weights
    }
    match type(layer).__name__:
        case "InputLayer":
            return []
        case "Conv2D":
            channels, filters = weights["kernel"].shape[2:]
            padding = layer.kernel_size[0] // 2 if layer.padding == "same" else 0
            module = nn.Conv2d(
                channels, filters, layer.kernel_size, padding=padding, bias=layer.use_bias
            )
            weights["kernel"] = weights["kernel"].permute(3, 2, 0, 1)
        case "Dense":
            module = nn.Linear(*weights["kernel"].shape, bias=layer.use_bias)
            weights["kernel"] = weights["kernel"].T
        case "BatchNormalization":  # without scale; Keras' momentum is the share of the old
            module = nn.BatchNorm2d(len(weights["beta"]), layer.epsilon, 1 - layer.momentum)
            module.weight.requires_grad_(False)
        case "MaxPooling2D":
            return [nn.MaxPool2d(layer.pool_size)]
        case "GlobalAveragePooling2D":
            return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        case "GlobalMaxPooling2D":
            return [nn.AdaptiveMaxPool2d(1), nn.Flatten()]
        case "Dropout":
            return [nn.Dropout(layer.rate)]
        case "Activation":
            return activation(layer)
        case "Rescaling":
            return [Scaled()]
        case other:
            raise ValueError(f"{layer.name} is a {other}, which has no twin yet")
    theirs = {TORCH_NAMES.get(name, name): weight for name, weight in weights.items()}
    unknown = module.load_state_dict(theirs, strict=False).unexpected_keys
    assert not unknown, unknown
    if not layer.trainable:
        module.requires_grad_(False)
    return [module, *activation(layer)]


def activation(layer):
    """The module of a layer's activation, in a list; [] if it has none."""
    from torch import nn

    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return {"linear": [], "relu": [nn.ReLU()], "silu": [nn.SiLU()]}[name]


def torch_step(net, recipe, mixed):
    """A function that trains on one batch of images (n, channels, height, width) and labels."""
    import torch

    weights = [weight for weight in net.parameters() if weight.requires_grad]
    settings = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "adam":
        optimizer = torch.optim.Adam(weights, **settings)
    else:  # coupled weight decay, where the course's is decoupled; it takes the same time
        assert recipe.optimizer == "sgd"
        optimizer = torch.optim.SGD(weights, momentum=recipe.momentum, nesterov=True, **settings)
    cross_entropy = torch.nn.CrossEntropyLoss()

    def step(images, labels):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()

    return step


def work(net, name):
    """A contestant: trains an epoch for every line on stdin, answers with what it took."""
    library, _, mixed, as_it_comes = NETS[net][name]
    epoch = torch_epoch(net, mixed) if library == "torch" else keras_epoch(net, mixed, as_it_comes)
    epoch()  # compiles, and warms the caches
    for _ in sys.stdin:
        started = time.monotonic()
        epoch()
        answer = [time.monotonic() - started, machine.peak_memory()]
        print(json.dumps(answer), file=sys.stderr, flush=True)


def start(net, name):
    """The contestant's process, started; its answers come on its stderr."""
    _, backend, *_ = NETS[net][name]
    variables = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    return subprocess.Popen(
        [sys.executable, __file__, net, name],
        env=variables | {"KERAS_BACKEND": backend},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def ask(process):
    """(seconds, peak memory in MB) of the contestant's next epoch."""
    process.stdin.write("go\n")
    process.stdin.flush()
    said = []
    for line in process.stderr:  # among it, what the libraries have to say
        if line.startswith("["):
            try:
                return json.loads(line)
            except ValueError:
                pass
        said.append(line)
    raise SystemExit("".join(said[-20:]))


def processor():
    """The processor's name, its threads, how wide its vectors are, and whether bfloat16 pays."""
    found = set(np.show_config("dicts")["SIMD Extensions"]["found"])
    widths = {"AVX-512": {"AVX512F", "X86_V4"}, "AVX2": {"AVX2", "X86_V3"}}
    wide = next((name for name, names in widths.items() if names & found), "no AVX2")
    half = ", fast bfloat16" if machine.has_fast_bfloat16() else ""
    return f"{machine.processor()} ({machine.cores()} threads, {wide}{half})"


def measure(net="reference"):
    """The benchmark's result for one of `NETS`, as it is written to JSON."""
    fast = machine.has_fast_bfloat16()
    names = [name for name, (*_, mixed, _) in NETS[net].items() if fast or not mixed]
    seconds, peaks = {name: [] for name in names}, {}
    processes = {}
    for name in names:  # one at a time: each compiles alone, and then waits
        processes[name] = start(net, name)
        ask(processes[name])
    for turn in range(ROUNDS):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            taken, peaks[name] = ask(processes[name])
            seconds[name].append(round(taken, 3))
            print(f"round {turn + 1}  {name:36} {taken:6.2f} s", flush=True)
    for process in processes.values():
        process.stdin.close()
        process.wait()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    what = "average_pooling_dropout, batch 64" if net == "reference" else "the study strong"
    return {
        "what": f"seconds of an epoch of 5,000 images, {what}",
        "processor": processor(),
        "contestants": {
            name: {
                "seconds": seconds[name],
                "ratio": round(medians[name] / medians[BASELINE], 3),
                "peak_memory_mb": peaks[name],
            }
            for name in names
        },
    }


def chart(result):
    """One bar for each contestant: its median epoch over PyTorch's, its fastest and slowest."""
    from cifar_keras import style

    contestants = result["contestants"]
    unit = statistics.median(contestants[BASELINE]["seconds"])
    figure, axis = style.subplots(9, 0.55 * len(contestants) + 1.6)
    for row, (name, each) in enumerate(contestants.items()):
        ours = name.startswith("this course")
        axis.barh(row, each["ratio"], color=style.GREEN if ours else style.FAINT)
        low, high = min(each["seconds"]) / unit, max(each["seconds"]) / unit
        axis.plot([low, high], [row, row], color=style.INK, linewidth=2)
        memory = f"{each['peak_memory_mb'] / 1000:.1f} GB"
        axis.text(max(high, each["ratio"]), row, f"  {each['ratio']:.2f}   {memory}", va="center")
    axis.axvline(1, color=style.INK, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(contestants)), contestants)
    axis.invert_yaxis()
    axis.margins(x=0.2)
    axis.set_xlabel("time of an epoch over plain PyTorch's (median; line: fastest to slowest)")
    names, compared = list(contestants), (BASELINE, "this course (Keras on TensorFlow)")
    what = "The course's training"
    if names == list(STRONG):
        compared, what = names[-2:], "In bfloat16 the course's training of strong"
    theirs, ours = (contestants[name]["ratio"] for name in compared)
    title = f"{what} takes {ours / theirs:.2f} times as long as plain PyTorch"
    figure.suptitle(title)
    axis.set_title(
        f"{result['processor']}; beside the bars: the ratio, and the peak memory",
        fontsize=9,
        color=style.INK,
    )
    figure.set_label(
        "Bars of the time of an epoch over plain PyTorch's: "
        + ", ".join(f"{name} {each['ratio']:.2f}" for name, each in contestants.items())
        + "."
    )
    return figure


def draw(record, chart):
    """Draws the chart (a function) of a recorded result, a JSON file, as PNG beside it."""
    from cifar_keras import style

    result = json.loads(record.read_text(encoding="utf-8"))
    style.save(chart(result), record.with_suffix(".png"), drawn_from=[record])


if __name__ == "__main__":
    net, *contestant = sys.argv[1:] or ["reference"]
    if contestant:
        work(net, *contestant)
    else:
        result = measure(net)
        name = "epoch_time_bfloat16" if machine.has_fast_bfloat16() else "epoch_time"
        name = "epoch_time_strong" if net == "strong" else name
        record = HERE / f"{name}.json"
        files.write(record, (json.dumps(result, indent=1) + "\n").encode())
        draw(record, chart)
