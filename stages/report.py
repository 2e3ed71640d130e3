"""Stage ``report``: the leaderboard as json, csv, md and one self-contained page; the claims and their verdicts; the
README's table.

python stages/report.py
python stages/report.py --readme             (also puts the table between the markers of README.md)
python stages/report.py --to build/report    (elsewhere: a page of what is here, whatever is missing)

A report is never replaced by one that lacks its rows: bench/report/safety.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.base.errors import BenchError, friendly
from bench.base.files import atomic, check_writable, write_json, write_text
from bench.config.load import load_params
from bench.report.build import build
from bench.report.overview import insert_block
from bench.report.safety import check_replaceable
from bench.results.sources import gather


def main() -> None:
    """Check, gather, build, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true", help="renew the table in README.md as well")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write there instead of into reports/")
    arguments = parser.parse_args()
    root = Path.cwd()
    params = load_params()
    reports: Path = arguments.to or root / "reports"
    if arguments.to is None:
        check_replaceable(root, params.generators(), reports)
    elif arguments.readme:
        raise BenchError("--readme renews the README with the report in reports/: not together with --to")
    else:
        check_writable(reports / "index.html", "--to: ")
    products = build(gather(root, params.generators(), params.profile, params.seed), root / "reports")
    write_json(reports / "leaderboard.json", products.leaderboard)
    write_text(reports / "leaderboard.csv", products.csv)
    write_text(reports / "leaderboard.md", products.markdown)
    write_json(reports / "claims.json", products.claims)
    write_text(reports / "index.html", products.html)
    with atomic(reports / "preview.png") as temporary:
        temporary.write_bytes(products.preview)
    if arguments.readme:
        readme = root / "README.md"
        old = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        write_text(readme, insert_block(old, products.readme))
    verdicts = ", ".join(f"{count} {name}" for name, count in products.claims["summary"].items())
    print(f"report: {len(products.rows)} rows; claims: {verdicts}; open {reports / 'index.html'}")


if __name__ == "__main__":
    with friendly():
        main()
