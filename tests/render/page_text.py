"""What a rendered page says, apart from how it looks: comparable between Quarto and ours.

What is taken for presentation, and therefore left out or made equal:

- White space: runs of it, no-break spaces included, count as one space.
- Around the text: navigation, breadcrumbs, title block of the front page (Quarto shows the book's
  title above the page's, we show the page's with subtitle and authors), links to notebooks.
- Quarto's copy buttons, icons, and the callout type that only screen readers get.
- Numbers of equations: Quarto sets them inside the formula, we beside it.
- Sections: Quarto has `<section id>` around a heading, we have the id on the heading.
- Alternative text of a figure without `fig-alt`: Quarto writes none, we repeat the caption.
- Links to the numbers of tables and figures: Quarto has them from the pre-render step only.
- Folding: Quarto's callouts unfold by script, ours are `<details>`.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, Tag

LEFT_OUT = (
    "nav, button, script, style, i.callout-icon, .screen-reader-only, .quarto-title-meta, "
    ".numbers, .description, .subtitle, .authors, .page-tools, .callout-btn-toggle, "
    ".visually-hidden"
)
MARKS = {"em": "*", "strong": "**", "code": "`", "sup": "^", "sub": "~", "del": "~~"}
BLOCKS = {
    "p", "li", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "figcaption", "summary",
    "blockquote", "div", "section", "main", "header", "figure", "ul", "ol", "dl", "details",
}  # fmt: skip


@dataclass(frozen=True)
class PageText:
    """A page's content.

    Attributes:
        items: Blocks in order: kind, then what identifies it, then its text.
        links: Target (address from the root of the site, with anchor) and text, in order.
        contents: The page's table of contents, likewise.
    """

    items: list[tuple]
    links: list[tuple[str, str]]
    contents: list[tuple[str, str]]


def read_site(site: Path) -> dict[str, PageText]:
    """Every page of a rendered book by its address."""
    return {
        str(path.relative_to(site)): read_page(path, str(path.relative_to(site)))
        for path in sorted(site.rglob("*.html"))
        if "site_libs" not in path.parts
    }


def read_page(path: Path, address: str) -> PageText:
    """Reads one page; `address` is its place in the site."""
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    contents = soup.select_one("nav#TOC, .page-toc nav")
    listed = _links(contents, address) if contents else []
    main = soup.find("main")
    if own_title := main.select_one("section.level1"):
        main.select_one("#title-block-header").decompose()
        listed = [link for link in listed if link[0] != f"{address}#{own_title['id']}"]
    for element in main.select(LEFT_OUT):
        element.decompose()
    for code in main.select("pre a"):
        code.unwrap()
    for math in main.find_all("math"):
        _write_math(math)
    walker = _Walker()
    walker.walk(main)
    walker.flush("end")
    return PageText(walker.items, _links(main, address), listed)


def _links(element: Tag, address: str) -> list[tuple[str, str]]:
    return [
        (_absolute(link["href"], address), squeeze(link.get_text()))
        for link in element.find_all("a", href=True)
    ]


def _absolute(href: str, address: str) -> str:
    if re.match(r"[a-z]+:", href):
        return href
    path, _, anchor = href.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(address), path)) if path else address
    return f"{path}#{anchor}" if anchor else path


def squeeze(text: str) -> str:
    """Runs of white space as one space."""
    return re.sub(r"[\s\u00a0]+", " ", text).strip()


def _write_math(math: Tag) -> None:
    """Puts a formula's TeX in its place; a numbered one becomes an `equation` block."""
    tex = math.find("annotation").get_text()
    number = re.search(r"\\qquad\((.*?)\)\s*$", tex)
    holder = math.find_parent(class_="equation") or math.find_parent("span", id=re.compile("^eq-"))
    if holder:
        beside = holder.select_one(".equation-number")
        told = number[1] if number else beside.get_text().strip("()")
        tex = tex[: number.start()] if number else tex
        new = Tag(name="equation", attrs={"id": holder["id"], "number": told})
        new.string = squeeze(tex)
        holder.replace_with(new)
    else:
        math.replace_with(f"${squeeze(tex)}$")


