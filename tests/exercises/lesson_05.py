"""Plausible wrong answers to the exercises of lesson 05, and the hint that each should get."""


def after(condition, returned="layers.Dropout(0.5)(x)", otherwise="x"):
    return f"""
def after(x, number):
    if {condition}:
        return {returned}
    return {otherwise}
"""


def drop(*lines):
    return "def drop(activations, rate, generator):\n    " + "\n    ".join(lines)


HEAD = """
def dropout_in_head():
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    network.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)
    return network
"""
RATE = HEAD.replace("dropout_in_head", "best_rate")
LINE = "            layers.Dropout(0.5),\n"
FIT = "network.fit(x_train, y_train,"
SCALED = "return activations * kept / (1 - rate)"
KEPT = "kept = generator.random(activations.shape) >= rate"

WRONG = {
    "after-check": [
        ("everywhere", after("True"), "not where it was asked for"),
        ("counted from 0", after("number in (3, 4, 6)"), "not where it was asked for"),
        ("another rate", after("number in (4, 5, 7)", "layers.Dropout(0.2)(x)"), "not a half"),
        ("no dropout", after("number in (4, 5, 7)", "layers.ReLU()(x)"), "is no dropout layer"),
        (
            "whole channels",
            after("number in (4, 5, 7)", "layers.SpatialDropout2D(0.5)(x)"),
            "SpatialDropout2D is no dropout layer",
        ),
        ("nothing elsewhere", after("number in (4, 5, 7)", otherwise="None"), "nothing comes back"),
        (
            "one name for all",
            after("number in (4, 5, 7)", "layers.Dropout(0.5, name='dropout')(x)"),
            "a name of its own",
        ),
    ],
    "drop-check": [
        ("not scaled", drop(KEPT, "return activations * kept"), "a mean of 3 has become"),
        ("scaled down", drop(KEPT, "return activations * kept * (1 - rate)"), "a mean of 3 has"),
        (
            "the wrong side",
            drop(KEPT.replace(">=", "<"), SCALED),
            "which side of the rate stays",
        ),
        (
            "one draw for all",
            drop("kept = generator.random() >= rate", SCALED),
            "draw for each of them",
        ),
        (
            "one draw for a row",
            drop("kept = generator.random((len(activations), 1)) >= rate", SCALED),
            "whole rows or columns",
        ),
        (
            "one draw for a column",
            drop("kept = generator.random(activations.shape[1]) >= rate", SCALED),
            "whole rows or columns",
        ),
        ("always a fifth", drop("rate = 0.2", KEPT, SCALED), "at a rate of 50%"),
        (
            "a generator of its own",
            drop(
                "generator = np.random.default_rng(7)",
                KEPT,
                SCALED,
            ),
            "use the generator",
        ),
        (
            "NumPy's own generator",
            drop("kept = np.random.random(activations.shape) >= rate", SCALED),
            "draw with yours",
        ),
    ],
    "head-check": [
        ("one dropout", HEAD.replace(LINE, "", 1), "dropout layers: 1, not two"),
        (
            "after the logits",
            HEAD.replace(LINE, "", 1).replace("Dense(10),\n", "Dense(10),\n" + LINE),
            "a logit that is dropped is lost",
        ),
        (
            "before flatten",
            HEAD.replace("            layers.Flatten(),\n" + LINE, LINE + "layers.Flatten(),"),
            "dropout stands after MaxPooling2D",
        ),
        ("no ReLU", HEAD.replace('Dense(256, activation="relu")', "Dense(256)"), "3 ReLUs"),
        ("a tenth", HEAD.replace("0.5", "0.1"), "not one half each"),
        ("not trained", HEAD.replace(FIT, "dict("), "was it trained"),
    ],
    "rate-check": [
        ("no dropout", RATE.replace(LINE, ""), "nothing is dropped"),
        ("nearly all dropped", RATE.replace("0.5", "0.95"), "another rate"),
        ("not trained", RATE.replace(FIT, "dict("), "another rate"),
    ],
}
