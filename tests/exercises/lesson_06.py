"""Wrong answers to the exercises of lesson 06, and what each must be told."""

_TWO = """
def two_poolings():
    keras.utils.set_random_seed(0)
    image = x = keras.Input((32, 32, 3))
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(2)(x)
    mean = keras.layers.GlobalAveragePooling2D()(x)
    largest = keras.layers.GlobalMaxPooling2D()(x)
    {head}
    model = keras.Model(image, keras.layers.Dense(10{last})(x))
    {end}
"""
_LOSS = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
_FIT = f"""model.compile("adam", {_LOSS}, metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)
    return model"""
_BOTH = "x = keras.layers.Concatenate()([mean, largest])"

_PAIRS = """
def pairs(seeds, epochs):
    found = {{"flatten": [], "average": []}}
    for seed in seeds:
        for name in found:
            keras.utils.set_random_seed({seed})
            model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)])
            flat = name == "flatten"
            model.add(keras.layers.Flatten() if flat else keras.layers.GlobalMaxPooling2D())
            model.add(keras.layers.Dense(10))
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile("adam", loss, metrics=["accuracy"])
            model.fit(x_train, y_train, batch_size=64, epochs=epochs, verbose=0)
            found[name].append({measure})
    return {returned}
"""

WRONG = {
    "exercise-1-check": [
        (
            "one standard error",
            "def interval(right, images):\n    p = right / images\n"
            "    reach = np.sqrt(p * (1 - p) / images)\n    return p - reach, p + reach",
            "the width is wrong",
        ),
        (
            "no root",
            "def interval(right, images):\n    p = right / images\n"
            "    reach = 1.96 * p * (1 - p) / images\n    return p - reach, p + reach",
            "do not divide the width by √10",
        ),
        (
            "counts",
            "def interval(right, images):\n    return right - 31, right + 31",
            "the measured share does not lie inside; divide by the images",
        ),
        (
            "nothing",
            "def interval(right, images):\n    pass",
            "your answer raises TypeError",
        ),
    ],
    "exercise-2-check": [
        (
            "Flatten kept",
            _TWO.format(head="x = keras.layers.Flatten()(x)", last="", end=_FIT),
            "Flatten keeps every position",
        ),
        (
            "the mean alone",
            _TWO.format(head="x = mean", last="", end=_FIT),
            "nothing takes the largest number",
        ),
        (
            "the largest alone",
            _TWO.format(head="x = largest", last="", end=_FIT),
            "nothing takes the mean",
        ),
        (
            "added",
            _TWO.format(head="x = keras.layers.Add()([mean, largest])", last="", end=_FIT),
            "the last layer sees 64 numbers",
        ),
        (
            "not trained",
            _TWO.format(
                head=_BOTH, last="", end=f'model.compile("adam", {_LOSS})\n    return model'
            ),
            "it was never trained",
        ),
        (
            "a softmax",
            _TWO.format(head=_BOTH, last=", activation='softmax'", end=_FIT),
            "expects logits",
        ),
        (
            "returns nothing",
            _TWO.format(head=_BOTH, last="", end=_FIT.replace("return model", "pass")),
            "does not return a model",
        ),
        (
            "hidden layer kept",
            _TWO.format(head=f"{_BOTH}\n    x = keras.layers.Dense(128)(x)", last="", end=_FIT),
            "the layers have other sizes",
        ),
    ],
    "exercise-3-check": [
        (
            "not trained",
            _PAIRS.format(seed="seed", measure="(seed + 1) / 100", returned="found"),
            "trained",
        ),
        (
            "one seed for all",
            _PAIRS.format(seed=0, measure="0.4 + (name == 'flatten') / 10", returned="found"),
            "both seeds gave the same",
        ),
        (
            "one head twice",
            _PAIRS.format(seed="seed", measure="0.4 + seed / 100", returned="found"),
            "both heads gave the same",
        ),
        (
            "percent",
            _PAIRS.format(
                seed="seed",
                measure="100 * model.evaluate(x_val, y_val, verbose=0)[1]",
                returned="found",
            ),
            "a share of images lies in [0, 1]",
        ),
        (
            "means instead of lists",
            _PAIRS.format(
                seed="seed",
                measure="0.5",
                returned="{name: np.mean(values) for name, values in found.items()}",
            ),
            "not one accuracy for each head and seed",
        ),
    ],
}
