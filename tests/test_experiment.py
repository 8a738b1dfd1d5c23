import fcntl
import json
import logging
import os
import shutil
import statistics
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from seqloom.api import Model
from seqloom.config import source_of
from seqloom.data.schedule import Groups
from seqloom.errors import ConfigError, DataError, ModelError, TrainingError
from seqloom.experiment import check, open_config, points, run, run_many, summary
from seqloom.model.folder import CONFIG, find
from seqloom.training.keeping import LAST
from seqloom.training.report import Writer
from seqloom.training.tracking import TensorBoardWriter
from tests import tiny


def faults(path: Path, config: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as fault:
        check(open_config(tiny.written_yaml(path / "c.yaml", config)))
    return str(fault.value)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"watch": "poss.accuracy"}, r'training.watch  no task "poss"; did you mean "pos"\? (kind, pos)'),
        ({"watch": "pos.f1"}, 'training.watch  no figure "f1" (accuracy)'),
        (
            {"per_task": {"knd": {"optimizer": {"type": "adam"}}}},
            'training.per_task.knd  no task "knd"; did you',
        ),
        (
            {"sampling": {"type": "weighted", "weights": {"post": 1.0}}},
            'training.sampling.weights.post  no task "post"; did you mean "pos"?',
        ),
        ({"epochs": 2.0}, "training  needs steps, or epochs of the watched task (one of the two)"),
        ({"averaging": {"type": "mean", "decay": 1}}, 'training.averaging.decay  no key "decay"'),
        ({"steps": None}, "training  needs steps, or epochs of the watched task (one of the two)"),
    ],
)
def test_mistakes_in_training_have_their_place(
    training: dict[str, Any], message: str, corpus: Path, tmp_path: Path
) -> None:
    told = faults(tmp_path, tiny.two(corpus, **training))
    assert message.replace("\\", "") in told
    assert told.startswith(f"{tmp_path / 'c.yaml'}:")
    assert len(told.splitlines()) == 1


def test_a_watched_task_needs_dev_and_every_task_train(corpus: Path, tmp_path: Path) -> None:
    told = faults(tmp_path, tiny.two(corpus, ["test"], watch="pos"))
    assert "training.watch  pos has no dev file to watch; give its reader one, or leave watch out" in told
    assert 'tasks.pos.reader  needs the key "train"' in told
    assert 'tasks.kind.reader  needs the key "train"' in told


