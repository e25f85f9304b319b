"""Shows which cell of which chapter is running."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from render.qmd import Chapter


class Progress:
    """A bar a chapter on a terminal; elsewhere (CI logs) a line when a chapter begins."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[cell]}", markup=False),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self.tasks: dict = {}

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.bars.start()
        return self

    def __exit__(self, *_) -> None:
        if self.console.is_terminal:
            self.bars.stop()

    def __call__(self, chapter: Chapter, done: int, total: int, cell: str) -> None:
        name = str(chapter.path)
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(name, total=total, cell=cell)
            if not self.console.is_terminal:
                self.console.print(
                    f"executing {name} ({total} cells)", highlight=False, markup=False
                )
        self.bars.update(self.tasks[name], completed=done, cell=cell)
