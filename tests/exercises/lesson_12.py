"""Plausible wrong answers to the exercises of lesson 12, and the hint that each should get."""

SPLIT = """
def split():
    (images, labels), _ = data.load_data("sample")
    x_train, x_val, y_train, y_val = train_test_split(
        images, labels, test_size=1000, stratify=labels, random_state=0
    )
    x_train, x_val = ((x / 127.5 - 1).astype("float32") for x in (x_train, x_val))
    return x_train, y_train, x_val, y_val
"""


def interval(reach):
    return f"""
def interval(differences):
    mean, s = np.mean(differences), np.std(differences, ddof=1)
    reach = {reach}
    return mean, mean - reach, mean + reach
"""


def heads(returned, other="layers.Dense(10)(layers.Flatten()(features))"):
    return f"""
def my_heads():
    def one(features):
        return {returned}

    def other(features):
        return {other}

    return {{"one": one, "other": other}}
"""


TRAIN = """
def train(head, seed):
    keras.utils.set_random_seed(seed)
    image = keras.Input((32, 32, 3))
    x = image
    for kernels in (16, 32, 64):
        x = layers.Conv2D(kernels, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    network = keras.Model(image, head(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    network.fit(x_train, y_train, batch_size=64, epochs=EPOCHS, verbose=0)
    return network
"""
UNTRAINED = """
def train(head, seed):
    return stand_in(seed)
"""


def experiment(train=TRAIN, seed="seed", seeds="SEEDS", returned="trained"):
    return f"""
{train}


def experiment(heads):
    seeds = {seeds}
    trained = {{name: {{seed: train(heads[name], {seed}) for seed in seeds}} for name in heads}}
    return {returned}
"""


PICTURE = """
def picture(average, own, name):
    figure, axis = plt.subplots()
    axis.plot([0, 1], [average, own], "o-")
    axis.errorbar(1.2, (own - average).mean(), 0.01)
    axis.set_ylabel("accuracy (share of images)")
    axis.set_title(f"{name}: {100 * (own - average).mean():+.1f} points")
    return figure
"""


def report(*lines):
    return "def report(networks):\n    " + "\n    ".join(lines)


OPEN = "x_test, y_test = open_test_images()"


def control(*lines):
    return "def control(features):\n    " + "\n    ".join(lines)


MEAN = "return layers.Dense(10)(layers.GlobalAveragePooling2D()(x))"

