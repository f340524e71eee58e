"""The examples of README and docs run as they stand."""

import re
from pathlib import Path

import pytest

from tightbound.core import names
from tightbound.likelihoods import likelihoods

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


LONG = (
    "embedding.md", "evidence.md", "images.md", "implicit.md", "likelihoods.md", "objectives.md",
    "pictures.md", "runs.md", "sequences.md", "sklearn.md", "tables.md",
)  # fmt: skip
"""Pages whose examples take up to a minute."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.slow if p.name in LONG else ()) for p in PAGES],
    ids=lambda page: page.name,
)
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    for block in blocks(page):
        exec(compile(block, page.name, "exec"), scope)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_likelihood_stands_on_its_page():
    text = (ROOT / "docs" / "likelihoods.md").read_text()
    named = set(re.findall(r"`([a-z_0-9]+)`", text))
    assert set(likelihoods()) <= named
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    own = {name for name, place in names.likelihoods().items() if place.path.stem != "catalogue"}
    assert rows == own


def test_readme_has_an_example():
    assert blocks(ROOT / "README.md")
