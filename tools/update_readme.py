"""Makes the pictures and tables of the README and of `docs/` afresh from `results/`."""

import re
from functools import cache
from pathlib import Path

from PIL import Image

from cifar_keras import environment  # noqa: F401  quietly  isort: skip
from cifar_keras import claims, models, plots, plots_summary, results, style

ROOT = Path(__file__).parents[1]
SEEDS = results.RESULTS / "seeds"
FULL = results.RESULTS / "full"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def tables():
    """`{name: table}` of the documents' tables: recorded runs, verdicts on them, and fast nets."""
    runs, full, reference = runs_of_all()
    # As the reference had its best net: without a classifier.
    best = models.build("average_pooling_dropout", classifier=False)
    fast = ("quick", "compact", "strong")
    verdicts = {
        f"on the sample: {claims.basis(runs, 5_000)}": claims.verdicts(runs),
        f"in full: {claims.basis(full, 50_000)}": claims.verdicts(full),
    }
    return {
        "words": words(verdicts),
        "full": claims.reproduction_table(full, reference, results.right_by_variant(FULL)),
        "seeds": results.table(results.paired(runs), results.right_by_variant(SEEDS)),
        "claims": claims.table(verdicts),
        "values": claims.side_by_side(full, reference),
        "fast": results.fast_table(
            {name: results.read_records(results.RESULTS / name) for name in fast},
            models.trainable_parameters(best),
            {name: results.right_by_variant(results.RESULTS / name)[name] for name in fast},
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

    return re.sub(r"!\[[^]]*\]\(([^)]+\.png)\)", described, text)


def updated(document):
    """The text that a document should have."""
    text = document.read_text(encoding="utf-8")
    return with_descriptions(with_tables(text), document.parent)


if __name__ == "__main__":
    for path, (figure, sources) in pictures().items():
        style.save(figure, path, drawn_from=sources)
    for document in DOCUMENTS:
        document.write_text(updated(document), encoding="utf-8")
