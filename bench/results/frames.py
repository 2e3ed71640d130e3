"""Every row as a pandas DataFrame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

__all__ = ["frame"]


def frame(source: Path | str = "reports/leaderboard.json") -> pandas.DataFrame:
    """All rows, one a line, in the order of the leaderboard.

    The columns are the fields of :class:`bench.results.records.Record` (``ci95`` as ``ci95_low`` and ``ci95_high``),
    then ``rank`` (``<NA>`` for references), ``tied``, and ``settings``, a dictionary of the swept settings as values::

        table = bench.results.frame()
        char = table[(table.generator == "ngram-char") & (table.metric == "bits_per_byte")]
        char.assign(n=char.settings.str["n"]).pivot_table("value", "n", "protocol")

    Args:
        source: a ``leaderboard.json``, or a folder ``evaluations`` (without costs, run keys and settings of arms, which
            the report stage adds).

    Raises:
        BenchError: no such file, or none of the two.
    """
    from bench.base.errors import BenchError
    from bench.base.files import read_json
    from bench.results.leaderboard import build_rows, rows_from_json, to_frame
    from bench.results.records import Record

    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.glob("*.json") if not file.name.endswith(".metrics.json"))
        records = [Record.from_json(row) for file in files for row in read_json(file).get("records", ())]
        return to_frame(build_rows(records))
    if not path.is_file():
        raise BenchError(f"{path} is missing: run `dvc repro`, or name a leaderboard.json or a folder evaluations")
    return to_frame(rows_from_json(read_json(path)))
