"""Reads recorded runs and says what is in them."""

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from cifar_keras import data, files, histories
from cifar_keras.errors import UserError
from cifar_keras.histories import History

RESULTS = files.RESULTS
VARIANTS = ("fully_connected", "average_pooling", "average_pooling_dropout")

# The histories of a study, by variant and seed.
Runs = dict[str, dict[int, History]]

# What a record must have to be one, and of which kind.
_KINDS = {
    **dict.fromkeys(("variant", "data", "recipe_sha256", "dtype"), str),
    **dict.fromkeys(("seed", "trainable_parameters"), int),
    **dict.fromkeys(("arguments", "recipe", "summary", "versions", "sha256"), dict),
    **dict.fromkeys(("data_sha256", "trained_on"), list),
    "seconds": float,
}


@dataclass(frozen=True)
class Run:
    """One training of a study, recorded or to be recorded in a folder of its own.

    Args:
        variant, seed: what is trained, from which seed.
        folder: `<study>/<variant>-seed<seed>`.
    """

    variant: str
    seed: int
    folder: Path

    @classmethod
    def of(cls, study: Path, variant: str, seed: int) -> "Run":
        """The run of a variant and a seed in the folder of a study."""
        return cls(variant, seed, study / f"{variant}-seed{seed}")

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def finished(self) -> bool:
        return (self.folder / "run.json").exists()  # written last

    @property
    def history(self) -> History:
        """Raises UserError as `histories.read` does."""
        return histories.read(self.folder / "history.csv")

    @property
    def weights(self) -> Path:
        """Where the final weights lie, if the study keeps those of this seed."""
        return self.folder / "weights.npz"

    @property
    def record(self) -> dict[str, Any]:
        """What the run says of itself in `run.json`.

        Raises:
            UserError: it is not finished, or its record is damaged.
        """
        path = self.folder / "run.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"there is no finished run in {self.folder}; train it first") from error
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged ({error}); restore it") from error
        if not isinstance(record, dict):
            raise UserError(f"{path} is damaged (it holds no names and values); restore it")
        for name, kind in _KINDS.items():
            if not isinstance(record.get(name), kind) or isinstance(record[name], bool):
                raise UserError(f"{path} is damaged ({name} is {record.get(name)!r}); restore it")
        summary, wanted = record["summary"], {field.name for field in fields(Summary)}
        if summary.keys() != wanted or not all(map(_is_number, summary.values())):
            raise UserError(f"{path} is damaged (summary is {summary!r}); restore it")
        for name in ("seconds", "accuracy_both_ways"):
            if not _is_number(record.get(name, 0)):
                raise UserError(f"{path} is damaged ({name} is {record[name]!r}); restore it")
        return record

    @property
    def predictions(self) -> np.ndarray:
        """The classes that the final net gave to the test images: integers (n,).

        Raises:
            UserError: there are none, or they are damaged.
        """
        path = self.folder / "predictions.csv"
        try:
            predictions = np.loadtxt(path, dtype=int, skiprows=1, ndmin=1)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}); restore it") from error
        if predictions.ndim != 1:
            raise UserError(f"{path} holds more than one class an image; restore it")
        return predictions


def _is_number(value):
    return isinstance(value, int | float) and math.isfinite(value)


def runs_in(folder: Path) -> list[Run]:
    """The runs that have a folder in the folder of a study, finished or not, by name and seed.

    Other folders and files in it are no runs.
    """
    found = [
        (match[1], int(match[2]), path)
        for path in folder.glob("*-seed*")
        if (match := re.fullmatch(r"(\w+)-seed(0|[1-9]\d*)", path.name)) and path.is_dir()
    ]
    return [Run(*of_run) for of_run in sorted(found)]


def read_records(folder: Path | str) -> list[dict[str, Any]]:
    """What the finished runs of a study say of themselves, in their `run.json`; see `runs_in`."""
    return [run.record for run in runs_in(Path(folder)) if run.finished]


def read_runs(folder: Path | str) -> Runs:
    """The histories of all finished runs of a study, the three variants first.

    Raises:
        UserError: the folder holds no finished run, one that is damaged, or runs of different
            lengths.
    """
    runs: Runs = {}
    for run in runs_in(Path(folder)):
        if run.finished:
            runs.setdefault(run.variant, {})[run.seed] = run.history
    if not runs:
        raise UserError(f"there are no recorded runs in {folder}; train first or name another")
    lengths = {len(history) for by_seed in runs.values() for history in by_seed.values()}
    if len(lengths) > 1:
        raise UserError(
            f"the runs in {folder} differ in length, {sorted(lengths)} epochs; name a folder whose "
            "runs have one length"
        )
    order = {name: i for i, name in enumerate(VARIANTS)}
    return {v: runs[v] for v in sorted(runs, key=lambda name: (order.get(name, len(order)), name))}


