"""One page about runs that stands alone: pictures inlined, figures in tables, the configurations as text."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from seqloom.files import write_text
from seqloom.training.report import measured, rounded, short
from seqloom.training.runs import Groups, Run, spread

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#ddd, #444); --soft: light-dark(#666, #aaa); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
p.note { color: var(--soft); }
img { width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 6px; }
figure { margin: 1.2rem 0; break-inside: avoid; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); } td.number, th.number { text-align: right; white-space: nowrap; }
pre { font-size: 12px; line-height: 1.4; overflow-x: auto; border-left: 3px solid var(--line); padding-left: 1rem; }
summary { cursor: pointer; }
@media print {
  body { max-width: none; margin: 0; font-size: 11px; }
  pre { white-space: pre-wrap; } tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; }
}
"""
TITLES = {
    "learning": "Best figures of the runs compared",
    "scores": "Scores on dev over the steps of training",
    "losses": "Training loss over the steps of training",
    "shares": "Shares of the tasks in steps, tokens and loss",
}


def write(path: Path, groups: Groups, pictures: Sequence[Path]) -> Path:
    """Write the page about these groups of runs with these PNG pictures; returns its path."""
    runs = [run for one in groups.values() for run in one]
    name = next(iter(groups)) if len(groups) == 1 else f"{len(runs)} runs"
    body = [
        f"<h1>seqloom: {escape(name)}</h1>",
        _figures(groups),
        *map(_picture, pictures),
        _runs(runs),
        _sizes(groups),
        _configs(groups),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(name)}</title>'
    write_text(
        path, f'<!doctype html>\n<html lang="en">\n{head}\n<style>{STYLE}</style>\n{"".join(body)}</html>\n'
    )
    return path


def _figures(groups: Groups) -> str:
    each = [(run, split) for runs in groups.values() for run in runs for split in ("dev", "test")]
    told = dict.fromkeys(
        (task, name) for run, split in each for task, of in run.figures(split).items() for name in of
    )
    if not told:
        return "<h2>Figures</h2><p class='note'>No evaluation yet.</p>"
    rows = [[*pair, group, *_measured(runs, *pair)] for pair in told for group, runs in groups.items()]
    head = ["task", "figure", "runs", "dev", "test", "dev of each"]
    note = "<p class='note'>At each run's best step; mean ± standard deviation where there are several seeds.</p>\n"
    # Without seeds the last column would be empty.
    wide = len(head) if any(len(runs) > 1 for runs in groups.values()) else len(head) - 1
    return "<h2>Figures</h2>\n" + note + _table(head[:wide], [row[:wide] for row in rows], 3)


def _measured(runs: Sequence[Run], task: str, name: str) -> list[str]:
    values = {split: [run.figures(split).get(task, {}).get(name) for run in runs] for split in ("dev", "test")}
    known = {split: [value for value in of if value is not None] for split, of in values.items()}
    means = [measured(*spread(of), len(of)) if of else "" for of in known.values()]
    return [*means, "  ".join(map(rounded, known["dev"])) if len(runs) > 1 else ""]


def _picture(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    title = escape(TITLES.get(path.stem, path.stem))
    return f'<figure><img alt="{title}" src="data:image/png;base64,{data}"></figure>\n'


def _runs(runs: Iterable[Run]) -> str:
    head = ["run", "ended by", "steps", "best step", "tokens", "tokens/s", "minutes"]
    return "<h2>Runs</h2>" + _table(head, [_run(run) for run in runs], 2)


def _run(run: Run) -> list[str]:
    best = run.result.get("best_step")
    step, elapsed = (run.events[-1].get(what, 0) for what in ("step", "elapsed")) if run.events else (0, 0)
    numbers = [
        f"{step:,}",
        "" if best is None else f"{best:,}",
        short(run.tokens),
        short(run.speed),
        f"{elapsed / 60:.1f}",
    ]
    return [run.name, run.ended or "has not ended", *numbers]


def _sizes(groups: Groups) -> str:
    known = {name: runs[0].parameters for name, runs in groups.items()}
    rows = [[name, part, f"{size:,}"] for name, sizes in known.items() for part, size in sizes.items()]
    return "<h2>Size</h2>" + _table(["run", "part", "parameters"], rows, 2) if rows else ""


def _configs(groups: Groups) -> str:
    texts = {name: runs[0].config for name, runs in groups.items() if runs[0].config}
    opened = " open" if len(texts) == 1 else ""
    tables = [
        f"<details{opened}><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>\n"
        for name, text in texts.items()
    ]
    return "<h2>Configuration</h2>" + "".join(tables) if tables else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    """A table whose first `words` columns are words, the others numbers."""
    sides = ["" if place < words else " class=number" for place in range(len(head))]

    def cells(kind: str, row: Sequence[str]) -> str:
        return "".join(f"<{kind}{side}>{escape(cell)}</{kind}>" for side, cell in zip(sides, row, strict=True))

    lines = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    top = f"<thead><tr>{cells('th', head)}</tr></thead>"
    return f'<div class="wide"><table>{top}\n<tbody>\n{lines}\n</tbody></table></div>\n'
