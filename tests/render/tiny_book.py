"""Throw-away books: a small one with everything that the real one may use, and bare ones."""

from __future__ import annotations

from pathlib import Path

from render.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[2]

CONFIG = f"""\
project:
  type: book
  output-dir: _book
  execute-dir: project
  pre-render: {REPOSITORY / "render" / "freeze.py"}

lang: en

book:
  title: "Tea & \\"2 < 3\\" biscuits"
  subtitle: "A 'tiny' book"
  author: ["Ada A.", "Bo B."]
  description: "Two \\"small\\" chapters."
  downloads: [pdf]
  output-file: tiny-book
  chapters:
    - index.qmd
    - chapters/first.qmd
    - chapters/second.qmd
  appendices:
    - chapters/proofs.qmd

bibliography: references.bib

execute:
  freeze: auto

number-sections: true
toc: true
toc-depth: 3

format:
  html:
    theme: cosmo
    code-fold: true
    code-summary: "Code"
    fig-format: svg
    html-math-method: mathml
  typst:
    bibliographystyle: chicago-author-date
    fig-format: svg
    papersize: a4
    echo: false
"""

INDEX = """\
# Five questions {.unnumbered}

A book of @sec-first and @sec-second, with @fig-line, @tbl-hostile and @sec-proofs.

```{python}
#| label: index-setup
#| include: false
three = 3
```

There are `{python} three` of them; "quotes", 'single' -- dash --- long dash ... and `code`.

Not part of the chapter numbering, see [below](#sec-how).

## How to read {#sec-how}

From top to bottom.

### Deeper

Down here.

## Another

Last words.
"""

FIRST = """\
# Did *tea* & "2 < 3" biscuits `raise` $x^2$? {#sec-first}

Text with a citation [@welch1947, p. 29] and another by @mann1947.
Two at once [@welch1947; @mann1947].[^one]

[^one]: The first note, with $a_1$ and *emphasis*.

```{python}
#| label: setup
#| include: false
import warnings

import pandas as pd
from IPython.display import Markdown, display

import helper
from analysis.report import tables, text

rows = pd.read_csv("data/first.csv")
drawing = helper.drawing()
HOSTILE = helper.HOSTILE
```

## First section

See @fig-line, @tbl-plain and @eq-welch; [@fig-line; @tbl-plain], number only [-@fig-line], \
in words [Fig. @fig-line], and @tbl-hand.

```{python}
#| label: fig-line
#| fig-cap: "A *figure* of $y$ and \\"quotes\\"."
#| fig-alt: "A rising line; it's 5 < 6."
drawing
```

$$
t = \\frac{\\bar x_1 - \\bar x_2}{s}
$$ {#eq-welch}

### A subsection

The sum is `{python} int(rows["value"].sum())`, the plain text `{python} "a*b_c <d> #e"`, and the
value `{python} text.escape(HOSTILE[0])`.

#### Too deep for the contents

More.

## Second section {#sec-deep}

```{python}
#| label: tbl-plain
#| tbl-cap: "A table's \\"caption\\", with *emphasis*, $x$ and @welch1947."
tables.table(rows, {"value": text.number})
```

| Left | Right |
|:-----|------:|
| a    | 1     |
| b    | 22    |

: A table by *hand* {#tbl-hand}

| No | caption |
|----|---------|
| 1  | 2       |

```{python}
print("hello", len(rows))
print("```")
```

```{python}
#| echo: false
#| output: asis
print("*As is*, from [the table](#sec-deep).")
```

```{python}
#| warning: false
warnings.warn("hidden away")
len(rows)
```

```{python}
#| code-fold: show
#| code-summary: "Look & see"
warnings.warn_explicit("shown", UserWarning, "somewhere.py", 7)
```

```{python}
#| eval: false
raise SystemExit("never run")
```

```{python}
#| code-fold: false
#| output: false
# A comment with ```ticks``` and #| no option
print("not shown")
#| not: an option
"also not shown"
```

::: {.callout-note title="What *it* means"}
Something with `{python} len(rows)` rows and @eq-welch.
:::

::: {.callout-warning collapse="true"}
## Hidden **body**

Text.[^two]

- one
- two
:::

::: {.callout-tip collapse="false"}
Opened.
:::

::: callout-important
No title.
:::

[^two]: The second note.

Term with a [link](https://example.org/a?b=1&c=2), one to [the other page](second.qmd), one to
[its section](second.qmd#sec-nested) and one to [here](#second-section-again).

> A quotation.

1. one
2. two
    - nested
    - again

## Second section again

::: {.answer}
The *answer*.
:::

Text ~~struck~~ H~2~O x^2^ <https://example.org> and a line\\
break.

```python
not_run = True
```

Term
:   Definition of it.

***

End.
"""

