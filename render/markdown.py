"""Writes an executed chapter as the Markdown that Quarto itself makes of one.

The same text goes to the embedded renderer (`book.lua`) and, as a frozen result, to Quarto.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from render.errors import BookError
from render.execute import Run
from render.qmd import INLINE, Cell

IMAGES = {"image/svg+xml": "svg", "image/png": "png"}


@dataclass(frozen=True)
class Rendered:
    """A chapter as Markdown.

    Attributes:
        text: Markdown without front matter; cells are `.cell` divs as in Quarto.
        images: Image files that the text shows: path relative to the chapter -> content.
    """

    text: str
    images: dict[str, bytes]


def render(
    run: Run, *, echo: bool = True, warning: bool = True, figures: str = "figure-html"
) -> Rendered:
    """Turns outputs and inline results into Markdown.

    Args:
        run: An executed chapter.
        echo: Show the code of cells that do not say `echo: false`.
        warning: Show what cells that do not say otherwise wrote to standard error.
        figures: Folder of the images inside the chapter's `_files` folder.

    Raises:
        BookError: an output has no form that serves HTML and PDF alike.
    """
    images: dict[str, bytes] = {}
    folder = f"{run.chapter.path.stem}_files/{figures}"
    parts = []
    for block, cell in zip(run.chapter.blocks, run.notebook.cells, strict=True):
        if isinstance(block, Cell):
            parts.append(_cell(run, block, cell, images, folder, echo, warning))
        else:
            parts.append(inline_text(block.source, cell.metadata.get("user_expressions", [])))
    return Rendered("\n".join(parts), images)


def inline_text(source: str, results: list) -> str:
    """A text block with its inline expressions replaced by their results."""
    values = iter(results)
    return INLINE.sub(lambda _: inline_value(next(values)["result"]["data"]), source)


def inline_value(data: dict) -> str:
    """An inline result as Markdown: Markdown objects as they are, plain strings escaped."""
    if "text/markdown" in data:
        return data["text/markdown"]
    text = data["text/plain"]
    if text[:1] in "'\"" and text[-1:] == text[:1]:
        return re.sub(r"([\\`*_{}\[\]()>#+\-.!|<$@~^])", r"\\\1", text[1:-1])
    return text


def _cell(
    run: Run, block: Cell, cell, images: dict, folder: str, echo: bool, warning: bool
) -> str:
    options = block.options
    if not options.get("include", True):
        return ""
    label = options.get("label", "")
    parts = []
    if options.get("echo", echo) and block.code:
        attributes = [".python", ".cell-code"]
        attributes += [
            f'{key}="{str(options[key]).lower() if key == "code-fold" else _quoted(options[key])}"'
            for key in ("code-fold", "code-summary")
            if key in options
        ]
        parts.append(f"``` {{{' '.join(attributes)}}}\n{block.code}\n```\n")
    show = options.get("output", True)
    if show:
        name = f"{folder}/{label or f'cell-{run.chapter.cells.index(block) + 1}'}"
        for number, output in enumerate(cell.outputs, 1):
            if output.output_type == "stream" and output.name == "stderr":
                if not options.get("warning", warning):
                    continue
            body, kind = _output(run, block, output, f"{name}-output-{number}", images)
            parts.append(body if show == "asis" else f"::: {{.cell-output {kind}}}\n{body}\n:::\n")
    if not parts:
        return ""
    attributes = [".cell"]
    if label.startswith("tbl-"):
        caption = _quoted(options.get("tbl-cap", ""))
        attributes = [f"#{label}", ".cell", f'tbl-cap="{caption}"']
    body = "\n".join(parts)
    return f"::: {{{' '.join(attributes)}}}\n{body}:::\n"


def _output(run: Run, block: Cell, output, name: str, images: dict) -> tuple[str, str]:
    if output.output_type == "stream":
        return _verbatim(output.text), f".cell-output-{output.name}"
    data = output.get("data", {})
    kind = ".cell-output-display"
    for mime, extension in IMAGES.items():
        if mime in data:
            path = f"{name}.{extension}"
            images[path] = data[mime].encode() if extension == "svg" else base64.b64decode(data[mime])
            return _figure(block, path), kind
    if "text/markdown" in data:
        return data["text/markdown"], f"{kind} .cell-output-markdown"
    if "text/html" in data or "text/latex" in data:
        raise BookError(
            "this output exists only as HTML or LaTeX; show tables as Markdown "
            "(analysis.report.tables), so that website and PDF get the same",
            run.chapter.path,
            block.line,
            run.chapter.label(block),
        )
    return _verbatim(data.get("text/plain", "")), kind


def _figure(block: Cell, path: str) -> str:
    options = block.options
    attributes = []
    if options.get("label", "").startswith("fig-"):
        attributes.append(f"#{options['label']}")
    if "fig-alt" in options:
        attributes.append(f'fig-alt="{_quoted(options["fig-alt"])}"')
    tail = f"{{{' '.join(attributes)}}}" if attributes else ""
    caption = " ".join(options.get("fig-cap", "").split())
    return f"![{caption}]({path}){tail}"


def _verbatim(text: str) -> str:
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{ticks}\n{text.rstrip()}\n{ticks}"


def _quoted(text: str) -> str:
    return " ".join(str(text).split()).replace("\\", "\\\\").replace('"', '\\"')
