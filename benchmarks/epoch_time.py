"""Times one epoch of the reference net (average pooling with dropout) on the sample, batch 64.

    python benchmarks/epoch_time.py [strong]

or of the net and recipe of the study `strong`. It needs `pip install -e '.[backends]'` and a
machine with nothing else to do. Every contestant is a process of its own that waits for its turn;
the turns are interleaved, so that a machine which slows down slows them all. Writes
`epoch_time.json` and `epoch_time.png` beside this file, on a processor with instructions for
bfloat16 `epoch_time_bfloat16.json` and `.png`; of the study `epoch_time_strong.json` and `.png`.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROUNDS = 3
BASELINE = "PyTorch, eager"
# Name: (library, Keras backend, mixed precision or not, without this course's settings).
CONTESTANTS = {
    BASELINE: ("torch", None, False, False),
    "this course (Keras on TensorFlow)": ("keras", "tensorflow", False, False),
    "Keras on TensorFlow as it comes": ("keras", "tensorflow", False, True),
    "Keras on PyTorch": ("keras", "torch", False, False),
    "Keras on JAX": ("keras", "jax", False, False),
    "PyTorch, bfloat16": ("torch", None, True, False),
    "this course, bfloat16": ("keras", "tensorflow", True, False),
}
# The study's. Keras, on PyTorch, hands plain PyTorch its batches there; it trains nothing.
STRONG = {
    BASELINE: ("torch", "torch", False, False),
    "this course (Keras on TensorFlow)": ("keras", "tensorflow", False, False),
    "PyTorch, bfloat16": ("torch", "torch", True, False),
    "this course, bfloat16": ("keras", "tensorflow", True, False),
}
NETS = {"reference": CONTESTANTS, "strong": STRONG}


def strong(mixed, library):
    """The study's net: a function that trains for one epoch, by either library."""
    from cifar_keras import data, environment, models, study, training

    described = study.load("strong")
    recipe = described.recipe_of("strong")
    (images, labels), _ = data.load_sample()
    images = data.normalize(images, recipe.normalization)
    if recipe.label_smoothing:  # shares of the classes; which ones does not matter to the time
        labels = np.eye(10, dtype="float32")[labels.ravel()]
    batches = training.ShuffledBatches(
        images, labels, recipe.batch_size, 0, recipe.mirror, recipe.translation
    )
    with environment.dtype_policy("mixed_bfloat16" if mixed else "float32"):
        model = described.build("strong")
    models.whiten(model, images)
    if library == "keras":
        return lambda: model.fit(batches, shuffle=False, verbose=0)
    step = torch_step(*torch_strong(model, described.variants["strong"]["widths"], recipe), mixed)

    def epoch():
        for images, labels in (batches[batch] for batch in range(len(batches))):
            step(*tensors(images, labels))

    return epoch


def torch_strong(model, widths, recipe):
    """(the whitened net, its optimizer) in plain PyTorch.

    Args:
        model: the same net in Keras, whose whitening is taken. widths: filters, stage by stage.
        recipe: its `training.Recipe`.
    """
    import keras
    import torch
    from torch import nn

    class Ninth(nn.Module):
        def forward(self, x):
            return x / 9

    def block(channels, width, *pool):
        normalization = nn.BatchNorm2d(width, eps=1e-5, momentum=0.4)  # Keras' 0.6, of the old
        normalization.weight.requires_grad_(False)
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        return nn.Sequential(convolution, *pool, normalization, nn.SiLU())

    kernel = torch.tensor(keras.ops.convert_to_numpy(model.get_layer("whitening").kernel))
    channels = kernel.shape[-1]
    whitening = nn.Conv2d(3, channels, kernel.shape[0], bias=False).requires_grad_(False)
    whitening.weight.copy_(kernel.permute(3, 2, 0, 1))
    stages = []
    for width in widths:
        stages += [block(channels, width, nn.MaxPool2d(2)), block(width, width)]
        channels = width
    head = nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(channels, 10, bias=False), Ninth()
    net = nn.Sequential(whitening, nn.SiLU(), *stages, *head)
    # Coupled weight decay, where the course's is decoupled; it takes the same time.
    optimizer = torch.optim.SGD(
        [weight for weight in net.parameters() if weight.requires_grad],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
        weight_decay=recipe.weight_decay,
    )
    return net, optimizer


