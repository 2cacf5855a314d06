"""Reading recorded runs, and what is computed from them."""

from statistics import mean

import numpy as np
import pytest

from cifar_keras import files, results
from cifar_keras.errors import UserError

HEADER = "epoch,training_loss,training_accuracy,test_loss,test_accuracy,seconds\n"


def record(folder, run, text):
    (folder / run).mkdir(parents=True)
    (folder / run / "history.csv").write_text(text)
    (folder / run / "run.json").write_text("{}")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="there are no recorded runs"):
        results.read_runs(tmp_path)


def test_unfinished_runs_are_not_read(tmp_path):
    record(tmp_path, "a-seed0", HEADER + "1,2,0.2,2,0.2,3\n2,2,0.2,2,0.2,3\n")
    record(tmp_path, "a-seed1", HEADER + "1,2,0.2,2,0.2,3\n")
    (tmp_path / "a-seed1" / "run.json").unlink()
    assert list(results.read_runs(tmp_path)["a"]) == [0]


def test_a_stray_folder_is_no_run(tmp_path):
    for name in ("a-seed0", "a-seed0 copy", "a-seed", "a-seed01", "a-seed1.old"):
        record(tmp_path, name, HEADER + "1,2,0.2,2,0.2,3\n")
    (tmp_path / "a-seed2").write_text("a file")
    assert [run.name for run in results.runs_in(tmp_path)] == ["a-seed0"]
    assert results.read_runs(tmp_path).keys() == {"a"}


def test_final_is_the_mean_of_the_last_tenth_of_the_epochs_that_were_looked_at(make_history):
    history = make_history([0.0] * 18 + [0.4, 0.6], [2.0] * 20)
    assert results.final(history, "test_accuracy") == pytest.approx(0.5)
    once = make_history([float("nan"), 0.7], [float("nan"), 1.0])
    assert results.final(once, "test_accuracy") == 0.7


def test_runs_of_different_lengths_are_refused(tmp_path):
    record(tmp_path, "a-seed0", HEADER + "1,2,0.2,2,0.2,3\n")
    record(tmp_path, "a-seed1", HEADER + "1,2,0.2,2,0.2,3\n2,2,0.2,2,0.2,3\n")
    with pytest.raises(UserError, match=r"differ in length, \[1, 2\] epochs"):
        results.read_runs(tmp_path)


def test_runs_are_ordered_by_variant_and_seed(tmp_path):
    for run in ("average_pooling-seed10", "other-seed0", "average_pooling-seed2"):
        record(tmp_path, run, HEADER + "1,2,0.2,2,0.2,3\n")
    record(tmp_path, "fully_connected-seed1", HEADER + "1,2,0.2,2,0.2,3\n")
    runs = results.read_runs(tmp_path)
    assert list(runs) == ["fully_connected", "average_pooling", "other"]
    assert list(runs["average_pooling"]) == [2, 10]


def test_pairs_are_of_the_seeds_that_all_variants_have():
    runs = {"a": {2: "a2", 0: "a0", 1: "a1"}, "b": {1: "b1", 2: "b2"}, "c": {0: "c0"}}
    pairs = results.paired(runs, ("b", "a"))
    assert pairs == {"b": {1: "b1", 2: "b2"}, "a": {1: "a1", 2: "a2"}}
    assert [list(by_seed) for by_seed in pairs.values()] == [[1, 2], [1, 2]]
    with pytest.raises(UserError, match="no seed has runs of all of a, b, c"):
        results.paired(runs, ("a", "b", "c"))


def test_without_a_checkout_the_reference_is_refused_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STUDIES", tmp_path / "studies")
    with pytest.raises(UserError, match="installed without the course's studies and results"):
        results.read_reference()


def test_the_reference_is_the_reference_project_s():
    reference = results.read_reference()
    assert {variant: len(history) for variant, history in reference.items()} == {
        variant: 100 for variant in results.VARIANTS
    }
    dropout = results.column(reference["average_pooling_dropout"], "test_accuracy")
    assert round(mean(dropout[-10:]), 4) == 0.8222
    assert max(dropout) == 0.8296
    assert max(results.column(reference["fully_connected"], "test_accuracy")) == 0.7725


def test_a_history_is_summed_up(make_history):
    summary = results.summarize(make_history([0.2, 0.6, 0.6, 0.5], [2.0, 1.0, 1.2, 1.11]))
    assert summary == results.Summary(
        epochs=4,
        last_accuracy=0.5,
        best_accuracy=0.6,
        best_epoch=2,
        lowest_loss=1.0,
        lowest_loss_epoch=2,
        last_loss=1.11,
    )
    assert summary.loss_rises
    assert not results.summarize(make_history([0.2, 0.3, 0.4], [2.0, 1.0, 1.1])).loss_rises


def test_the_standard_error_is_the_binomial_one():
    assert results.standard_error(0.8, 10_000) == pytest.approx(0.004)
    assert results.standard_error(1.0, 10) == 0


