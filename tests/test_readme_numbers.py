"""Whether every number in a sentence of README and docs is what records and code say."""

import itertools
import json
import math
import re
import statistics
import tomllib
from functools import cache, wraps
from importlib import metadata
from pathlib import Path

import epoch_time
import pytest
import time_to_accuracy
import update_readme
from lessons import PATHS, code_cells, planned_minutes, stated_minutes
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cifar_keras import claims, data, files, jobs, models, results, study

ROOT = Path(__file__).parents[1]
COUNT = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
COUNT += ["eleven", "twelve", "thirteen"]
# A number in digits, or in a word that is one.
NUMBER = re.compile(
    rf"\d[\d.,]*%?|\b({'|'.join(COUNT[3:])}|half|thirds|quarters?|eighth|twice|hundred)\b", re.I
)
# Those that nobody measured: names, a year, what the report asks for, what was done.
NAMES = re.compile(
    r"CIFAR-10|Keras 3\b|SHA-256|AVX-512|bfloat16|float32|2009|\b[01]\d ·"
    r"|([Nn]otebook|lesson) [01]\d|open goal: more than 90%|quick's seeds were recorded twice"
)


def prose(path):
    """A document without code, pictures, made tables and targets of links, its lines joined."""
    text = path.read_text(encoding="utf-8")
    unsaid = (
        r"```.*?```",
        r"<!-- table.*?<!-- /table -->",
        r"!\[.*?\]\(.*?\)",
        r"`.*?`",
        r"\]\(.*?\)",
    )
    for part in unsaid:
        text = re.sub(part, "", text, flags=re.DOTALL)
    return " ".join(text.split())


PROSE = "\n".join(map(prose, update_readme.DOCUMENTS))
FACTS = []


def fact(function):
    """Marks a generator of sentences whose numbers it computes."""
    FACTS.append(cache(wraps(function)(lambda: tuple(function()))))
    return function


@fact
def the_course():
    conclusions = {re.match(r"\d+", claim.number)[0] for claim in claims.CLAIMS}
    yield f"A course in {COUNT[len(PATHS)]} notebooks"
    yield f"trained them once and drew {COUNT[len(conclusions)]} conclusions"
    nets = COUNT[len(results.VARIANTS)]
    yield from (f"told with {nets} small", f"The {nets} networks", f"comparison of the {nets}")


@fact
def what_is_needed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = SpecifierSet(project["requires-python"])
    *versions, last = list(allowed.filter(f"3.{minor}" for minor in range(20)))
    yield f"Python {', '.join(versions)} or {last} on"
    assert f"`py -{last}`" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert installed_bytes() < 3e9
    yield "3 GB of disk"


