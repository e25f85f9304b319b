"""Writes an executed chapter as the Markdown that Quarto itself makes of one.

The same text goes to the embedded renderer (`book.lua`) and, as a frozen result, to Quarto.
"""

from __future__ import annotations

import ast
import base64
import re
from dataclasses import dataclass

from analysis.report.text import escape, plain
from render.errors import BookError
from render.execute import Run
from render.qmd import INLINE, Cell

IMAGES = {"image/svg+xml": "svg", "image/png": "png"}
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Rendered:
    """A chapter as Markdown.

    Attributes:
        text: Markdown without front matter; cells are `.cell` divs as in Quarto.
        files: Images that the text shows, and CSV that it links to: path relative to the
            chapter -> content.
    """

    text: str
    files: dict[str, bytes]


def render(
    run: Run,
    *,
    echo: bool = True,
    warning: bool = True,
    figures: str = "figure-html",
    numbers: bool = True,
) -> Rendered:
    """Turns outputs and inline results into Markdown.

    Args:
        run: An executed chapter.
        echo: Show the code of cells that do not say `echo: false`.
        warning: Show what cells that do not say otherwise wrote to standard error.
        figures: Folder of the files inside the chapter's `_files` folder.
        numbers: Link tables and figures to their numbers as CSV.

    Raises:
        BookError: an output has no form that serves HTML and PDF alike.
    """
    files: dict[str, bytes] = {}
    folder = f"{run.chapter.path.stem}_files/{figures}"
    parts = []
    for block, cell in zip(run.chapter.blocks, run.notebook.cells, strict=True):
        if isinstance(block, Cell):
            parts.append(_cell(run, block, cell, files, folder, echo, warning))
            if numbers:
                parts += _numbers(run.chapter.name(block), block, cell, files, folder)
        else:
            parts.append(inline_text(block.source, cell.metadata.get("user_expressions", [])))
    return Rendered("\n".join(parts), files)


def inline_text(source: str, results: list) -> str:
    """A text block with its inline expressions replaced by their results."""
    values = iter(results)
    return INLINE.sub(lambda _: inline_value(next(values)["result"]["data"]), source)


def inline_value(data: dict) -> str:
    """An inline result as Markdown: Markdown objects as they are, all else escaped."""
    if "text/markdown" in data:
        return data["text/markdown"]
    text = data["text/plain"]
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = None
    return escape(value if isinstance(value, str) else text)


def _cell(run: Run, block: Cell, cell, files: dict, folder: str, echo: bool, warning: bool) -> str:
    options = block.options
    if not options.get("include", True):
        return ""
    name = run.chapter.name(block)
    parts = []
    if options.get("echo", echo) and block.code:
        attributes = [".python", ".cell-code"]
        attributes += [
            f'{key}="{str(options[key]).lower() if key == "code-fold" else _quoted(options[key])}"'
            for key in ("code-fold", "code-summary")
            if key in options
        ]
        parts.append(_fenced(block.code, f" {{{' '.join(attributes)}}}"))
    show = options.get("output", True)
    for number, output in enumerate(cell.outputs if show else [], 1):
        stream = output.get("name", "")
        if stream == "stderr" and not options.get("warning", warning):
            continue
        if output.output_type == "execute_result" and _is_handle(output.data, cell.outputs):
            continue
        if stream:
            kind, body = stream, _verbatim(ANSI.sub("", output.text))
            if show == "asis" and stream == "stdout":
                body = output.text
        else:
            kind, body = _shown(run, block, output.data, f"{folder}/{name}-output-{number}", files)
        parts.append(body if show == "asis" else _div(f".cell-output .cell-output-{kind}", body))
    if not parts:
        return ""
    attributes = ".cell"
    # A figure's label stands on its image; a cell that says why there is none keeps label and
    # caption, since the text refers to it.
    drawn = any(set(IMAGES) & set(output.get("data", {})) for output in cell.outputs)
    kind = name[:3]
    if name.startswith("tbl-") or (name.startswith("fig-") and show and not drawn):
        attributes = f'#{name} .cell {kind}-cap="{_quoted(options[f"{kind}-cap"])}"'
    return _div(attributes, "\n".join(parts))


