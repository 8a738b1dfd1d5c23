import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from seqloom.cli import app, main
from seqloom.experiment import Experiment
from seqloom.training.report import EVENTS
from tests import tiny
from tests.conftest import Said

Seqloom = Callable[..., Said]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture
def config(corpus: Path, tmp_path: Path) -> Path:
    return tiny.written_yaml(tmp_path / "two.yaml", tiny.two(corpus, ["train", "dev", "test"]))


def test_train_tells_figures_and_where_the_model_is(seqloom: Seqloom, config: Path, tmp_path: Path) -> None:
    said = seqloom("train", config, "--out", tmp_path / "run", "--set", "training.steps=4", "--set", "seed=2")
    assert said.code == 0
    figures = r"{}\s+pos\s+accuracy \d+\.\d\d\n{}\s+kind\s+accuracy \d+\.\d\d  f1_macro \d+\.\d\d\n"
    end = f"the best model, of step 4: {tmp_path / 'run' / 'best'}\n"
    assert re.fullmatch(
        figures.format("dev", "dev") + figures.format("test", "test") + re.escape(end), said.out
    )
    assert "\x1b" not in said.error, "no control characters where nobody watches"
    again = ["train", config, "--out", tmp_path / "run", "--resume", "--set", "training.steps=5"]
    assert "seed changed; put it back" in seqloom(*again).error
    assert seqloom(*again, "--set", "seed=2").code == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["step"] == 5


def test_train_writes_beside_itself_by_default(
    seqloom: Seqloom, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert seqloom("train", "two.yaml", "--set", "training.steps=1").code == 0
    assert (tmp_path / "runs" / "two" / "best").is_dir()


def test_train_many(seqloom: Seqloom, config: Path, tmp_path: Path) -> None:
    words = ["--out", tmp_path / "out", "--seeds", 2, "--grid", "training.steps=1,2"]
    said = seqloom("train", config, *words)
    assert said.code == 0
    assert said.out.startswith("training.steps=1 (2 seeds)\n  dev   pos ")
    assert re.search(r"training.steps=2 \(2 seeds\)\n  dev   pos +accuracy \d+\.\d\d ± \d+\.\d\d\n", said.out)
    assert (tmp_path / "out" / "training.steps=2" / "seed-2" / "best").is_dir()
    for seed, seeds in (("true", 2), ("one", 2), ("-1", 1)):
        wrong = seqloom("train", config, "--set", f"seed={seed}", "--out", tmp_path / "no", "--seeds", seeds)
        assert wrong.code == 1
        assert f"--set seed={seed}" in wrong.error
    assert not (tmp_path / "no").exists()
    assert json.loads((tmp_path / "out" / "summary.json").read_text()).keys() == {
        "training.steps=1",
        "training.steps=2",
    }


def test_the_data_root_can_be_named(
    seqloom: Seqloom, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQLOOM_DATA", "nowhere")
    file = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(Path("${data}"), ["train", "dev", "test"]))
    assert "these files are missing:" in seqloom("train", file, "--out", tmp_path / "run").error
    assert seqloom("train", file, "--out", tmp_path / "run", "--data", corpus).code == 0
    assert seqloom("evaluate", tmp_path / "run", "--data", corpus, "--split", "dev").code == 0


def test_evaluate_by_a_column(seqloom: Seqloom, finished: Path) -> None:
    said = seqloom("evaluate", finished, "--task", "kind", "--by", "label")
    (told,) = json.loads(seqloom("evaluate", finished, "--task", "kind", "--by", "label", "--json").out)
    assert sum(one["rows"] for one in told["groups"].values()) == told["rows"] == tiny.SIZES["test"]
    assert told["figures"]["accuracy"] == pytest.approx(
        sum(one["rows"] * one["figures"]["accuracy"] for one in told["groups"].values()) / told["rows"]
    )
    assert all(f"\n  {name}  accuracy " in said.out for name in told["groups"])
    said = seqloom("evaluate", finished, "--task", "kind", "--by", "lable")
    assert said.code == 1
    assert 'no column "lable"; did you mean "label"?' in said.error


def test_evaluate(seqloom: Seqloom, finished: Path, corpus: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    said = seqloom("evaluate", finished)
    pos = result["test"]["pos"]["accuracy"]
    assert said.out.startswith(
        f"pos  accuracy {pos:.2f}\n  {corpus / 'pos-test.txt'}, 7 rows; accuracy: share of"
    )
    assert "\nkind  accuracy " in said.out
    told = json.loads(seqloom("evaluate", finished, "--json", "--split", "dev").out)
    assert {one["task"]: one["figures"] for one in told} == result["best"]
    file = corpus / "kind-dev.tsv"
    told = json.loads(seqloom("evaluate", finished, "--task", "kind", "--file", file, "--json").out)
    assert [one["figures"] for one in told] == [result["best"]["kind"]]


def test_predict(seqloom: Seqloom, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.txt").write_text("the moth sees\nriver lifts stone\n")
    expected = "the\tDET\nmoth\tNOUN\nsees\tVERB\n\nriver\tNOUN\nlifts\tVERB\nstone\tNOUN\n\n"
    predict = ["predict", finished, "--task"]
    assert seqloom(*predict, "pos", tmp_path / "in.txt") == Said(0, expected, "")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "in.txt").read_bytes())))
    assert seqloom(*predict, "pos").out == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "in.txt").read_bytes())))
    assert seqloom(*predict, "pos", "-", "-o", "-").out == expected
    assert seqloom(*predict, "pos", tmp_path / "in.txt", "-o", tmp_path / "out.txt") == Said(0, "", "")
    assert (tmp_path / "out.txt").read_text() == expected
    assert seqloom(*predict, "pos", tmp_path / "out.txt", "--as-data").out == expected
    told = seqloom(*predict, "kind", tmp_path / "in.txt", "--json").out
    assert json.loads(told.splitlines()[0]) == {"text": ["the", "moth", "sees"], "prediction": "DET"}


