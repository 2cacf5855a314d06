"""How much memory a process takes that trains many nets, one after the other."""

import json
import subprocess
import sys

import pytest

# Eight runs of a study: of a net with Keras' layers alone and of one with our SiLU, by turns.
EIGHT_RUNS = """
import sys
from pathlib import Path
from cifar_keras import environment, data, study, training

(x_train, y_train), (x_test, y_test) = data.load_sample()
data.load_data = lambda name: ((x_train[:64], y_train[:64]), (x_test[:32], y_test[:32]))
variants = {
    "average_pooling": {},
    "strong": {"model": "whitened", "widths": [8, 8, 8], "activation": "silu"},
}
recipe = training.Recipe(epochs=1)
tiny = study.Study(Path(sys.argv[1]), "sample", recipe, (0, 1, 2, 3), variants)
study.run(tiny, verbose=False)
"""


def test_memory_does_not_grow_from_run_to_run_of_a_study(tmp_path):
    subprocess.run([sys.executable, "-c", EIGHT_RUNS, tmp_path], check=True)
    peaks = [
        json.loads((tmp_path / f"strong-seed{seed}" / "run.json").read_text())["peak_memory_mb"]
        for seed in (1, 3)
    ]
    if peaks[0] is None:
        pytest.skip("Windows does not tell a process's peak memory")
    assert peaks[1] - peaks[0] < 20  # MB, over four runs; graphs that stay take 70
