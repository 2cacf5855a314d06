"""Whether each claim can be refuted, and whether the statistics are the textbook's."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from cifar_keras import claims, results
from cifar_keras.errors import UserError

BY_NUMBER = {claim.number: claim for claim in claims.CLAIMS}


@pytest.fixture
def curve(make_history):
    """A history of 50 epochs: test loss given for its beginning, middle (21–40) and end."""

    def make(start, middle, end, accuracy=0.5):
        losses = [start] * 20 + [middle] * 20 + [end] * 10
        return make_history([0.1] * 45 + [accuracy] * 5, losses)

    return make


@pytest.mark.parametrize(
    ("number", "connected", "pooled", "dropped", "score"),
    [
        ("1", (2, 1, 1, 0.6), (2, 1, 1, 0.7), (2, 1, 1, 0.9), 10),
        ("1", (2, 1, 1, 0.7), (2, 1, 1, 0.6), (2, 1, 1, 0.9), -10),
        ("2a", (2, 3, 9), (1, 2, 9), (0, 0, 0), 1),
        ("2a", (1, 2, 9), (2, 3, 9), (0, 0, 0), -1),
        ("2b", (9, 9, 2), (0, 0, 5), (0, 0, 0), 3),
        ("2b", (0, 0, 5), (9, 9, 2), (0, 0, 0), -3),
        ("3", (2, 1, 3), (2, 1.5, 3), (0, 0, 0), 0.4),
        ("3", (2, 1, 3), (2, 1.5, 1.5), (0, 0, 0), -0.1),
        ("3", (2, 3, 4), (2, 1, 3), (0, 0, 0), -0.1),
        ("4", (2, 1, 1), (3, 1, 1), (5, 1, 1), 2),
        ("4", (2, 1, 1), (6, 1, 1), (5, 1, 1), -1),
        ("5", (0, 4, 4), (0, 3, 3), (9, 1, 1), 2),
        ("5", (0, 4, 4), (0, 1, 1), (9, 3, 3), -2),
        ("6", (2, 1, 1, 0.6), (2, 1, 1, 0.7), (2, 1, 1, 0.8), 10),
        ("6", (2, 1, 1, 0.9), (2, 1, 1, 0.7), (2, 1, 1, 0.8), -10),
    ],
)
def test_a_claim_s_score_is_positive_when_it_is_true(
    curve, number, connected, pooled, dropped, score
):
    histories = [curve(*values) for values in (connected, pooled, dropped)]
    assert BY_NUMBER[number].score(*histories) == pytest.approx(score)


def test_epochs_that_were_not_trained_give_no_score(make_history):
    short = make_history([0.5] * 20, [1.0] * 20)
    without = [n for n, claim in BY_NUMBER.items() if math.isnan(claim.score(short, short, short))]
    assert without == ["2b", "5"]
    assert claims.judge([math.nan, math.nan]).word == "cannot be told"


def test_scores_are_paired_by_seed(curve):
    low, high = curve(2, 1, 1, 0.4), curve(2, 1, 1, 0.6)
    runs = {
        "fully_connected": {0: low, 1: high, 3: low},
        "average_pooling": {0: high, 1: high, 2: low},
        "average_pooling_dropout": {0: low, 1: low, 2: low},
        "twin": {1: low},
    }
    assert claims.scores(BY_NUMBER["1"], runs) == pytest.approx([20, 0])
    others = ("fully_connected", "twin", "average_pooling_dropout")
    assert claims.scores(BY_NUMBER["1"], runs, others) == pytest.approx([-20])
    with pytest.raises(UserError, match="no seed has runs of all of fully_connected, absent"):
        claims.scores(BY_NUMBER["1"], runs, ("fully_connected", "absent", "twin"))


def test_the_verdict_is_on_the_interval():
    # Three values: t is 4.3027 at two degrees of freedom (any table); s is 1.
    verdict = claims.judge([5.0, 6.0, 7.0])
    assert (verdict.mean, verdict.runs) == (6, 3)
    assert verdict.low == pytest.approx(6 - 4.3027 / math.sqrt(3), abs=1e-3)
    assert verdict.high == pytest.approx(6 + 4.3027 / math.sqrt(3), abs=1e-3)
    assert verdict.word == "holds"
    assert claims.judge([-5.0, -6.0, -7.0]).word == "does not hold"
    assert claims.judge([0.0, 1.0, 2.0]).word == "cannot be told"


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_word_interval_and_p_value_agree(n):
    shape = np.arange(n) - (n - 1) / 2
    reach = claims.judge(shape).high
    for mean, word in ((1.001 * reach, "holds"), (0.999 * reach, "cannot be told")):
        verdict = claims.judge(mean + shape)
        assert verdict.word == word and (verdict.low > 0) == (word == "holds")
        assert verdict.p == pytest.approx(stats.ttest_1samp(mean + shape, 0).pvalue)
        assert claims.judge(-mean - shape).word == word.replace("holds", "does not hold")


def test_one_seed_has_a_value_and_no_interval():
    verdict = claims.judge([6.0])
    assert (verdict.mean, verdict.runs, verdict.word) == (6, 1, "cannot be told")
    assert math.isnan(verdict.low) and math.isnan(verdict.high)
    assert str(verdict) == "cannot be told: +6.00 (one seed, no interval)"


def test_equal_differences_leave_no_doubt():
    assert [claims.judge([x, x]).word for x in (1.0, -1.0, 0.0)] == [
        claims.HOLDS,
        claims.FAILS,
        claims.OPEN,
    ]


def test_holm_is_the_textbook_s():
    # 0.01 · 4, 0.02 · 3, 0.03 · 2, 0.005 is the smallest: 0.005 · 5; none below one before it.
    corrected = claims.holm([0.01, 0.02, math.nan, 0.03, 0.005, 0.9])
    assert corrected == pytest.approx([0.04, 0.06, math.nan, 0.06, 0.025, 0.9], nan_ok=True)
    assert claims.holm([0.6, 0.7]) == pytest.approx([1, 1])


def test_a_family_is_corrected_from_five_seeds_on():
    def differences(n, p):
        """n numbers whose two-sided p-value is p."""
        shape = np.arange(n) - (n - 1) / 2
        error = shape.std(ddof=1) / math.sqrt(n)
        return shape + stats.t.isf(p / 2, n - 1) * error

    for n, words in ((4, ["holds", "holds"]), (5, ["cannot be told", "holds"])):
        family = [differences(n, 0.04), differences(n, 0.01)] + [np.zeros(n) + math.nan]
        family += [differences(n, 0.5)]
        assert [verdict.word for verdict in claims.judge_family(family)[:2]] == words
    [low] = claims.judge_family([differences(5, 0.04)])
    assert low.word == "holds", "a family of one needs no correction"


def test_seven_true_zeros_seldom_give_an_alarm():
    random = np.random.default_rng(0)
    families = random.normal(size=(2000, 7, 10))
    p = stats.ttest_1samp(families, 0, axis=2).pvalue
    together = [(claims.holm(family) < 0.05).any() for family in p]
    assert np.mean((p < 0.05).any(axis=1)) == pytest.approx(1 - 0.95**7, abs=0.04)
    assert np.mean(together) == pytest.approx(0.05, abs=0.015)


def test_every_claim_gets_a_verdict(curve):
    low, high = curve(2, 1, 1, 0.4), curve(2, 1, 1, 0.6)
    seeds = {"fully_connected": {0: low, 1: high}, "average_pooling": {0: high, 1: high}}
    seeds["average_pooling_dropout"] = {0: low, 1: low}
    # Scores of 20 and 0 points: t is 12.706.
    assert claims.verdicts(seeds)[0].high == pytest.approx(10 + 12.706 * 10, rel=1e-3)
    first, *_ = one = claims.verdicts({variant: {5: low} for variant in seeds})
    assert len(one) == len(claims.CLAIMS) and (first.mean, first.runs) == (0, 1)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, "1 seed, 50 epochs (3,950 steps)"),
        (2, "2 seeds, 50 epochs (3,950 steps), not corrected"),
        (5, "5 seeds, 50 epochs (3,950 steps)"),
    ],
)
def test_what_verdicts_rest_on_is_said(curve, seeds, said):
    by_seed = {seed: curve(2, 1, 1) for seed in range(seeds)}
    assert claims.basis({variant: by_seed for variant in results.VARIANTS}, 5000) == said


def test_steps_are_the_reference_s():
    assert (claims.steps(1), claims.steps(100), claims.steps(25, 5000)) == (782, 78_200, 1975)
    for number in ("2a", "2b", "5"):
        assert re.search(r"epoch (\d+) \(step ([\d,]+)\)", BY_NUMBER[number].sentence)


def test_mcnemar_is_the_exact_one():
    # 1 against 9 tosses: p = 2 · (1 + 10) / 1024.
    one = np.array([True] * 1 + [False] * 9 + [True] * 50 + [False] * 5)
    other = np.array([False] * 1 + [True] * 9 + [True] * 50 + [False] * 5)
    assert claims.mcnemar(one, other) == (1, 9, pytest.approx(22 / 1024))
    assert claims.mcnemar(other, one) == (9, 1, pytest.approx(22 / 1024))
    assert claims.mcnemar(one, one) == (0, 0, 1.0)


def test_the_table_says_what_each_verdict_rests_on():
    known = claims.Verdict(1.5, 0.5, 2.5, 3, 0.02)
    nan = math.nan
    shown = [known, claims.Verdict(nan, nan, nan, 3, nan), claims.judge([0.25])]
    verdicts = shown + [known] * (len(claims.CLAIMS) - 3)
    lines = claims.table({"here": verdicts}).splitlines()
    assert len(lines) == 2 + len(claims.CLAIMS)
    assert [line.split("|")[3].strip() for line in lines[2:5]] == [
        "holds: +1.50 (+0.50 … +2.50), n = 3",
        "cannot be told: too few epochs, n = 3",
        "cannot be told: +0.25 (one seed, no interval), n = 1",
    ]


def test_repeated_nets_stand_beside_the_reference_s(curve):
    runs = {
        "average_pooling": {0: curve(2, 1, 3, 0.7), 1: curve(2, 1, 1, 0.8)},
        "average_pooling_no_classifier": {0: curve(4, 3, 2.5, 0.6)},
    }
    reference = {"average_pooling": curve(3, 2, 1.5, 0.78), "fully_connected": curve(3, 2, 9, 0.1)}
    right = {
        "average_pooling": np.array([[True, True, True, False], [True, False, False, False]]),
        "average_pooling_no_classifier": np.ones((1, 4), bool),
    }
    # Two of four images differ: √(1/2 / 8) = 25 points; 75% and 25% have the deviation 35.36.
    assert claims.reproduction_table(runs, reference, right).splitlines()[2:] == [
        "| average_pooling | 2 | 75.0% | 78.0% | 2.00 | 1.50 | 25.00 | 35.36 |",
        "| average_pooling_no_classifier | 1 | 60.0% | 78.0% | 2.50 | 1.50 |  |  |",
    ]


def test_ours_and_the_reference_s_stand_side_by_side(curve):
    low, high = curve(2, 1, 1, 0.4), curve(2, 1, 1, 0.6)
    connected, pooled, dropped = claims.WITHOUT_CLASSIFIER
    ours = {connected: {0: low, 1: low}, pooled: {0: high, 1: low}, dropped: {0: high, 1: high}}
    theirs = dict(zip(results.VARIANTS, (high, low, high), strict=True))
    heading, _, first, *_ = claims.side_by_side(ours, theirs).splitlines()
    assert heading.endswith("| ours, 2 seeds | the reference's, 1 seed |")
    assert first.endswith("| points | +10.00 | -20.00 |")
