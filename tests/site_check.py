"""A checker of a built website: addresses, anchors and what a page loads from elsewhere."""

from __future__ import annotations

import posixpath
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "use": "href",
}
POINTS = ("aria-labelledby", "aria-describedby", "aria-controls", "for")


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.pointed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.loaded += [values[LOADS[tag]]] if LOADS.get(tag) in values else []
        self.links += [values["href"]] if tag == "a" and "href" in values else []
        for name in POINTS:
            self.pointed += values.get(name, "").split()


def problems(site: Path) -> list[str]:
    """Every broken address or anchor, repeated id and load from another host, a line each."""
    pages = {
        str(path.relative_to(site)): _Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
    found = []
    for name, page in pages.items():
        found += [f"{name}: id {i!r} {n} times" for i, n in Counter(page.ids).items() if n > 1]
        found += [f"{name}: no id {i!r}" for i in page.pointed if i not in page.ids]
        for target in page.loaded:
            if urlsplit(target).scheme not in ("", "data") or target.startswith("//"):
                found.append(f"{name}: loads {target} from elsewhere")
        for target in page.links + page.loaded:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            # An address from the root: a server shows 404.html at any depth.
            path = posixpath.join("/", posixpath.dirname(name), unquote(parts.path))
            path = posixpath.normpath(path).lstrip("/")
            path = path if parts.path else name
            if not (site / path).is_file():
                found.append(f"{name}: {target} leads to no file")
            elif parts.fragment and unquote(parts.fragment) not in pages[path].ids:
                found.append(f"{name}: {target} leads to no id")
    return found
