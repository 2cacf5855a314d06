"""The practice net of the lessons, small enough for several trainings in a lesson."""

from cifar_keras.environment import keras

from keras import layers

from cifar_keras.errors import UserError, check_share

PLACES = ("before_pools", "behind_pools", "in_head")  # of its dropout


def build_practice(
    rate: float = 0.0, place: str = "before_pools", initialization: str = "keras"
) -> keras.Model:
    """Convolutions of 16, 32 and 64 filters, each with a pool; 256 ReLU units; the logits.

    Nets that differ in rate and place alone begin with the same weights when seeded alike.

    Args:
        rate: probability that an activation is dropped in training, in [0, 1).
        place: where: "before_pools", "behind_pools", that is, after them, or "in_head", before and
            after the units.
        initialization: "keras", Glorot uniform with zero biases, as in the lessons.

    Returns:
        A Keras model, float32 images (n, 32, 32, 3) to logits (n, 10); 288,554 trainable
        parameters.

    Raises:
        UserError: an argument is outside the ranges above.
    """
    check_share("rate", rate, "dropped activations")
    if place not in PLACES:
        raise UserError(f"there is no place {place!r}; choose one of: {', '.join(PLACES)}")
    if initialization != "keras":
        raise UserError(f"initialization is {initialization!r}: the practice net has 'keras' alone")

    def dropout(at, number):
        return layers.Dropout(rate if at == place else 0.0, name=f"dropout_{at}_{number}")

    # All that has weights comes first and draws its seeds: with dropout or not, nets begin alike.
    convolutions = [
        layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"convolution_{number}")
        for number, filters in enumerate((16, 32, 64), start=1)
    ]
    hidden = layers.Dense(256, activation="relu", name="hidden")
    logits = layers.Dense(10, name="logits")
    net = [layers.Input((32, 32, 3), name="image")]
    for number, convolution in enumerate(convolutions, start=1):
        pool = layers.MaxPooling2D(2, strides=2, name=f"pool_{number}")
        net += [convolution, dropout("before_pools", number), pool, dropout("behind_pools", number)]
    net += [layers.Flatten(name="flatten"), dropout("in_head", 1), hidden, dropout("in_head", 2)]
    return keras.Sequential([*net, logits], name="practice")
