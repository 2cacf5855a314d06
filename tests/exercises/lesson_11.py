"""Plausible wrong answers to the exercises of lesson 11, and the hint that each should get."""


def falling(schedule, optimizer="SGD(schedule, momentum=0.9, nesterov=True)"):
    return (
        "def falling_sgd(highest, steps):\n"
        f"    schedule = {schedule}\n"
        f"    return keras.optimizers.{optimizer}\n"
    )


LINE = "keras.optimizers.schedules.PolynomialDecay(highest, steps, end_learning_rate=0.0)"


def augmentation(*changes):
    return f"def augmentation():\n    return keras.Sequential([{', '.join(changes)}])\n"


FLIP = "layers.RandomFlip('horizontal')"
MOVE = "layers.RandomTranslation(2 / 32, 2 / 32, fill_mode='constant')"

COMPILED = """
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    network.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)
    return network
"""
FIT = "    network.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)\n"
NORMALISED = (
    """
def normalised():
    network = keras.Sequential([keras.Input((32, 32, 3))])
    for kernels in (16, 32, 64):
        network.add(layers.Conv2D(kernels, 3, padding="same"))
        network.add(layers.BatchNormalization(momentum=0.9))
        network.add(layers.Activation("relu"))
        network.add(layers.MaxPooling2D(2))
    network.add(layers.Flatten())
    network.add(layers.Dense(256, activation="relu"))
    network.add(layers.Dense(10))
"""
    + COMPILED
)
CONVOLUTION = '(kernels, 3, padding="same")'
SMALL = (
    """
def small():
    network = keras.Sequential([keras.Input((32, 32, 3))])
    for kernels in (16, 32, 64):
        network.add(layers.Conv2D(kernels, 3, padding="same", activation="relu"))
        network.add(layers.MaxPooling2D(2))
    network.add(layers.GlobalAveragePooling2D())
    network.add(layers.Dense(10))
"""
    + COMPILED
)

WRONG = {
    "falling-check": [
        ("a number", falling("highest"), "a number does not fall"),
        (
            "an end above 0",
            falling("keras.optimizers.schedules.PolynomialDecay(highest, steps)"),
            "where should it end",
        ),
        (
            "half a cosine",
            falling("keras.optimizers.schedules.CosineDecay(highest, steps)"),
            "is the line straight",
        ),
        ("no momentum", falling(LINE, "SGD(schedule)"), "another momentum"),
        ("no Nesterov", falling(LINE, "SGD(schedule, momentum=0.9)"), "not Nesterov's variant"),
        ("Adam", falling(LINE, "Adam(schedule)"), "no SGD optimizer"),
    ],
    "augmentation-check": [
        (
            "upside down, too",
            augmentation("layers.RandomFlip()", MOVE),
            "stands on its head",
        ),
        ("not moved", augmentation(FLIP), "no image is moved"),
        ("one pixel", augmentation(FLIP, MOVE.replace("2 / 32", "1 / 32")), "by two pixels"),
        ("not mirrored", augmentation(MOVE), "half of the images should be mirrored"),
        (
            "in pixels",
            augmentation(FLIP, MOVE.replace("2 / 32", "2")),
            "your answer raises",
        ),
        (
            "by the whole image",
            augmentation(FLIP, MOVE.replace("2 / 32", "1.0")),
            "shares of the image",
        ),
        (
            "a tenth of the image",
            augmentation(FLIP, MOVE.replace("2 / 32", "0.1")),
            "more than two pixels",
        ),
        (
            "in one direction alone",
            augmentation(FLIP, MOVE.replace("2 / 32, 2 / 32", "2 / 32, 0")),
            "no image is moved",
        ),
        (
            "filled with the image's mirror image",
            augmentation(FLIP, MOVE.replace("'constant'", "'reflect'")),
            "look at fill_mode",
        ),
        (
            "always",
            augmentation("layers.Lambda(lambda x: x[:, :, ::-1])", FLIP, MOVE),
            "where the network is only used",
        ),
    ],
    "normalised-check": [
        (
            "after the ReLU",
            NORMALISED.replace(CONVOLUTION, CONVOLUTION[:-1] + ', activation="relu")'),
            "comes before the normalisation",
        ),
        (
            "one alone",
            NORMALISED.replace(
                "network.add(layers.Batch", "kernels < 64 or network.add(layers.Batch"
            ),
            "not one normalisation",
        ),
        (
            "Keras' momentum",
            NORMALISED.replace("momentum=0.9", ""),
            "too slowly",
        ),
        (
            "no ReLU",
            NORMALISED.replace('        network.add(layers.Activation("relu"))\n', ""),
            "1 ReLUs",
        ),
        (
            "after the pool",
            NORMALISED.replace(
                "        network.add(layers.BatchNormalization(momentum=0.9))\n", ""
            ).replace(
                "layers.MaxPooling2D(2))",
                "layers.MaxPooling2D(2))\n"
                "        network.add(layers.BatchNormalization(momentum=0.9))",
            ),
            "comes between",
        ),
        ("not trained", NORMALISED.replace(FIT, ""), "was it trained"),
        ("narrower", NORMALISED.replace("16, 32, 64", "8, 16, 32"), "not the practice net's"),
        (
            "no pools",
            NORMALISED.replace("        network.add(layers.MaxPooling2D(2))\n", ""),
            "a max-pool has to follow",
        ),
    ],
    "small-check": [
        (
            "flattened",
            SMALL.replace("GlobalAveragePooling2D", "Flatten").replace("64)", "128)"),
            "which layer has most of them",
        ),
        ("no classifier", SMALL.replace("    network.add(layers.Dense(10))\n", ""), "ten logits"),
        ("never trained", SMALL.replace(FIT, ""), "never trained"),
        ("as in lesson 04", SMALL, "a rate that falls to 0"),
        ("not returned", SMALL.replace("return network", "pass"), "no network comes back"),
    ],
}
