"""Plausible wrong answers to the exercises of lesson 04, and the hint that each should get."""


def head(*lines):
    return "def head(features):\n    " + "\n    ".join(lines)


def needed(returned):
    return f"def logit_needed(loss):\n    return {returned}"


ANY_SIZE = """
def any_size():
    network = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.GlobalAveragePooling2D(),
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
FIXED = ANY_SIZE.replace("None, None", "32, 32")
CLASSIFIER = "            layers.Dense(10),\n"
FIT = "network.fit(x_train, y_train,"
BETWEEN = FIXED.replace("any_size", "between")

WRONG = {
    "head-check": [
        (
            "no classifier",
            head("return layers.GlobalAveragePooling2D()(features)"),
            "what comes after the mean",
        ),
        ("no mean", head("return layers.Dense(10)(features)"), "do the positions still exist"),
        (
            "flattened",
            head("return layers.Dense(10)(layers.Flatten()(features))"),
            "with the means as its input",
        ),
        (
            "a softmax",
            head(
                "x = layers.GlobalAveragePooling2D()(features)",
                'return layers.Dense(10, activation="softmax")(x)',
            ),
            "the loss takes the softmax itself",
        ),
        (
            "the maximum",
            head("return layers.Dense(10)(layers.GlobalMaxPooling2D()(features))"),
            "no mean of each map",
        ),
        (
            "one position",
            head("return layers.Dense(10)(features[:, 0, 0])"),
            "give all positions one weight",
        ),
        (
            "the classifier first",
            head("return layers.GlobalAveragePooling2D()(layers.Dense(10)(features))"),
            "after the mean",
        ),
        (
            "nothing returned",
            head("layers.Dense(10)(layers.GlobalAveragePooling2D()(features))"),
            "nothing comes back",
        ),
    ],
    "needed-check": [
        ("the sign", needed("np.log((np.exp(loss) - 1) / 255)"), "a lower loss needs more"),
        ("the 1 forgotten", needed("np.log(255 / np.exp(loss))"), "untrained, all logits are 0"),
        ("256 others", needed("np.log(256 / (np.exp(loss) - 1))"), "untrained, all logits are 0"),
        ("a straight line", needed("np.log(256) - loss"), "does not give the loss back"),
    ],
    "sizes-check": [
        ("a fixed size", FIXED, "the input still fixes a size"),
        (
            "flattened",
            ANY_SIZE.replace("GlobalAveragePooling2D", "Flatten"),
            "your answer raises",
        ),
        (
            "no classifier",
            ANY_SIZE.replace(CLASSIFIER, ""),
            "how many logits",
        ),
        (
            "a hidden layer",
            ANY_SIZE.replace("layers.Dense(10)", "layers.Dense(256), layers.Dense(10)"),
            "not those of such a trunk",
        ),
        (
            "not trained",
            ANY_SIZE.replace(FIT, "dict("),
            "was it trained",
        ),
    ],
    "between-check": [
        (
            "flattened",
            BETWEEN.replace("GlobalAveragePooling2D", "Flatten"),
            "how many numbers does the dense layer get",
        ),
        (
            "no classifier",
            BETWEEN.replace(CLASSIFIER, ""),
            "how many logits",
        ),
        (
            "not trained",
            BETWEEN.replace(FIT, "dict("),
            "was it trained",
        ),
        ("not returned", BETWEEN.replace("return network", "pass"), "no network comes back"),
        (
            "the small network of lesson 03",
            BETWEEN.replace("GlobalAveragePooling2D", "Flatten")
            .replace("Conv2D(32", "Conv2D(16")
            .replace("Conv2D(64", "Conv2D(32"),
            "change the head",
        ),
        (
            "trained on the validation images",
            BETWEEN.replace("GlobalAveragePooling2D()", "AveragePooling2D(2), layers.Flatten()")
            .replace("fit(x_train, y_train,", "fit(x_val, y_val,")
            .replace("epochs=1", "epochs=15")
            .replace("learning_rate=1e-3", "learning_rate=5e-3")
            .replace('metrics=["accuracy"]', 'metrics=["accuracy"], run_eagerly=False'),
            "which did fit see",
        ),
    ],
}
