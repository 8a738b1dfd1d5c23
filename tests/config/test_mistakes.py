"""The mistakes that a configuration can have, and what each is told with."""

import json

import pytest

from seqloom.config import kinds, override, parse, write_yaml
from seqloom.errors import ConfigError
from seqloom.experiment import Experiment, check, missing_files
from seqloom.model.tables import discover

BASE = """\
version: 1
embedders:
  words: {type: word, size: 8}
  both: {type: concat, of: [words, {type: chars}]}
encoders:
  shared: {type: lstm, input: both, hidden: 8}
tasks:
  ner:
    reader: {type: conll, train: "${data}/train.txt", dev: dev.txt}
    encoder: shared
    head: {type: tag}
  topic:
    reader: {type: table, train: topic.tsv, columns: {text: body, label: topic}}
    encoder: shared
    head: {type: classify}
training:
  steps: 10
"""


def faults(text, settings=()):
    source = parse(text, "f")
    override(source, settings)
    with pytest.raises(ConfigError) as found:
        check(source)
    return [str(fault) for fault in found.value.faults]


def edited(old, new):
    assert old in BASE
    return BASE.replace(old, new, 1)


def test_a_right_configuration_is_its_table():
    table = check(parse(BASE))
    assert list(table.tasks) == ["ner", "topic"]
    assert table.training.steps == 10


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("version: 1", "version: 3", "f:1  version  should be 1, found 3"),
        ("type: word, ", "type: wrod, ", 'f:3  embedders.words  no embedder "wrod"; did you mean "word"? ('),
        ("size: 8", "size: 8, sise: 3", 'f:3  embedders.words.sise  no key "sise"; did you mean "size"? ('),
        ("size: 8", "size: big", 'f:3  embedders.words.size  should be a whole number, found "big"'),
        (", size: 8", "", "f:3  embedders.words  needs a size, or vectors: the name of a store in"),
        ("size: 8", "vectors: glove", 'f:3  embedders.words.vectors  no vectors "glove" (there is none)'),
        ("of: [words,", "of: [word,", 'f:4  embedders.both.of.0  no embedder "word"; did you mean "words"? ('),
        ("of: [words,", "of: [words, both,", 'f:4  embedders.both.of.1  "both" is made of itself'),
        (", hidden: 8", "", 'f:6  encoders.shared.hidden  needs the key "hidden"'),
        ("type: lstm, ", "", "f:6  encoders.shared  should be a table with a type ("),
        ("  shared:", "  words:", 'f:6  encoders.words  the name "words" is taken in embedders; every name'),
        ("  topic:", "  shared:", 'f:12  tasks.shared  the name "shared" is taken in encoders; every name'),
        ("  ner:", "  Ner:", "f:8  tasks.Ner  should match pattern '^[a-z][a-z0-9_-]*$', found \"Ner\""),
        (
            "encoder: shared",
            "encoder: share",
            'f:10  tasks.ner.encoder  no encoder "share"; did you mean "shared"?',
        ),
        (
            "conll, ",
            "connl, ",
            'f:9  tasks.ner.reader  no reader "connl"; did you mean "conll"? (book, captions, ',
        ),
        ('train: "${data}/train.txt", ', "", 'f:9  tasks.ner.reader  needs the key "train"'),
        (
            "conll, ",
            "conll, sample: 0, ",
            "f:9  tasks.ner.reader.sample  should be greater than or equal to 1, ",
        ),
        (
            "conll, ",
            "conll, tags: upso, ",
            "f:9  tasks.ner.reader.tags  should be a whole number or 'id', 'form', ",
        ),
        ("{type: tag}", "tag", "f:11  tasks.ner.head  should be a table with a type (classify, "),
        ("    head: {type: tag}\n", "", 'f:8  tasks.ner.head  needs the key "head"'),
        (
            "{type: tag}",
            "{type: classify}",
            "f:9  tasks.ner.reader  the head reads text, label, but the reader conll gives tags, text; "
            "label is missing",
        ),
        (
            "label: topic",
            "lable: topic",
            "f:13  tasks.topic.reader  the head reads text, label, but the reader table gives lable, text; "
            "label is missing",
        ),
        (
            "topic}}",
            "topic}, skip: {labl: [x]}}",
            'f:13  tasks.topic.reader  skip: no column "labl"; did you mean',
        ),
        (
            "topic}}",
            "topic}, header: false}",
            "f:13  tasks.topic.reader  without a header, columns go by number: ",
        ),
        (
            "encoder: shared",
            "encoder: sharde\n    embedder: [words]",
            'f:10  tasks.ner.encoder  no encoder "sharde"',
        ),
        (
            "of: [words, {type: chars}]",
            "of: [words, {type: word, size: 3}, both1]",
            "f:4  embedders.both.of.2  no embe",
        ),
        (" steps: 10", " {}", "f:16  training  needs steps, or epochs of the watched task (one of the two)"),
        ("steps: 10", "steps: 10\n  epochs: 2.0", "f:16  training  needs steps, or epochs of the watched task"),
        ("steps: 10", "steps: 10\n  batch: 0", "f:18  training.batch  should be greater than or equal to 1"),
        (
            "steps: 10",
            "steps: 10\n  watch: net.f1",
            'f:18  training.watch  no task "net"; did you mean "ner"? (',
        ),
        (
            "steps: 10",
            "steps: 10\n  freeze: ['*.bias', encodrs.shared.*]",
            'f:18  training.freeze.1  no part "encodrs.shared.*"; did you mean "encoders.shared.*"? (',
        ),
        (
            "steps: 10",
            "steps: 10\n  rates: {embedders.wrds.*: 0.1, head*: 2}",
            'f:18  training.rates.embedders.wrds.*  no part "embedders.wrds.*"; did you mean "embedders.words.*"? (',
        ),
        (
            "steps: 10",
            "steps: 10\n  watch: topic",
            "f:18  training.watch  topic has no dev file to watch; give",
        ),
        (
            "steps: 10",
            "steps: 10\n  watch: ner.acuracy",
            'f:18  training.watch  no figure "acuracy"; did you mean "accuracy"? (',
        ),
        (
            "steps: 10",
            "steps: 10\n  per_task: {topics: {optimizer: {type: sgd, rate: 1.0}}}",
            'f:18  training.per_task.topics  no task "topics"; did you mean "topic"? (ner, topic)',
        ),
        (
            "steps: 10",
            "steps: 10\n  sampling: {type: weighted, weights: {topics: 2.0}}",
            'f:18  training.sampling.weights.topics  no task "topics"; did you mean "topic"? (ner, topic)',
        ),
        (
            "steps: 10",
            "steps: 10\n  sampling: {type: interval, every: {topics: 10}}",
            'f:18  training.sampling.every.topics  no task "topics"; did you mean "topic"? (ner, topic)',
        ),
        (
            "steps: 10",
            "steps: 10\n  optimizer: {type: adam, rat: 1}",
            'f:18  training.optimizer.rat  no key "rat"; did you mean "rate"? (',
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_would_do(old, new, fault):
    found = faults(edited(old, new))
    assert any(one.startswith(fault) for one in found), found


def test_a_name_that_nothing_uses_is_a_mistake():
    text = edited("encoders:\n", "  spare: {type: word, size: 3}\nencoders:\n")
    what = "nothing uses it; name it in a task, encoder or embedder, or take it out"
    assert faults(text) == [f"f:5  embedders.spare  {what}"]


def test_an_encoder_needs_an_input_or_its_tasks_embedders():
    text = edited("input: both, ", "")
    what = "its encoder has no input; give the encoder an input, or the task an embedder"
    assert faults(text)[-2:] == [f"f:8  tasks.ner  {what}", f"f:12  tasks.topic  {what}"]
    check(parse(text.replace("    encoder: shared\n", "    encoder: shared\n    embedder: both\n")))


def test_every_mistake_is_told_at_once():
    text = (
        edited("size: 8", "sice: 8").replace("encoder: shared", "encoder: shred", 1).replace("steps", "stepps")
    )
    assert [one.split("  ")[:2] for one in faults(text)] == [
        ["f:3", "embedders.words.sice"],
        ["f:10", "tasks.ner.encoder"],
        ["f:17", "training.stepps"],
    ]


def test_a_wrong_key_of_training_hides_no_wrong_task():
    named = "  stepps: 10\n  watch: net.f1\n  per_task: {tpic: {optimizer: {type: adam}}}\n"
    assert [one.split("  ")[1] for one in faults(edited("  steps: 10\n", named))] == [
        "training.stepps",
        "training.watch",
        "training.per_task.tpic",
    ]


def test_a_misspelt_name_is_the_only_mistake_told_of_it():
    assert (
        len(faults(edited("encoder: shared", "encoder: shard").replace("encoder: shared", "encoder: shard")))
        == 2
    )
    assert len(faults(edited("type: lstm", "type: lstn"))) == 1


def test_settings_are_checked_like_the_file():
    found = faults(BASE, ["training.stpes=3", "encoders.shared.hidden=many", "nonsense"])
    assert [one.split("  ")[1] for one in found] == ["should read key.path=value", *found_paths(found[1:])]
    assert found_paths(found[1:]) == ["encoders.shared.hidden", "training.stpes"]


def found_paths(found):
    return [one.split("  ")[1] for one in found]


def test_the_resolved_configuration_is_checked_to_the_same_table():
    table = check(parse(edited("steps: 10", "steps: 10\n  clip: null")))
    resolved = table.model_dump()
    assert check(parse(write_yaml(resolved))) == table
    assert resolved["embedders"]["both"]["of"][1]["filters"] == {2: 20, 3: 20, 4: 20}
    assert resolved["training"]["optimizer"]["type"] == "adam"
    assert resolved["training"]["clip"] is None
    assert "watch" not in resolved["training"]


def test_missing_files_are_told_with_their_place(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dev.txt").touch()
    source = parse(BASE, "f")
    assert missing_files(check(source), source) == [
        f"f:9  tasks.ner.reader.train  {tmp_path}/train.txt",
        "f:13  tasks.topic.reader.train  topic.tsv",
    ]


def test_a_missing_text_of_gradients_is_told(tmp_path):
    source = parse(
        f"""embedders:
  words: {{type: word, size: 4}}
encoders:
  stack: {{type: awd, input: words, hidden: 4}}
tasks:
  lm:
    reader: {{type: lines, train: {__file__}}}
    encoder: stack
    head: {{type: language, dynamic: {{statistics: [{tmp_path}/none.txt]}}}}
training: {{steps: 1}}
""",
        "f",
    )
    (told,) = missing_files(check(source), source)
    assert told == f"f:9  tasks.lm.head.dynamic.statistics  {tmp_path}/none.txt"


def test_a_goal_of_several_tasks_needs_a_figure():
    found = faults(edited("steps: 10", "steps: 10\n  goal: 90"))
    assert any("training.goal" in one and "Name them in watch" in one for one in found)


def test_the_json_schema_lists_every_kind():
    discover()
    schema = json.dumps(Experiment.model_json_schema())
    for family in ("readers", "embedders", "encoders", "heads", "optimizers", "samplings", "schedules"):
        for kind in kinds(family):
            assert f'"const": "{kind}"' in schema


def test_one_file_of_vectors_under_two_names_is_refused():
    sections = "vectors:\n  a: {path: one.txt}\n  b: {path: one.txt}\n"
    words = "{type: concat, of: [a, b]}"
    text = sections + edited("{type: word, size: 8}", words)
    assert faults(text) == ["f:3  vectors.b  is the file of a again; each set of vectors counts once"]


NAMED = {"g": "{type: word, vectors: a}", "h": "{type: word, vectors: a, trainable: true}"}


def test_averaging_that_waits_for_figures_needs_a_dev_file():
    text = edited("steps: 10", "steps: 10\n  averaging: {type: triggered}")
    check(parse(text))
    unwatched = text.replace(", dev: dev.txt", "")
    check(parse(unwatched.replace("triggered", "triggered, at_once: true")))
    (told,) = faults(unwatched)
    assert told.startswith(
        "f:18  training.averaging  triggered waits for figures, and no task has a dev file; give"
    )


def mixing(*of):
    named = "".join(f"\n  {one}: {NAMED[one]}" for one in of if one in NAMED)
    stores = "vectors:\n  a: {path: one.txt}\n  b: {path: two.txt}\n"
    return stores + edited("{type: word, size: 8}", f"{{type: meta, of: [{', '.join(of)}]}}{named}")


@pytest.mark.parametrize("of", [("a", "a"), ("a", "{type: word, vectors: a}"), ("g", "h"), ("h", "a")])
def test_one_set_of_vectors_mixed_twice_is_refused_under_whatever_name(of):
    what = "f:6  embedders.words.of.2  a is there twice; each set of vectors counts once"
    assert faults(mixing("b", *of)) == [what]


def test_another_embedder_may_begin_with_a_set_that_is_mixed():
    check(parse(mixing("b", "a", "{type: ngrams, vectors: a}")))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("{type: words, size: 8}", 'f:3  embedders.words  no embedder "words"; did you mean "word"?'),
        ("{type: concat, of: [{type: word, size: 3}, word]}", 'f:3  embedders.words.of.1  no embedder "word"'),
        ("{type: concat, of: [words]}", 'f:3  embedders.words.of.0  "words" is made of itself'),
    ],
)
def test_a_name_like_its_own_kind_is_followed_to_no_circle(words, told):
    text = edited("words: {type: word, size: 8}", f"words: {words}")
    for settings in ((), ("training.watch=ner.accuracy",)):
        assert told in "\n".join(faults(text, settings))


