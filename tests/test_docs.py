"""The pages are true: what they take from the code is fresh, and what they show can be done."""

import io
import re
import shlex
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from typer.main import get_command

from seqloom.cli import app
from seqloom.config import parse, read, write_yaml
from seqloom.experiment import check
from seqloom.model.tables import discover

ROOT = Path(__file__).parent.parent
FENCED = re.compile(r"^```(\w*)\n(.*?)^```\n?", re.DOTALL | re.MULTILINE)
RECIPE = read(ROOT / "recipes/start/pos-af-nl.yaml").values
SENTENCES = ["Nora B-PER\nflew O\nto O\nUtrecht B-LOC\n. O\n", "So O\ndid O\nIvo B-PER\n. O\n"]

spec = spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = module_from_spec(spec)
spec.loader.exec_module(generate)
discover()
every_page = pytest.mark.parametrize("page", generate.pages(), ids=lambda page: page.name)


def blocks(text, *languages):
    """The fenced blocks of some languages; those that are there for their mistakes are told by their faults."""
    for found in FENCED.finditer(text):
        if found[1] in languages and not text[found.end() :].lstrip().startswith("<!-- faults:"):
            yield found[2]


def commands(block):
    """The words of every `seqloom` in a block of command lines, and what is piped into it."""
    for line in re.findall(r"^(?:\$ )?((?:seqloom|echo) .*)", block, re.MULTILINE):
        words, piped = [], ""
        for part in line.split("|"):
            piped, words = words[1] if words[:1] == ["echo"] else "", shlex.split(part, comments=True)
            if words[:1] == ["seqloom"]:
                yield (words[1 : words.index(">")] if ">" in words else words[1:]), piped


def command_of(words):
    command, rest = get_command(app), list(words)
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, f"seqloom {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    return command, rest


@every_page
def test_what_a_page_takes_from_the_code_is_fresh(page):
    text = page.read_text(encoding="utf-8")
    assert generate.refreshed(text) == text, "run `make docs`"


@every_page
def test_every_configuration_shown_checks(page):
    for block in blocks(page.read_text(encoding="utf-8"), "yaml"):
        shown = parse(block).values
        check(parse(write_yaml(shown if "tasks" in shown else {**RECIPE, **shown}), block))


@every_page
def test_every_command_shown_exists_with_its_options(page):
    text = page.read_text(encoding="utf-8")
    for block in blocks(text, "", "sh", "console"):
        for words, _ in commands(block):
            command, rest = command_of(words)
            command.make_context(words[0], rest)
    for mention in re.findall(r"`seqloom ([a-z][^`]*)`", FENCED.sub("", text)):
        command, rest = command_of(mention.split())
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= known, mention


@every_page
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def quickstart(tmp_path, monkeypatch, seqloom):
    """The README's own tagger, trained for a moment in the folder that the pages speak from."""
    monkeypatch.chdir(tmp_path)
    Path("train.txt").write_text("\n".join(SENTENCES * 4))
    Path("dev.txt").write_text("\n".join(SENTENCES))
    Path("other.txt").write_text(SENTENCES[0])
    Path("input.txt").write_text("Nora flew to Utrecht.\n\nSo did Ivo.\n")
    config = next(blocks((ROOT / "README.md").read_text(encoding="utf-8"), "yaml"))
    Path("ner.yaml").write_text(config.replace("dev: dev.txt", "dev: dev.txt, test: dev.txt"))
    said = seqloom("train", "ner.yaml", "--set", "training.steps=2", "--set", "training.batch=4")
    assert said.code == 0, said.error


def test_the_python_shown_runs(quickstart, capsys):
    names = {}
    for page in ("README.md", "docs/python.md"):
        for block in blocks((ROOT / page).read_text(encoding="utf-8"), "python"):
            exec(compile(block, page, "exec"), names)
    assert names["vectors"].shape == (2, 200)
    assert names["states"].shape == (4, 200)
    assert 'training.stepps  no key "stepps"; did you mean "steps"?' in capsys.readouterr().out


def test_the_predictions_shown_run(quickstart, seqloom, monkeypatch):
    for block in blocks((ROOT / "docs/prediction.md").read_text(encoding="utf-8"), "sh"):
        for words, piped in commands(block):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(piped.encode())))
            said = seqloom(*words)
            assert said.code == 0, said.error
    assert len(Path("output.txt").read_text().split()) == 2 * 9
    assert Path("vectors.npy").stat().st_size > 3 * 200 * 4
