"""What convolutions and pools compute, in NumPy and float64."""

import numpy as np


def convolution(x, kernel, padding):
    """A convolution of x, with so many zeros around it."""
    side = kernel.shape[0]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = x.shape[1] - side + 1, x.shape[2] - side + 1
    return sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j].astype("float64")
        for i in range(side)
        for j in range(side)
    )


def pool(x):
    """2x2 maxima with stride 2; an odd row or column is left over."""
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
