"""Looks at a built website in a browser: axe-core's rules, errors, loads and widths."""

from __future__ import annotations

import importlib.resources
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SERIOUS = ("serious", "critical")
HOST = "127.0.0.1"
WIDE, PHONE = 1280, 390
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  return document.documentElement.scrollWidth > width ? document.documentElement.scrollWidth : 0;
}"""
# Axe need not read the styles of its own accord, and only what has to do with colours can differ
# between the schemes. That takes it most of the time. Texts whose elements have the same tags,
# classes and styles, up to the page, have the same colours, so that one of them is enough.
RULES = """async scheme => {
  const wcag = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
  const colours = ['color-contrast', 'link-in-text-block'];
  const not_colours = Object.fromEntries(colours.map(rule => [rule, { enabled: false }]));
  const find = async (where, options) => {
    const found = await axe.run(where, { resultTypes: ['violations'], preload: false, ...options });
    return found.violations.flatMap(v => v.nodes.map(n => [v.impact, v.id, n.target.join(' ')]));
  };
  const others = scheme === 'light'
    ? await find(document, { runOnly: wcag, rules: not_colours }) : [];
  const looks = new Map();
  for (const element of document.body.querySelectorAll('*')) {
    const text = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (!text && element.tagName !== 'INPUT') continue;
    const path = [];
    for (let e = element; e; e = e.parentElement) {
      path.push(e.tagName, e.className.baseVal ?? e.className, e.getAttribute('style'));
    }
    const look = JSON.stringify(path);
    if (!looks.has(look)) looks.set(look, element);
  }
  return [...others, ...await find([...looks.values()], { runOnly: colours })];
}"""


def axe() -> str:
    """The text of axe-core."""
    return (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


@contextmanager
def chromium() -> Iterator:
    """A browser without a screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":  # Chromium asks for it at times, whatever a page names
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()
        else:
            super().do_GET()


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of the site on a server of its own."""
    with ThreadingHTTPServer((HOST, 0), partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()


def problems(site: Path, browser) -> list[str]:
    """What is wrong with the pages of a site, a line each.

    The rules are checked on the wide page, and the width on the phone's, too.
    """
    found: list[str] = []
    files = sorted(file.relative_to(site).as_posix() for file in site.rglob("*.html"))
    with served(site) as address:
        context = browser.new_context(reduced_motion="reduce")
        for file in files:
            page = context.new_page()
            _listen(page, file, found)
            page.goto(f"{address}/{file}")
            found += [f"{file}: {wrong}" for wrong in _wrong(page)]
            page.close()
        context.close()
    return found


def _wrong(page) -> Iterator[str]:
    for width in (PHONE, WIDE):
        page.set_viewport_size({"width": width, "height": 844})
        if wide := page.evaluate(TOO_WIDE):
            yield f"{wide} px wide at {width} px"
    page.evaluate(axe())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for impact, rule, where in page.evaluate(RULES, scheme):
            if impact in SERIOUS:
                yield f"{scheme}: {impact}: {rule}: {where}"


def _listen(page, name: str, found: list[str]) -> None:
    def asked(request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.hostname != HOST:
            found.append(f"{name}: asks {request.url}")

    page.on("request", asked)
    page.on("requestfailed", lambda request: found.append(f"{name}: no answer: {request.url}"))
    page.on(
        "response",
        lambda r: found.append(f"{name}: {r.status}: {r.url}") if r.status >= 400 else None,
    )
    page.on("pageerror", lambda error: found.append(f"{name}: {error}"))
    page.on(
        "console", lambda m: found.append(f"{name}: {m.text}") if m.type == "error" else None
    )