def _is_handle(data: dict, outputs: list) -> bool:
    """Whether a result is only what a plotting call returned, which Quarto leaves out."""
    text = data.get("text/plain", "").strip()
    beside_image = any(set(IMAGES) & set(output.get("data", {})) for output in outputs)
    return len(data) == 1 and bool(
        re.match(r"\[?<matplotlib|<seaborn\.|<ggplot:", text)
        or (beside_image and re.fullmatch(r"[<(\[].*[>)\]]", text))
    )


def _shown(run: Run, block: Cell, data: dict, name: str, files: dict) -> tuple[str, str]:
    """An output that is not a stream: the kind of its div, and its Markdown."""
    if "text/markdown" in data:
        return "display .cell-output-markdown", data["text/markdown"]
    for mime, extension in IMAGES.items():
        if mime in data:
            path = f"{name}.{extension}"
            files[path] = (
                data[mime].encode() if extension == "svg" else base64.b64decode(data[mime])
            )
            return "display", _figure(block, path)
    if set(data) != {"text/plain"}:
        raise BookError(
            f"this output exists only as {' and '.join(sorted(set(data) - {'text/plain'}))}; show "
            "tables as Markdown (analysis.report.tables), so that website and PDF get the same",
            run.chapter.path,
            block.line,
            run.chapter.name(block),
        )
    return "display", _verbatim(data["text/plain"])


def _figure(block: Cell, path: str) -> str:
    options = block.options
    attributes = [f"#{options['label']}"] if "fig-cap" in options else []
    if "fig-alt" in options:
        attributes.append(f'fig-alt="{_quoted(options["fig-alt"])}"')
    tail = f"{{{' '.join(attributes)}}}" if attributes else ""
    caption = " ".join(options.get("fig-cap", "").split())
    return f"![{caption}]({path}){tail}"


def _numbers(name: str, block: Cell, cell, files: dict, folder: str) -> list[str]:
    """Links to the numbers of what a numbered table's or figure's cell shows."""
    options = block.options
    numbered = name.startswith(("fig-", "tbl-"))
    if not (numbered and options.get("include", True) and options.get("output", True)):
        return []
    data = [output.get("data", {}) for output in cell.outputs]
    found = [bundle["text/csv"] for bundle in data if "text/csv" in bundle]
    links = []
    for number, text in enumerate(found, 1):
        file = f"{name}{f'-{number}' if number > 1 else ''}.csv"
        files[f"{folder}/{file}"] = text.encode()
        spoken = f"CSV: {_subject(options.get(f'{name[:3]}-cap', name))}"
        attributes = f'download="{file}" aria-label="{_quoted(spoken)}"'
        links.append(f"[CSV]({folder}/{file}){{{attributes}}}")
    return [_div(".numbers", " ".join(links))] if links else []


def _subject(caption: str) -> str:
    """The first sentence of a caption as plain text, without its citations."""
    uncited = re.sub(r"\s*\[[^\[\]]*@[^\[\]]*\]", "", " ".join(caption.split()))
    return plain(re.split(r"[.;:?](?= |$)", uncited)[0])


def _div(attributes: str, body: str) -> str:
    return f"::: {{{attributes}}}\n{body.rstrip()}\n:::\n"


def _verbatim(text: str) -> str:
    # Quarto would run a shortcode that data brings, and show what `{{< env PASSWORD >}}` gives.
    return _fenced(text, ' {shortcodes="false"}' if "{{<" in text else "")


def _fenced(text: str, attributes: str = "") -> str:
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{ticks}{attributes}\n{text.rstrip()}\n{ticks}\n"


def _quoted(text: str) -> str:
    return " ".join(str(text).split()).replace("\\", "\\\\").replace('"', '\\"')
