"""Plausible wrong answers to the exercises of lesson 09, and the hint that each should get."""


def power(*lines):
    body = "\n    ".join(
        [
            "vector = np.random.default_rng(0).normal(size=len(matrix))",
            "for _ in range(200):",
            *lines,
        ]
    )
    return f"def power_iteration(matrix):\n    {body}"


def bound(returned):
    return f"def momentum_bound(sharpness, momentum):\n    return {returned}"


LARGE = """
def large_batch():
    model = practice_net()
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=cross_entropy_of_logits)
    model.fit(x_train, y_train, batch_size=256, epochs=3, verbose=0)
    return model
"""
DECAY = """
def regularised():
    model = practice_net()
    optimizer = keras.optimizers.AdamW(learning_rate=1e-3, weight_decay=2.0)
    model.compile(optimizer=optimizer, loss=cross_entropy_of_logits)
    model.fit(x_train[:1000], y_train[:1000], batch_size=64, epochs=12, verbose=0)
    return model
"""
GROWING = "    vector = matrix @ vector"
VALUE = "return float(vector @ matrix @ vector)"
MAXIMUM = "def power_iteration(matrix):\n    return matrix.max()"
LENGTH_1 = "    vector /= np.linalg.norm(vector)"

WRONG = {
    "power-check": [
        ("not brought to length 1", power(GROWING, VALUE), "is v of length 1"),
        (
            "and more steps",
            power(GROWING, VALUE).replace("200", "500"),
            "does the vector grow without end",
        ),
        (
            "the length",
            power(GROWING, "    value = np.linalg.norm(vector)", LENGTH_1, "return float(value)"),
            "a negative eigenvalue",
        ),
        ("the vector", power(GROWING, LENGTH_1, "return vector"), "the eigenvalue is one number"),
        (
            "the largest entry",
            "def power_iteration(m):\n    return m.max()",
            "a negative eigenvalue",
        ),
        (
            "the diagonal",
            "def power_iteration(m):\n    return max(np.diag(m), key=abs)",
            "a full matrix gives another value",
        ),
        (
            "one step",
            power(GROWING, LENGTH_1, "    return float(vector @ matrix @ vector)"),
            "wrong",
        ),
        ("not returned", power(GROWING, LENGTH_1), "nothing comes back"),
    ],
    "momentum-check": [
        (
            "the mean, not the sum",
            bound("(2 + 2 * momentum) / (1 - momentum) / sharpness"),
            "a factor too many",
        ),
        ("no momentum", bound("2 / sharpness"), "above your bound the error still shrinks"),
        ("the sign", bound("2 * (1 - momentum) / sharpness"), "put z = -1 in once more"),
        ("times the sharpness", bound("2 * (1 + momentum) * sharpness"), "the bound of section 2"),
        ("not returned", bound("None"), "nothing comes back"),
    ],
    "large-batch-check": [
        ("batches of 64", LARGE.replace("256", "64"), "three epochs with batches of 256"),
        (
            "another network",
            LARGE.replace(
                "model = practice_net()",
                "model = keras.Sequential([layers.Flatten(), layers.Dense(10)])",
            ),
            "are not those of the practice net",
        ),
        ("one epoch", LARGE.replace("epochs=3", "epochs=1"), "are these three epochs"),
        ("the rate stays too small", LARGE.replace("2e-3", "1e-5"), "try another rate"),
        ("not returned", LARGE.replace("return model", "pass"), "no network comes back"),
    ],
    "regularised-check": [
        ("no decay", DECAY.replace(", weight_decay=2.0", ", weight_decay=0.0"), "no weight decay"),
        (
            "plain Adam",
            DECAY.replace("AdamW", "Adam").replace(", weight_decay=2.0", ""),
            "no weight decay",
        ),
        ("not trained", DECAY.replace("model.fit(", "dict("), "your answer raises"),
        ("two epochs", DECAY.replace("epochs=12", "epochs=2"), "not those of 12 epochs"),
        ("far too strong", DECAY.replace("2.0", "500.0"), "is the decay too strong"),
        ("not returned", DECAY.replace("return model", "pass"), "no network comes back"),
    ],
}