def keras_epoch(mixed, as_it_comes):
    """A function that trains for one epoch with `model.fit`."""
    if not as_it_comes:
        from cifar_keras import environment  # noqa: F401  its settings are what is compared
    import keras

    from cifar_keras import data, models, training

    if mixed:
        keras.config.set_dtype_policy("mixed_bfloat16")
    (images, labels), _ = data.load_sample()
    model = training.compile_model(models.build("average_pooling_dropout"))
    batches = training.ShuffledBatches(data.normalize(images, "symmetric"), labels, 64, seed=0)
    return lambda: model.fit(batches, shuffle=False, verbose=0)


def torch_epoch(mixed):
    """The same net and recipe in plain PyTorch: a function that trains for one epoch."""
    import torch

    from cifar_keras import data

    (images, labels), _ = data.load_sample()
    images, labels = tensors(data.normalize(images, "symmetric"), labels)
    step = torch_step(*torch_net(), mixed)

    def epoch():
        for chosen in torch.randperm(len(images)).split(64):
            step(images[chosen], labels[chosen])

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


def torch_net():
    """(average_pooling_dropout, the optimizer of the reference recipe) in plain PyTorch."""
    import torch
    from torch import nn

    stages, channels = [], 3
    for stage in (
        ((16,), (32,)),
        ((64,), (128, "drop")),
        ((128, "drop"),),
        ((256,), (256, "drop")),
    ):
        for filters, *drop in stage:
            stages += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            stages += [nn.Dropout(0.5)] if drop else []
            channels = filters
        stages.append(nn.MaxPool2d(2))
    net = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))
    return net, torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-6)


def torch_step(net, optimizer, mixed):
    """A function that trains on one batch of images (n, channels, height, width) and labels."""
    import torch

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
    import resource

    library, _, mixed, as_it_comes = NETS[net][name]
    if net == "strong":
        epoch = strong(mixed, library)
    else:
        epoch = torch_epoch(mixed) if library == "torch" else keras_epoch(mixed, as_it_comes)
    epoch()  # compiles, and warms the caches
    for _ in sys.stdin:
        started = time.monotonic()
        epoch()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps([time.monotonic() - started, peak]), file=sys.stderr, flush=True)


def start(net, name):
    """The contestant's process, started; its answers come on its stderr."""
    _, backend, *_ = NETS[net][name]
    variables = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    return subprocess.Popen(
        [sys.executable, __file__, net, name],
        env=variables | ({"KERAS_BACKEND": backend} if backend else {}),
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
    """The processor's name, and whether it has instructions for bfloat16."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    features = next((line for line in lines if line.startswith("flags")), "")
    name = names[0] if names else platform.processor()
    wide = "AVX-512" if "avx512f" in features else "AVX2"
    return f"{name} ({os.cpu_count()} threads, {wide})", "bf16" in features


def measure(net="reference"):
    """The benchmark's result for one of `NETS`, as it is written to JSON."""
    machine, has_bfloat16 = processor()
    names = [name for name, (*_, mixed, _) in NETS[net].items() if has_bfloat16 or not mixed]
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
        "processor": machine,
        "contestants": {
            name: {
                "seconds": seconds[name],
                "ratio": round(medians[name] / medians[BASELINE], 3),
                "peak_memory_mb": round(peaks[name]),
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
        name = "epoch_time_bfloat16" if processor()[1] else "epoch_time"
        name = "epoch_time_strong" if net == "strong" else name
        record = HERE / f"{name}.json"
        record.write_text(json.dumps(result, indent=1) + "\n")
        draw(record, chart)
