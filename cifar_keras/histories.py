"""The history of a training, epoch by epoch, and its form as a file."""

import csv
import io
import math
from pathlib import Path

from cifar_keras.errors import UserError

# One dict an epoch: epoch (from 1), training_loss, test_loss (nats), training_accuracy,
# test_accuracy (in [0, 1]), seconds. Where the test images were not looked at, test_* is NaN.
History = list[dict[str, float]]
COLUMNS = ("training_loss", "training_accuracy", "test_loss", "test_accuracy", "seconds")


def to_csv(rows: History) -> str:
    """A history (list of one dict an epoch) as CSV text, numbers in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read(path: Path | str) -> History:
    """The history in a CSV file.

    Args:
        path: file with a header, a column `epoch` that counts from 1, and numeric columns, of
            which test_loss and test_accuracy may be NaN in all rows but the last.

    Raises:
        UserError: no such file, an epoch or a column is missing, or a value is not a number.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(v) for name, v in row.items()} for row in csv.DictReader(file)]
    except FileNotFoundError as error:
        raise UserError(
            f"there is no history {path}; train first or name another folder"
        ) from error
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise UserError(f"{path} is damaged ({error}); record the run again") from error
    if [row.get("epoch") for row in rows] != list(range(1, len(rows) + 1)) or not rows:
        raise UserError(f"{path} lacks an epoch; record the run again")
    for row in rows:
        if missing := [name for name in COLUMNS if name not in row]:
            raise UserError(f"{path} lacks the column {missing[0]}; record the run again")
        for name, value in row.items():
            unseen = name.startswith("test_") and row is not rows[-1]
            if not (math.isfinite(value) or (unseen and math.isnan(value))):
                raise UserError(
                    f"{path} is damaged ({name} is {value} in epoch {row['epoch']:.0f}); record "
                    "the run again"
                )
    return rows