def test_a_name_that_is_a_number_is_no_name():
    text = edited("  shared: {", "  1234: {").replace("encoder: shared", 'encoder: "1235"')
    assert 'f:10  tasks.ner.encoder  no encoder "1235"; did you mean "1234"? (1234)' in faults(text)


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        (["patience=2"], "training.patience  waits"),
        (["goal=0.5", "watch=null"], "training.goal  waits"),
        (["schedule={type: plateau}"], "training.schedule  plateau waits"),
        (
            ["per_task={ner: {optimizer: {type: adam}, schedule: {type: halving}}}"],
            "training.per_task.ner.schedule  halving waits",
        ),
        (["averaging={type: triggered, at_once: true, worse: 2}"], "training.averaging  triggered waits"),
    ],
)
def test_what_goes_by_figures_needs_a_dev_file(settings, place):
    text = edited(", dev: dev.txt", "")
    told = faults(text, [f"training.{one}" for one in settings])
    assert any(f"{place} for figures, and no task has a dev file; give" in one for one in told)
    assert check(parse(edited("steps: 10", "steps: 10\n  patience: 2"))).training.patience == 2
    at_once = "steps: 10\n  averaging: {type: triggered, at_once: true}"
    assert check(parse(text.replace("steps: 10", at_once)))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "training.sampling={type: interval, every: {ner: 2, topic: 3}}",
            "training.sampling  every: no other task is there; name fewer",
        ),
        (
            "training.sampling={type: interval, every: {ner: 1}}",
            "training.sampling  every: no step is left for other tasks; name",
        ),
        ("training.stream={window: 9}", "training.stream  no task reads running text; leave it out"),
        ("embedders.words.coverage=0.5", "embedders.words  without vectors nothing reads coverage; leave"),
        ("tasks.ner.head.constraints=training", "tasks.ner.head  without scheme nothing is forbidden"),
        (
            "tasks.topic.head={type: retrieve, crops: 2}",
            "tasks.topic.head  with target: text nothing reads crops",
        ),
    ],
)
def test_what_nothing_would_read_is_a_mistake(setting, told):
    assert any(told in one for one in faults(BASE, [setting]))


