"""Makes the pictures and tables of the README and of `docs/` afresh from `results/`."""

import re
from functools import cache
from pathlib import Path

from PIL import Image

from cifar_keras import environment  # noqa: F401  quietly  isort: skip
from cifar_keras import claims, models, plots, plots_summary, results, study, style

ROOT = Path(__file__).parents[1]
SEEDS = results.RESULTS / "seeds"
FULL = results.RESULTS / "full"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def tables():
    """`{name: table}` of the documents' tables: recorded runs, verdicts on them, and fast nets."""
    runs, full, reference = runs_of_all()
    seeds, of_full = (len(results.paired(each)["fully_connected"]) for each in (runs, full))
    bare = claims.WITHOUT_CLASSIFIER
    # The reference's nets, trained by it and by us.
    twice = {
        name: {0: full[name][0], 1: history}
        for name, history in zip(bare, reference.values(), strict=True)
    }
    # As the reference had its best net: without a classifier.
    best = models.build("average_pooling_dropout", classifier=False)
    verdicts = {
        f"on the sample, {seeds} seeds": claims.verdicts(runs),
        f"in full, {of_full} seed{'s'[of_full == 1 :]}": claims.verdicts(full, like=runs),
    }
    without_classifier = {
        "in full, no classifier, ours and the reference's": claims.verdicts(twice, bare)
    }
    return {
        "words": words(verdicts),
        "full": claims.reproduction_table(full, reference),
        "seeds": results.table(results.paired(runs)),
        "claims": claims.table(verdicts | without_classifier),
        "fast": results.fast_table(
            {name: recorded(name) for name in ("quick", "compact", "strong")}, best.count_params()
        ),
    }


def words(columns):
    """What the reference concluded, and the word that each of the verdicts comes to, as a table."""
    lines = [
        f"| the reference concluded | {' | '.join(columns)} |",
        "|---|" + "---|" * len(columns),
    ]
    for claim, *verdicts in zip(claims.CLAIMS, *columns.values(), strict=True):
        cells = [f"{claim.number}. {claim.sentence}", *(verdict.word for verdict in verdicts)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def runs_of_all():
    """Of the sample, in full, and the reference project's."""
    return results.read_runs(SEEDS), results.read_runs(FULL), results.read_reference()


def pictures():
    """`{path: (figure, the histories that it shows)}` of the documents' pictures of runs."""
    runs, full, reference = runs_of_all()
    runs, theirs = results.paired(runs), results.RESULTS / "reference" / "seed_curves.csv"
    return {
        SEEDS / "summary.png": (plots_summary.summary(runs), histories(SEEDS, runs)),
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


def with_tables(text):
    """A document's text with its tables replaced by those of the recorded runs."""
    return re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- /table -->)",
        lambda found: f"{found[1]}{tables()[found[2]]}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def with_descriptions(text, folder):
    """The text of a document in a folder, with the descriptions that its pictures carry."""

    def described(found):
        with Image.open(folder / found[1]) as png:
            return f"![{png.info['Description']}]({found[1]})"

    return re.sub(r"!\[[^]]*\]\(([^)]+)\)", described, text)


def updated(document):
    """The text that a document should have."""
    text = document.read_text(encoding="utf-8")
    return with_descriptions(with_tables(text), document.parent)


if __name__ == "__main__":
    for path, (figure, sources) in pictures().items():
        style.save(figure, path, drawn_from=sources)
    for document in DOCUMENTS:
        document.write_text(updated(document), encoding="utf-8")
