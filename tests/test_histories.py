"""The history of a training as a file."""

import pytest

from cifar_keras import histories
from cifar_keras.errors import UserError

HEADER = "epoch,training_loss,training_accuracy,test_loss,test_accuracy,seconds\n"


def write(folder, text):
    (folder / "history.csv").write_text(text)


def test_a_history_is_read_as_numbers(tmp_path):
    write(tmp_path, HEADER + "1,2.0,0.25,1.5,0.5,3.1\n2,1.0,0.5,1.25,0.75,3\n")
    first, second = histories.read(tmp_path / "history.csv")
    assert first == {
        "epoch": 1,
        "training_loss": 2,
        "training_accuracy": 0.25,
        "test_loss": 1.5,
        "test_accuracy": 0.5,
        "seconds": 3.1,
    }
    assert second["test_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEADER + "1,2,0.2,2,0.2,3\n3,2,0.2,2,0.2,3\n", "lacks an epoch"),
        (HEADER + "2,2,0.2,2,0.2,3\n", "lacks an epoch"),
        (HEADER, "lacks an epoch"),
        ("", "lacks an epoch"),
        ("loss\n1.0\n", "lacks an epoch"),
        (HEADER + "1,2,0.2,two,0.2,3\n", "is damaged"),
        (HEADER + "1,2,0.2\n", "is damaged"),
        (HEADER + "1,2,0.2,nan,0.2,3\n", "is damaged .test_loss is nan in epoch 1"),
        (HEADER + "1,inf,0.2,2,0.2,3\n", "is damaged .training_loss is inf"),
        (HEADER + "1,2,0.2,2,0.2,3,4\n", "is damaged"),
        ("epoch,training_loss\n1,2\n", "lacks the column training_accuracy"),
        (HEADER + "1" * 200_000, "is damaged"),
    ],
)
def test_a_damaged_history_is_refused(tmp_path, text, complaint):
    write(tmp_path, text)
    with pytest.raises(UserError, match=f"history.csv {complaint}.*record the run again"):
        histories.read(tmp_path / "history.csv")


def test_no_history_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no history .*; train first or name another"):
        histories.read(tmp_path / "history.csv")


def test_what_is_written_is_read(tmp_path):
    rows = [
        {"epoch": float(n), **dict.fromkeys(histories.COLUMNS, n / 3), "test_loss": loss}
        for n, loss in ((1, float("nan")), (2, 0.1 + 0.2))
    ]
    write(tmp_path, histories.to_csv(rows))
    first, second = histories.read(tmp_path / "history.csv")
    assert second == rows[1]  # to the last digit
    assert str(first) == str(rows[0])  # a NaN is not equal to itself