def test_a_weight_of_a_task_at_intervals_is_a_mistake():
    table = edited("    head: {type: tag}", "    head: {type: tag}\n    weight: 2.0")
    settings = ["training.sampling={type: interval, every: {ner: 2}}"]
    assert "nothing reads the weight of task ner; leave one of them out" in faults(table, settings)[0]


RUNNING = """\
embedders:
  words: {type: word, size: 8}
encoders:
  shared: {type: awd, input: words, hidden: 8}
tasks:
  text:
    reader: {type: lines, train: a.txt}
    encoder: shared
    head: {type: language}
training: {steps: 10}
"""


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "batch={tokens: 50}",
            "training.batch  task text reads running text; batch is a number of streams",
        ),
        ("curriculum=true", "training.curriculum  running text keeps its order; leave it out"),
        ("order=random", "training.order  running text keeps its order; leave it out"),
    ],
)
def test_running_text_keeps_its_order(setting, told):
    assert check(parse(RUNNING)).training.steps == 10
    assert f"--set training.{setting}  {told}" in faults(RUNNING, [f"training.{setting}"])


def test_dropout_of_experts_without_experts_is_a_mistake():
    told = faults(RUNNING, ["tasks.text.head.expert_dropout=0.2"])
    assert "without experts nothing reads expert_dropout" in told[0]


def test_a_model_to_begin_from_must_be_there():
    source = parse(RUNNING.replace("steps: 10", "steps: 10, begin: {path: nowhere/best}"), "f")
    assert "f:10  training.begin.path  nowhere/best" in missing_files(check(source), source)


def test_what_was_set_is_not_looked_for_in_the_file():
    told = sorted(
        faults(BASE, ["training.stepps=5", "training.optimizer.rate=0.1", "embedders.words.size=big"])
    )
    assert told[0].startswith("--set embedders.words.size=big  embedders.words.size  should be a whole number")
    assert told[1].startswith(
        "--set training.optimizer.rate=0.1  training.optimizer  should be a table with a type"
    )
    assert told[2].startswith(
        '--set training.stepps=5  training.stepps  no key "stepps"; did you mean "steps"?'
    )
    assert any(
        one.startswith("f:16  training  needs steps") for one in faults(edited("steps: 10", "{}"), ["seed=3"])
    )
