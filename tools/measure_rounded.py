"""Measures the recorded nets of the page with the rounded weights that the page computes with.

    python tools/measure_rounded.py

Takes the 10,000 test images, and writes results/play/rounded.json: for each net the recorded
accuracy, that of the rounded weights, the number of images, and the hash of the weights.
"""

import hashlib
import json

from cifar_keras import data, evaluation, files, play


def main():
    images, labels = data.load_data("full")[1]
    measured = {}
    for one in play.RECORDED:
        model, normalization = play.load_net(one)
        play.round_weights(model)
        right = evaluation.predict(model, data.normalize(images, normalization)) == labels.ravel()
        measured[one.variant] = {
            "recorded": one.record["summary"]["last_accuracy"],
            "rounded": float(right.mean()),
            "images": len(images),
            "weights_sha256": hashlib.sha256(one.weights.read_bytes()).hexdigest(),
        }
        print(f"{one.variant:24} {measured[one.variant]['rounded']:.2%}")
    files.write(play.ROUNDED, (json.dumps(measured, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