def test_missing_files_are_told_all_at_once_before_anything_is_made(tmp_path: Path) -> None:
    file = tiny.written_yaml(tmp_path / "c.yaml", tiny.two(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="these files are missing:") as fault:
        run(open_config(file), tmp_path / "run")
    told = str(fault.value).splitlines()[1:]
    assert [line.split("  ")[1] for line in told] == [
        f"tasks.{task}.reader.{split}" for task in ("pos", "kind") for split in ("train", "dev")
    ]
    number = int(told[0].split("  ")[0].rpartition(":")[2])
    assert "pos-train.txt" in file.read_text().splitlines()[number - 1]
    assert not (tmp_path / "run").exists()


def test_the_run_folder_holds_models_events_and_the_result(finished: Path) -> None:
    assert {one.name for one in finished.iterdir()} == {"best", "last", "events.jsonl", "result.json"}
    result = json.loads((finished / "result.json").read_text())
    assert result.keys() == {"step", "best_step", "best", "test"}
    assert result["test"].keys() == {"pos", "kind"}
    model = Model.load(finished)
    assert model.figures == {"step": result["best_step"], "dev": result["best"], "test": result["test"]}
    assert model.evaluate("kind")["figures"] == result["test"]["kind"]


def test_a_folder_that_holds_a_run_is_refused(corpus: Path, finished: Path) -> None:
    before = tiny.weights(finished)
    with pytest.raises(
        ConfigError, match=f"{finished} holds a run; go on with it by --resume, or name another"
    ):
        tiny.trained(tiny.two(corpus), finished)
    assert tiny.weights(finished) == before


def test_a_start_that_failed_does_not_stand_in_the_way(tmp_path: Path) -> None:
    config = tiny.one(tiny.write_corpus(tmp_path), clip_except=["heads.pos.missing"])
    with pytest.raises(ConfigError, match=r"training.clip_except: .* fits the name of no parameter"):
        tiny.trained(config, tmp_path / "run")
    assert (tmp_path / "run" / "events.jsonl").is_file()
    config["training"]["clip_except"] = ["heads.pos.*"]
    assert tiny.trained(config, tmp_path / "run").step == 6


def test_what_is_written_may_be_read_by_others(finished: Path) -> None:
    modes = {path: path.stat().st_mode & 0o777 for path in finished.rglob("*") if path.is_file()}
    assert len(set(modes.values())) == 1, modes


def test_two_runs_do_not_share_a_folder(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    handle = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match=f"another process is at work in {tmp_path / 'run'}"):
        tiny.trained(tiny.one(corpus), tmp_path / "run", resume=True)
    os.close(handle)
    assert tiny.trained(tiny.one(corpus), tmp_path / "run").step == 6


def test_an_ended_run_without_its_last_state_is_not_begun_again(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.one(corpus), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "last")
    before = tiny.weights(tmp_path / "run", "best")
    with pytest.raises(ConfigError, match="has ended, but no longer its last"):
        tiny.trained(tiny.one(corpus), tmp_path / "run", resume=True)
    assert tiny.weights(tmp_path / "run", "best") == before


def test_a_run_whose_best_model_is_gone_does_not_go_on(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.one(corpus), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "best")
    longer = tiny.one(corpus, steps=12)
    with pytest.raises(TrainingError, match="holds a run whose best is gone, the model of step"):
        tiny.trained(longer, tmp_path / "run", resume=True)


def test_resume_begins_a_run_where_there_is_none(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.one(corpus), tmp_path / "resumed", resume=True)
    tiny.trained(tiny.one(corpus), tmp_path / "plain")
    assert tiny.told(tmp_path / "resumed") == tiny.told(tmp_path / "plain")


def test_a_resumed_run_must_be_configured_as_it_was_but_for_its_length(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.one(corpus, clip=None), tmp_path)
    changed = tiny.one(corpus, clip=2.0, optimizer={"type": "adam", "rate": 0.1}, steps=9)
    changed["encoders"]["shared"]["hidden"] = 7
    message = (
        "encoders.shared.hidden, training.clip, training.optimizer.rate changed; put it back, or train into"
    )
    with pytest.raises(ConfigError, match=message):
        tiny.trained(changed, tmp_path, resume=True)
    free = {"steps": 7, "evaluate_every": 2, "save_every": 5, "patience": 50, "threads": 2, "device": "cpu"}
    assert tiny.trained(tiny.one(corpus, clip=None, **free), tmp_path, resume=True).step == 7


def test_a_run_made_before_a_key_was_added_is_resumed_by_its_default(corpus: Path, tmp_path: Path) -> None:
    tiny.trained(tiny.one(corpus), tmp_path)
    file = tmp_path / LAST / CONFIG
    text = file.read_text()
    assert text.count("  accumulate: 1\n") == 1
    file.write_text(text.replace("  accumulate: 1\n", ""))
    assert tiny.trained(tiny.one(corpus, steps=7), tmp_path, resume=True).step == 7


def test_a_resumed_run_must_have_its_training_data(tmp_path: Path) -> None:
    tiny.write_corpus(tmp_path)
    tiny.trained(tiny.two(tmp_path), tmp_path / "run")
    events = tiny.told(tmp_path / "run")
    with (tmp_path / "pos-train.txt").open("a") as file:
        file.write("\nmore NOUN\n")
    with pytest.raises(
        TrainingError,
        match="data of pos are not, or are not read as, those that the run began with; restore",
    ):
        tiny.trained(tiny.two(tmp_path, steps=10), tmp_path / "run", resume=True)
    assert tiny.told(tmp_path / "run") == events, "a refused run loses nothing"


def test_a_run_from_word_vectors_is_resumed(corpus: Path, tmp_path: Path) -> None:
    words = [word for words in tiny.WORDS.values() for word in words]
    rows = "".join(f"{word} {number}.5 1 0 0 -{number} 2\n" for number, word in enumerate(words))
    (tmp_path / "vectors.txt").write_text(rows)
    config = tiny.one(corpus)
    config["vectors"] = {"ready": {"path": str(tmp_path / "vectors.txt")}}
    config["embedders"]["words"] = {"type": "word", "vectors": "ready", "trainable": True}
    tiny.trained(config, tmp_path / "unbroken")
    with pytest.raises(tiny.Killed):
        tiny.trained(config, tmp_path / "broken", writers=[tiny.KillAt(2)])
    tiny.trained(config, tmp_path / "broken", resume=True)
    assert tiny.weights(tmp_path / "broken") == tiny.weights(tmp_path / "unbroken")
    (tmp_path / "vectors.txt").unlink()
    assert Model.load(tmp_path / "broken").predict("pos", ["the moth"])


def test_a_label_that_only_dev_has_is_told_and_counts_as_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.write_corpus(tmp_path)
    (tmp_path / "pos-dev.txt").write_text("the DET\nmoth NOUN\n\nshe PRON\nsees VERB\n")
    with caplog.at_level(logging.WARNING, "seqloom"):
        result = tiny.trained(tiny.one(tmp_path), tmp_path / "run")
    assert caplog.messages == [
        f'{tmp_path}/pos-dev.txt:4: the label "PRON" stands in dev but never in training; it counts as wrong'
    ]
    tags = Model.load(tmp_path / "run").predict("pos", [["the", "moth"], ["she", "sees"]])
    gold = ["DET", "NOUN", "PRON", "VERB"]
    right = [one == other for one, other in zip(chain(*tags), gold, strict=True)]
    assert right[2] is False
    assert result.dev["pos"]["accuracy"] == 25 * sum(right)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "pos-train.txt: holds no examples; an empty file, or not in the form"),
        (b"\n\n", "pos-train.txt: holds no examples"),
        (b"a DET\nb\n", r"pos-train.txt:2: 1 .*columns, at least 2 are needed"),
        (b"a DET\nb\xff NOUN\n", "pos-train.txt:2: byte 0xff at position 2 is not UTF-8"),
        (
            b"a DET\n\n" + b"b NOUN\n" * 100_000,
            "pos-train.txt:3: a text of 100,000 tokens is over the limit of 1,000",
        ),
    ],
)
def test_a_broken_file_is_told_with_its_line(content: bytes, message: str, tmp_path: Path) -> None:
    tiny.write_corpus(tmp_path)
    (tmp_path / "pos-train.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        tiny.trained(tiny.one(tmp_path), tmp_path / "run")


def test_a_device_that_is_not_there(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'training.device: "tpu" cannot be used here .*; try cpu'):
        tiny.trained(tiny.one(corpus, device="tpu"), tmp_path)


def test_threads_are_given_back(corpus: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    tiny.trained(tiny.one(corpus, threads=before + 1, steps=1), tmp_path)
    assert torch.get_num_threads() == before


def test_points_of_a_grid() -> None:
    assert points(["a.b=1,2", "c=x"]) == [["a.b=1", "c=x"], ["a.b=2", "c=x"]]
    assert points([]) == [[]]
    tables = ["o={type: sgd, rate: 1}", "o={type: adam}"]
    assert points([f"o={tables[0][2:]},{tables[1][2:]}"]) == [[one] for one in tables]
    for wrong, message in ((["a=4,4"], "4 stands there twice"), (["a=1", "a=2"], "a has values already")):
        with pytest.raises(ConfigError, match=message):
            points(wrong)
    with pytest.raises(ConfigError, match=r"--grid a.b: should read key.path=value,value, such as"):
        points(["a.b"])


def test_seeds_and_grid_run_each_in_its_folder_and_are_summed_up(corpus: Path, tmp_path: Path) -> None:
    file = tiny.written_yaml(tmp_path / "c.yaml", {**tiny.one(corpus, ["train", "dev", "test"]), "seed": 5})
    grid = ["training.steps=2,4"]
    found = run_many(file, tmp_path / "out", settings=["training.batch=8"], seeds=2, grid=grid)
    assert found.keys() == {"training.steps=2", "training.steps=4"}
    folders = [result.folder for results in found.values() for result in results]
    assert folders == [tmp_path / "out" / point / f"seed-{seed}" for point in found for seed in (5, 6)]
    assert [json.loads((one / "result.json").read_text())["step"] for one in folders] == [2, 2, 4, 4]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    dev = [statistics.fmean(one.dev["pos"]["accuracy"] for one in results) for results in found.values()]
    for point, results in found.items():
        values = [result.test["pos"]["accuracy"] for result in results]
        assert summary[point]["seeds"] == 2
        assert summary[point]["best"] == (point == list(found)[dev.index(max(dev))])
        assert summary[point]["test"]["pos"]["accuracy"] == {
            "mean": statistics.fmean(values),
            "spread": statistics.stdev(values),
        }
    tiny.trained(
        {**tiny.one(corpus, ["train", "dev", "test"], steps=4, batch=8), "seed": 6}, tmp_path / "alone"
    )
    assert tiny.weights(folders[3]) == tiny.weights(tmp_path / "alone")


def test_many_runs_are_resumed_where_they_broke(corpus: Path, tmp_path: Path) -> None:
    file = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(corpus))
    killing = tiny.KillAt(3)
    with pytest.raises(tiny.Killed):
        run_many(file, tmp_path / "out", seeds=2, follow=lambda folder: [killing])
    run_many(file, tmp_path / "out", seeds=2, resume=True)
    run_many(file, tmp_path / "unbroken", seeds=2)
    for seed in ("seed-1", "seed-2"):
        assert tiny.weights(tmp_path / "out" / seed) == tiny.weights(tmp_path / "unbroken" / seed)


def test_each_of_many_runs_has_writers_of_its_own(corpus: Path, tmp_path: Path) -> None:
    file = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(corpus, steps=2))
    given: list[Path] = []

    def follow(folder: Path) -> list[Writer]:
        given.append(folder)
        return [TensorBoardWriter(folder)]

    found = run_many(file, tmp_path / "out", seeds=2, grid=["training.batch=4,8"], follow=follow)
    assert given == [result.folder for results in found.values() for result in results]
    assert [len(list(folder.glob("events.out.tfevents.*"))) for folder in given] == [1, 1, 1, 1]


