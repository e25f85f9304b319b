"""Chapters run as Quarto would run them, and a failure names its place."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_book import minimal

from render import execute, markdown, qmd
from render.errors import BookError


def test_inline_code_is_evaluated_at_its_place(run_chapter):
    run = run_chapter(
        "# A\n\n```{python}\nx = 1\n```\n\nOne: `{python} x`.\n\n"
        "```{python}\n#| include: false\nx = x + 1\n```\n\nTwo: `{python} x`, `{python} 'a*b'`.\n"
    )
    text = markdown.render(run).text
    assert "One: 1." in text
    assert r"Two: 2, a\*b." in text


def test_cell_may_start_a_program_with_the_environment_it_has(run_chapter):
    # subprocess looks PATH up as bytes in what it is handed, as matplotlib's font search does.
    run = run_chapter(
        "# A\n\n```{python}\nimport os, subprocess\n"
        "x = subprocess.run(['true'], env=os.environ).returncode\n```\n\nEnded with `{python} x`.\n"
    )
    assert "Ended with 0." in markdown.render(run).text


GIVEN = """
class Given(str):
    def _repr_markdown_(self):
        return "| a |\\n|---|\\n| 1 |\\n"
    def _repr_csv_(self):
        return str(self)
"""


def test_numbered_tables_and_figures_are_linked_to_their_numbers(run_chapter):
    show = 'from IPython.display import display\n' + GIVEN + "display(Given('x'), Given('y'))"
    run = run_chapter(
        "# A\n\n"
        "```{python}\n#| label: tbl-a\n#| tbl-cap: 'Of *\"a\"* ]b[ [@w, p. 1]. More.'\n"
        f"{show}\n```\n\n"
        "```{python}\n#| label: b\nGiven('not numbered')\n```\n\n"
        "```{python}\n#| label: tbl-c\n#| tbl-cap: C\n#| output: false\nGiven('hidden')\n```\n\n"
        "Inline `{python} Given('z')`.\n"
    )
    rendered = markdown.render(run, figures="figs")
    folder = "index_files/figs"
    assert rendered.files == {f"{folder}/tbl-a.csv": b"x", f"{folder}/tbl-a-2.csv": b"y"}
    assert rendered.text.count("{.numbers}") == 1
    label = 'aria-label="CSV: Of \\"a\\" ]b["}'
    for name in ("tbl-a", "tbl-a-2"):
        assert f'[CSV]({folder}/{name}.csv){{download="{name}.csv" {label}' in rendered.text
    bare = markdown.render(run, figures="figs", numbers=False)
    assert not bare.files and "numbers" not in bare.text


FAILING = {
    "a statement of the cell": (
        "```{python}\n#| label: bad\na = 1\n\nb = a / 0\n```\n", 5, "bad", "ZeroDivisionError"),
    "a statement over many lines": (
        "```{python}\nx = [\n  1,\n  1 / 0,\n]\n```\n", 4, "cell-1", "ZeroDivisionError"),
    "inside a module": (
        "```{python}\nimport module\n\nmodule.fail(3)\n```\n", 4, "cell-1", "ValueError: got 3"),
    "inside a function of another cell": (
        "```{python}\ndef f():\n    raise KeyError('k')\n```\n\n```{python}\n1\nf()\n```\n",
        8, "cell-2", "KeyError: 'k'"),
    "no Python": ("\n```{python}\n1\nx = = 2\n```\n", 4, "cell-1", "SyntaxError"),
    "an exit": ("```{python}\nraise SystemExit(3)\n```\n", 1, "cell-1", "SystemExit"),
    "an inline expression": (
        "```{python}\n1\n```\n\nFine: `{python} 1`.\nNot: `{python} nothing`.\n",
        6, None, "inline code 'nothing': NameError"),
    "an inline expression that is nothing": (
        "```{python}\nx = None\n```\n\n`{python} x`\n", 5, None, "'x': it gave nothing to print"),
    "an inline expression that is empty": (
        "```{python}\nfrom IPython.display import Markdown\n```\n\n`{python} Markdown(' ')`\n",
        5, None, "it gave nothing to print"),
    "the kernel's death": (
        "```{python}\n1\n```\n\n```{python}\n#| label: oops\nimport os\nos._exit(1)\n```\n",
        5, "oops", "kernel died"),
}  # fmt: skip
MODULE = "def fail(x):\n    raise ValueError(f'got {x}')\n"


@pytest.mark.parametrize(("text", "line", "cell", "reason"), FAILING.values(), ids=FAILING)
def test_failure_names_its_place(run_chapter, text, line, cell, reason):
    with pytest.raises(BookError, match=re.escape(reason)) as caught:
        run_chapter(text, **{"module.py": MODULE})
    assert (str(caught.value.file), caught.value.line, caught.value.cell) == (
        "index.qmd",
        line,
        cell,
    )


@pytest.mark.parametrize(
    ("text", "line", "cell"),
    [
        ("```{python}\n#| label: slow\nimport time\ntime.sleep(60)\n```\n", 1, "slow"),
        ("```{python}\nimport time\n```\n\nx `{python} time.sleep(60)`\n", 5, None),
    ],
    ids=["cell", "inline"],
)
def test_what_hangs_is_named(run_chapter, monkeypatch, text, line, cell):
    monkeypatch.setenv("BOOK_CELL_TIMEOUT", "1")
    started = time.monotonic()
    with pytest.raises(BookError, match="still running after 1 s") as caught:
        run_chapter(text)
    assert (caught.value.line, caught.value.cell) == (line, cell)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("value", ["ten", "0", "-1", "1.5"])
def test_an_unusable_limit_is_refused(run_chapter, monkeypatch, value):
    monkeypatch.setenv("BOOK_CELL_TIMEOUT", value)
    with pytest.raises(BookError, match=f"BOOK_CELL_TIMEOUT is '{value}'"):
        run_chapter("```{python}\n1\n```\n")


def test_a_failure_stops_the_chapter_beside_it(tmp_path):
    """The other chapter's kernel is gone before the error is reported."""
    file = f"import os, pathlib, time\nfile = pathlib.Path({str(tmp_path / 'pid')!r})\n"
    slow = f"{file}file.write_text(str(os.getpid()))\n"
    bad = f"{file}while not file.exists():\n    time.sleep(.05)\n1 / 0\n"
    root = minimal(
        tmp_path / "book",
        **{
            "slow.qmd": f"```{{python}}\n{slow}time.sleep(60)\n```\n",
            "bad.qmd": f"```{{python}}\n{bad}```\n",
        },
    )
    chapters = [qmd.read(root, Path(name)) for name in ("slow.qmd", "bad.qmd")]
    started = time.monotonic()
    with pytest.raises(BookError, match=r"bad\.qmd:6.*ZeroDivisionError"):
        execute.execute(root, chapters)
    assert time.monotonic() - started < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not list((root / ".book").rglob("run.ipynb"))


