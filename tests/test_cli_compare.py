"""`python -m cifar_keras compare`, end to end on a few images."""

import shutil

import pytest

from cifar_keras.__main__ import main


def test_prints_the_table_and_saves_the_picture(small_sample, tmp_path, monkeypatch, capsys):
    """In a folder that is named after the settings, or where it is told; it trains once."""
    monkeypatch.chdir(tmp_path)
    named, told = tmp_path / "runs" / "sample-1-epochs-seed-2", tmp_path / "told"
    for folder, options in ((named, []), (told, ["--out", str(told)])):
        assert main(["compare", "--epochs", "1", "--seed", "2", *options]) == 0
        printed = capsys.readouterr().out
        for variant in ("fully_connected", "average_pooling", "average_pooling_dropout"):
            assert f"\n| {variant:23} | " in printed
            assert (folder / f"{variant}-seed2" / "history.csv").exists()
        picture = folder / "comparison.png"
        assert f"{picture.relative_to(tmp_path)}\n" in printed
        assert picture.read_bytes().startswith(b"\x89PNG")
        if folder == named:
            shutil.copytree(named, told, ignore=shutil.ignore_patterns("*.png"))


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
