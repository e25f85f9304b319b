"""What Quarto's pre-render step leaves for Quarto."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_book
from tiny_book import minimal

from render import freeze

CHAPTER = """\
# Start

```{python}
#| label: fig-x
#| fig-cap: "C"
class Plot:
    def _repr_mimebundle_(self, **_):
        return {"image/svg+xml": "<svg/>", "text/plain": "plot"}
    def _repr_csv_(self):
        return "x,y\\r\\n1,2\\r\\n"
Plot()
```

Two: `{python} 1 + 1`.
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = minimal(tmp_path_factory.mktemp("freeze"), **{"index.qmd": CHAPTER})
    config = root / "_quarto.yml"
    config.write_text(config.read_text() + "  typst:\n    echo: false\n")
    return root


@pytest.fixture
def run(project, monkeypatch):
    monkeypatch.chdir(project)
    return freeze.main


def frozen(project: Path, extension: str) -> dict:
    return json.loads(
        (project / "_freeze/index/execute-results" / f"{extension}.json").read_text("utf-8")
    )


def test_each_format_gets_the_same_execution(project, run):
    assert run() == 0
    digest = hashlib.md5((project / "index.qmd").read_bytes()).hexdigest()
    for extension, figures, code in (("html", "figure-html", True), ("typ", "figure-typst", False)):
        kept = frozen(project, extension)
        text = kept["result"]["markdown"]
        assert kept["hash"] == digest
        assert kept["result"]["supporting"] == [f"index_files/{figures}"]
        assert f"![C](index_files/{figures}/fig-x-output-1.svg){{#fig-x}}" in text
        assert (project / "_freeze/index" / figures / "fig-x-output-1.svg").read_text() == "<svg/>"
        assert ("class Plot" in text) is code
        assert "Two: 2." in text


def test_the_website_links_numbers_and_the_pdf_does_not(project, run):
    assert run() == 0
    link = '[CSV](index_files/figure-html/fig-x.csv){download="fig-x.csv" aria-label="CSV: C"}'
    assert f"::: {{.numbers}}\n{link}\n:::" in frozen(project, "html")["result"]["markdown"]
    assert "csv" not in frozen(project, "typ")["result"]["markdown"].replace("_repr_csv_", "")
    kept = {str(path.relative_to(project)) for path in (project / "_freeze").rglob("*.csv")}
    assert kept == {"_freeze/index/figure-html/fig-x.csv"}
    assert (project / kept.pop()).read_bytes() == b"x,y\r\n1,2\r\n"


def test_what_is_right_already_is_not_written(project, run):
    assert run() == 0
    before = {path: path.stat().st_mtime_ns for path in (project / "_freeze").rglob("*")}
    assert run() == 0
    assert {path: path.stat().st_mtime_ns for path in (project / "_freeze").rglob("*")} == before


def test_changed_prose_is_frozen_and_old_figures_go(project, run):
    old = project / "_freeze/index/figure-html/fig-old-output-1.svg"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("<svg/>")
    (project / "index.qmd").write_text(CHAPTER.replace("Two", "Zwei ∑"), encoding="utf-8")
    assert run() == 0
    assert "Zwei ∑: 2." in frozen(project, "html")["result"]["markdown"]
    assert (
        frozen(project, "typ")["hash"]
        == hashlib.md5((project / "index.qmd").read_bytes()).hexdigest()
    )
    assert not old.exists()


def test_windows_line_ends_have_quartos_hash(project, run):
    """Quarto hashes a file as if its lines ended as on Unix."""
    (project / "index.qmd").write_bytes(CHAPTER.replace("\n", "\r\n").encode())
    assert run() == 0
    assert frozen(project, "html")["hash"] == hashlib.md5(CHAPTER.encode()).hexdigest()


def test_quarto_runs_it_as_a_script_and_learns_of_errors(tmp_path):
    minimal(tmp_path, **{"index.qmd": "# A\n\n{{< meta x >}}\n"})
    done = subprocess.run(
        [sys.executable, tiny_book.REPOSITORY / "render" / "freeze.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: index.qmd:3: shortcode {{< meta x >}} is not supported\n"
