"""Makes the README's pictures and tables afresh from `results/`."""

import re
from pathlib import Path

from cifar_keras import environment  # noqa: F401  quietly  isort: skip
from cifar_keras import claims, models, plots, results, study, style

ROOT = Path(__file__).parents[1]
SEEDS = results.RESULTS / "seeds"
FULL = results.RESULTS / "full"


def tables():
    """`{name: table}` of the README's tables: recorded runs, verdicts on them, and fast nets."""
    runs, full, reference = runs_of_all()
    seeds, of_full = (len(results.paired(each)["fully_connected"]) for each in (runs, full))
    bare = claims.WITHOUT_CLASSIFIER
    # The reference project's nets, trained by it and by us.
    twice = {
        name: {0: full[name][0], 1: history}
        for name, history in zip(bare, reference.values(), strict=True)
    }
    # As the reference project had its best net: without a classifier.
    best = models.build("average_pooling_dropout", classifier=False)
    return {
        "full": claims.reproduction_table(full, reference),
        "seeds": results.table(results.paired(runs)),
        "claims": claims.table(
            {
                f"on the sample, {seeds} seeds": claims.verdicts(runs),
                f"in full, {of_full} seed": claims.verdicts(full, like=runs),
                "in full, no classifier, ours and the student's": claims.verdicts(twice, bare),
            }
        ),
        "fast": results.fast_table(
            {name: recorded(name) for name in ("quick", "compact", "strong")}, best.count_params()
        ),
    }


def runs_of_all():
    """Of the sample, in full, and the reference project's."""
    return results.read_runs(SEEDS), results.read_runs(FULL), results.read_reference()


def pictures():
    """`{path: (figure, the histories that it shows)}` of the README's pictures of runs."""
    runs, full, reference = runs_of_all()
    runs, theirs = results.paired(runs), results.RESULTS / "reference" / "seed_curves.csv"
    return {
        SEEDS / "comparison.png": (
            plots.comparison(runs, reference),
            [*histories(SEEDS, runs), theirs],
        ),
        FULL / "reproduction.png": (
            plots.reproduction(full, reference),
            [*histories(FULL, full), theirs],
        ),
    }


def histories(folder, runs):
    """The files of `{variant: {seed: history}}`, recorded in `folder`."""
    return [folder / f"{name}-seed{k}" / "history.csv" for name in runs for k in runs[name]]


def recorded(name):
    """What the finished runs of a study say of themselves."""
    return [run.record for run in study.load(name).runs() if run.finished]


def with_tables(readme):
    """The README's text with its tables replaced by those of the recorded runs."""
    for name, table in tables().items():
        block = re.compile(rf"(<!-- table: {name} -->\n).*?(\n<!-- /table -->)", re.DOTALL)
        readme, found = block.subn(rf"\g<1>{table}\g<2>", readme)
        if found != 1:
            raise ValueError(f"README.md has {found} tables named {name}")
    return readme


if __name__ == "__main__":
    for path, (figure, sources) in pictures().items():
        style.save(figure, path, drawn_from=sources)
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")