@pytest.mark.skipif(os.name != "posix", reason="signals of another kind")
def test_an_interrupt_ends_the_build_and_its_kernels(tmp_path):
    pid = tmp_path / "pid"
    code = f"import os, pathlib\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
    cell = f"```{{python}}\n{code}import time\ntime.sleep(60)\n```\n"
    root = minimal(tmp_path / "book", **{"index.qmd": f"# A\n\n{cell}"})
    command = [sys.executable, "-m", "render", "--root", str(root), "book", "--engine", "embedded"]
    # As from a script's background, where a process begins with the signal ignored.
    build = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.05)
        assert build.poll() is None
    build.send_signal(signal.SIGINT)
    said = build.communicate(timeout=30)[1]
    assert build.returncode == 130
    assert said.splitlines()[-1] == "Stopped."
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_options_decide_what_is_shown(run_chapter):
    """One kernel for all of them."""
    run = run_chapter(
        """\
```{python}
import sys, warnings
print("shown")
```

```{python}
#| echo: false
print("without code")
```

```{python}
#| include: false
print("left out")
```

```{python}
#| eval: false
print("not run")
```

```{python}
#| output: false
print("silent")
```

```{python}
#| output: asis
print("*raw*"); print("aside", file=sys.stderr)
```

```{python}
warnings.warn_explicit("one", UserWarning, "f.py", 1)
```

```{python}
#| warning: false
warnings.warn_explicit("two", UserWarning, "f.py", 1); print("after")
```

```{python}
for i in range(3): print(i, flush=True)
print("\\x1b[31mred\\x1b[0m ``` ````")
```

```{python}
#| echo: false
print("{{< env HOME >}}")
```

Same: `{python} object.__name__`.
"""
    )
    by_cell = re.split(r"^::: \{.cell\}$", markdown.render(run).text, flags=re.M)[1:]
    shown, bare, not_run, silent, raw, warned, hushed, streams, shortcode = by_cell
    assert ".cell-code" in shown and "```\nshown\n```" in shown
    assert ".cell-code" not in bare and "without code" in bare
    assert 'print("not run")' in not_run and ".cell-output" not in not_run
    assert 'print("silent")' in silent and ".cell-output" not in silent
    assert "\n*raw*\n" in raw and "```\naside\n```" in raw and ".cell-output" not in raw
    assert ".cell-output-stderr}\n```\nf.py:1: UserWarning: one" in warned
    assert "after" in hushed and "UserWarning: two" not in hushed
    assert "`````\n0\n1\n2\nred ``` ````\n`````" in streams  # one output, no colour, a longer fence
    assert '``` {shortcodes="false"}\n{{< env HOME >}}\n```' in shortcode
    assert "left out" not in "".join(by_cell)

    quiet = markdown.render(run, echo=False, warning=False).text
    assert ".cell-code" not in quiet and "UserWarning" not in quiet


