"""Reading a GloVe text of 400,000 words with 300 numbers each, beside gensim."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from gensim.models import KeyedVectors

from measure import Side, row, save
from seqloom.data.vectors import Vectors, convert

WORDS, SIZE, WANTED, ROUNDS = 400_000, 300, 20_000, 3
TAILS = 2_000
"""Different rows of numbers in the file; what parses a row does not know that it was there before."""


def main() -> None:
    """Write the file, time both sides, and write how they did."""
    with tempfile.TemporaryDirectory() as folder:
        file, store = Path(folder) / "glove.txt", Path(folder) / "store"
        write(file)
        save("vectors_open", rows(file, store))


def write(file: Path) -> None:
    """A file in GloVe's form, about 1 GB: a word, then its numbers with five decimals."""
    numbers = np.random.default_rng(0).normal(0, 0.4, (TAILS, SIZE))
    tails = [" ".join(f"{number:.5f}" for number in line) for line in numbers]
    with file.open("w", encoding="utf-8") as out:
        for place in range(WORDS):
            out.write(f"word{place} {tails[place % TAILS]}\n")


def rows(file: Path, store: Path) -> Iterator[dict[str, Any]]:
    """The whole file into a store, a vocabulary's rows from the text, a store opened again, and memory."""
    wanted = [f"word{place}" for place in range(0, WORDS, WORDS // WANTED)]
    rival = seconds(lambda: KeyedVectors.load_word2vec_format(str(file), no_header=True), 1)
    check(file, store)
    yield compared(
        "the whole file into a store", seconds(lambda: convert(file, store), ROUNDS), rival, headline=True
    )
    part = seconds(lambda: Vectors.open(file).match(wanted, loosest="exact"), ROUNDS)
    yield compared(f"the rows of {WANTED:,} words from the text", part, rival)
    again = seconds(lambda: Vectors.open(store).rows(wanted), ROUNDS)
    yield compared(f"the rows of {WANTED:,} words from the store", again, rival)
    yield memory(file, store)


def memory(file: Path, store: Path) -> dict[str, Any]:
    """A row on the memory that the conversion needs, in matrices."""
    peak = peak_of(file, store) / (WORDS * SIZE * 4)
    shapes = f"{WORDS:,} x {SIZE}: peak of a process that converts"
    words: dict[str, Any] = {"rival_name": "goal", "unit": "x matrix", "packages": ["numpy"]}
    return row("vectors_memory", peak, 1.15, shapes=shapes, rounds=1, **words)


def compared(what: str, ours: float, rival: float, *, headline: bool = False) -> dict[str, Any]:
    """A row on CPU seconds; gensim, which takes minutes, is timed once."""
    words: dict[str, Any] = {"rival_name": "gensim", "unit": "s", "packages": ["numpy", "gensim"]}
    shapes = f"{WORDS:,} x {SIZE}, GloVe text: {what}; gensim loads all, once"
    return row("vectors_open", ours, rival, shapes=shapes, rounds=ROUNDS, headline=headline, **words)


def seconds(side: Side, rounds: int) -> float:
    """The median CPU seconds of a call."""
    taken = []
    for _ in range(rounds):
        start = process_time()
        side()
        taken.append(process_time() - start)
    return median(taken)


def check(file: Path, store: Path) -> None:
    """Refuse to time what is read wrong: some rows must equal what float() says, bit for bit."""
    convert(file, store)
    opened = Vectors.open(store)
    with file.open(encoding="utf-8") as lines:
        for place, line in enumerate(lines):
            if place % 40_000 == 0:
                word, *numbers = line.split()
                expected = np.array([float(number) for number in numbers], np.float32)
                if not np.array_equal(opened.rows([word])[0], expected):
                    raise ValueError(f"{file}:{place + 1} is read wrong")


PEAK = """
import re, sys
from pathlib import Path
from seqloom.data.vectors import convert
convert(sys.argv[1], sys.argv[2])
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""
# Not getrusage: its peak counts that of the process that was forked from, here gensim's.


def peak_of(file: Path, store: Path) -> float:
    """The most memory, in bytes, that a fresh process needs to convert the file, Python itself included."""
    words = [sys.executable, "-c", PEAK, str(file), str(store)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