def test_right_answers_are_those_of_the_test_images(monkeypatch, tmp_path):
    monkeypatch.setattr(
        results.data, "load_labels", lambda name: {"toy": np.array([0, 1, 2])}[name]
    )
    for seed, said in ((0, "0 1 1"), (1, "2 1 2")):
        record(tmp_path, f"a-seed{seed}", "")
        lines = "\n".join(["class", *said.split()])
        (tmp_path / f"a-seed{seed}" / "predictions.csv").write_text(lines)
    monkeypatch.setattr(results.Run, "record", {"data": "toy"})
    right = results.right_answers(results.runs_in(tmp_path))
    assert right.tolist() == [[True, True, False], [False, True, True]]
    assert {k: v.tolist() for k, v in results.right_by_variant(tmp_path).items()} == {
        "a": right.tolist()
    }
    assert results.read_records(tmp_path) == [{"data": "toy"}] * 2


def test_too_few_predictions_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(results.data, "load_labels", lambda name: np.array([0, 1, 2]))
    monkeypatch.setattr(results.Run, "record", {"data": "toy"})
    (tmp_path / "predictions.csv").write_text("class\n0\n1\n")
    with pytest.raises(UserError, match="predictions.csv has 2 classes for 3 images; restore it"):
        results.right_answers([results.Run("a", 0, tmp_path)])


def test_labels_that_are_not_here_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(results.Run, "record", {"data": "held-out"})
    with pytest.raises(UserError, match="no file here has the labels"):
        results.right_answers([results.Run("a", 0, tmp_path)])


def test_luck_is_the_spread_of_runs_that_err_independently():
    random = np.random.default_rng(0)
    chances = random.uniform(0.2, 1, 1000)  # of each image to be answered right
    right = random.random((2000, 1000)) < chances
    luck, seen = results.spread(right)
    exact = np.sqrt(np.mean(chances * (1 - chances)) / 1000)
    assert luck == pytest.approx(exact, rel=0.01) and seen == pytest.approx(exact, rel=0.05)
    # A run that is better or worse on all images alike adds to what is seen, and not to luck.
    skill = random.normal(0, 0.05, (2000, 1))
    luck, seen = results.spread(random.random((2000, 1000)) < np.clip(chances + skill, 0, 1))
    assert luck == pytest.approx(exact, rel=0.1) and seen > 2.5 * exact


def test_luck_is_computed_from_every_pair_of_runs():
    right = np.random.default_rng(0).random((3, 50)) < 0.6
    share = np.mean([np.mean(right[i] != right[j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert results.spread(right)[0] == pytest.approx(np.sqrt(share / 100))


def test_tables_show_the_spread_of_several_seeds():
    right = np.array([[True, True, True, False], [True, False, False, False]])
    assert results.spread_cells(right) == ["25.00", "35.36"]
    assert results.spread_cells(right[:1]) == ["", ""]


def test_the_table_has_a_line_for_each_variant(make_history):
    one, two = make_history([0.2, 0.5], [2.0, 1.0]), make_history([0.3, 0.6], [1.0, 2.0])
    lines = results.table({"first": {0: one, 1: two}, "second": {0: two}}).splitlines()
    assert len(set(map(len, lines))) == 1, "aligned"
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "first",
        "2",
        "55.0% (50.0%–60.0%)",
        "1.50",
        "1.00 (2)",
    ]
    right = np.array([[True, True, True, False], [True, False, False, False]])
    of_both = {"first": right, "second": right[:1]}
    wide = results.table({"first": {0: one, 1: two}, "second": {0: two}}, of_both).splitlines()
    assert [line.split("|")[6:8] for line in wide[2:]] == [
        ["          25.00 ", "       35.36 "],
        ["                ", "             "],
    ]
    single = results.table({"average_pooling_dropout": {0: two}}).splitlines()
    assert max(map(len, single)) <= 80 and "seeds" not in single[0]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]][2:] == ["60.0%", "2.00", "1.00 (1)"]


def test_fast_table_has_means_and_ranges_beside_the_reference():
    def run(accuracy, both_ways, seconds):
        return {
            "summary": {"last_accuracy": accuracy},
            "accuracy_both_ways": both_ways,
            "recipe": {"epochs": 3},
            "trainable_parameters": 294336,
            "seconds": seconds,
        }

    right = {"quick": np.array([[True, True, True, False], [True, False, False, False]])}
    records = {"quick": [run(0.84, 0.85, 100.4), run(0.86, 0.88, 120.6)]}
    *_, reference, quick = results.fast_table(records, 1_130_272, right).splitlines()
    assert reference == "| the reference project's best | 1,130,272 | 100 | 1 | 82.2% | | | | |"
    assert quick == (
        "| quick | 294,336 | 3 | 2 | 85.0% (84.0%–86.0%) | 86.5% (85.0%–88.0%) | 110 "
        "| 25.00 | 35.36 |"
    )
