"""Plausible wrong answers to the exercises of lesson 03, and the hint that each should get."""

MENDED = """
def mended():
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(10),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    network.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)
    return network
"""

SMALL = """
def small_network():
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    network.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)
    return network
"""


def head(returned):
    return f"""
def head_parameters(height, width, channels, hidden, classes):
    flat = height * width * channels
    {returned}
"""


WRONG = {
    "count-check": [
        (
            "no biases",
            head("return hidden * flat + classes * hidden"),
            "each unit has one number more",
        ),
        ("the hidden layer alone", head("return hidden * (flat + 1)"), "one layer alone"),
        ("the logits alone", head("return classes * (hidden + 1)"), "one layer alone"),
        (
            "one position",
            head("return hidden * (channels + 1) + classes * (hidden + 1)"),
            "how long is the row",
        ),
        (
            "one bias a layer",
            head("return hidden * flat + 1 + classes * hidden + 1"),
            "a bias is missing",
        ),
        (
            "flat for both layers",
            head("return (hidden + classes) * (flat + 1)"),
            "the second layer does not get",
        ),
        ("nothing returned", head("hidden * (flat + 1)"), "returns nothing"),
    ],
    "mend-check": [
        (
            "labels in another order than images",
            MENDED.replace("x_train, y_train", "x_train[::-1], y_train"),
            "does each image keep its own label",
        ),
        (
            "logits into a loss of probabilities",
            MENDED.replace("from_logits=True", ""),
            "the loss expects another",
        ),
        (
            "softmax twice",
            MENDED.replace("Dense(10)", 'Dense(10, activation="softmax")'),
            "the loss expects another",
        ),
        (
            "no ReLU in the hidden layer",
            MENDED.replace('Dense(256, activation="relu")', "Dense(256)"),
            "nothing between them",
        ),
        ("not returned", MENDED.replace("return network", "pass"), "no network comes back"),
    ],
    "small-check": [
        (
            "a wide head",
            SMALL.replace("Dense(10", "Dense(64), layers.Dense(10"),
            "which layer has most of them",
        ),
        ("eleven classes", SMALL.replace("Dense(10)", "Dense(11)"), "how many logits"),
        (
            "not trained",
            SMALL.replace("network.fit(x_train, y_train,", "dict("),
            "was it trained",
        ),
        ("not returned", SMALL.replace("return network", "pass"), "no network comes back"),
    ],
}
