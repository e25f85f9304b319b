"""Which renderer is taken, and the reason that is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tiny_book
from tiny_book import minimal

from render import engine
from render.__main__ import main
from render.errors import BookError


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """An environment of its own: nothing on PATH, nothing beside Python, no pip."""
    for name in ("bin", "venv"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))


def put_quarto(path: Path, version: str, render: str = "exit 1") -> None:
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit 0\n{render}\n')
    path.chmod(0o755)


@pytest.fixture
def pip(monkeypatch):
    """Replaces pip; `pip(effect)` says what an installation does."""
    calls = []
    run = subprocess.run

    def replace(effect):
        def fake(command, *arguments, **options):
            if command[1:4] != ["-m", "pip", "install"]:
                return run(command, *arguments, **options)
            calls.append(command[-1])
            return subprocess.CompletedProcess(command, *effect())

        monkeypatch.setattr(subprocess, "run", fake)
        return calls

    return replace


def failing():
    return 1, "", "no way to the internet"


@pytest.mark.parametrize("version", ["1.9.0", "1.9.38", "1.10.2", "2.0.0", "99.9.9"])
def test_quarto_on_path(tmp_path, pip, version):
    calls = pip(failing)
    put_quarto(tmp_path / "bin" / "quarto", version)
    assert engine.choose("auto") == ("quarto", f"on PATH, {version}")
    assert engine.choose("quarto") == ("quarto", f"asked for, {version}")
    assert engine.choose("embedded") == ("embedded", "asked for")
    assert not calls


@pytest.mark.parametrize("version", ["1.8.99", "0.9.380", "1.4.550"])
def test_quarto_too_old(tmp_path, pip, version):
    pip(failing)
    put_quarto(tmp_path / "bin" / "quarto", version)
    chosen, why = engine.choose("auto")
    assert chosen == "embedded"
    assert why.startswith(f"quarto {version} is too old, and it could not be installed")


def test_no_quarto_and_no_way_to_install_it(tmp_path, pip):
    calls = pip(failing)
    chosen, why = engine.choose("auto")
    assert chosen == "embedded"
    assert why.startswith("no quarto on PATH, and it could not be installed")
    kept = tmp_path / "venv" / ".quarto-not-installable"
    assert str(kept) in why
    assert kept.read_text() == "no way to the internet"
    assert engine.choose("auto")[0] == "embedded"
    assert calls == [engine.QUARTO], "the second build does not try again"
    with pytest.raises(BookError, match=r"no quarto on PATH.*install Quarto >= 1\.9"):
        engine.choose("quarto")
    assert calls == [engine.QUARTO] * 2, "who asks for Quarto has it tried again"


def test_an_installation_without_end(tmp_path, pip):
    def slow():
        raise subprocess.TimeoutExpired("pip", engine.INSTALL_SECONDS)

    pip(slow)
    assert engine.choose("auto")[0] == "embedded"
    assert "no end after" in (tmp_path / "venv" / ".quarto-not-installable").read_text()


@pytest.mark.parametrize("old", [None, "1.2.3"])
def test_quarto_is_installed(tmp_path, pip, old):
    """Also where an old one stands in the way."""

    def working():
        put_quarto(tmp_path / "venv" / "quarto", "1.9.38")
        return 0, "", ""

    if old:
        put_quarto(tmp_path / "bin" / "quarto", old)
    calls = pip(working)
    reason = f"quarto {old} is too old" if old else "no quarto on PATH"
    assert engine.choose("auto") == ("quarto", f"{reason}; installed {engine.QUARTO}")
    assert engine.choose("auto") == ("quarto", "on PATH, 1.9.38")
    assert len(calls) == 1


def test_an_installation_that_does_not_work(tmp_path, pip):
    pip(lambda: (0, "", ""))
    assert engine.choose("auto")[0] == "embedded"


@pytest.mark.parametrize("value", ["Quarto", "pandoc", "quarto "])
def test_a_wrong_engine_is_refused(tmp_path, monkeypatch, capsys, value):
    monkeypatch.setenv("ENGINE", value)
    assert main(["--root", str(tmp_path), "book"]) == 2
    assert f"ENGINE is quarto or embedded, not '{value}'" in capsys.readouterr().err


def test_an_empty_engine_is_none(tmp_path, monkeypatch, capsys, pip):
    pip(failing)
    monkeypatch.setenv("ENGINE", "")
    assert main(["--root", str(tmp_path), "book"]) == 1
    said = capsys.readouterr().err
    assert "renderer: embedded (no quarto on PATH" in said
    assert "_quarto.yml: cannot be read: No such file" in said


def test_quartos_output_is_swapped_in(tmp_path, monkeypatch, capsys):
    script = 'mkdir -p "$3" && echo "$QUARTO_PYTHON" > "$3/index.html"'
    put_quarto(tmp_path / "bin" / "quarto", "1.9.38", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    root = minimal(tmp_path / "book", **{"_book/old.html": "old"})
    assert main(["--root", str(root), "book"]) == 0
    assert "renderer: quarto (on PATH, 1.9.38)" in capsys.readouterr().err
    assert [path.name for path in (root / "_book").iterdir()] == ["index.html"]
    assert (root / "_book/index.html").read_text().strip() == sys.executable
    assert sorted(path.name for path in root.iterdir()) == ["_book", "_quarto.yml", "index.qmd"]


def test_quartos_failure_leaves_the_last_book(tmp_path, capsys):
    put_quarto(tmp_path / "bin" / "quarto", "1.9.38", "exit 7")
    root = tiny_book.write(tmp_path / "book", **{"_book/old.html": "old"})
    assert main(["--root", str(root), "book"]) == 1
    assert "quarto render ended with exit code 7" in capsys.readouterr().err
    assert [path.name for path in (root / "_book").iterdir()] == ["old.html"]
