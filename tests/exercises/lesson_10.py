"""Plausible wrong answers to the exercises of lesson 10, and the hint that each should get."""


def confused(*lines):
    return "def most_confused(matrix):\n    " + "\n    ".join(lines)


def selective(*lines):
    return "def selective_accuracy(confidence, right, share):\n    " + "\n    ".join(lines)


NET = """
    network = keras.Sequential([keras.Input((32, 32, 3))])
    ADD
    for kernels in (16, 32, 64):
        network.add(layers.Conv2D(kernels, 3, padding="same", activation="relu"))
        network.add(layers.MaxPooling2D(2))
    network.add(layers.Flatten())
    network.add(layers.Dense(256, activation="relu"))
    network.add(layers.Dense(10))
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
"""
FIT = "    network.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)\n"
NOISY = "def noisy(noise):\n" + NET + FIT + "    return network\n"
ADDED = "network.add(layers.GaussianNoise(noise))"
BUILT = "def temperatures(epochs):\n" + NET.replace("ADD", "found = []")
FITTED = "inspection.temperature(network.predict(x_val, verbose=0), y_val.ravel())"


def over_epochs(*lines):
    """An answer to exercise 4 with these lines in its loop."""
    body = "".join(f"        {line}\n" for line in lines)
    return BUILT + "    for _ in range(epochs):\n" + body + "    return found\n"


WRONG = {
    "most-confused-check": [
        (
            "the diagonal, too",
            confused(
                "both = matrix + matrix.T",
                "return np.unravel_index(both.argmax(), both.shape)",
            ),
            "leave the diagonal out",
        ),
        (
            "one direction",
            confused(
                "wrong = matrix * (1 - np.eye(len(matrix), dtype=int))",
                "return tuple(sorted(np.unravel_index(wrong.argmax(), wrong.shape)))",
            ),
            "count both directions together",
        ),
        (
            "the upper half alone",
            confused(
                "wrong = np.triu(matrix, 1)",
                "return np.unravel_index(wrong.argmax(), wrong.shape)",
            ),
            "count both directions together",
        ),
        (
            "shares of each class",
            confused(
                "shares = matrix / matrix.sum(axis=1, keepdims=True)",
                "both = np.triu(shares + shares.T, 1)",
                "return np.unravel_index(both.argmax(), both.shape)",
            ),
            "count mistakes, not shares",
        ),
        (
            "the larger first",
            confused(
                "both = np.tril(matrix + matrix.T, -1)",
                "return np.unravel_index(both.argmax(), both.shape)",
            ),
            "the smaller number comes first",
        ),
        (
            "a place in the row of all numbers",
            confused("return np.triu(matrix + matrix.T, 1).argmax()"),
            "give a pair",
        ),
    ],
    "selective-check": [
        (
            "the least sure",
            selective(
                "chosen = np.argsort(confidence)[: round(share * len(confidence))]",
                "return right[chosen].mean()",
            ),
            "of which it is least sure",
        ),
        (
            "unsorted",
            selective("return right[: round(share * len(right))].mean()"),
            "how are they sorted",
        ),
        (
            "of all images",
            selective(
                "chosen = np.argsort(confidence)[::-1][: round(share * len(confidence))]",
                "return right[chosen].sum() / (2 * len(right))",
            ),
            "by what do you divide",
        ),
        (
            "the share as a threshold",
            selective("return right[confidence >= share].mean()"),
            "a share of the images, not a confidence",
        ),
        (
            "a threshold",
            selective("return right[confidence > 1 - share].mean()"),
            "not a confidence",
        ),
    ],
    "noisy-check": [
        ("no noise", NOISY.replace("ADD", "pass"), "is the layer in the network"),
        (
            "noise in both",
            NOISY.replace("ADD", "network.add(layers.GaussianNoise(0.3))"),
            "with noise=0 the network should have no noise",
        ),
        ("not trained", NOISY.replace(FIT, "").replace("ADD", ADDED), "was it trained"),
        (
            "another head",
            NOISY.replace("ADD", ADDED).replace("Flatten", "GlobalAveragePooling2D"),
            "not those of the practice net",
        ),
        (
            "not returned",
            NOISY.replace("ADD", ADDED).replace("return network", "pass"),
            "no network comes back",
        ),
    ],
    "surer-check": [
        ("never trained", over_epochs(f"found.append({FITTED})"), "your answer raises"),
        (
            "all at once",
            over_epochs(
                "if not found:",
                "    network.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)",
                f"found.append({FITTED})",
            ),
            "is the network trained in between",
        ),
        (
            "its logarithm",
            over_epochs(
                "network.fit(x_train, y_train, batch_size=64, verbose=0)",
                f"found.append(-abs(np.log({FITTED})))",
            ),
            "its logarithm",
        ),
        (
            "the last one",
            BUILT
            + "    network.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)\n"
            + f"    return {FITTED}\n",
            "not one temperature for each epoch",
        ),
    ],
}
