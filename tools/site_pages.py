"""Writes the pages of the site that are made afresh at every build: of the studies, of the package.

`docs/conf.py` calls it. It has no text of its own to be kept up to date: what a study is says its
file under `studies/`, everything else the records in `results/`.
"""

import ast
import re
import shutil
from collections import defaultdict
from pathlib import Path

from cifar_keras import environment  # noqa: F401  quietly  isort: skip

from cifar_keras import files, plots_summary, results, study, style

PACKAGE = files.CHECKOUT / "cifar_keras"
SPREAD = (
    "Means over the seeds, in brackets the lowest and the highest. The last two columns say how "
    "far the last accuracies of the seeds lie apart: standard deviations in percentage points, as "
    "luck alone predicts them, and as they were observed; "
    "[notebook 07](../../notebooks/07_how_sure_are_we.ipynb) derives the first."
)


def write(docs: Path) -> None:
    """Writes all of them into the folders `results` and `api` of `docs`, emptied before."""
    for name, pages in (("results", study_pages), ("api", package_pages)):
        folder = docs / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path, text in pages(folder).items():
            path.write_text(text, encoding="utf-8")


def package_pages(folder):
    """`{path: text}` of a page for each module of the package, and of their list."""
    pages, rows = {}, ["| module | |", "|---|---|"]
    for path in sorted(PACKAGE.glob("[a-z]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        said = docstring.partition("\n")[0]
        rows.append(f"| [{path.stem}]({path.stem}.md) | {said} |")
        made = f".. automodule:: cifar_keras.{path.stem}\n   :members:"
        pages[folder / f"{path.stem}.md"] = f"# {path.stem}\n\n```{{eval-rst}}\n{made}\n```\n"
    pages[folder / "index.md"] = listing("The package", rows, pages)
    return pages


def listing(title, rows, pages, said=""):
    """A page that lists others in a table."""
    names = "\n".join(path.stem for path in pages)
    listed = f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    return "\n\n".join([f"# {title}", said, "\n".join(rows), listed])


def study_pages(folder):
    """`{path: text}` of a page for each recorded study, and of their list; draws the pictures."""
    names = [name for name in files.studies() if list((results.RESULTS / name).glob("*/run.json"))]
    pages = {folder / f"{name}.md": study_page(name, folder) for name in names}
    rows = [
        "| study | data | epochs | networks | seeds | hours of computing |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name in names:
        records = results.read_records(results.RESULTS / name)
        [data], [epochs] = unique(records, "data"), {r["recipe"]["epochs"] for r in records}
        rows.append(
            f"| [{name}]({name}.md) | {data} | {epochs} | {len(unique(records, 'variant'))} "
            f"| {len(unique(records, 'seed'))} | {hours(records)} |"
        )
    said = "What a study is, says [Studies](../studies.md)."
    pages[folder / "index.md"] = listing("Results", rows, pages, said)
    return pages


def study_page(name, folder):
    """What a study found, from what, on which computer; its picture is drawn into the folder."""
    described, there = study.load(name), results.read_runs(results.RESULTS / name)
    runs = {variant: there[variant] for variant in described.variants if variant in there}
    images = "held-out" if described.data.endswith("held-out") else "test"
    figure = plots_summary.curves(runs, images)
    style.save(figure, folder / f"{name}.png")
    seeds = max(map(len, runs.values()))
    several = results.right_by_variant(results.RESULTS / name) if seeds > 1 else None
    return "\n\n".join(
        [
            f"# {name}",
            opening(files.study_file(name)),
            f"![{figure.get_label()}]({name}.png)",
            "## In numbers",
            f"On the {images} images; losses are cross-entropies in nats. "
            + (SPREAD if seeds > 1 else ""),
            results.table(runs, several),
            "## Trained on",
            hardware(results.read_records(results.RESULTS / name)),
            "## As described",
            f"Recorded: {seeds} of {len(described.seeds)} seeds.",
            f"```{{literalinclude}} ../../studies/{name}.toml\n:language: toml\n```\n",
        ]
    )


def opening(path):
    """The comment at the beginning of a study's file."""
    [comment] = re.findall(r"\A((?:#.*\n)+)", path.read_text(encoding="utf-8"))
    return " ".join(line.lstrip("# ") for line in comment.splitlines())


def hardware(records):
    """On what the runs were trained, as a table: a line for each kind of computer and versions."""
    alike = defaultdict(list)
    for record in records:
        parts, versions = record["trained_on"], record["versions"]
        keras = [f"{part['backend']} {versions.get(part['backend'], '')}" for part in parts]
        cells = (
            ", then ".join(part["device"] for part in parts),
            str(parts[-1]["threads"] or "not recorded"),
            f"Keras {versions['keras']} on {', then '.join(map(str.strip, keras))}",
            f"Python {versions['python']}, NumPy {versions['numpy']}",
            record["dtype"],
        )
        alike[cells].append(record)
    lines = ["| device | threads | Keras | Python | precision | runs | hours | most memory |"]
    lines.append("|---|---|---|---|---|--:|--:|--:|")
    for cells, of_kind in sorted(alike.items()):
        memory = max(record.get("peak_memory_mb") or 0 for record in of_kind)
        counted = (str(len(of_kind)), hours(of_kind), f"{memory:,} MB" if memory else "")
        lines.append(f"| {' | '.join(cells + counted)} |")
    return "\n".join(lines)


def unique(records, key):
    """The different values that records have under a key."""
    return {record[key] for record in records}


def hours(records):
    """The time of all trainings together."""
    return f"{sum(record['seconds'] for record in records) / 3600:.1f}"
