"""Plausible wrong answers to the exercises of lesson 01, and a part of the hint that each gets."""

WRONG = {
    "check-loss": [
        (
            "the sum over the images",
            """
def batch_loss(logits, labels):
    shares = softmax(logits)
    return -np.log(shares[np.arange(len(labels)), labels.ravel()]).sum()
""",
            "adds the losses up",
        ),
        (
            "no minus",
            """
def batch_loss(logits, labels):
    shares = softmax(logits)
    return np.mean(np.log(shares[np.arange(len(labels)), labels.ravel()]))
""",
            "a loss is positive",
        ),
        (
            "the logarithm to base 10",
            """
def batch_loss(logits, labels):
    shares = softmax(logits)
    return -np.mean(np.log10(shares[np.arange(len(labels)), labels.ravel()]))
""",
            "natural logarithm",
        ),
        (
            "the most likely class in the place of the true one",
            """
def batch_loss(logits, labels):
    return -np.mean(np.log(softmax(logits).max(axis=1)))
""",
            "own true class",
        ),
        (
            "one loss for each image",
            """
def batch_loss(logits, labels):
    return -np.log(softmax(logits)[np.arange(len(labels)), labels.ravel()])
""",
            "yours has the shape (3,)",
        ),
        (
            "a row of probabilities for each label: a column of labels chooses whole rows",
            """
def batch_loss(logits, labels):
    return -np.mean(np.log(softmax(logits)[np.arange(len(labels)), labels]))
""",
            "own true class",
        ),
        (
            "the largest logit of the whole batch",
            """
def batch_loss(logits, labels):
    lower = logits - logits.max()
    chosen = lower[np.arange(len(labels)), labels.ravel()]
    with np.errstate(divide="ignore"):
        return np.mean(np.log(np.exp(lower).sum(axis=1)) - chosen)
""",
            "along which axis",
        ),
        (
            "the softmax as in its formula",
            """
def batch_loss(logits, labels):
    raised = np.exp(logits)
    shares = raised / raised.sum(axis=1, keepdims=True)
    return -np.mean(np.log(shares[np.arange(len(labels)), labels.ravel()]))
""",
            "subtract the largest",
        ),
        (
            "the logarithm of a probability that was rounded to 0",
            """
def batch_loss(logits, labels):
    return -np.mean(np.log(softmax(logits)[np.arange(len(labels)), labels.ravel()]))
""",
            "is rounded to 0",
        ),
    ],
    "check-standardize": [
        (
            "one mean for all channels",
            """
def standardize(images, training_images):
    scaled = (images - training_images.mean()) / training_images.std()
    return scaled.astype("float32")
""",
            "a mean of its own",
        ),
        (
            "a mean for each pixel",
            """
def standardize(images, training_images):
    mean, spread = training_images.mean(axis=0), training_images.std(axis=0)
    return ((images - mean) / spread).astype("float32")
""",
            "became uneven",
        ),
        (
            "each part by its own mean",
            """
def standardize(images, training_images):
    mean, spread = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    return ((images - mean) / spread).astype("float32")
""",
            "whose mean",
        ),
        (
            "nothing subtracted",
            """
def standardize(images, training_images):
    return (images / training_images.std(axis=(0, 1, 2))).astype("float32")
""",
            "subtract it",
        ),
        (
            "divided by the variance",
            """
def standardize(images, training_images):
    axes = (0, 1, 2)
    scaled = (images - training_images.mean(axis=axes)) / training_images.var(axis=axes)
    return scaled.astype("float32")
""",
            "standard deviation",
        ),
        (
            "left as float64",
            """
def standardize(images, training_images):
    axes = (0, 1, 2)
    return (images - training_images.mean(axis=axes)) / training_images.std(axis=axes)
""",
            "float32",
        ),
    ],
    "check-mend": [
        (
            "as it was",
            """
def prepare(images, labels, seed):
    rng = np.random.default_rng(seed)
    images = images[rng.permutation(len(images))]
    labels = labels[rng.permutation(len(labels))]
    return images / 127.5 - 1, labels
""",
            "its own label",
        ),
        (
            "not shuffled",
            """
def prepare(images, labels, seed):
    return images / 127.5 - 1, labels
""",
            "does not shuffle",
        ),
        (
            "drawn with replacement",
            """
def prepare(images, labels, seed):
    order = np.random.default_rng(seed).integers(0, len(images), len(images))
    return images[order] / 127.5 - 1, labels[order]
""",
            "come twice",
        ),
        (
            "a seed that is not used",
            """
def prepare(images, labels, seed):
    order = np.random.default_rng(0).permutation(len(images))
    return images[order] / 127.5 - 1, labels[order]
""",
            "another seed",
        ),
        (
            "not scaled",
            """
def prepare(images, labels, seed):
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order], labels[order]
""",
            "should become -1 to 1",
        ),
    ],
    "check-bytes": [
        (
            "a small rate alone",
            """
def for_bytes():
    return linear_classifier(learning_rate=1e-6)
""",
            "initial weights",
        ),
        (
            "initial weights of 0 alone",
            """
def for_bytes():
    return linear_classifier(initial_weights="zeros")
""",
            "the steps do not fit",
        ),
        (
            "a rate that is far too small",
            """
def for_bytes():
    return linear_classifier(learning_rate=1e-9, initial_weights="zeros")
""",
            "try other learning rates",
        ),
        (
            "a layer that scales",
            """
def for_bytes():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model
""",
            "without a layer that scales",
        ),
        (
            "not compiled",
            """
def for_bytes():
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, kernel_initializer="zeros")]
    return keras.Sequential([keras.Input((32, 32, 3)), *layers])
""",
            "compile the model",
        ),
        (
            "built, not returned",
            """
def for_bytes():
    model = linear_classifier(learning_rate=1e-6, initial_weights="zeros")
""",
            "return the model",
        ),
    ],
}