def paired(runs: Runs, variants: Sequence[str] = VARIANTS) -> Runs:
    """The runs of some variants from the seeds that all of them have, for paired comparisons.

    Args:
        runs: of a study. variants: which of them.

    Raises:
        UserError: no seed has them all.
    """
    seeds = sorted(set.intersection(*(set(runs.get(variant, ())) for variant in variants)))
    if not seeds:
        raise UserError(f"no seed has runs of all of {', '.join(variants)}; train them first")
    return {variant: {seed: runs[variant][seed] for seed in seeds} for variant in variants}


def read_reference() -> dict[str, History]:
    """The reference project's 100 epochs, one run each, by variant.

    Columns epoch, test_accuracy in [0, 1], test_loss (mean cross-entropy in nats). Its two
    pooling nets had no classifier: their cross-entropy is over 256 channels, not 10 classes.

    Raises:
        UserError: the package was installed without them.
    """
    files.require_checkout()
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


def column(history: History, name: str) -> list[float]:
    """One column of a history as a list of floats."""
    return [row[name] for row in history]


@dataclass(frozen=True)
class Summary:
    """What a history comes to; accuracies in [0, 1], losses in nats, epochs from 1.

    last_*: after the last epoch. best_accuracy: the highest, after best_epoch. lowest_loss: after
    lowest_loss_epoch, which may be another one.
    """

    epochs: int
    last_accuracy: float
    best_accuracy: float
    best_epoch: int
    lowest_loss: float
    lowest_loss_epoch: int
    last_loss: float

    @property
    def loss_rises(self) -> bool:
        """Whether the test loss ends above its minimum by more than a tenth: overfitting."""
        return self.last_loss > 1.1 * self.lowest_loss


def summarize(history: History) -> Summary:
    """The `Summary` of a history's test curve; among equals, the first epoch counts.

    Epochs after which the test images were not looked at count for nothing but `epochs`.
    """
    seen = _seen(history)
    accuracy, loss = column(seen, "test_accuracy"), column(seen, "test_loss")
    epochs = column(seen, "epoch")
    return Summary(
        epochs=len(history),
        last_accuracy=accuracy[-1],
        best_accuracy=max(accuracy),
        best_epoch=int(epochs[accuracy.index(max(accuracy))]),
        lowest_loss=min(loss),
        lowest_loss_epoch=int(epochs[loss.index(min(loss))]),
        last_loss=loss[-1],
    )


def _seen(history: History) -> History:
    """The epochs after which the test images were looked at."""
    return [row for row in history if not math.isnan(row["test_loss"])]


def final(history: History, name: str) -> float:
    """A column's final value: its mean over the last tenth of the epochs that saw test images.

    A single epoch scatters; this is as steady as a single run allows.
    """
    values = column(_seen(history), name)
    return float(np.mean(values[-math.ceil(len(values) / 10) :]))