SECOND = """\
# Second chapter {#sec-second}

```{python}
#| include: false
import pandas as pd
from IPython.display import Markdown, display
from analysis.report import tables, text
import helper

rows = pd.read_csv("data/second.csv")
```

It has `{python} len(rows)` rows. Back to @sec-first, @sec-deep and [-@sec-deep]. See
@welch1947 too, and @fig-two.

## Nested *thing* {#sec-nested}

```{python}
#| label: tbl-hostile
#| tbl-cap: "Hostile values."
columns = {"value": helper.HOSTILE, "<b>n</b>|$": range(len(helper.HOSTILE))}
tables.table(pd.DataFrame(columns))
```

Inline: `{python} text.listing(text.escape(v) for v in helper.HOSTILE)`.

```{python}
#| label: fig-two
#| echo: false
#| fig-cap: Another
helper.drawing()
```

$$ e = mc^2 $$ {#eq-second}

Then @eq-second, $\\alpha$ and

$$
1 + 1
$$

## Not numbered {.unnumbered}

Text.

## Numbered again

Done.
"""

PROOFS = """\
# Proofs {#sec-proofs}

```{python}
#| include: false
one = 1
```

Nothing but `{python} one` thing, see @sec-lemma and @fig-proof.

## Lemma {#sec-lemma}

```{python}
#| label: fig-proof
#| fig-cap: "A proof."
import helper
helper.drawing()
```
"""

HELPER = '''\
"""Imported by the chapters."""
import deeper

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    "$x$",
    "#set page()",
    "@fig-line",
    "\\\\input{x}",
    "*b*",
    "[x](y)",
    "`c` {=html}",
    "{{< include secret.txt >}}",
    "&lt;",
    "1. x",
    "--- 'q' \\"r\\" ...",
    "[^one]",
    "https://example.org",
    "~s~ ^t^ _u_ \\\\\\\\",
    ":smile: ::: {.x}",
]


class Drawing:
    """A figure, without the second that importing a plotting library takes."""

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {
            "text/plain": "<Drawing>",
            "image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' width='200' height='100'>"
            f"<line x1='0' y1='{deeper.HEIGHT}' x2='200' y2='0' stroke='black'/></svg>",
        }


def drawing():
    return Drawing()
'''

REFERENCES = """\
@article{welch1947,
  author  = {Welch, Bernard Lewis},
  title   = {The Generalization of "{Student's}" Problem},
  journal = {Biometrika},
  volume  = {34},
  pages   = {28--35},
  year    = {1947},
  doi     = {10.1093/biomet/34.1-2.28}
}
@article{mann1947,
  author  = {Mann, Henry B. and Whitney, Donald R.},
  title   = {On a Test of Whether One of Two Random Variables Is Stochastically Larger},
  journal = {Annals of Mathematical Statistics},
  volume  = {18},
  number  = {1},
  pages   = {50--60},
  year    = {1947},
  doi     = {10.1214/aoms/1177730491}
}
"""

FILES = {
    "_quarto.yml": CONFIG,
    "index.qmd": INDEX,
    "chapters/first.qmd": FIRST,
    "chapters/second.qmd": SECOND,
    "chapters/proofs.qmd": PROOFS,
    "references.bib": REFERENCES,
    "helper.py": HELPER,
    "deeper.py": "HEIGHT = 100\n",
    "data/first.csv": "name,value\nx,1\ny,2\nz,1200\n",
    "data/second.csv": "name,value\nu,5\nv,6\n",
}


def write(root: Path, **changed: str | None) -> Path:
    """Writes the book; `changed` replaces files by name, None leaves one out."""
    for name, content in (FILES | changed).items():
        if content is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return root


MINIMAL = """\
project:
  type: book
  execute-dir: project
book:
  title: Minimal
  output-file: minimal
  chapters: [index.qmd{more}]
number-sections: true
toc: true
format:
  html:
    html-math-method: mathml
    code-fold: true
"""


def minimal(root: Path, *chapters: str, **files: str) -> Path:
    """Writes a book of bare files; `chapters` come after index.qmd."""
    more = "".join(f", {name}" for name in chapters)
    contents = {"_quarto.yml": MINIMAL.format(more=more), "index.qmd": "# Start\n"} | files
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def build(root: Path, *options: str) -> int:
    """`python -m render book` with the embedded renderer; the exit code."""
    return main(["--root", str(root), "book", "--engine", "embedded", *options])
