"""Makes the README's picture and table afresh from `results/sample`."""

import re
from pathlib import Path

from cifar_keras import plots, results

ROOT = Path(__file__).parents[1]
FOLDER = results.RESULTS / "sample"
BLOCK = re.compile(r"(<!-- table: results/sample -->\n).*(<!-- /table -->)", re.DOTALL)


def with_table(readme):
    """The README's text with its table replaced by the recorded runs'."""
    return BLOCK.sub(rf"\g<1>{results.table(results.read_runs(FOLDER))}\n\g<2>", readme)


if __name__ == "__main__":
    runs = results.read_runs(FOLDER)
    plots.save(plots.comparison(runs, results.read_reference()), FOLDER / "comparison.png")
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
