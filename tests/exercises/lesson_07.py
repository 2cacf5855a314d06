"""Plausible wrong answers to the exercises of lesson 07, and the hint that each should get."""

INTERVAL = """
def paired_interval(a, b):
    differences = np.asarray(a) - np.asarray(b)
    n = len(differences)
    reach = stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n)
    return differences.mean() - reach, differences.mean() + reach
"""

LUCK = """
def luck(first, second):
    d = np.mean(first != second)
    return np.sqrt(d / (2 * len(first)))
"""

FALLING = """
def falling(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((32, 32, 3))])
    for filters in (16, 32, 64):
        model.add(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(keras.layers.MaxPooling2D(2))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(256, activation="relu"))
    model.add(keras.layers.Dense(10))
    rate = keras.optimizers.schedules.PolynomialDecay(0.05, 126, 0.0)
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)
    return model
"""
FALLS = "keras.optimizers.schedules.PolynomialDecay(0.05, 126, 0.0)"
FIT = "model.fit(x_train, y_train,"

ALARMS = """
def false_alarms(trials, level=0.95):
    samples = np.random.default_rng(1).normal(size=(trials, 10))
    alarm = np.zeros(trials, bool)
    for n in range(3, 11):
        mean, s = samples[:, :n].mean(axis=1), samples[:, :n].std(axis=1, ddof=1)
        alarm |= abs(mean) > stats.t.ppf(0.5 + level / 2, n - 1) * s / np.sqrt(n)
    return alarm.mean()


def honest_level():
    return 0.988
"""

WRONG = {
    "exercise-1-check": [
        ("b minus a", INTERVAL.replace("(a) - np.asarray(b)", "(b) - np.asarray(a)"), "the middle"),
        (
            "not paired",
            INTERVAL.replace(
                "differences.std(ddof=1)", "np.sqrt(np.var(a, ddof=1) + np.var(b, ddof=1))"
            ),
            "is it from pairs",
        ),
        ("no root of n", INTERVAL.replace(" / np.sqrt(n)", ""), "look at the root"),
        ("1.96", INTERVAL.replace("stats.t.ppf(0.975, n - 1)", "1.96"), "at t and at ddof"),
        ("t to one side", INTERVAL.replace("0.975", "0.95"), "at t and at ddof"),
        ("ddof 0", INTERVAL.replace("ddof=1", "ddof=0"), "at t and at ddof"),
        ("twice as wide", INTERVAL.replace("stats", "2 * stats"), "by a factor"),
    ],
    "exercise-2-check": [
        ("half of it forgotten", LUCK.replace("(2 * len(first))", "len(first)"), "a factor"),
        (
            "d without its root",
            LUCK.replace("np.sqrt(d / (2 * len(first)))", "d / len(first) ** 0.5"),
            "which power",
        ),
        ("no root", LUCK.replace("np.sqrt(d / (2 * len(first)))", "d / 2"), "the images"),
        (
            "only the first right",
            LUCK.replace("first != second", "first & ~second"),
            "order of the runs",
        ),
        ("the share that agrees", LUCK.replace("!=", "=="), "answer alike"),
        ("counted, not averaged", LUCK.replace("np.mean", "np.sum"), "the images"),
        ("nothing returned", LUCK.replace("return", "value ="), "returns nothing"),
    ],
    "exercise-3-check": [
        ("a constant rate", FALLING.replace(FALLS, "0.05"), "the rate is a number"),
        ("it falls too early", FALLING.replace("126", "63"), "the first, middle and last rate"),
        ("Adam", FALLING.replace("SGD(rate, momentum=0.9)", "Adam(rate)"), "not SGD"),
        ("not trained", FALLING.replace(FIT, "dict("), "those of two epochs"),
        ("one epoch", FALLING.replace("epochs=2", "epochs=1"), "those of two epochs"),
        ("no momentum", FALLING.replace(", momentum=0.9", ""), "the momentum is 0"),
        ("always seed 0", FALLING.replace("seed(seed)", "seed(0)"), "the same network"),
        ("another net", FALLING.replace("256", "128"), "not those of the practice net"),
        ("not returned", FALLING.replace("return model", "pass"), "no model comes back"),
    ],
    "exercise-4-check": [
        ("one judgement", ALARMS.replace("range(3, 11)", "(10,)"), "after each new seed"),
        (
            "new seeds every time",
            ALARMS.replace(
                "        mean, s",
                "        samples = np.random.default_rng(n).normal(size=(trials, 10))\n"
                "        mean, s",
            ),
            "are earlier seeds kept",
        ),
        (
            "1.96",
            ALARMS.replace("stats.t.ppf(0.5 + level / 2, n - 1)", "1.96"),
            "which t belongs to n seeds",
        ),
        (
            "95% on one side",
            ALARMS.replace("0.5 + level / 2", "level"),
            "2.5% lie on each side",
        ),
        ("to one side", ALARMS.replace("abs(mean)", "mean"), "which t"),
        ("t of the last", ALARMS.replace("n - 1)", "9)"), "which t belongs to n seeds"),
        ("a fixed level", ALARMS.replace("0.5 + level / 2", "0.975"), "where is it used"),
        ("the course's level", ALARMS.replace("0.988", "0.95"), "not 5% end so"),
        ("in percent", ALARMS.replace("0.988", "98.8"), "is no level"),
        ("no level", ALARMS.replace("return 0.988", "pass"), "honest_level returns nothing"),
        ("a count", ALARMS.replace("alarm.mean()", "alarm.sum()"), "divide by the trials"),
    ],
}
