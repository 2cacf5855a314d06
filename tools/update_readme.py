"""Makes the README's pictures and tables afresh from `results/`."""

import re
from pathlib import Path

from cifar_keras import environment  # noqa: F401  quietly  isort: skip
from cifar_keras import claims, models, plots, results, study

ROOT = Path(__file__).parents[1]
SEEDS = results.RESULTS / "seeds"
FULL = results.RESULTS / "full"


def tables():
    """`{name: table}` of the README's tables: recorded runs, verdicts on them, and fast nets."""
    runs = results.read_runs(SEEDS)
    seeds = len(results.paired(runs)["fully_connected"])
    # As the reference project had its best net: without a classifier.
    reference = models.build("average_pooling_dropout", classifier=False)
    verdicts = [claims.judge(claims.scores(claim, runs)) for claim in claims.CLAIMS]
    return {
        "full": claims.reproduction_table(results.read_runs(FULL), results.read_reference()),
        "seeds": results.table(results.paired(runs)),
        "claims": claims.table({f"on the sample, {seeds} seeds": verdicts}),
        "fast": results.fast_table(
            {name: recorded(name) for name in ("quick", "compact")}, reference.count_params()
        ),
    }


def recorded(name):
    """What the finished runs of a study say of themselves."""
    folders = [folder for _, _, folder in study.load(name).runs()]
    return [results.read_run(folder) for folder in folders if (folder / "run.json").exists()]


def with_tables(readme):
    """The README's text with its tables replaced by those of the recorded runs."""
    for name, table in tables().items():
        block = re.compile(rf"(<!-- table: {name} -->\n).*?(\n<!-- /table -->)", re.DOTALL)
        readme, found = block.subn(rf"\g<1>{table}\g<2>", readme)
        if found != 1:
            raise ValueError(f"README.md has {found} tables named {name}")
    return readme


if __name__ == "__main__":
    runs, reference = results.paired(results.read_runs(SEEDS)), results.read_reference()
    plots.save(plots.comparison(runs, reference), SEEDS / "comparison.png")
    full = results.read_runs(FULL)
    plots.save(plots.reproduction(full, reference), FULL / "reproduction.png")
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")
