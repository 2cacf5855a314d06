"""Remake the embedded sample in cifar_keras/_sample from the full CIFAR-10.

The rule: the first 500 images of each class in the training set and the first 100 of each class
in the test set, in their original order. The classes stay mixed: sorted by class, the tail that
Keras' `validation_split` takes would hold one or two classes only. Beside them stand the labels
of all test images.

Run `python tools/make_sample.py` and paste what it prints over `SAMPLE_HASHES` in data.py.
"""

import numpy as np
from PIL import Image

from cifar_keras.data import SAMPLE_FOLDER, TILE_COLUMNS, TILE_ROWS, array_hash
from cifar_keras.sources import load


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices, ascending, of the first `count` images of each class; labels has shape (n,)."""
    return np.sort(
        np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)])
    )


def main() -> None:
    arrays, _ = load()
    hashes = {}
    for part, count in (("train", 500), ("test", 100)):
        indices = first_of_each_class(arrays[f"y_{part}"], count)
        images = arrays[f"x_{part}"][indices]
        table = np.stack([indices, arrays[f"y_{part}"][indices]], axis=1).astype("<u2")
        np.savetxt(
            SAMPLE_FOLDER / f"{part}.csv",
            table,
            fmt="%d",
            delimiter=",",
            header="index,label",
            comments="",
        )
        hashes[f"{part}.csv"] = array_hash(table)
        for number, tiles in enumerate(np.split(images, len(images) // 1000), start=1):
            grid = tiles.reshape(TILE_ROWS, TILE_COLUMNS, 32, 32, 3).swapaxes(1, 2)
            sheet = Image.fromarray(grid.reshape(TILE_ROWS * 32, TILE_COLUMNS * 32, 3))
            name = f"{part}-{number}.webp"
            sheet.save(SAMPLE_FOLDER / name, lossless=True, quality=100, method=6, exact=True)
            hashes[name] = array_hash(tiles)
    labels = arrays["y_test"][:, np.newaxis].astype("<u2")
    name = "all-test-labels.csv"
    np.savetxt(SAMPLE_FOLDER / name, labels, fmt="%d", header="label", comments="")
    hashes[name] = array_hash(labels)
    for name, value in hashes.items():
        print(f'    "{name}": "{value}",')


if __name__ == "__main__":
    main()
