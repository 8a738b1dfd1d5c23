"""The commands that need no model: what they print, and what they leave alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from seqloom.config import families, kinds, parse

CONFIG = """\
tasks:
  ner:
    reader: {type: conll, train: "${data}/train.txt"}
    encoder: {type: lstm, hidden: 8, input: {type: word, size: 4}}
    head: {type: tag}
training: {steps: 10}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_DATA", str(tmp_path))  # put back afterwards, as --data changes it
    file = tmp_path / "one.yaml"
    file.write_text(CONFIG)
    return file


def test_help_needs_neither_torch_nor_pydantic():
    program = """
import sys
from seqloom.cli import main
sys.argv = ["seqloom", "--help"]
try:
    main()
finally:
    assert not {"torch", "pydantic", "numpy", "ruamel.yaml"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_check_reads_no_data(config, monkeypatch, seqloom):
    opened = []
    plain = Path.open

    def watched(path, *words, **more):
        opened.append(path)
        return plain(path, *words, **more)

    (config.parent / "train.txt").write_text("broken")
    monkeypatch.setattr(Path, "open", watched)
    assert seqloom("check", config).code == 0
    assert [path for path in opened if path.is_relative_to(config.parent)] == [config]


def test_check_prints_the_resolved_configuration_and_tells_missing_files(config, tmp_path, seqloom):
    done = seqloom("check", config, "--set", "training.steps=20", "--data", tmp_path / "none")
    resolved = parse(done.out).values
    assert resolved["training"]["steps"] == 20
    assert resolved["tasks"]["ner"]["encoder"]["layers"] == 1
    assert f"{config}:3  tasks.ner.reader.train  {tmp_path}/none/train.txt" in done.error
    assert done.code == 0
    assert json.loads(seqloom("check", config, "--json").out) == {
        **resolved,
        "training": resolved["training"] | {"steps": 10},
    }


def test_check_ends_with_every_mistake_and_status_1(config, seqloom):
    config.write_text(CONFIG.replace("hidden", "hiden").replace("type: tag", "type: tga"))
    told = seqloom("check", config)
    assert (told.code, told.out) == (1, "")
    assert f'{config}:4  tasks.ner.encoder.hiden  no key "hiden"; did you mean "hidden"?' in told.error
    assert f'{config}:5  tasks.ner.head  no head "tga"; did you mean "tag"?' in told.error


def test_list_names_every_kind_with_what_it_does(seqloom):
    everything = seqloom("list").out
    for family in families():
        for kind, one in kinds(family).items():
            assert f"  {kind:<14} {one.__doc__.splitlines()[0]}\n" in everything
    heads = seqloom("list", "heads").out.splitlines()
    assert [line.split()[0] for line in heads] == ["heads", *kinds("heads")]
    assert 'no family "head"; did you mean "heads"?' in seqloom("list", "head").error


def test_schema_is_json_with_every_key_of_an_experiment(seqloom):
    schema = json.loads(seqloom("schema").out)
    assert {"tasks", "training", "encoders", "embedders", "vectors", "seed"} <= set(schema["properties"])
