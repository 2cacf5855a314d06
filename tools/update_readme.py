"""Makes the README's picture and tables afresh from `results/`."""

import re
from pathlib import Path

from cifar_keras import claims, plots, results

ROOT = Path(__file__).parents[1]
FOLDER = results.RESULTS / "seeds"


def tables():
    """`{name: table}` of the README's tables: the recorded runs, and the verdicts on them."""
    runs = results.read_runs(FOLDER)
    seeds = len(results.paired(runs)["fully_connected"])
    verdicts = [claims.judge(claims.scores(claim, runs)) for claim in claims.CLAIMS]
    return {
        "seeds": results.table(results.paired(runs)),
        "claims": claims.table({f"on the sample, {seeds} seeds": verdicts}),
    }


def with_tables(readme):
    """The README's text with its tables replaced by those of the recorded runs."""
    for name, table in tables().items():
        block = re.compile(rf"(<!-- table: {name} -->\n).*?(\n<!-- /table -->)", re.DOTALL)
        readme, found = block.subn(rf"\g<1>{table}\g<2>", readme)
        if found != 1:
            raise ValueError(f"README.md has {found} tables named {name}")
    return readme


if __name__ == "__main__":
    runs = results.paired(results.read_runs(FOLDER))
    plots.save(plots.comparison(runs, results.read_reference()), FOLDER / "comparison.png")
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")