def test_figures_on_test_are_told_at_the_step_of_the_best_model(corpus: Path, tmp_path: Path) -> None:
    settings = {"steps": 12, "evaluate_every": 2, "optimizer": {"type": "adam", "rate": 0.5}}
    result = tiny.trained(tiny.one(corpus, ["train", "dev", "test"], **settings), tmp_path)
    told = tiny.told(tmp_path, "evaluate")
    assert result.best_step < result.step
    assert [(one["split"], one["step"]) for one in told if one["best"]][-2:] == [
        ("dev", result.best_step),
        ("test", result.best_step),
    ]


def test_a_mistake_at_any_point_of_a_grid_is_told_before_the_first_run(corpus: Path, tmp_path: Path) -> None:
    file = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(corpus))
    with pytest.raises(ConfigError, match=r"training.steps"):
        run_many(file, tmp_path / "out", grid=["training.steps=2,-1"])
    assert not (tmp_path / "out").exists()


def test_a_source_of_values_is_named_config(corpus: Path) -> None:
    with pytest.raises(
        ConfigError, match=r'config:\d+  training.stepps  no key "stepps"; did you mean "steps"'
    ):
        check(source_of(tiny.one(corpus, stepps=3), {}))


@pytest.mark.parametrize(
    ("head", "training", "mixed"),
    [
        ({}, {}, False),
        ({}, {"order": "random"}, True),
        ({"bcn": {"hidden": 3}}, {}, True),
        ({"bcn": {"hidden": 3, "batch_norm": False}}, {}, False),
        ({"bcn": {"hidden": 3}}, {"order": "lengths"}, False),
        ({"bcn": {"hidden": 3}}, {"curriculum": True}, False),
    ],
)
def test_rows_that_depend_on_each_other_are_batched_at_random(tmp_path, monkeypatch, head, training, mixed):
    config = tiny.one(tiny.write_corpus(tmp_path), steps=1, **training)
    config["tasks"] = {"kind": tiny.task(tmp_path, "kind", ("train", "dev"))}
    config["tasks"]["kind"]["head"] |= head
    made = []

    def groups(*words: Any, **how: Any) -> Groups:
        made.append(how)
        return Groups(*words, **how)

    monkeypatch.setattr(sys.modules["seqloom.experiment.run"], "Groups", groups)
    tiny.trained(config, tmp_path / "run")
    assert made[0]["mixed"] is mixed


