"""Plausible wrong answers to the exercises of lesson 00, and a part of the hint that each gets."""

SMALLER = """
def smaller_network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)
    return model
"""
FIT = "history = model.fit(x_train, y_train, batch_size=64, epochs=2, verbose=0)"


def changed(*changes):
    """The right answer to exercise 3 with some of its text replaced."""
    source = SMALLER
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source


BETTER = ("smaller_network", "better_network")

WRONG = {
    "check-accuracy": [
        (
            "a column against a row: each answer is compared with all labels",
            """
def accuracy(answers, labels):
    return np.mean(answers == labels)
""",
            "its own label only",
        ),
        (
            "the number of right answers",
            """
def accuracy(answers, labels):
    return np.sum(answers == labels.ravel())
""",
            "divide by the number",
        ),
        (
            "percents",
            """
def accuracy(answers, labels):
    return 100 * np.mean(answers == labels.ravel())
""",
            "percents",
        ),
        (
            "the share of mistakes",
            """
def accuracy(answers, labels):
    return np.mean(answers != labels.ravel())
""",
            "wrong answers",
        ),
        (
            "one number for each image",
            """
def accuracy(answers, labels):
    return answers == labels.ravel()
""",
            "the shape (5,)",
        ),
        (
            "a column against a row, added up",
            """
def accuracy(answers, labels):
    return np.sum(answers == labels) / len(answers)
""",
            "compared with all labels",
        ),
    ],
    "check-three": [
        (
            "the least likely ones",
            """
def three_most_likely(probabilities):
    return [data.CLASS_NAMES[number] for number in np.argsort(probabilities)[:3]]
""",
            "which way does argsort sort",
        ),
        (
            "the most likely one last",
            """
def three_most_likely(probabilities):
    return [data.CLASS_NAMES[number] for number in np.argsort(probabilities)[-3:]]
""",
            "the most likely one comes first",
        ),
        (
            "numbers",
            """
def three_most_likely(probabilities):
    return np.argsort(probabilities)[::-1][:3]
""",
            "not the numbers",
        ),
        (
            "one name",
            """
def three_most_likely(probabilities):
    return [data.CLASS_NAMES[np.argmax(probabilities)]]
""",
            "three names",
        ),
        (
            "the first three classes",
            """
def three_most_likely(probabilities):
    return list(data.CLASS_NAMES[:3])
""",
            "not the classes of the largest",
        ),
    ],
    "check-smaller": [
        ("one convolution as before", changed(("Conv2D(8", "Conv2D(16")), "the convolutions have"),
        ("256 units as before", changed(("Dense(64", "Dense(256")), "which layer differs"),
        (
            "a forgotten activation",
            changed(
                ('Conv2D(32, 3, padding="same", activation="relu")', "Conv2D(32, 3, 1, 'same')")
            ),
            "all layers with weights but the last",
        ),
        ("an activation too many", changed(("Dense(10)", 'Dense(10, activation="relu")')), "relu"),
        (
            "the history in the place of the model",
            changed(("return model", "return history")),
            "fit",
        ),
        (
            "not trained",
            changed((FIT, "")),
            "not trained yet",
        ),
        ("trained on few images", SMALLER, "learned too little"),  # as the runner cuts x_train
    ],
    "check-better": [
        ("as large as before", changed(BETTER, ("Dense(64", "Dense(512")), "too many"),
        ("trained too little", changed(BETTER), "more epochs"),
        (
            "trained on the validation images",
            changed(
                BETTER,
                ("fit(x_train, y_train,", "fit(x_val, y_val,"),
                ("epochs=2", "epochs=15"),
                ('metrics=["accuracy"]', 'metrics=["accuracy"], run_eagerly=False'),
            ),
            "which images did fit see",
        ),
        ("nothing returned", changed(BETTER, ("return model", "return None")), "return the model"),
        (
            "eleven numbers",
            changed(BETTER, ("Dense(10)", "Dense(11)")),
            "ten numbers",
        ),
    ],
}