def standard_error(accuracy: float, images: int) -> float:
    """Standard error of an accuracy (in [0, 1]) measured on `images` independent images."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def right_answers(runs: Sequence[Run]) -> np.ndarray:
    """Whether the final nets of runs answer each of their test images right: bool (runs, images).

    Args:
        runs: finished ones, with stored predictions of the same images.

    Raises:
        UserError: predictions or labels are missing or damaged.
    """
    labels = data.load_labels(runs[0].record["data"])
    if labels is None:
        raise UserError(f"no file here has the labels of what {runs[0].folder} was tested on")
    answers = [run.predictions for run in runs]
    for run, each in zip(runs, answers, strict=True):
        if len(each) != len(labels):
            raise UserError(
                f"{run.folder / 'predictions.csv'} has {len(each)} classes for {len(labels)} "
                "images; restore it"
            )
    return np.array([each == labels for each in answers])


def right_by_variant(folder: Path | str) -> dict[str, np.ndarray]:
    """`{variant: what right_answers says of its finished runs}` of a recorded study.

    Raises:
        UserError: as `right_answers` does.
    """
    by_variant: dict[str, list[Run]] = {}
    for run in runs_in(Path(folder)):
        if run.finished:
            by_variant.setdefault(run.variant, []).append(run)
    return {variant: right_answers(runs) for variant, runs in by_variant.items()}


def spread(right: np.ndarray) -> tuple[float, float]:
    """How far accuracies of the same recipe lie apart: by luck alone, and seen.

    If a run is right on image i with a probability of its own, whatever it says to other images,
    the accuracy on n images has the standard deviation √(d / 2n), where d is the share of images
    on which exactly one of two runs is right (Jordan 2023, arXiv 2304.01910). Runs that truly
    differ, being better or worse on all images together, lie further apart.

    Args:
        right: bool (runs, images), at least two runs; see `right_answers`.

    Returns:
        (standard deviation by luck alone, standard deviation seen), shares of images.
    """
    runs, images = right.shape
    share = right.mean(axis=0)  # of the runs, image by image
    disagreement = 2 * np.mean(share * (1 - share)) * runs / (runs - 1)
    return math.sqrt(disagreement / (2 * images)), float(right.mean(axis=1).std(ddof=1))


SPREADS = ["spread by luck", "spread seen"]  # headings of `spread_cells`


def spread_cells(right: np.ndarray) -> list[str]:
    """The two numbers of `spread` in percentage points, for a table; empty for a single run."""
    return [f"{100 * each:.2f}" for each in spread(right)] if len(right) > 1 else ["", ""]


def table(runs: Runs, right: Mapping[str, np.ndarray] | None = None) -> str:
    """The comparison as a Markdown table, one line for each variant, means over its seeds.

    Behind the mean of the final accuracy on the test images stand its lowest and highest seed,
    where there are several; losses are test cross-entropies in nats. Of single seeds it fits into
    80 columns.

    Args:
        runs: `{variant: {seed: history}}`.
        right: `{variant: what `right_answers` says of its runs}`, for two columns of the spread of
            the last accuracy; or None.
    """
    several = any(len(by_seed) > 1 for by_seed in runs.values())
    rows = [["network", "seeds", "final accuracy", "final loss", "lowest loss (epoch)"]]
    rows[0] += SPREADS if right else []
    for variant, by_seed in runs.items():
        histories = by_seed.values()
        summaries = [summarize(history) for history in histories]
        accuracies = [final(history, "test_accuracy") for history in histories]
        lowest = mean(summary.lowest_loss for summary in summaries)
        epoch = mean(summary.lowest_loss_epoch for summary in summaries)
        rows.append(
            [
                variant,
                str(len(by_seed)),
                _mean_and_range(accuracies),
                f"{mean(final(history, 'test_loss') for history in histories):.2f}",
                f"{lowest:.2f} ({epoch:.0f})",
                *(spread_cells(right[variant]) if right else []),
            ]
        )
    columns = [c for c in zip(*rows, strict=True) if several or c[0] != "seeds"]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "| " + " | ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]) + " |"
        for first, *rest in zip(*columns, strict=True)
    ]
    rule = "|".join([":" + "-" * (widths[0] + 1), *("-" * (w + 1) + ":" for w in widths[1:])])
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def fast_table(
    nets: Mapping[str, Sequence[Mapping[str, Any]]],
    reference_parameters: int,
    right: Mapping[str, np.ndarray],
) -> str:
    """Nets that were made to be fast beside the reference project's best, as a Markdown table.

    Args:
        nets: the records of each net's seeds. Accuracies are on the test images, means over the
            seeds, in brackets the lowest and the highest; seconds are of a training.
        reference_parameters: how many trainable parameters the reference project's best net has.
        right: as in `table`.
    """
    theirs = final(read_reference()["average_pooling_dropout"], "test_accuracy")
    names = ["net", "parameters", "epochs", "seeds", "test accuracy", "with mirror images"]
    lines = [
        f"| {' | '.join([*names, 'seconds', *SPREADS])} |",
        "|---|--:|--:|--:|---|---|--:|--:|--:|",
        f"| the reference project's best | {reference_parameters:,} | 100 | 1 | {theirs:.1%} "
        "| | | | |",
    ]
    for name, records in nets.items():
        accuracies = [record["summary"]["last_accuracy"] for record in records]
        both_ways = [record["accuracy_both_ways"] for record in records]
        lines.append(
            f"| {name} | {records[0]['trainable_parameters']:,} | {records[0]['recipe']['epochs']} "
            f"| {len(records)} | {_mean_and_range(accuracies)} | {_mean_and_range(both_ways)} "
            f"| {mean(record['seconds'] for record in records):.0f} "
            f"| {' | '.join(spread_cells(right[name]))} |"
        )
    return "\n".join(lines)


def _mean_and_range(shares: Sequence[float]) -> str:
    if len(shares) == 1:
        return f"{shares[0]:.1%}"
    return f"{mean(shares):.1%} ({min(shares):.1%}–{max(shares):.1%})"