WRONG = {
    "split-check": [
        ("bytes", SPLIT.replace("(x / 127.5 - 1)", "x"), "pixels go from 0.0 to 255.0"),
        ("from 0 to 1", SPLIT.replace("127.5 - 1", "255"), "pixels go from 0.0 to 1.0"),
        ("not stratified", SPLIT.replace(" stratify=labels,", ""), "is it stratified"),
        ("another seed", SPLIT.replace("random_state=0", "random_state=1"), "which random_state"),
        (
            "labels of other images",
            SPLIT.replace("return x_train, y_train", "return x_train, y_train[::-1]"),
            "do not belong together",
        ),
        (
            "another order",
            SPLIT.replace("return x_train, y_train, x_val", "return x_train, x_val, y_train"),
            "in which order",
        ),
        ("not returned", SPLIT.replace("return", "pass  #"), "nothing comes back"),
    ],
    "interval-check": [
        ("the normal's", interval("1.96 * s / 3**0.5"), "for very many numbers"),
        ("ten seeds' t", interval("2.26 * s / 3**0.5"), "for ten numbers"),
        ("n in the place of n - 1", interval("4.303 * s * (2 / 3) ** 0.5 / 3**0.5"), "see ddof"),
        ("no root of n", interval("4.303 * s"), "the mean of three scatters less"),
        ("n without a root", interval("4.303 * s / 3"), "times as wide as it should be"),
    ],
    "my-heads-check": [
        ("one head", "def my_heads():\n    return {'one': average_head}", "two or more"),
        (
            "a list",
            "def my_heads():\n    return [average_head, average_head]",
            "no dict comes back",
        ),
        ("no classifier", heads("layers.GlobalMaxPooling2D()(features)"), "how many logits"),
        (
            "a hidden layer after flatten",
            heads("layers.Dense(10)(layers.Dense(256)(layers.Flatten()(features)))"),
            "parameters with the trunk",
        ),
        (
            "a softmax",
            heads('layers.Dense(10, activation="softmax")(layers.GlobalMaxPooling2D()(features))'),
            "takes the softmax itself",
        ),
        (
            "a layer without ReLU before the mean",
            heads("average_head(layers.Conv2D(64, 1)(features))"),
            "average pooling in other words",
        ),
        (
            "networks in the place of functions",
            "def my_heads():\n    net = keras.Sequential([layers.Flatten()])\n"
            "    return {'one': net, 'other': net}",
            "how many logits",
        ),
    ],
    "experiment-check": [
        ("one seed for all", experiment(seed="0"), "two networks are the same"),
        (
            "no seed",
            experiment(TRAIN.replace("    keras.utils.set_random_seed(seed)\n", "")),
            "sets no seed",
        ),
        ("one epoch", experiment(TRAIN.replace("EPOCHS", "1")), "count epochs and batches"),
        ("another rate", experiment(TRAIN.replace("1e-3", "1e-2")), "the rate is not"),
        ("another trunk", experiment(TRAIN.replace("64)", "48)")), "is the trunk as agreed"),
        (
            "another optimizer",
            experiment(TRAIN.replace("optimizers.Adam", "optimizers.RMSprop")),
            "the optimizer is not Adam",
        ),
        (
            "a loss of probabilities",
            experiment(TRAIN.replace("from_logits=True", "")),
            "tell the loss",
        ),
        (
            "no accuracy",
            experiment(TRAIN.replace(', metrics=["accuracy"]', "")),
            "compile each network with metrics",
        ),
        (
            "no ReLU",
            experiment(TRAIN.replace(', activation="relu"', "")),
            "where is its ReLU",
        ),
        ("no padding", experiment(TRAIN.replace('"same"', '"valid"')), "which padding"),
        ("other seeds", experiment(UNTRAINED, seeds="(1, 2, 3)"), "pairs need the same ones"),
        ("one head alone", experiment(UNTRAINED, returned="trained['average']"), "trained: ["),
        ("not returned", experiment(UNTRAINED, returned="None"), "no dict comes back"),
    ],
    "picture-check": [
        ("not returned", PICTURE.replace("return figure", "plt.show()"), "no figure comes back"),
        (
            "a title by hand",
            PICTURE.replace('f"{name}: {100 * (own - average).mean():+.1f} points"', '"+5.7"'),
            "compute it",
        ),
        ("shares of 1", PICTURE.replace("100 * ", ""), "in percentage points"),
        ("no interval", PICTURE.replace("axis.errorbar", "print"), "where is the interval"),
        (
            "a bar of its own length",
            PICTURE,
            "should reach from",
        ),
        (
            "a bar chart",
            PICTURE.replace("axis.errorbar(1.2, (own - average).mean(), 0.01)", "axis.bar(1.2, 1)"),
            "where is",
        ),
        ("no label", PICTURE.replace("axis.set_ylabel", "str"), "an axis has no label"),
        (
            "means alone",
            PICTURE.replace("[average, own]", "[average.mean(), own.mean()]"),
            "show each pair",
        ),
    ],
    "report-check": [
        (
            "opened for each head",
            report(
                "found = {}",
                "for name in networks:",
                "    found[name] = accuracies(networks, *open_test_images())[name]",
                "return found",
            ),
            "opened a second time",
        ),
        ("validation images", report("return accuracies(networks, x_val, y_val)"), "nobody has"),
        (
            "the best seed",
            report(
                OPEN,
                "found = accuracies(networks, x_test, y_test)",
                "return {name: values.max() for name, values in found.items()}",
            ),
            "one for each seed",
        ),
        (
            "a loss",
            report(
                OPEN,
                "return {",
                "    name: [net.evaluate(x_test, y_test, verbose=0)[0] for net in nets.values()]",
                "    for name, nets in networks.items()",
                "}",
            ),
            "not the accuracy on the test images",
        ),
        (
            "one head",
            report(OPEN, "return {'average': np.zeros(3)}"),
            "reported: ['average']",
        ),
    ],
    "control-check": [
        (
            "many more parameters",
            control("x = layers.Conv2D(128, 1, activation='relu')(features)", MEAN),
            "the chosen head has",
        ),
        (
            "knows positions",
            control("return layers.Dense(10)(layers.Flatten()(features))"),
            "knows where something was",
        ),
        (
            "knows left from right",
            control(
                "x = layers.Flatten()(layers.AveragePooling2D((4, 1))(features))",
                "return layers.Dense(10)(layers.Dense(38)(x))",
            ),
            "knows where something was",
        ),
        (
            "a 3×3 convolution",
            control("x = layers.Conv2D(8, 3, padding='same', activation='relu')(features)", MEAN),
            "knows where something was",
        ),
        ("no classifier", control("return layers.GlobalMaxPooling2D()(features)"), "one image"),
    ],
}
