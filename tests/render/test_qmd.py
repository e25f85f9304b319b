"""A chapter is read whole and right, or refused with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render import qmd
from render.errors import BookError

CELL = "```{python}\n1\n```\n"


def read(tmp_path: Path, text: str | bytes) -> qmd.Chapter:
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "c.qmd").write_bytes(content)
    return qmd.read(tmp_path, Path("c.qmd"))


REFUSED = {
    "shortcode": ("# A\n\n{{< include x.qmd >}}\n", 3, r"shortcode \{\{< include"),
    "shortcode in a code block": ("# A\n\n```\n{{< meta x >}}\n```\n", 4, "shortcode"),
    "shortcode in a line": ("# A\n\nSee {{< meta title >}}.\n", 3, "shortcode"),
    "shortcode in an option": ("```{python}\n#| label: '{{< var x >}}'\n```\n", 2, "shortcode"),
    "other language": ("# A\n\n```{r}\n1\n```\n", 3, r"code cell '\{r\}'"),
    "observable": ("# A\n\n```{ojs}\n1\n```\n", 3, "ojs"),
    "diagram": ("# A\n\n```{mermaid}\nx\n```\n", 3, "mermaid"),
    "capital letter": ("# A\n\n```{R}\nx\n```\n", 3, r"\{R\}"),
    "cell with arguments": ("# A\n\n```{python echo=FALSE}\nx\n```\n", 3, "echo=FALSE"),
    "cell shown as text": ("# A\n\n```{{python}}\nx\n```\n", 3, "code cell"),
    "indented cell": ("# A\n\n- x\n\n    ```{python}\n    1\n    ```\n", 5, "unindented"),
    "inline of another language": (f"# A\n\nx `{{r}} 1`\n\n{CELL}", 3, "inline code in 'r'"),
    "unknown option": ("```{python}\n#| fig-width: 3\n1\n```\n", 2, "'fig-width' is not supported"),
    "second option unknown": ("```{python}\n#| echo: false\n#| x: 1\n```\n", 3, "'x'"),
    "option of a wrong type": ("```{python}\n#| include: 3\n1\n```\n", 2, "'include: 3'.*type"),
    "caption of a wrong type": ("```{python}\n#| label: fig-a\n#| fig-cap: [a]\n```\n", 3, "type"),
    "output of a wrong value": ("```{python}\n#| output: both\n1\n```\n", 2, "'output' is"),
    "fold of a wrong value": ("```{python}\n#| code-fold: maybe\n1\n```\n", 2, "'code-fold' is"),
    "echo: true": ("```{python}\n#| echo: true\n1\n```\n", 2, "leave it out"),
    "label with a space": ("```{python}\n#| label: a b\n1\n```\n", 2, "label 'a b'"),
    "label with a digit first": ("```{python}\n#| label: 1a\n1\n```\n", 2, "label '1a'"),
    "label twice": (f"```{{python}}\n#| label: a\n```\n{CELL}```{{python}}\n#| label: a\n```\n", 7,
                    "label 'a' is also on the cell at line 1"),
    "figure without caption": ("\n```{python}\n#| label: fig-a\n1\n```\n", 2, "'fig-cap' belong"),
    "table without caption": ("\n```{python}\n#| label: tbl-a\n1\n```\n", 2, "'tbl-cap' belong"),
    "caption without label": ("\n```{python}\n#| tbl-cap: A\n1\n```\n", 2, "belong together"),
    "options that are no YAML": ("```{python}\n#| label: [\n1\n```\n", 2, "unreadable YAML"),
    "options without colon": ("```{python}\n#| echo\n1\n```\n", 2, "name: value"),
    "R's tag": ("```{python}\n#| fig-cap: !expr f(x)\n1\n```\n", 2, "unreadable YAML.*!expr"),
    "inline without any cell": ("# A\n\nFirst.\nThen `{python} 1`.\n", 4, "without any code cell"),
    "cell never closed": ("# A\n\n```{python}\n1\n", 3, "never closed"),
    "fence never closed": ("# A\n\n~~~\n```\n1\n", 3, "never closed"),
    "front matter never closed": ("---\ntitle: A\n\n# A\n", 1, "never closed"),
    "front matter unreadable": ("---\ndescription: 'a\n---\n", 2, "unreadable YAML"),
    "front matter with a control character": ("---\ndescription: a\x01\n---\n", 2, "unreadable"),
    "front matter that is a list": ("---\n- a\n---\n", 2, "name: value"),
    "front matter unknown": ("---\ndescription: a\njupyter: python3\n---\n", 3, "'jupyter'"),
    "title in front matter": ("---\ntitle: A\n---\n", 2, "'title' is not supported"),
    "div never closed": ("# A\n\n::: {.answer}\nx\n\n::: {.lead}\ny\n:::\n", 3, "never closed"),
    "div closed twice": ("# A\n\n::: {.answer}\nx\n:::\n\n:::\n", 7, "closes no div"),
    "footnote missing": ("# A\n\nOne.[^a]\n\nTwo.[^b]\n\n[^a]: x\n", 5, r"no footnote '\[\^b\]:'"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_with_file_line_and_reason(tmp_path, text, line, reason):
    with pytest.raises(BookError, match=reason) as caught:
        read(tmp_path, text)
    assert (str(caught.value.file), caught.value.line) == ("c.qmd", line)
    assert str(caught.value).startswith(f"c.qmd:{line}: ")


def test_not_utf8(tmp_path):
    with pytest.raises(BookError, match=r"c.qmd: not UTF-8 \(byte 2\)"):
        read(tmp_path, b"# \xff\n")


def test_missing_file(tmp_path):
    with pytest.raises(BookError, match=r"gone\.qmd: cannot be read"):
        qmd.read(tmp_path, Path("gone.qmd"))


def test_a_cell_at_fault_is_named(tmp_path):
    with pytest.raises(BookError) as caught:
        read(tmp_path, "```{python}\n#| label: fig-a\n#| fig-cap: x\n#| out: 1\n```\n")
    assert str(caught.value).startswith("c.qmd:4: cell 'fig-a': cell option 'out'")


def test_blocks_and_their_lines(tmp_path):
    chapter = read(
        tmp_path,
        "---\ndescription: About.\n---\n\n# A\n\nText `{python} a` and\n`{python}  b `.\n\n"
        "```{python}\n#| label: x\n\n#| no option\na = 1\n\n```\n\n```{python}\n2\n```\n",
    )
    assert chapter.meta == {"description": "About."}
    text, first, second = chapter.blocks
    assert (text.line, text.expressions()) == (4, [("a", 7), ("b", 8)])
    assert (first.line, first.options, first.code) == (10, {"label": "x"}, "#| no option\na = 1")
    assert (second.line, chapter.name(first), chapter.name(second)) == (18, "x", "cell-2")


def test_what_only_looks_unsupported_is_let_through(tmp_path):
    text = (
        "# A\n\n```python\n1\n```\n\n``` {.r}\nx\n```\n\n````\n```{r}\n```\n````\n\n"
        "```code``` in a line, `{python}`, `[^a-z]` and `{r}`.\n\n"
        "An inline note^[so] and one[^n].\n\n   [^n]: Here.\n\n"
        "::: {.callout-note}\n:::: answer\nx\n::::\n:::\n\n::: {.lead} :::\nx\n:::\n"
    )
    chapter = read(tmp_path, text)
    assert [block.source for block in chapter.blocks] == [text]


def test_windows_line_ends_and_byte_order_mark_change_nothing(tmp_path):
    text = "# A\n\n```{python}\n#| echo: false\n1\n```\n\nText.\n"
    windows = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    assert read(tmp_path, windows) == read(tmp_path, text)


lines = st.sampled_from(
    ["", "text", "    code", "- item", "`{python} 1`", "---", "\u2028 odd", "#| x"]
)


@given(
    st.lists(st.one_of(lines.map(lambda line: [line]), st.just(["```{python}", "x = 1", "```"])))
)
def test_no_line_is_lost_or_moved(tmp_path_factory, parts):
    """Every block stands in the file at the line that it claims."""
    flat = ["# A", *(line for part in parts for line in part), *CELL.splitlines()]
    root = tmp_path_factory.mktemp("lines")
    blocks = read(root, "\n".join(flat) + "\n").blocks
    rebuilt = [""] * len(flat)
    for block in blocks:
        body = block.source.removesuffix("\n").split("\n")
        if isinstance(block, qmd.Cell):
            body = ["```{python}", *body, "```"]
        rebuilt[block.line - 1 : block.line - 1 + len(body)] = body
    assert rebuilt == flat
