"""Whether a term is explained before it is used."""

import functools
import re

import pytest
from lessons import PATHS, ROOT, prose

GLOSSARY = ROOT / "notebooks" / "glossary.md"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| \[[^]]+\]\(([^)]+)\) \|$", re.MULTILINE)
TERMS = {
    term: (meaning, lesson) for term, meaning, lesson in ROW.findall(GLOSSARY.read_text("utf-8"))
}
# Words that everybody uses, too, in another sense.
EVERYDAY = {"holds", "kernel", "rate", "unit", "weight"}


@functools.cache
def words(path):
    """A lesson's prose without code, formulas and links, whose texts name other lessons."""
    text = "\n".join(prose(path))
    return re.sub(
        r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\[[^]]*\]\([^)]*\)", " ", text, flags=re.S
    )


def test_every_term_is_explained_in_a_sentence_and_by_a_lesson():
    assert len(TERMS) >= 70
    for term, (meaning, lesson) in TERMS.items():
        assert meaning.endswith("."), term
        assert (GLOSSARY.parent / lesson).exists(), term
        assert re.search(rf"\b{re.escape(term)}", words(GLOSSARY.parent / lesson), re.I), term


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_term_is_used_before_the_lesson_that_explains_it(path):
    text = words(path)
    early = [
        term
        for term, (_, lesson) in TERMS.items()
        if lesson > path.name and term not in EVERYDAY
        if re.search(rf"\b{re.escape(term)}\b", text, re.IGNORECASE)
    ]
    assert not early
