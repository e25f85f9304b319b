"""Whatever befalls a build, it ends in a correct book or one clear error; the last book stays.

The builds are processes of their own, ended or hindered from outside. `test_execute.py` has cells
that hang and kernels that die, `test_never_stale.py` has two builds at once.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tiny_book import build, minimal

from render import pages
from render.leftovers import prefix, tidied

CELL = """\
# A

```{python}
import os, pathlib, time
pathlib.Path("pid").write_text(str(os.getpid()))
while pathlib.Path("wait").exists():
    time.sleep(0.05)
```

"""
COMMAND = [sys.executable, "-m", "render", "--root"]


@pytest.fixture
def built(tmp_path) -> Path:
    """A book, built; its text is "first"."""
    minimal(tmp_path, **{"index.qmd": f"{CELL}first\n"})
    assert build(tmp_path, "--html") == 0
    assert "first" in page(tmp_path)
    return tmp_path


def page(root: Path) -> str:
    return (root / "_book" / "index.html").read_text("utf-8")


def write_again(root: Path, *, hang: bool) -> None:
    """Another text and, so that its cells run, another code."""
    if hang:
        (root / "wait").touch()
    (root / "pid").unlink()
    text = (root / "index.qmd").read_text("utf-8")
    (root / "index.qmd").write_text(
        text.replace("first", "second").replace("import os", "import os as os"), encoding="utf-8"
    )


def leftovers(root: Path) -> list[str]:
    temporary = Path(tempfile.gettempdir()).glob(f"{prefix(root)}*")
    beside = [path for path in root.iterdir() if path.name.startswith("._book.")]
    return [path.name for path in [*beside, *temporary]]


def start(root: Path, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, str(root), "book", "--engine", "embedded", "--html"],
        stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_build_killed_while_cells_run(built, how):
    write_again(built, hang=True)
    process = start(built)
    until(lambda: (built / "pid").exists() and (built / "pid").read_text())
    process.send_signal(how)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == (130 if how == signal.SIGTERM else -how)
    assert "Traceback" not in said
    kernel = int((built / "pid").read_text())
    until(lambda: gone(kernel))
    assert "first" in page(built)
    (built / "wait").unlink()
    assert build(built, "--html") == 0
    assert "second" in page(built)
    assert leftovers(built) == []


DIES = """\
import os, signal, sys
from pathlib import Path
from render import __main__, pages
real, moves = Path.rename, []
def rename(self, target):
    if {when} == len(moves) and "_book" in (self.name, Path(target).name):
        os.kill(os.getpid(), signal.SIGKILL)
    moves.extend([1] * ("_book" in (self.name, Path(target).name)))
    return real(self, target)
Path.rename = rename
__main__.main(["--root", {root!r}, "book", "--engine", "embedded", "--html"])
"""


@pytest.mark.parametrize("when", [0, 1], ids=["before", "between"])
def test_a_build_killed_while_it_swaps(built, when):
    """Also between the two moves, when no book is at its place: the next build puts it back."""
    write_again(built, hang=False)
    program = DIES.format(when=when, root=str(built))
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    assert len(leftovers(built)) == 1
    assert (built / "_book").exists() == (when == 0)
    (built / "index.qmd").write_text("# A\n\n```{python}\n1 / 0\n```\n", encoding="utf-8")
    assert build(built, "--html") == 1  # nothing new can be made
    assert "first" in page(built)
    assert leftovers(built) == []


def test_the_folder_of_a_build_that_lives_is_left_alone(tmp_path):
    target, busy = tmp_path / "_book", tmp_path / "._book.busy"
    with tidied(target):
        busy.mkdir()
        with tidied(target):
            assert busy.exists()
    with tidied(target):
        assert not busy.exists()


@pytest.mark.parametrize("room", [100, 5_000])
def test_a_disk_that_is_full(built, room):
    """No file can grow beyond some bytes: where that hits depends on how many."""
    write_again(built, hang=False)
    limit = (room, room)
    process = start(built, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if line.startswith("error: ")], said
    assert said.splitlines()[-1].endswith("the last one, if any, is untouched.")
    assert "first" in page(built)
    assert leftovers(built) == []
    assert not list((built / ".book").rglob(".*.*"))  # nothing half written
    assert build(built, "--html") == 0
    assert "second" in page(built)


def test_a_file_where_the_book_should_be(tmp_path, capsys):
    minimal(tmp_path)
    (tmp_path / "_book").write_text("mine")
    assert build(tmp_path, "--html") == 1
    assert "error: _book: is not a folder; move it away" in capsys.readouterr().err
    assert (tmp_path / "_book").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(built, capsys):
    write_again(built, hang=False)
    built.chmod(0o555)
    try:
        assert build(built, "--html") == 1
    finally:
        built.chmod(0o755)
    assert "Permission denied" in capsys.readouterr().err
    assert "first" in page(built)


def test_a_place_that_can_not_be_swapped_is_told(built, monkeypatch, capsys):
    """As where the output folder is a mount: moving it is refused."""
    write_again(built, hang=False)

    def refuse(self, target):
        raise OSError(16, "Device or resource busy", str(self))

    monkeypatch.setattr(pages.Path, "rename", refuse)
    assert build(built, "--html") == 1
    assert "error: [Errno 16] Device or resource busy" in capsys.readouterr().err
    assert "first" in page(built)
    assert leftovers(built) == []
