"""Wrong answers to the exercises of lesson 06, and what each must be told."""

_TWO = """
def two_poolings():
    keras.utils.set_random_seed(0)
    image = x = keras.Input((32, 32, 3))
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, padding="same"{relu})(x)
        x = {pool}(x)
    mean = keras.layers.GlobalAveragePooling2D()(x)
    largest = keras.layers.GlobalMaxPooling2D()(x)
    {head}
    model = keras.Model(image, keras.layers.Dense(10{last})(x))
    {end}
"""
_TRUNK = {"relu": ", activation='relu'", "pool": "keras.layers.MaxPooling2D(2)"}
_LOSS = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
_FIT = f"""model.compile("adam", {_LOSS}, metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)
    return model"""
_BOTH = "x = keras.layers.Concatenate()([mean, largest])"


def _two(head=_BOTH, last="", end=_FIT, **trunk):
    return _TWO.format(head=head, last=last, end=end, **_TRUNK | trunk)


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
            "half of the width",
            "def interval(right, images):\n    p = right / images\n"
            "    return 1.96 * np.sqrt(p * (1 - p) / images)",
            "return two numbers",
        ),
        (
            "the upper end first",
            "def interval(right, images):\n    p = right / images\n"
            "    reach = 1.96 * np.sqrt(p * (1 - p) / images)\n    return p + reach, p - reach",
            "the lower end comes first",
        ),
        (
            "nothing",
            "def interval(right, images):\n    pass",
            "nothing comes back",
        ),
    ],
    "exercise-2-check": [
        (
            "Flatten kept",
            _two("x = keras.layers.Flatten()(x)"),
            "Flatten keeps every position",
        ),
        (
            "the mean alone",
            _two("x = mean"),
            "nothing takes the largest number",
        ),
        (
            "the largest alone",
            _two("x = largest"),
            "nothing takes the mean",
        ),
        (
            "added",
            _two("x = keras.layers.Add()([mean, largest])"),
            "the last layer sees 64 numbers",
        ),
        (
            "not trained",
            _two(end=f'model.compile("adam", {_LOSS})\n    return model'),
            "it was never trained",
        ),
        (
            "a softmax",
            _two(last=", activation='softmax'"),
            "expects logits",
        ),
        (
            "returns nothing",
            _two(end=_FIT.replace("return model", "pass")),
            "does not return a model",
        ),
        (
            "hidden layer kept",
            _two(_BOTH + "\n    x = keras.layers.Dense(128)(x)"),
            "the layers have other sizes",
        ),
        (
            "no max-pool",
            _two(pool="keras.layers.ReLU()", relu=""),
            "do not see 64 maps",
        ),
        (
            "no ReLU",
            _two(relu=""),
            "0 ReLUs",
        ),
        (
            "a layer of softmax",
            _two(
                end="model = keras.Model(image, keras.layers.Softmax()(model.output))\n    " + _FIT
            ),
            "the loss expects logits",
        ),
        (
            "not compiled",
            _two(end="return model"),
            "not compiled",
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
            "no seeds",
            _PAIRS.format(
                seed="seed",
                measure="0.4 + seed / 100 + (name == 'flatten') / 10",
                returned="found",
            ).replace("keras.utils.set_random_seed(seed)", "pass"),
            "seeds set: []",
        ),
        (
            "one seed for a pair",
            _PAIRS.format(
                seed="seed",
                measure="0.4 + seed / 100 + (name == 'flatten') / 10",
                returned="found",
            ).replace("set_random_seed(seed)", "set_random_seed(seed) if name == 'flatten' else 0"),
            "seeds set: [0, 1]",
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
