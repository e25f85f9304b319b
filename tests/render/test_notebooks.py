"""The notebooks are the chapters, executed; whoever is behind is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import tiny_book
from tiny_book import minimal

from render import execute, notebooks
from render.__main__ import main

CHAPTER = """\
# Start

```{python}
#| label: fig-x
#| fig-cap: "C"
class Plot:
    def _repr_mimebundle_(self, **_):
        return {"image/svg+xml": "<svg/>", "text/plain": "plot"}
    def _repr_csv_(self):
        return "x\\r\\n1\\r\\n"
Plot()
```

```{python}
print(object.__repr__(Plot))
object.__repr__(Plot)
```

```{python}
#| eval: false
raise SystemExit("never")
```

It is `{python} 6 * 7`, `{python} "a*b"`.
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = minimal(tmp_path_factory.mktemp("notebooks"), "other.qmd", **{
        "index.qmd": CHAPTER, "other.qmd": "# Other\n\nWords.\n",
    })  # fmt: skip
    assert main(["--root", str(root), "notebooks"]) == 0
    return root


@pytest.fixture
def check(project, capsys):
    """Checks, says what was told, and puts everything back."""
    before = {
        path: path.read_bytes() for path in [*project.glob("*.qmd"), *project.glob("notebooks/*")]
    }

    def run() -> tuple[int, list[str]]:
        capsys.readouterr()
        code = main(["--root", str(project), "notebooks", "--check"])
        told = capsys.readouterr().err.splitlines()
        return code, [line for line in told if line.startswith("notebooks/")]

    yield run
    for path in project.glob("notebooks/*"):
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def read(project: Path, name: str = "index") -> nbformat.NotebookNode:
    return nbformat.read(project / "notebooks" / f"{name}.ipynb", as_version=4)


def test_fresh(check):
    assert check() == (0, [])


def test_the_notebook_is_valid_and_reads_like_the_chapter(project):
    notebook = read(project)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell.cell_type for cell in notebook.cells] == [
        "markdown",
        "code",
        "code",
        "code",
        "markdown",
    ]
    assert notebook.cells[-1].source.strip() == r"It is 42, a\*b."
    assert "user_expressions" not in str(notebook)


def test_numbers_are_not_held_twice(project):
    """Another kernel does not ask for them, so nbval would miss them."""
    (figure,) = read(project).cells[1].outputs
    assert set(figure.data) == {"image/svg+xml", "text/plain"}


def test_addresses_are_the_same_in_every_run(project):
    stdout, result = read(project).cells[2].outputs
    assert "at 0x0>" in stdout.text and "at 0x0>" in result.data["text/plain"]


def test_writing_again_changes_nothing(project, capsys):
    assert main(["--root", str(project), "notebooks"]) == 0
    assert "wrote" not in capsys.readouterr().err


def change_prose(root: Path) -> None:
    text = (root / "index.qmd").read_text()
    (root / "index.qmd").write_text(text.replace("It is", "It was"))


def change_code(root: Path) -> None:
    text = (root / "index.qmd").read_text()
    (root / "index.qmd").write_text(text.replace('"never"', '"ever"'))


def change_output(root: Path) -> None:
    notebook = read(root)
    notebook.cells[2].outputs[0].text = "something else"
    nbformat.write(notebook, root / "notebooks/index.ipynb")


def drop_cell(root: Path) -> None:
    notebook = read(root)
    del notebook.cells[-1]
    nbformat.write(notebook, root / "notebooks/index.ipynb")


def remove(root: Path) -> None:
    (root / "notebooks/index.ipynb").unlink()


def spoil(root: Path) -> None:
    (root / "notebooks/index.ipynb").write_text("{}")


def add(root: Path) -> None:
    (root / "notebooks/extra.ipynb").write_text((root / "notebooks/index.ipynb").read_text())


STALE = {
    change_prose: "notebooks/index.ipynb is older than index.qmd (from its cell 5 on)",
    change_code: "notebooks/index.ipynb is older than index.qmd (from its cell 4 on)",
    change_output: "notebooks/index.ipynb is older than index.qmd (from its cell 3 on)",
    drop_cell: "notebooks/index.ipynb is older than index.qmd (from its cell 5 on)",
    remove: "notebooks/index.ipynb is missing or unreadable",
    spoil: "notebooks/index.ipynb is missing or unreadable",
    add: "notebooks/extra.ipynb belongs to no chapter",
}


@pytest.mark.parametrize("change", STALE, ids=lambda change: change.__name__)
def test_what_is_behind_is_named_and_made_anew(project, check, capsys, change):
    change(project)
    assert check() == (1, [f"{STALE[change]}: run `make notebooks`"])
    assert main(["--root", str(project), "notebooks"]) == 0
    name = "extra" if change is add else "index"
    assert (
        f"{'removed' if change is add else 'wrote'} notebooks/{name}.ipynb"
        in capsys.readouterr().err
    )
    assert check() == (0, [])


def test_images_are_not_compared_but_written(project, check):
    notebook = read(project)
    notebook.cells[1].outputs[0].data["image/svg+xml"] = "<svg>another</svg>"
    nbformat.write(notebook, project / "notebooks/index.ipynb")
    assert check() == (0, [])
    assert main(["--root", str(project), "notebooks"]) == 0
    assert read(project).cells[1].outputs[0].data["image/svg+xml"] == "<svg/>"


def nbval(project: Path) -> subprocess.CompletedProcess:
    configuration = tiny_book.REPOSITORY / "notebooks" / "nbval.cfg"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with", str(configuration),
         "-p", "no:cacheprovider", "-q", "notebooks"],
        cwd=project, capture_output=True, text=True,
    )  # fmt: skip


def test_nbval_runs_the_notebook_and_agrees(project):
    done = nbval(project)
    assert done.returncode == 0, done.stdout
    assert "2 passed, 1 skipped" in done.stdout


def test_nbval_sees_a_wrong_number(project, check):
    path = project / "notebooks/index.ipynb"
    notebook = read(project)
    notebook.cells[2].outputs[0].text = "a wrong number\n"
    nbformat.write(notebook, path)
    done = nbval(project)
    assert done.returncode == 1
    assert "a wrong number" in done.stdout


def test_a_notebook_is_not_run_twice(project):
    _, runs = execute.execute_book(project)
    assert all(run.cached for run in runs)
    assert [notebooks.path_of(run.chapter.path).name for run in runs] == [
        "index.ipynb",
        "other.ipynb",
    ]
