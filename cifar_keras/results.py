"""Reads recorded runs and says what is in them."""

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from cifar_keras.errors import UserError

RESULTS = Path(__file__).parents[1] / "results"
VARIANTS = ("fully_connected", "average_pooling", "average_pooling_dropout")


def read_history(path):
    """The history in a CSV file: a list with one dict an epoch, numbers as float.

    Args:
        path: file with a header, a column `epoch` that counts from 1, and numeric columns.

    Raises:
        UserError: no such file, an epoch is missing, or a value is not a number.
    """
    path = Path(path)
    try:
        with path.open(newline="") as file:
            rows = [{name: float(v) for name, v in row.items()} for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise UserError(
            f"there is no history {path}; train first or name another folder"
        ) from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); record the run again") from error
    if [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1)) or not rows:
        raise UserError(f"{path} lacks an epoch; record the run again")
    return rows


def read_run(folder):
    """What a finished run says of itself: the content of its `run.json`.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = Path(folder) / "run.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"there is no finished run in {folder}; train it first") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); record the run again") from error


def read_predictions(folder):
    """The classes that a run's final net gave to the test images: integers (n,).

    Raises:
        UserError: there are none, or they are damaged.
    """
    path = Path(folder) / "predictions.csv"
    try:
        return np.loadtxt(path, dtype=int, skiprows=1, ndmin=1)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); record the run again") from error


def read_runs(folder):
    """All finished runs of a study: `{variant: {seed: history}}`, from `folder/<variant>-seed<k>/`.

    Raises:
        UserError: the folder holds no finished run, one that is damaged, or runs of different
            lengths.
    """
    runs = {}
    for path in Path(folder).glob("*-seed*/run.json"):
        variant, seed = path.parent.name.rsplit("-seed", 1)
        runs.setdefault(variant, {})[int(seed)] = read_history(path.parent / "history.csv")
    if not runs:
        raise UserError(f"there are no recorded runs in {folder}; train first or name another")
    lengths = {len(history) for by_seed in runs.values() for history in by_seed.values()}
    if len(lengths) > 1:
        raise UserError(
            f"the runs in {folder} differ in length, {sorted(lengths)} epochs; finish them"
        )
    order = {name: i for i, name in enumerate(VARIANTS)}
    return {
        variant: dict(sorted(runs[variant].items()))
        for variant in sorted(runs, key=lambda name: (order.get(name, len(order)), name))
    }


def paired(runs, variants=VARIANTS):
    """The runs of some variants from the seeds that all of them have, for paired comparisons.

    Args:
        runs: `{variant: {seed: history}}`. variants: which of them.

    Raises:
        UserError: no seed has them all.
    """
    seeds = sorted(set.intersection(*(set(runs.get(variant, ())) for variant in variants)))
    if not seeds:
        raise UserError(f"no seed has runs of all of {', '.join(variants)}; train them first")
    return {variant: {seed: runs[variant][seed] for seed in seeds} for variant in variants}


def read_reference():
    """The reference project's 100 epochs, one run each: `{variant: history}`.

    Columns epoch, test_accuracy in [0, 1], test_loss (mean cross-entropy in nats). Its two
    pooling nets had no classifier: their cross-entropy is over 256 channels, not 10 classes.
    """
    with (RESULTS / "reference" / "seed_curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        variant: [
            {
                "epoch": float(row["epoch"]),
                "test_accuracy": float(row["test_accuracy"]),
                "test_loss": float(row["test_cross_entropy"]),
            }
            for row in rows
            if row["variant"] == variant
        ]
        for variant in VARIANTS
    }


def column(history, name):
    """One column of a history as a list of floats."""
    return [row[name] for row in history]


@dataclass(frozen=True)
class Summary:
    """What a history comes to; accuracies in [0, 1], losses in nats, epochs from 1."""

    epochs: int
    final_accuracy: float
    best_accuracy: float
    best_epoch: int
    lowest_loss: float
    lowest_loss_epoch: int
    final_loss: float

    @property
    def loss_rises(self):
        """Whether the test loss ends above its minimum by more than a tenth: overfitting."""
        return self.final_loss > 1.1 * self.lowest_loss


def summarize(history):
    """The `Summary` of a history's test curve; among equals, the first epoch counts.

    Epochs after which the test images were not looked at count for nothing but `epochs`.
    """
    seen = [row for row in history if not math.isnan(row["test_loss"])]
    accuracy, loss = column(seen, "test_accuracy"), column(seen, "test_loss")
    epochs = column(seen, "epoch")
    return Summary(
        epochs=len(history),
        final_accuracy=accuracy[-1],
        best_accuracy=max(accuracy),
        best_epoch=int(epochs[accuracy.index(max(accuracy))]),
        lowest_loss=min(loss),
        lowest_loss_epoch=int(epochs[loss.index(min(loss))]),
        final_loss=loss[-1],
    )


def standard_error(accuracy, images):
    """Standard error of an accuracy (in [0, 1]) measured on `images` independent images."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def table(runs):
    """The comparison as a Markdown table, one line for each variant, means over its seeds.

    Args:
        runs: `{variant: {seed: history}}`. Behind the mean of the final test accuracy stand its
            lowest and highest seed, where there are several; losses are test cross-entropies in
            nats.
    """
    width = max(map(len, runs))
    lines = [
        f"| {'model':{width}} | seeds | final test accuracy   | final loss | lowest loss (epoch) |",
        f"|{'-' * (width + 2)}|------:|-----------------------|-----------:|--------------------:|",
    ]
    for variant, by_seed in runs.items():
        summaries = [summarize(history) for history in by_seed.values()]
        finals = [s.final_accuracy for s in summaries]
        accuracy = _mean_and_range(finals) if len(finals) > 1 else f"{finals[0]:.1%}"
        lowest = f"{mean(s.lowest_loss for s in summaries):.2f}"
        epoch = f"({mean(s.lowest_loss_epoch for s in summaries):.0f})"
        final_loss = f"{mean(s.final_loss for s in summaries):.2f}"
        lines.append(
            f"| {variant:{width}} | {len(by_seed):5} | {accuracy:21} | {final_loss:>10} "
            f"| {lowest + ' ' + epoch:>19} |"
        )
    return "\n".join(lines)


def fast_table(nets, reference_parameters):
    """Nets that were made to be fast beside the reference project's best, as a Markdown table.

    Args:
        nets: `{name: run.json contents of its seeds}`. Accuracies are on the test images, means
            over the seeds, in brackets the lowest and the highest; seconds are of a training.
        reference_parameters: how many trainable parameters the reference project's best net has.
    """
    final = summarize(read_reference()["average_pooling_dropout"]).final_accuracy
    lines = [
        "| net | parameters | epochs | seeds | test accuracy | with mirror images | seconds |",
        "|---|--:|--:|--:|---|---|--:|",
        f"| the reference project's best | {reference_parameters:,} | 100 | 1 | {final:.1%} | | |",
    ]
    for name, runs in nets.items():
        accuracies = [run["summary"]["final_accuracy"] for run in runs]
        both_ways = [run["accuracy_both_ways"] for run in runs]
        lines.append(
            f"| {name} | {runs[0]['trainable_parameters']:,} | {runs[0]['recipe']['epochs']} "
            f"| {len(runs)} | {_mean_and_range(accuracies)} | {_mean_and_range(both_ways)} "
            f"| {mean(run['seconds'] for run in runs):.0f} |"
        )
    return "\n".join(lines)


def _mean_and_range(shares):
    return f"{mean(shares):.1%} ({min(shares):.1%}–{max(shares):.1%})"
