"""Plausible wrong answers to the exercises of lesson 02, each with a part of the hint it gets."""

STRIDED = """
def strided_network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x_train, y_train, batch_size=64, epochs=3, verbose=0)
    return model
"""


def changed(old, new):
    assert old in STRIDED
    return STRIDED.replace(old, new)


WRONG = {
    "exercise-size-check": [
        (
            "forgets the first place",
            "def output_size(size, kernel, padding, stride):\n"
            "    return (size + 2 * padding - kernel) // stride",
            "count the places of the kernel",
        ),
        (
            "pads one side",
            "def output_size(size, kernel, padding, stride):\n"
            "    return (size + padding - kernel) // stride + 1",
            "two sides",
        ),
        (
            "takes every kernel for 3×3",
            "def output_size(size, kernel, padding, stride):\n"
            "    return (size + 2 * padding - 3) // stride + 1",
            "here it is not 3",
        ),
        (
            "ignores the stride",
            "def output_size(size, kernel, padding, stride):\n"
            "    return size + 2 * padding - kernel + 1",
            "only the places where it stops",
        ),
        (
            "pads the map",
            "def output_size(size, kernel, padding, stride):\n"
            "    return (size - kernel) // stride + 1 + 2 * padding",
            "pad first",
        ),
        (
            "not returned",
            "def output_size(size, kernel, padding, stride): pass",
            "nothing comes back",
        ),
        (
            "rounds up",
            "def output_size(size, kernel, padding, stride):\n"
            "    return -(-(size + 2 * padding - kernel) // stride) + 1",
            "only half of the kernel fits",
        ),
        (
            "returns a float",
            "def output_size(size, kernel, padding, stride):\n"
            "    return np.floor((size + 2 * padding - kernel) / stride) + 1",
            "is an integer",
        ),
    ],
    "exercise-pool-check": [
        (
            "pools the channels, too",
            "def pool(maps, size):\n"
            "    rows, columns, channels = maps.shape\n"
            "    squares = maps.reshape(rows // size, size, columns // size, size, channels)\n"
            "    return squares.max(axis=(1, 3, 4))",
            "rows, columns and channels",
        ),
        (
            "takes the mean",
            "def pool(maps, size):\n"
            "    rows, columns, channels = maps.shape\n"
            "    squares = maps.reshape(rows // size, size, columns // size, size, channels)\n"
            "    return squares.mean(axis=(1, 3))",
            "one of the input",
        ),
        (
            "keeps every second number",
            "def pool(maps, size):\n    return maps[::size, ::size]",
            "the first square",
        ),
        (
            "cuts the rows and columns in the wrong order",
            "def pool(maps, size):\n"
            "    rows, columns, channels = maps.shape\n"
            "    squares = maps.reshape(size, rows // size, size, columns // size, channels)\n"
            "    return squares.max(axis=(0, 2))",
            "the first square",
        ),
        (
            "always pools 2×2",
            "def pool(maps, size):\n"
            "    rows, columns, channels = maps.shape\n"
            "    return maps.reshape(rows // 2, 2, columns // 2, 2, channels).max(axis=(1, 3))",
            "use the argument `size`",
        ),
    ],
    "exercise-stride-check": [
        (
            "keeps a pool",
            changed(
                "keras.layers.Flatten(),", "keras.layers.MaxPooling2D(2), keras.layers.Flatten(),"
            ),
            "still a pool",
        ),
        ("drops the pools alone", changed("strides=2, ", ""), "look at stride and padding"),
        ("forgets the padding", changed('padding="same", ', ""), "look at stride and padding"),
        (
            "forgets the ReLU",
            changed('padding="same", activation="relu"', 'padding="same"'),
            "1 ReLUs",
        ),
        (
            "a linear layer",
            changed('Dense(256, activation="relu")', "Dense(256)"),
            "3 ReLUs",
        ),
        (
            "without accuracy",
            changed('metrics=["accuracy"]', "metrics=[]"),
            "compile the network with",
        ),
        ("larger kernels", changed("Conv2D(32, 3", "Conv2D(32, 5"), "count the parameters"),
        ("softmax and logits", changed("Dense(10)", "Dense(10, activation='softmax')"), "logits"),
        ("returns the history", changed("    model.fit", "    return model.fit"), "`fit` returns"),
        ("does not train", changed("    model.fit", "    # model.fit"), "was it trained"),
    ],
    "exercise-scramble-check": [
        (
            "shuffles the images",
            "def scramble(images, order):\n"
            "    return images[np.random.default_rng(0).permutation(len(images))]",
            "in its image",
        ),
        (
            "tears the colours apart",
            "def scramble(images, order):\n"
            "    order = np.random.default_rng(0).permutation(3072)\n"
            "    return images.reshape(-1, 3072)[:, order].reshape(images.shape)",
            "three colours",
        ),
        (
            "another order for each image",
            "def scramble(images, order):\n"
            "    pixels = images.reshape(len(images), 1024, 3)\n"
            "    rng = np.random.default_rng(0)\n"
            "    mixed = [each[rng.permutation(1024)] for each in pixels]\n"
            "    return np.array(mixed).reshape(images.shape)",
            "one order for all",
        ),
        (
            "an order of its own",
            "def scramble(images, order):\n"
            "    order = np.random.default_rng(1).permutation(1024)\n"
            "    return images.reshape(-1, 1024, 3)[:, order].reshape(images.shape)",
            "in its place",
        ),
        (
            "the other way round",
            "def scramble(images, order):\n"
            "    result = np.empty_like(images.reshape(-1, 1024, 3))\n"
            "    result[:, order] = images.reshape(-1, 1024, 3)\n"
            "    return result.reshape(images.shape)",
            "not the other way round",
        ),
        (
            "leaves the pixels in a row",
            "def scramble(images, order):\n"
            "    return images.reshape(len(images), 1024, 3)[:, order]",
            "reshape back",
        ),
    ],
}
