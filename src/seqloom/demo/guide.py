"""The guided run: a language with few labelled sentences, trained alone and with its relative."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copyfile
from statistics import fmean

from seqloom.api import Model
from seqloom.demo.language import EXAMPLES, FOLDER, RELATIVE, TARGET
from seqloom.errors import ConfigError, ModelError
from seqloom.experiment import Result, open_config, run
from seqloom.files import write_text
from seqloom.metrics import mean, spread
from seqloom.training.curves import draw

Say = Callable[[str], None]
FIGURES = {"names": "f1", "pos": "accuracy"}
WORDS = {"names": "names (span F1)", "pos": "parts of speech (accuracy)"}

PARTS = """\
version: 1
seed: 1
embedders:
  text:
    type: concat
    of:
      - {type: word, size: 40, dropout: 0.2}
      - {type: chars, size: 20, filters: {2: 20, 3: 25, 4: 25}}
      - {type: features, size: 8, prefixes: [2, 3], suffixes: [1, 2, 3]}
    dropout: 0.3
encoders:
  shared: {type: lstm, input: text, hidden: 50, bidirectional: true, dropout: 0.3}
tasks:
"""

TASKS = """\
  {language}-names:
    reader: {{type: conll, tokens: 0, tags: 2, train: {train}, {test}}}
    encoder: shared
    head: {{type: tag, scheme: bioes, share: names}}
  {language}-pos:
    reader: {{type: conll, tokens: 0, tags: 1, train: {train}, {test}}}
    encoder: shared
    head: {{type: tag, share: pos}}
"""

TRAINING = """\
training:
  steps: {steps}
  batch: 16
  optimizer: {{type: adam, rate: 0.005}}
  schedule: {{type: linear}}
"""

STEPS = {"alone": 700, "together": 800}


def guide(out: Path, seeds: int, say: Say) -> None:
    """Train alone and together with each seed, tell the gain, draw it, tag sentences, show nearest words.

    Args:
        out: where the corpus, configurations, runs and plots go; runs that are there are gone on with.
        seeds: runs of each kind.
        say: prints a line.
    """
    _begin(out, say)
    results = {kind: _train(kind, out, seeds, say) for kind in STEPS}
    _compare(results, say)
    _plot(out, say)
    model = Model.load(results["together"][-1].folder)
    _tag(model, say)
    _near(model, say)
    _end(out, say)


def _begin(out: Path, say: Say) -> None:
    say(f"""
Two invented, related languages (generated, no download): {RELATIVE} has many labelled sentences,
{TARGET} has {_sentences(TARGET)}. What does {TARGET} gain from being learnt together with {RELATIVE}?
One LSTM, one character network and one scorer serve both languages; the recipe is in {out}/together.yaml.
""")
    folder = out / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for file in FOLDER.glob("*.conll"):
        copyfile(file, folder / file.name)
    for kind, steps in STEPS.items():
        languages = [TARGET] if kind == "alone" else [TARGET, RELATIVE]
        tasks = "".join(_tasks(language, folder) for language in languages)
        write_text(out / f"{kind}.yaml", PARTS + tasks + TRAINING.format(steps=steps))


def _sentences(language: str) -> int:
    text = (FOLDER / f"{language}-train.conll").read_text(encoding="utf-8")
    return sum(1 for block in text.split("\n\n") if block.strip())


def _tasks(language: str, folder: Path) -> str:
    # Quoted as JSON does it, so that a folder may have any name.
    train, test = (
        json.dumps(str(folder / f"{language}-{part}.conll"), ensure_ascii=False) for part in ("train", "test")
    )
    held = f"test: {test}" if language == TARGET else "dev: null"
    return TASKS.format(language=language, train=train, test=held)


def _train(kind: str, out: Path, seeds: int, say: Say) -> list[Result]:
    results = []
    for seed in range(1, seeds + 1):
        source = open_config(out / f"{kind}.yaml", [f"seed={seed}"])
        result = run(source, out / kind / f"seed-{seed}", resume=True)
        results.append(result)
        told = ", ".join(f"{WORDS[task]} {_figure(result, task):.1f}" for task in FIGURES)
        say(f"{kind:<9} seed {seed}: {told}")
    return results


def _figure(result: Result, task: str) -> float:
    return result.test[f"{TARGET}-{task}"][FIGURES[task]]


def _compare(results: Mapping[str, list[Result]], say: Say) -> None:
    say(f"\n{TARGET}, test sentences, mean and spread over seeds:")
    for task in FIGURES:
        alone, together = ([_figure(one, task) for one in results[kind]] for kind in STEPS)
        cells = [f"{mean(values):5.1f} ± {spread(values):.1f}" for values in (alone, together)]
        gain = fmean(together) - fmean(alone)
        say(f"  {WORDS[task]:<28} alone {cells[0]}   together {cells[1]}   gain {gain:+.1f}")


def _plot(out: Path, say: Say) -> None:
    try:
        paths = draw([out / kind for kind in STEPS], out / "report")
    except ConfigError as fault:
        say(f"\nNo plot: {fault}")
        return
    say("\nPlots: " + ", ".join(map(str, paths)))


def _tag(model: Model, say: Say) -> None:
    say(f"\nTagging {TARGET} with the model that learnt both:")
    for sentence, gloss in EXAMPLES:
        _show(model, sentence, say)
        say(f"    ({gloss})")
    if not sys.stdin.isatty():
        return
    say(f"Now yours; look into {TARGET}'s test file for words. An empty line ends it.")
    while line := _asked():
        _show(model, line, say)


def _asked() -> str:
    """A line that is typed in; none at the end of input."""
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _show(model: Model, sentence: str, say: Say) -> None:
    tokens = model.example(f"{TARGET}-pos", sentence)["text"]
    names, parts = (model.predict(f"{TARGET}-{task}", [tokens])[0] for task in FIGURES)
    tagged = (
        f"{token}/{part}" + ("" if name == "O" else f"/{name}")
        for token, part, name in zip(tokens, parts, names, strict=True)
    )
    say("  " + " ".join(tagged))


def _near(model: Model, say: Say) -> None:
    say("\nWords that the model finds alike (nearest vectors):")
    for sentence, _ in EXAMPLES:
        for word in sentence.split()[1:3]:
            try:
                near = ", ".join(f"{other} {cosine:.2f}" for other, cosine in model.near(word, 4))
            except ModelError:
                continue
            say(f"  {word}: {near}")


def _end(out: Path, say: Say) -> None:
    say(f"""
Next, on your own data:
  seqloom check {out}/together.yaml      (copy it, put your files in, check it)
  seqloom train FILE --out runs/mine     (Ctrl-C saves; --resume goes on)
  seqloom predict runs/mine input.txt    (one sentence a line)
""")