def installed_bytes():
    """Of all that requirements.txt installs."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted, files = [line for line in lines if line[0] not in "#-"], {}
    while wanted:
        requirement = Requirement(wanted.pop())
        marker = requirement.marker
        if requirement.name not in files and (not marker or marker.evaluate({"extra": ""})):
            files[requirement.name] = metadata.files(requirement.name)
            wanted += metadata.requires(requirement.name) or []
    paths = (Path(file.locate()) for each in files.values() for file in each)
    return sum(path.stat().st_size for path in paths if path.is_file())


@fact
def minutes_of_computing():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    stated = [stated_minutes(path) for path in PATHS]
    for path, minutes in zip(PATHS, stated, strict=True):
        [row] = re.findall(rf"{path.name}\).* \| (\d+ min) \|", readme)
        assert row == f"{math.ceil(minutes)} min"
        yield f"| {row} |"
    yield f"{COUNT[len(PATHS)]} notebooks compute for about {math.ceil(sum(stated))} minutes"


@fact
def minutes_of_class():
    minutes = {path.name[:2]: sum(n for n, _ in planned_minutes(path)) for path in PATHS}
    part_1, project = [name for name in minutes if name <= "06"], "12"
    assert {minutes.pop(name) for name in (*part_1, project)} == {50}
    yield f"Part I (00 to 06) stands by itself: {COUNT[len(part_1)]} lessons of 50 minutes"
    yield f"a course of {COUNT[len(part_1) + 1]}"
    longer = minutes.pop("08")
    assert set(minutes.values()) == {50}
    yield "Parts II (07 to 10) and III (11 and 12) take 50 minutes"
    yield f"but lesson 08 takes {longer};"
    yield "Part I (00 to 06) builds"
    yield "Part II (07 to 10) asks why; Part III (11, 12)"


@fact
def the_data():
    (x_train, _), (x_test, _) = data.load_sample()
    labels = data.SAMPLE_FOLDER / "all-test-labels.csv"
    tests = len(labels.read_text().splitlines()) - 1
    train = time_to_accuracy.TRAINING_IMAGES
    yield f"{len(x_train):,} training and {len(x_test):,} test images"
    yield f"on a sample of {len(x_train):,} training images"
    yield f"all {train + tests:,} images"
    yield f"The images take {(train + tests) * 32 * 32 * 3 / 1e6:.0f} MB"
    yield f"on all {train:,} training images"
    free = [p.name[:2] for p in PATHS if any("data.load_data()" in c.source for c in code_cells(p))]
    assert free == [*(f"{number:02}" for number in range(8)), "11"]
    yield "lessons 00 to 07 and 11 use all images (07 in an exercise)"
    [times] = {train / len(x_train), tests / len(x_test)}
    yield f"has {COUNT[int(times)]} times as many images"
    yield f"takes about {COUNT[int(times)]} times as long"
    yield f"chosen on {data.HELD_OUT:,} training images held out"


@fact
def the_statistics():
    # Of two values one apart: t is 12.706 at 0.975, s / √2 is 0.5.
    assert claims.judge([0.0, 1.0]).high == pytest.approx(0.5 + 12.706 / 2, abs=1e-3)
    # Of three that are -1, 0 and 1 apart from their mean, the interval begins at mean - 2.484.
    assert [claims.judge([m - 1, m, m + 1]).word for m in (2.49, 2.48)] == ["holds", claims.OPEN]
    assert claims.judge([1.0]).word == claims.OPEN
    yield "One seed cannot tell"
    yield "a single seed has no interval"
    assert claims.CORRECTED_FROM == 5
    yield "with five seeds or more it must also pass a stricter rule"
    yield "From five seeds on it must do so after Holm's correction"
    assert claims.steps(study.load("seeds").recipe.epochs, 5_000) < claims.steps(3)
    yield "make fewer steps than three of the reference's"
    yield "their 95% intervals"
    yield "its 95% interval"
    yield "the 95% interval of the mean difference"
    yield "lies above 0"


@fact
def the_studies():
    seeds, full = study.load("seeds"), study.load("full")
    recorded = {name: results.read_runs(results.RESULTS / name) for name in ("seeds", "full")}
    counts = {len(by_seed) for by_seed in recorded["seeds"].values()}
    assert counts == {len(seeds.seeds)}
    yield f"from {COUNT[len(seeds.seeds)]} seeds each"
    yield f"every variant from {COUNT[len(seeds.seeds)]} seeds on the sample"
    yield f"{seeds.recipe.epochs} epochs each"
    yield f"the sample and {seeds.recipe.epochs} epochs"
    yield f"{full.recipe.epochs} epochs on all images"


@fact
def losses_over_channels():
    sizes = [
        models.build("average_pooling", classifier=classifier).output_shape[-1]
        for classifier in (False, True)
    ]
    yield "over {} channels, ours with a classifier over {} classes".format(*sizes)


@fact
def the_study_of_dropout():
    dropout, (_, (held_out, _)) = study.load("dropout"), data.load_sample_held_out()
    runs = results.read_runs(dropout.folder)
    assert {tuple(by_seed) for by_seed in runs.values()} == {dropout.seeds}
    assert runs.keys() == dropout.variants.keys()
    yield f"{dropout.recipe.epochs} epochs from {COUNT[len(dropout.seeds)]} seeds each"
    yield f"looks at {len(held_out):,} training images that are held out"


@fact
def parameters():
    millions = models.build("fully_connected").count_params() / 1e6
    yield f"where {millions:.1f} million parameters sit"


@fact
def the_reference():
    history = results.read_reference()["average_pooling_dropout"]
    last = results.summarize(history).last_accuracy
    final = results.final(history, "test_accuracy")
    tenth = COUNT[math.ceil(len(history) / 10)]
    yield f"*final* one, {final:.1%}, the mean of its last {tenth} epochs"
    yield f"after its *last* epoch it was {last:.1%}"
    assert json.loads(time_to_accuracy.RECORD.read_text())["target"] == last
    yield f"the reference's last accuracy, {last:.1%}"


@fact
def quick():
    runs = results.read_records(results.RESULTS / "quick")
    [epochs] = {run["recipe"]["epochs"] for run in runs}
    reference = results.read_reference()["average_pooling_dropout"]
    best = results.summarize(reference).best_accuracy
    assert len(runs) >= 5 and min(accuracies(runs)) > best
    yield f"passes the reference's {len(reference)} epochs in {COUNT[epochs]}"
    result = json.loads(time_to_accuracy.RECORD.read_text())
    measured = result["contestants"]["quick"]
    assert measured["test_accuracy"] > result["target"] and measured["speed_up"] > 100
    yield "Quick passes that accuracy in less than a hundredth of the time"


@fact
def compact():
    runs = results.read_records(results.RESULTS / "compact")
    reference = models.build("average_pooling_dropout", classifier=False).count_params()
    assert {round(reference / run["trainable_parameters"]) for run in runs} == {8}
    assert len(runs) >= 5 and statistics.mean(accuracies(runs)) > 0.9
    yield "passes 90% with an eighth of the parameters"
    yield f"what is needed to pass 90% with {runs[0]['trainable_parameters']:,} parameters"
    assert all(run["recipe"]["kernel_rate"] > 0 for run in runs)
    yield "Muon takes the steps of its convolutions"


@fact
def strong():
    runs = results.read_records(results.RESULTS / "strong")
    [epochs] = {run["recipe"]["epochs"] for run in runs}
    mirrored = statistics.mean(run["accuracy_both_ways"] for run in runs)
    assert len(runs) >= 3 and mirrored >= 0.94 > statistics.mean(accuracies(runs))
    yield f"*strong* gets 94% with mirror images, from more parameters and {epochs} epochs"


@fact
def all_three():
    names = ("quick", "compact", "strong")
    recipes = [
        run["recipe"] for name in names for run in results.read_records(results.RESULTS / name)
    ]
    assert {recipe["translation"] for recipe in recipes} == {2, 3}
    yield "moved by up to two or three pixels"
    yield f"{COUNT[len(names)].capitalize()} nets of the same kind of layers"
    assert list(time_to_accuracy.CONTESTANTS) == [time_to_accuracy.BASELINE, *names]
    yield f"then the {COUNT[len(names)]} nets"


@fact
def recipes_that_met_the_test_images():
    for name, seeds, muon in (("compact_sgd", 5, False), ("strong_muon", 2, True)):
        runs = results.read_records(results.RESULTS / name)
        assert len(runs) == seeds
        assert {run["recipe"].get("kernel_rate", 0) > 0 for run in runs} == {muon}
    yield "two earlier ones of compact, by SGD, and a later one of strong, by Muon"
    recipes = {run["variant"] for run in results.read_records(results.RESULTS / "ladder_full")}
    yield f"The {COUNT[len(recipes)]} recipes of the study"
    sample, whole = (len(data.load_labels(name)) for name in ("sample", "full"))
    assert {study.load(name).data for name in ("seeds", "ladder", "unbundled")} == {"sample"}
    yield f"The {sample:,} test images of the sample are among the {whole:,}, too"


@fact
def memory_of_a_training():
    names = [name for name in files.studies() if study.load(name).data.startswith("sample")]
    records = itertools.chain(*(results.read_records(results.RESULTS / name) for name in names))
    peaks = [run["peak_memory_mb"] for run in records]
    yield f"took {min(peaks) / 1000:.1f} to {max(peaks) / 1000:.1f} GB of memory"


@fact
def seconds_of_whole_trainings():
    cores = {"quick": {2}, "compact": {2}, "strong": {1}}
    for name, threads in cores.items():
        runs = results.read_records(results.RESULTS / name)
        assert {run["dtype"] for run in runs} == {"mixed_bfloat16"}
        assert {part["threads"] for run in runs for part in run["trained_on"]} == threads
    yield "seconds are those of two processor cores in bfloat16"
    yield "but strong's are those of one core"


@fact
def many_runs_at_once():
    yield f"({jobs.MOST_MEMORY:,} MB a run where none is)"


@fact
def epochs_beside_plain_pytorch():
    ratios = ratios_of("epoch_time")
    ours, as_it_comes = "this course (Keras on TensorFlow)", "Keras on TensorFlow as it comes"
    assert min(ratios, key=ratios.get) == ours and ratios[as_it_comes] > 3 * ratios[ours]
    yield "The course's epoch is the shortest"
    yield "on TensorFlow with its own settings takes more than three times as long"
    asleep = [10.24 * 2**k for k in range(4)]
    seconds = recorded_epochs("epoch_time")[as_it_comes]["seconds"]
    assert any(abs(taken - end) < 0.1 for taken in seconds for end in asleep)
    yield "end after {}, {}, {} or {} seconds".format(*asleep)

    ratios = ratios_of("epoch_time_bfloat16")
    ours_in_half, theirs_in_half = ratios["this course, bfloat16"], ratios["PyTorch, bfloat16"]
    assert min(ratios.values()) == ours_in_half < 0.45
    assert 0.5 < ours_in_half / theirs_in_half < 0.6
    yield "less than half of plain PyTorch's time in float32, little more than half of its time in"
    assert ratios[ours] == pytest.approx(ratios[as_it_comes], rel=0.1)
    yield "short epochs in float32 are as fast with TensorFlow as it comes"

    ratios = ratios_of("epoch_time_strong")
    assert ratios[ours] == pytest.approx(3 / 4, abs=0.05)
    half = ratios["this course, bfloat16"] / ratios["PyTorch, bfloat16"]
    assert half == pytest.approx(2 / 3, abs=0.04)
    yield "about three quarters of plain PyTorch's time in float32, two thirds in bfloat16"


def accuracies(runs):
    return [run["summary"]["last_accuracy"] for run in runs]


def recorded_epochs(name):
    """What each contestant took for an epoch, by its name, from a committed result."""
    path = Path(epoch_time.__file__).with_name(f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))["contestants"]


def ratios_of(name):
    """Each contestant's median epoch over plain PyTorch's, as recorded, and as its seconds say."""
    contestants = recorded_epochs(name)
    unit = statistics.median(contestants[epoch_time.BASELINE]["seconds"])
    ratios = {each: statistics.median(of["seconds"]) / unit for each, of in contestants.items()}
    assert {each: of["ratio"] for each, of in contestants.items()} == pytest.approx(
        ratios, abs=1e-3
    )
    return ratios


@pytest.mark.parametrize("true", FACTS, ids=lambda function: function.__name__)
def test_sentences_say_what_was_measured(true):
    for sentence in true():
        assert sentence in PROSE


def test_no_other_number_stands_in_a_sentence():
    rest = PROSE
    for sentence in sorted((s for true in FACTS for s in true()), key=len, reverse=True):
        rest = rest.replace(sentence, "…")
    rest = NAMES.sub("…", rest)
    unknown = [rest[max(0, n.start() - 60) : n.end() + 30] for n in NUMBER.finditer(rest)]
    assert unknown == []
