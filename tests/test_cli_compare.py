"""`python -m cifar_keras compare`, end to end on a few images."""

import pytest

from cifar_keras.__main__ import main


def test_prints_the_table_and_saves_the_picture(small_sample, tmp_path, capsys):
    assert main(["compare", "--epochs", "1", "--seed", "2", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    for variant in ("fully_connected", "average_pooling", "average_pooling_dropout"):
        assert f"\n| {variant:23} | " in printed
        assert (tmp_path / "out" / f"{variant}-seed2" / "history.csv").exists()
    picture = tmp_path / "out" / "comparison.png"
    assert f"picture: {picture}" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_names_the_folder_after_the_settings(small_sample, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--epochs", "1"]) == 0
    assert (tmp_path / "runs" / "sample-1-epochs-seed-0" / "comparison.png").exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--epochs", "0"], "must be at least 1"),
        (["--epochs", "ten"], "invalid"),
        (["--data", "half"], "invalid choice: 'half'"),
        (["--seed", "-1"], "must be at least 0"),
    ],
)
def test_unfit_arguments_are_told(arguments, complaint, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["compare", *arguments])
    assert complaint in capsys.readouterr().err


def test_a_folder_that_cannot_be_is_one_line(small_sample, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file stands here")
    assert main(["compare", "--epochs", "1", "--out", str(tmp_path / "taken")]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: cannot write ")
    assert complaint.count("\n") == 1
    assert (tmp_path / "taken").read_text() == "a file stands here"