def test_a_table_may_have_a_column_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tlabel\tplace\nhello there\tyes\tNL\ngood night\tno\tParis\n")
    config = {
        "embedders": {"words": {"type": "word", "size": 2}},
        "encoders": {"text": {"type": "lstm", "input": "words", "hidden": 2}},
        "tasks": {
            "c": {
                "reader": {"type": "table", "train": str(tmp_path / "a.tsv")},
                "encoder": "text",
                "head": {"type": "classify"},
            }
        },
        "training": {"steps": 1, "batch": 2, "device": "cpu"},
    }
    tiny.trained(config, tmp_path / "run")
    told = Model.load(tmp_path / "run").evaluate("c", tmp_path / "a.tsv", by="place")
    assert set(told["groups"]) == {"NL", "Paris"}


def test_many_runs_are_checked_with_their_seeds_and_folders_before_the_first(
    corpus: Path, tmp_path: Path
) -> None:
    file = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(corpus))
    with pytest.raises(ConfigError, match="seed  should be less than"):
        run_many(file, tmp_path / "out", seeds=2, settings=[f"seed={2**63 - 1}"])
    with pytest.raises(ConfigError, match="would both be written to"):
        run_many(file, tmp_path / "out", grid=["tasks.pos.reader.dev=a/b,a-b"])
    assert not (tmp_path / "out").exists()


