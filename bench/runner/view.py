"""What a person sees of a run: lines where output goes to a file, a live table on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LiveView", "Progress", "View"]


@dataclass
class Progress:
    """The state of a run."""

    total: int
    left: Callable[[], float]
    """Estimated seconds to the end."""
    running: dict[str, float] = field(default_factory=dict)
    """Stage -> when it was given to the workers, by the monotonic clock."""
    done: int = 0
    same: int = 0
    cached: int = 0
    stopped: int = 0
    failed: list[str] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> int:
        """Stages that wait for their inputs or for a worker."""
        over = self.done + self.same + self.cached + self.stopped + len(self.failed) + len(self.blocked)
        return self.total - over - len(self.running)

    def sentence(self) -> str:
        """Counts, in words."""
        parts = [f"{self.same} unchanged", f"{self.cached} from the run cache", f"{self.done} run"]
        parts += [f"{self.stopped} stopped"] * bool(self.stopped)
        parts += [f"{len(self.failed)} failed"] * bool(self.failed) + [f"{len(self.blocked)} not begun"] * bool(
            self.blocked
        )
        return ", ".join(parts)


class View:
    """A line for each stage that ends."""

    def __init__(self, say: Callable[[str], None], progress: Progress) -> None:
        self._say, self.progress, self._start = say, progress, time.monotonic()

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def line(self, text: str) -> None:
        """Say something."""
        self._say(text)

    def ended(self, name: str, how: str) -> None:
        """A stage has ended."""
        self.line(f"{time.monotonic() - self._start:7.1f} s  {name}  {how}")


class LiveView(View):
    """The running stages, the counts and the time left, below the lines."""

    def __init__(self, console: Any, progress: Progress) -> None:
        from rich.live import Live

        super().__init__(lambda text: console.print(text, highlight=False, markup=False), progress)
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> View:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _table(self) -> Any:
        from rich.table import Table

        progress, now = self.progress, time.monotonic()
        finished = progress.done + progress.same + progress.cached
        table = Table.grid(padding=(0, 2))
        for name, since in sorted(progress.running.items(), key=lambda item: item[1])[:20]:
            table.add_row(name, _clock(now - since))
        if len(progress.running) > 20:
            table.add_row(f"... and {len(progress.running) - 20} more", "")
        failed = f", [red]{len(progress.failed)} failed[/red]" if progress.failed else ""
        head = (
            f"[bold]{len(progress.running)} running, {progress.waiting} waiting, {finished} of {progress.total} "
            f"done{failed}"
        )
        grid = Table.grid()
        grid.add_row(f"{head}; about {_clock(progress.left())} left")
        grid.add_row(table)
        return grid


def _clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
