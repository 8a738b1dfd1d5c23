"""Run the benchmarks in the rivals' environment, and write the table in README.md from their results.

python benchmarks/run.py [NAME ...]; `--table` writes the table alone. `gpu.py` is for machines with a GPU and is run
there by itself.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqloom.files import write_text

ROOT = Path(__file__).parent
PYTHON = ROOT.parent / ".venv-rivals" / "bin" / "python"
APART = ("run", "measure", "ours", "gpu")
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEAD = (
    "| benchmark | what | numbers | ours | rival | | ratio | versions, date |",
    "|---|---|---|---|---|---|---|---|",
)


def names() -> list[str]:
    """The scripts that are benchmarks."""
    return [path.stem for path in sorted(ROOT.glob("*.py")) if path.stem not in APART]


def rows() -> Iterator[dict[str, Any]]:
    """All results; of each file, those that stand for the goal come first."""
    for path in sorted((ROOT / "results").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        yield from sorted(found, key=lambda one: not one["headline"])


def line(one: dict[str, Any]) -> str:
    """A result as a line of the table."""
    ratio = f"**{one['ratio']:.2f}**" if one["headline"] else f"{one['ratio']:.2f}"
    versions = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
    cells = (
        one["name"],
        one["shapes"],
        one["dtype"],
        f"{one['ours']:g}",
        f"{one['rival']:g} ({one['rival_name']})",
        one["unit"],
        ratio,
        f"{versions}; processor {one['processor']}; {one['rounds']} rounds, {one['date']}",
    )
    return f"| {' | '.join(cells)} |"


def write_table() -> None:
    """Write the table between its marks."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    table = "\n".join([*HEAD, *map(line, rows())])
    write_text(readme, f"{before}{BEGIN}\n{table}\n{END}{after}")


def main(asked: list[str]) -> None:
    """Run the benchmarks asked for, or all, one after another."""
    for name in [] if "--table" in asked else asked or names():
        subprocess.run([PYTHON, ROOT / f"{name}.py"], check=True)
    write_table()


if __name__ == "__main__":
    main(sys.argv[1:])