def test_files_and_folders_of_every_point_are_looked_for_before_the_first_run(
    corpus: Path, tmp_path: Path
) -> None:
    file, out = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(corpus, ["train"])), tmp_path / "out"
    known = corpus / "pos-train.txt"
    with pytest.raises(ConfigError, match="these files are missing"):
        run_many(file, out, grid=[f"tasks.pos.reader.train={known},nowhere.txt"])
    with pytest.raises(ConfigError, match="is too long for the name of a folder"):
        run_many(file, out, grid=[f"tasks.pos.reader.train={known},{'x' * 250}"])
    assert not out.exists()


def test_what_runs_came_to_is_not_written_over(corpus: Path, tmp_path: Path) -> None:
    file, out = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(corpus, ["train"])), tmp_path / "out"
    run_many(file, out, grid=["training.batch=2,4"])
    before = (out / "summary.json").read_text()
    with pytest.raises(
        ConfigError, match=r"summary.json of training.batch=2, training.batch=4; name these points"
    ):
        run_many(file, out, grid=["training.batch=8"])
    with pytest.raises(
        ConfigError, match="holds several runs and what they came to; go on with them by --resume"
    ):
        tiny.trained(tiny.one(corpus, ["train"]), out)
    with pytest.raises(ModelError, match=r"holds several runs; name one of them: .*training.batch=2, "):
        find(out)
    assert (out / "summary.json").read_text() == before
    run_many(file, out, grid=["training.batch=2,4"], resume=True)
    told = run_many(file, out, grid=["training.batch=2,4,8"], resume=True)
    assert list(told) == ["training.batch=2", "training.batch=4", "training.batch=8"]


def test_one_run_has_no_spread(corpus: Path, tmp_path: Path) -> None:
    file = tiny.written_yaml(tmp_path / "c.yaml", tiny.one(corpus))
    found = run_many(file, tmp_path / "out", grid=["training.batch=2,4"])
    assert summary(found["training.batch=2"])["dev"]["pos"]["accuracy"]["spread"] is None


def test_rows_that_are_compared_are_several(corpus: Path, tmp_path: Path) -> None:
    config = tiny.one(corpus, batch=1)
    config["tasks"] = {"kind": tiny.task(corpus, "kind") | {"head": {"type": "retrieve"}}}
    config["tasks"]["kind"]["reader"]["columns"] = {"source": "text", "target": "label"}
    told = faults(tmp_path, config)
    assert "training.batch  task kind compares the rows of a batch with each other, and one row has no" in told


def test_a_run_that_is_past_its_steps_says_so(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.trained(tiny.one(corpus), tmp_path / "run")
    result = tiny.trained(tiny.one(corpus, steps=2), tmp_path / "run", resume=True)
    assert result.step == 6
    assert "the run is at step 6, past training.steps: 2" in caplog.text


def test_a_sample_larger_than_the_file_is_told(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny.one(corpus)
    config["tasks"]["pos"]["reader"]["sample"] = 5000
    tiny.trained(config, tmp_path / "run")
    assert "tasks.pos.reader.sample: there are 20 training rows, fewer than 5,000" in caplog.text


def test_blanks_around_a_label_are_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "kind-train.tsv").write_text("label\ttext\npos\ta b\npos \tc d\n neg\te\n")
    config = tiny.one(tmp_path, steps=1)
    config["tasks"] = {"kind": tiny.task(tmp_path, "kind", ["train"])}
    tiny.trained(config, tmp_path / "run")
    labels = (tmp_path / "run" / "best" / "vocabulary" / "kind.label.txt").read_text().split("\n")
    assert {"pos", "neg"} <= set(labels)
    assert not {"pos ", " neg"} & set(labels)
