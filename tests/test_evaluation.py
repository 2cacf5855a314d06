"""What a net predicts, and its weights as a file."""

import io

import numpy as np

from cifar_keras import data, evaluation, models


def test_both_ways_means_the_logits_of_image_and_mirror_image():
    class BrightLeft:
        """Class 0 as sure as the left pixel is bright, class 1 always as sure."""

        def predict(self, images, **_):
            left = images[:, 0, 0, 0]
            return np.stack([left, np.full_like(left, 2.5)], axis=1)

    image = np.float32([[[[3], [1]]]])  # by itself class 0; the mean of both ways is class 1
    two = np.concatenate([image, np.full_like(image, 5)])  # the other is bright: class 0
    for labels in (np.array([1, 0]), np.array([[1], [0]])):  # flat, and as they are loaded
        assert evaluation.accuracy_both_ways(BrightLeft(), two, labels) == 1


def test_weights_that_half_precision_would_harm_stay_whole(small):
    """Logits that differ by less than half precision can tell apart."""
    images = data.normalize(small[1][0])
    labels = small[1][1].ravel()
    model = models.build("average_pooling")
    bias = model.get_layer("logits").weights
    bias[0].assign(np.zeros(bias[0].shape))
    bias[1].assign(np.float32([1, 1, 1, 1, 1, 1, 1, 1, 1 + 1e-4, 1]))
    assert np.mean(labels == 8) != np.mean(labels == 0), "the test would see nothing"
    with np.load(io.BytesIO(evaluation.pack_weights(model, images, labels))) as w:
        assert {w[name].dtype for name in w.files} == {np.dtype("float32")}
