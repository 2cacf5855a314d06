"""Plausible wrong answers to the exercises of lesson 08, and the hint that each should get."""

FIELD = """
def field_after(windows):
    field, step = 1, 1
    for kernel, stride in windows:
        field, step = field + (kernel - 1) * step, step * stride
    return field
"""


def maximum(*lines):
    return "def expected_maximum(activations, rate):\n    " + "\n    ".join(lines)


SORTED = "a = np.sort(np.ravel(activations))[::-1]"
LAW = "return float(np.sum(rate ** np.arange(len(a)) * a))"

AFTER = """
def dropout_after():
    image = keras.Input((32, 32, 3))
    x, number = image, 0
    for filters in models.TRUNK:
        for channels in filters:
            number += 1
            x = layers.Conv2D(channels // 4, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
        if number in models.DROPOUT_AFTER:
            x = layers.Dropout(0.5)(x)
    network = compiled(keras.Model(image, layers.GlobalAveragePooling2D()(x)))
    network.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)
    return network
"""
POOL = "        x = layers.MaxPooling2D(2)(x)\n"
FIT = "    network.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)\n"
DROPOUT = """        if number in models.DROPOUT_AFTER:
            x = layers.Dropout(0.5)(x)
"""

BETTER = """
def better():
    window = dict(padding="same", activation="relu", kernel_initializer="he_uniform")
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 3, **window),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, **window),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, **window),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, **window, name="last"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    compiled(network).fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)
    return network
"""
NOT_TRAINED = BETTER.replace(".fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)", "")

WRONG = {
    "exercise-1-check": [
        (
            "kernels added up",
            FIELD.replace("(kernel - 1) * step", "kernel * step"),
            "one 3×3 window gives 4",
        ),
        ("strides forgotten", FIELD.replace(", step * stride", ", step"), "are further apart"),
        (
            "the stride of the layer itself",
            FIELD.replace("(kernel - 1) * step", "(kernel - 1) * step * stride"),
            "not for its own",
        ),
        (
            "strides added",
            FIELD.replace("step * stride", "step + stride - 1"),
            "do the strides multiply",
        ),
        ("kernels multiplied", FIELD.replace("field + (kernel - 1)", "field * kernel"), "overlap"),
        ("nothing returned", FIELD.replace("return field", "pass"), "nothing comes back"),
    ],
    "exercise-2-check": [
        (
            "the probability not divided",
            maximum(SORTED, "return float(np.sum(rate ** np.arange(len(a)) * (1 - rate) * a))"),
            "by which division",
        ),
        (
            "counted from one",
            maximum(SORTED, "return float(np.sum(rate ** np.arange(1, len(a) + 1) * a))"),
            "by which division",
        ),
        ("not sorted", maximum("a = np.ravel(activations)", LAW), "which is a1"),
        ("sorted upwards", maximum("a = np.sort(np.ravel(activations))", LAW), "which is a1"),
        (
            "always one half",
            maximum(SORTED, "return float(np.sum(0.5 ** np.arange(len(a)) * a * (rate > 0)))")
            + " if rate else float(a[0])",
            "drawn with rate 0.8",
        ),
        (
            "the maximum",
            maximum("return float(np.max(activations))"),
            "drawn with rate 0.8",
        ),
        ("terms not added", maximum(SORTED, "return rate ** np.arange(len(a)) * a"), "the shape"),
    ],
    "exercise-3-check": [
        (
            "before the pools",
            AFTER.replace(POOL + DROPOUT, DROPOUT + POOL),
            "before the dropouts stand",
        ),
        (
            "after the global mean",
            AFTER.replace(DROPOUT, "").replace(
                "layers.GlobalAveragePooling2D()(x)",
                "layers.Dropout(0.5)(layers.Dropout(0.5)(layers.Dropout(0.5)("
                "layers.GlobalAveragePooling2D()(x))))",
            ),
            "before the dropouts stand",
        ),
        (
            "a classifier",
            AFTER.replace(
                "layers.GlobalAveragePooling2D()(x)",
                "layers.Dense(10)(layers.GlobalAveragePooling2D()(x))",
            ),
            "are the logits here",
        ),
        (
            "after every pool",
            AFTER.replace("number in models.DROPOUT_AFTER", "True"),
            "three of one half",
        ),
        ("another rate", AFTER.replace("Dropout(0.5)", "Dropout(0.2)"), "three of one half"),
        ("not trained", AFTER.replace(FIT, ""), "call fit"),
    ],
    "exercise-4-check": [
        (
            "a hidden layer",
            BETTER.replace("layers.Dense(10)", "layers.Dense(64), layers.Dense(10)"),
            "parameters; where are most of them",
        ),
        (
            "no pool at the start",
            BETTER.replace("            layers.MaxPooling2D(2),\n", "", 1).replace(
                "layers.Flatten()", "layers.GlobalAveragePooling2D()"
            ),
            "which layer works on the largest maps",
        ),
        (
            "not deep enough",
            BETTER.replace("            layers.Conv2D(64, 3, **window),\n", "").replace(
                "Conv2D(64, 3, **window, name", "Conv2D(32, 1, **window, name"
            ),
            "what widens a field",
        ),
        ("not trained", NOT_TRAINED, "was it trained"),
        ("not returned", BETTER.replace("return network", "pass"), "no network comes back"),
    ],
}