class Shown:
    """Cells whose outputs only some formats can show."""

    ONLY_HTML = "from IPython.display import HTML\nHTML('<b>x</b>')"
    JPEG = (
        "from IPython.display import display\n"
        "display({'image/jpeg': 'AA==', 'text/plain': 'x'}, raw=True)"
    )
    LATEX = "from IPython.display import Math\nMath('x')"


@pytest.mark.parametrize("code", [Shown.ONLY_HTML, Shown.JPEG, Shown.LATEX])
def test_an_output_for_one_format_only_is_refused(run_chapter, code):
    run = run_chapter(f"\n```{{python}}\n#| label: it\n{code}\n```\n")
    with pytest.raises(
        BookError, match=r"index\.qmd:2: cell 'it': this output exists only as"
    ) as caught:
        markdown.render(run)
    assert caught.value.line == 2


def test_what_plotting_calls_return_is_left_out(run_chapter):
    run = run_chapter(
        "```{python}\nclass Axes:\n    def __repr__(self): return '<Axes: x>'\n"
        "class Plot:\n    def _repr_mimebundle_(self, **_):\n"
        "        return {'text/plain': 'p', 'image/svg+xml': '<svg/>'}\n"
        "from IPython.display import display\ndisplay(Plot())\nAxes()\n```\n\n"
        "```{python}\nAxes()\n```\n"
    )
    beside_plot, alone = markdown.render(run).text.split("::: {.cell}")[1:]
    assert "<Axes" not in re.sub(r"(?s)```.*?```", "", beside_plot)
    assert "```\n<Axes: x>\n```" in alone


def test_progress_is_told_by_chapter_and_cell(tmp_path):
    minimal(tmp_path, **{"index.qmd": "```{python}\n#| label: a\n1\n```\n\n```{python}\n2\n```\n"})
    told = []
    chapter = qmd.read(tmp_path, Path("index.qmd"))
    execute.execute(
        tmp_path, [chapter], lambda chapter, *rest: told.append((chapter.path.name, *rest))
    )
    assert told == [
        ("index.qmd", 0, 2, "a"),
        ("index.qmd", 1, 2, "cell-2"),
        ("index.qmd", 2, 2, ""),
    ]


def test_the_working_directory_is_the_project(run_chapter, tmp_path):
    run = run_chapter("```{python}\nimport os\nos.getcwd()\n```\n")
    assert run.notebook.cells[0].outputs[0].data["text/plain"] == repr(str(tmp_path))
