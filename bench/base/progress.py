"""Progress of long steps: a bar with rate and remaining time on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TypeVar

__all__ = ["Progress", "track"]

T = TypeVar("T")


class Progress:
    """A counter of ``total`` items, written to standard error.

    On a terminal a tqdm bar; elsewhere one plain line at the start of work that lasts, every ``interval`` seconds, and
    at the end. ``initial`` items were done before (a resumed training): they count as done, but not in the rate.
    """

    def __init__(
        self,
        label: str,
        total: int | None = None,
        unit: str = "it",
        *,
        initial: int = 0,
        quiet: bool = False,
        interval: float = 15.0,
    ) -> None:
        self.label, self.total, self.unit, self.quiet, self.interval = label, total, unit, quiet, interval
        self.initial = self.done = initial
        self.note = ""
        self._start = self._last = time.monotonic()
        self._bar = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=initial, desc=label, unit=unit, leave=True, dynamic_ncols=True)

    def update(self, count: int = 1, note: str = "") -> None:
        """``count`` more items are done; ``note`` (a loss, a score) is shown behind the numbers."""
        self.done += count
        self.note = note or self.note
        if self.quiet:
            return
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last >= self.interval:
            self._last = time.monotonic()
            self._line()

    def _line(self) -> None:
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate = (self.done - self.initial) / seconds
        text = f"{self.label}: {self.done:,}"
        if self.total:
            left = (self.total - self.done) / rate if rate else float("inf")
            share = 100 * self.done / self.total
            text += f" of {self.total:,} {self.unit} ({share:.0f} %), {rate:,.1f} {self.unit}/s, {left:,.0f} s left"
        else:
            text += f" {self.unit}, {rate:,.1f} {self.unit}/s"
        print(f"{text}{', ' + self.note if self.note else ''}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """The last line, if any plain line was due."""
        if self._bar is not None:
            self._bar.close()
        elif not self.quiet and time.monotonic() - self._start >= self.interval:
            self._line()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def track(items: Iterable[T], label: str, unit: str = "it", *, quiet: bool = False) -> Iterator[T]:
    """The items, with progress."""
    total = len(items) if isinstance(items, Sized) else None
    with Progress(label, total, unit, quiet=quiet) as progress:
        for item in items:
            yield item
            progress.update()