def test_half_precision_predicts_nearly_the_same(seqloom: Seqloom, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("the moth sees\nriver lifts stone\n")
    found = {}
    for precision in ("float32", "bfloat16"):
        how = ["--task", "kind", "--precision", precision]
        told = seqloom("predict", finished, tmp_path / "in.txt", "--explain", *how).out
        found[precision] = [one for line in told.splitlines() for one in _numbers(json.loads(line))]
        (figures,) = json.loads(seqloom("evaluate", finished, "--json", *how).out)
        assert figures["figures"]["accuracy"] > 50
    assert found["bfloat16"] == pytest.approx(found["float32"], abs=0.05)
    assert found["bfloat16"] != found["float32"]
    assert "float32" in seqloom("predict", finished, "--precision", "float46").error


def _numbers(told: Any) -> list[float]:
    """All numbers in nested values."""
    if isinstance(told, dict | list):
        return [
            number for one in (told.values() if isinstance(told, dict) else told) for number in _numbers(one)
        ]
    return [told] if isinstance(told, float) else []


def test_encode(seqloom: Seqloom, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("the moth sees\n\nriver\n")
    said = seqloom("encode", finished, tmp_path / "in.txt", "-o", tmp_path / "out.npy", "--pool", "last")
    blank = f"{tmp_path / 'in.txt'}: 1 of 3 lines are blank; their vectors are zeros\n"
    assert said == Said(0, "", f"{blank}{tmp_path / 'out.npy'}: 3 vectors of 12 numbers\n")
    assert np.load(tmp_path / "out.npy").shape == (3, 12)


def test_check_list_and_schema(seqloom: Seqloom, config: Path, corpus: Path, tmp_path: Path) -> None:
    said = seqloom("check", config)
    assert said.code == 0
    assert said.error == f"{config}: no mistakes; 2 tasks, 0 files missing\n"
    resolved = json.loads(seqloom("check", config, "--json").out)
    assert resolved["training"]["clip"] == 5.0
    assert Experiment.model_validate(resolved).training.batch == 4
    absent = tiny.written_yaml(tmp_path / "absent.yaml", tiny.one(tmp_path / "nowhere"))
    said = seqloom("check", absent)
    assert said.code == 0
    assert re.search(r"not there yet: .*absent.yaml:\d+  tasks.pos.reader.train  .*nowhere", said.error)
    heads = seqloom("list", "heads").out
    assert re.search(r"^  tag +A label for every token", heads, re.MULTILINE)
    assert "optimizers\n" in seqloom("list").out
    assert json.loads(seqloom("schema").out)["properties"].keys() >= {"tasks", "encoders", "training", "seed"}


def test_report(seqloom: Seqloom, finished: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    said = seqloom("report", finished, "--out", tmp_path / "report")
    paths = [Path(line) for line in said.out.splitlines()]
    assert {path.suffix for path in paths} == {".png", ".html"}
    assert all(path.stat().st_size for path in paths)


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no configuration": (["train", "nowhere.yaml"], "nowhere.yaml: no such file"),
    "a configuration that is no YAML": (["check", "{broken}/kind-test.tsv"], "kind-test.tsv"),
    "a key that is not there": (["check", "{config}", "--set", "training.stepps=1"], "stepps"),
    "a value of the wrong kind": (["check", "{config}", "--set", "training.steps=many"], "training.steps"),
    "a setting that is none": (
        ["train", "{config}", "--set", "steps"],
        "--set steps  should read key.path=value",
    ),
    "a value of a grid that is wrong": (
        ["train", "{config}", "--grid", "training.steps=1,many"],
        "--grid training.steps=many",
    ),
    "a grid that is none": (
        ["train", "{config}", "--grid", "steps"],
        "--grid steps: should read key.path=value,value",
    ),
    "a run that is there": (
        ["train", "{config}", "--out", "{model}"],
        "holds a run; go on with it by --resume",
    ),
    "another run to resume": (
        ["train", "{config}", "--out", "{model}", "--resume"],
        "changed; put it back, or",
    ),
    "a file as the run folder": (["train", "{config}", "--out", "{config}/run"], "Not a directory"),
    "plots of nothing": (
        ["predict", "{model}", "--plot", "maps"],
        "--plot draws what --explain tells; give both",
    ),
    "no model": (["predict", "{broken}"], "is not a model or run folder; a model folder holds config.yaml and"),
    "no model folder": (["evaluate", "nowhere"], "nowhere: does not exist; a model folder holds"),
    "no task named": (
        ["predict", "{model}", "{broken}/fine.txt"],
        "has several tasks; name one with task (--task): pos",
    ),
    "an unknown task": (["predict", "{model}", "--task", "knd"], 'no task "knd"; did you mean "kind"?'),
    "no input": (["predict", "{model}", "nowhere.txt", "--task", "pos"], "nowhere.txt: no such file"),
    "input that is not UTF-8": (
        ["predict", "{model}", "{broken}/latin.txt", "--task", "pos"],
        "latin.txt:2: byte 0xef at position 3 is not UTF-8; convert the file",
    ),
    "a table with a row cut short": (
        ["evaluate", "{model}", "--task", "kind", "--file", "{broken}/short.tsv"],
        "short.tsv:2: 1 columns, the header has 2",
    ),
    "an empty file": (
        ["evaluate", "{model}", "--task", "pos", "--file", "{broken}/empty.txt"],
        "empty.txt: holds no examples; an empty file, or not in the form",
    ),
    "a sentence without end": (
        ["evaluate", "{model}", "--task", "pos", "--file", "{broken}/long.txt"],
        "long.txt:1: a text of 100,000 tokens is over the limit of 1,000; split it, or raise the limit",
    ),
    "an unknown split": (
        ["evaluate", "{model}", "--split", "tset"],
        'no split "tset"; did you mean "test"? (dev, test, train)',
    ),
    "an output that is the input": (
        ["predict", "{model}", "{broken}/fine.txt", "--task", "pos", "-o", "{broken}/fine.txt"],
        "fine.txt is the input; name another file",
    ),
    "an encoder written over a run": (
        ["extract", "{model}", "-o", "{model}"],
        "is there already; name a folder that is not, or remove it",
    ),
    "encoders written over a run": (["concat", "{model}", "{model}", "-o", "{model}"], "is there already"),
    "words added over a run, before their vectors are read": (
        ["expand", "{model}", "--vectors", "nowhere.txt", "-o", "{model}"],
        "is there already",
    ),
    "a table made sparse over a run": (["compress", "{model}", "-o", "{model}"], "is there already"),
    "data without a file": (["predict", "{model}", "--as-data"], "--as-data needs INPUT"),
    "an unknown pool": (
        ["encode", "{model}", "x", "-o", "y", "--pool", "men"],
        'no pool "men"; did you mean "mean"?',
    ),
    "an unknown encoder": (
        ["encode", "{model}", "{broken}/fine.txt", "-o", "{broken}/y", "--encoder", "z"],
        'has no encoder "z"; its encoders: shared',
    ),
    "an unknown family": (["list", "haeds"], 'no family "haeds"; did you mean "heads"?'),
    "no run to report": (["report", "{broken}", "--out", "{broken}/report"], "holds no run"),
    "an output that cannot be written": (
        ["predict", "{model}", "{broken}/fine.txt", "--task", "pos", "-o", "{config}/out"],
        "two.yaml: File exists",
    ),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "fine.txt").write_text("the moth\n")
    (folder / "latin.txt").write_bytes(b"fine\nna\xefve\n")
    (folder / "short.tsv").write_text("label\ttext\nDET\n")
    (folder / "kind-test.tsv").write_text("{a: [1\n")
    (folder / "empty.txt").write_text("")
    (folder / "long.txt").write_text("moth NOUN\n" * 100_000)
    return folder


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_with_its_message_and_no_traceback(
    name: str, seqloom: Seqloom, config: Path, finished: Path, broken: Path
) -> None:
    words, message = MISTAKES[name]
    said = seqloom(*(word.format(config=config, model=finished, broken=broken) for word in words))
    assert said.code == 1
    assert message in said.error
    assert "Traceback" not in said.error
    assert said.out == ""


def test_a_model_without_the_asked_files_says_so(seqloom: Seqloom, corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.two(corpus, ["train"], steps=1), tmp_path / "run")
    said = seqloom("evaluate", tmp_path / "run")
    assert said.code == 1
    assert "no task has a test file that is there; name one with --task and --file" in said.error


def test_a_full_disk_is_told_with_the_file(
    seqloom: Seqloom, config: Path, tmp_path: Path, full_disk: Callable[[int], Any]
) -> None:
    with full_disk(3000):
        said = seqloom("train", config, "--out", tmp_path / "run", "--set", "training.steps=1")
    assert said.code == 1
    assert re.fullmatch(r"(.*\n)*.*/run/\.best\.partial/weights.safetensors: .*File too large.*\n", said.error)


def test_output_is_utf8_whatever_the_terminal_says(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.txt").write_text("één ✓ moth\n")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="ascii", write_through=True))
    monkeypatch.setattr(
        sys, "argv", ["seqloom", "predict", str(finished), str(tmp_path / "in.txt"), "--task", "pos"]
    )
    with pytest.raises(SystemExit, match="0"):
        main()
    assert out.getvalue().decode().startswith("één\t")


def test_ctrl_c_saves_and_says_how_to_go_on(seqloom: Seqloom, corpus: Path, tmp_path: Path) -> None:
    config = tiny.two(corpus, steps=60, evaluate_every=10, save_every=30)
    file, run, log = tiny.written_yaml(tmp_path / "a b.yaml", config), tmp_path / "run", tmp_path / "log"
    words = ["train", str(file), "--out", str(run)]
    process = tiny.started(tiny.command, words, log)
    while process.is_alive() and not ((run / EVENTS).exists() and tiny.told(run, "evaluate")):
        time.sleep(0.001)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join()
    assert process.exitcode == 130, log.read_text()
    again = f"seqloom train '{file}' --out {run} --resume\n"
    assert log.read_text().endswith(f"stopped; the state is saved. Go on with:\n  {again}")
    assert tiny.told(run)[-1]["reason"] == "interrupted"
    assert seqloom(*words, "--resume").code == 0
    tiny.trained(config, tmp_path / "unbroken")
    assert tiny.weights(run) == tiny.weights(tmp_path / "unbroken")
    assert tiny.told(run, "evaluate") == tiny.told(tmp_path / "unbroken", "evaluate")


def into_closed_pipe(words: list[str], said: Path) -> None:
    """The command line in a process whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    sys.stdout = open(1, "w")  # noqa: SIM115
    sys.argv = ["seqloom", *words]
    main()


def test_a_reader_that_goes_is_no_mistake(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("the moth sees\n" * 1000)
    words = ["predict", str(finished), str(tmp_path / "in.txt"), "--task", "pos"]
    process = tiny.started(into_closed_pipe, words, tmp_path / "said")
    process.join()
    assert process.exitcode == 1
    assert (tmp_path / "said").read_text() == ""


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from seqloom.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "many tasks together" in done.stdout
    assert not {"torch", "numpy", "pydantic", "ruamel"} & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_teaches(name: str, seqloom: Seqloom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = seqloom(name, "--help")
    assert said.code == 0
    one = COMMANDS[name]
    assert len(one.help.split()) >= 6
    for parameter in one.params:
        assert parameter.help, f"{name} {parameter.name} says nothing"
        assert parameter.opts[0] in said.out or parameter.metavar in said.out


def test_several_data_sets_are_named_right_before_one_is_fetched(seqloom, tmp_path):
    said = seqloom("data", "get", "squad", "snlii", "--yes", "--data", str(tmp_path / "data"))
    assert 'no data set is called "snlii"; did you mean "snli"?' in said.error
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "fault", [MemoryError(), RuntimeError("can't allocate memory: you tried to allocate 9 bytes")]
)
def test_too_little_memory_is_told_without_a_traceback(
    fault: Exception, seqloom: Seqloom, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr("seqloom.experiment.open_config", large)
    said = seqloom("train", config, "--out", config.parent / "run")
    assert said.code == 1
    assert "out of memory: smaller parts of the model (hidden, size) or a smaller training.batch" in said.error