class _Walker:
    def __init__(self) -> None:
        self.items: list[tuple] = []
        self.text = ""
        self.block: Tag | None = None

    def walk(self, element: Tag) -> None:
        for child in element.children:
            if isinstance(child, NavigableString):
                self.text += child
            elif child.name == "equation":
                self.flush(child)
                self.items.append(("equation", child["id"], child["number"], child.get_text()))
            elif child.name == "pre":
                self.flush(child)
                self.items.append(("code", child.get_text().rstrip("\n")))
            elif child.name == "table":
                self.flush(child)
                self.items += [("row", *_cells(row)) for row in child.find_all("tr")]
            elif child.name == "img":
                self.flush(child)
                self.items.append(("image", posixpath.basename(child["src"]), child.get("alt")))
            elif child.name == "hr":
                self.flush(child)
                if not child.find_parent(class_="footnotes"):
                    self.items.append(("rule",))
            elif child.name == "br":
                self.text += " / "
            elif child.name in BLOCKS:
                self.flush(child)
                outer, self.block = self.block, child
                self.walk(child)
                self.flush(child)
                self.block = outer
            else:
                mark = MARKS.get(child.name, "")
                self.text += mark
                self.walk(child)
                self.text += mark

    def flush(self, _boundary) -> None:
        text = squeeze(self.text)
        self.text = ""
        if text:
            self.items.append((*_kind(self.block), text))


def _cells(row: Tag) -> list[tuple[str, str, str]]:
    return [
        (cell.name, cell.get("style", ""), squeeze(_marked(cell)))
        for cell in row.find_all(["th", "td"])
    ]


def _marked(element: Tag) -> str:
    walker = _Walker()
    walker.walk(element)
    return " ".join([*(str(item[-1]) for item in walker.items), walker.text])


def _kind(block: Tag | None) -> tuple[str, ...]:
    """What a block of text is: heading with its id, caption with its label, ..."""
    if block is None:
        return ("text",)
    classes = block.get("class", [])
    if re.fullmatch("h[1-6]", block.name):
        holder = block if block.get("id") else block.find(id=True) or block.find_parent("section")
        return block.name, holder["id"] if holder else ""
    if block.name == "figcaption" or "caption" in classes:
        holder = block.find_parent(id=re.compile("^(fig|tbl)-[^.]*$"))
        return "caption", holder["id"] if holder else ""
    if "callout-title" in classes or "callout-title-container" in classes:
        return _callout(block)
    if "csl-entry" in classes:
        return "reference", block["id"]
    if block.name == "li" and block.parent.name in ("ul", "ol"):
        return block.parent.name, "li"
    return (block.name,)


def _callout(title: Tag) -> tuple[str, str, str]:
    box = title.find_parent(class_="callout")
    kind = next(
        c for c in box["class"] if re.fullmatch("callout-(note|tip|warning|important|caution)", c)
    )
    toggle = box.select_one("[data-bs-toggle]")
    if box.name == "details":
        fold = "open" if box.has_attr("open") else "closed"
    elif toggle:
        fold = "open" if toggle["aria-expanded"] == "true" else "closed"
    else:
        fold = "fixed"
    return "callout", kind, fold


def differences(ours: dict[str, PageText], quartos: dict[str, PageText]) -> list[str]:
    """Where two sites say different things: the place, what we say, what Quarto says."""
    found = [f"{name}: only in one of the sites" for name in sorted(ours.keys() ^ quartos.keys())]
    for name in sorted(ours.keys() & quartos.keys()):
        for part in ("items", "links", "contents"):
            left, right = getattr(ours[name], part), getattr(quartos[name], part)
            if part == "items":
                left, right = _without_repeated_alt(left, right)
            # Where they part, or where the shorter one ends.
            if left != right:
                at = next(
                    (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
                    min(len(left), len(right)),
                )
                here = slice(at, at + 2)
                found.append(f"{name}, {part} {at}:\n  {left[here]}\n  {right[here]}")
    return found


def _without_repeated_alt(ours: list[tuple], quartos: list[tuple]) -> tuple[list, list]:
    """Leaves out our alternative text where Quarto has none."""
    bare = {item[1] for item in quartos if item[0] == "image" and item[2] is None}
    drop = lambda item: ("image", item[1], None) if item[0] == "image" and item[1] in bare else item  # noqa: E731
    return [drop(item) for item in ours], quartos
