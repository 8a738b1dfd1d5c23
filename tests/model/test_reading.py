"""Reading the splits of a task."""

import logging

import pytest

from seqloom.config import parse
from seqloom.errors import DataError
from seqloom.model.labels import tell_unseen
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import bind, fit

ROWS = 40


@pytest.fixture
def task(tmp_path, monkeypatch):
    """A task over files of that content, by the reader's table."""
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEQLOOM_DATA", str(tmp_path))

    def made(reader, head="classify", **files):
        for name, content in files.items():
            (tmp_path / name.replace("_", ".")).write_text(content)
        text = f"tasks: {{one: {{reader: {reader}, head: {{type: {head}}}, "
        source = parse(text + "encoder: {type: lstm, hidden: 2, input: {type: word, size: 2}}}}")
        discover()
        table = ModelTable.check(source)
        source.done()
        return bind(table, lay_out(table))["one"]

    return made


def table(rows=ROWS):
    return "label\ttext\n" + "".join(f"x\tw{row} a\n" for row in range(rows))


def words(columns):
    return [columns["text"].row(row)[0] for row in columns.numbers]


def read(task, sample, rows=ROWS, **more):
    keys = "".join(f", {key}: {value}" for key, value in {"sample": sample, **more}.items())
    return words(task(f"{{type: table, train: '${{data}}/a.tsv'{keys}}}", a_tsv=table(rows)).read("train"))


def test_a_sample_is_a_number_a_share_the_first_or_all(task):
    everything = [f"w{row}" for row in range(ROWS)]
    assert read(task, "all") == everything
    assert read(task, "{first: 3}") == everything[:3]
    assert read(task, "{first: 99}") == everything
    ten, share = read(task, 10), read(task, 0.25)
    assert len(ten) == 10
    assert share == ten
    assert set(read(task, 5)) < set(ten) < set(read(task, 0.5))
    assert read(task, 10, sample_seed=1) != ten
    assert len(read(task, 0.01, rows=3)) == 1


def test_only_training_is_sampled(task):
    one = task("{type: table, dev: '${data}/a.tsv', train: '${data}/a.tsv', sample: 2}", a_tsv=table())
    assert len(one.read("train")) == 2
    assert len(one.read("dev")) == ROWS
    assert one.read("test") is None


def test_vocabularies_are_fitted_to_the_sample(task):
    one = task("{type: table, train: '${data}/a.tsv', sample: {first: 2}}", a_tsv=table())
    found = fit({"one": one}, {"one": one.read("train")})
    assert found["words"].symbols == ("<pad>", "<unk>", "a", "w0", "w1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no examples; an empty file, or not in the form that the reader expects"),
        ("label\ttext\n", "holds no examples"),
        ("lable\ttext\nx\ta\n", "has no column label, which task one reads"),
        ("a\tb\nx\ta\n", "has no column text and no label, which task one reads"),
        ("label\ttext\nx\ta\ny\t\n", "text: the text has no tokens"),
    ],
)
def test_a_file_that_does_not_fit_the_task_is_refused(task, tmp_path, content, message):
    one = task("{type: table, train: '${data}/a.tsv'}", a_tsv=content)
    for _ in range(2):
        with pytest.raises(DataError) as found:
            one.read("train")
        assert str(found.value).startswith(f"{tmp_path}/a.tsv:")
        assert message in str(found.value)


def test_a_missing_file_is_told_with_what_data_stands_for(task, tmp_path):
    one = task("{type: table, train: '${data}/none.tsv'}")
    with pytest.raises(DataError, match=f"^{tmp_path}/none.tsv: no such file$"):
        one.read("train")


def test_a_limit_on_length_names_the_line(task):
    one = task("{type: table, train: '${data}/a.tsv', longest: 3}", a_tsv="label\ttext\nx\ta\nx\ta b c d\n")
    with pytest.raises(DataError, match=r"a.tsv:3: a text of 4 tokens is over the limit of 3"):
        one.read("train")


def test_files_of_one_content_are_read_by_their_own_names(task, tmp_path):
    content = "label,text\nx,a\n"
    wrong = task("{type: table, train: '${data}/a.tsv'}", a_tsv=content)
    with pytest.raises(DataError, match="has no column"):
        wrong.read("train")
    right = task("{type: table, train: '${data}/a.csv'}", a_csv=content)
    assert words(right.read("train")) == ["a"]
    assert right.read("train").where(0) == f"{tmp_path}/a.csv:2"


def test_a_change_of_a_second_file_is_seen(task):
    reader = "{type: parallel, train: '${data}/a.en', languages: [en, de], tokenizer: blanks}"
    head = "translate, hidden: 2"
    for target in ("x y", "z"):
        columns = task(reader, head, a_en="a b\n", a_de=f"{target}\n").read("train")
        assert columns["target"].row(0) == target.split()


def test_a_label_that_training_never_showed_is_told_with_its_place(task, caplog):
    train, dev = "label\ttext\nx\ta\n", "label\ttext\nx\ta\nnew\tb\nnew\tb\n"
    one = task("{type: table, train: '${data}/a.tsv', dev: '${data}/b.tsv'}", a_tsv=train, b_tsv=dev)
    vocabularies = fit({"one": one}, {"one": one.read("train")})
    with caplog.at_level(logging.WARNING):
        tell_unseen(one, one.read("dev"), vocabularies, "dev")
    (told,) = caplog.messages
    assert told.endswith('b.tsv:3: the label "new" stands in dev but never in training; it counts as wrong')


def test_one_file_is_cleaned_to_train_on_and_whole_as_dev_whichever_was_cached_first(task):
    files = "train: '${data}/train.en', dev: '${data}/./train.en', languages: [en, de], clean: {}"
    reader = f"{{type: parallel, {files}}}"
    made = task(reader, "translate, hidden: 2", train_en="a\nb\n", train_de="A\nb\n")
    assert [len(made.read(split)) for split in ("train", "dev", "train")] == [1, 2, 1]


def test_several_files_are_read_as_one(task):
    files = {"a_tsv": table(2), "b_tsv": "label\ttext\n\nx\tv\n"}
    both = task("{type: table, train: ['${data}/a.tsv', '${data}/b.tsv']}", **files).read("train")
    assert words(both) == ["w0", "w1", "v"]
    assert both.lines.tolist() == [2, 3, 3]


def test_rows_of_several_files_stay_apart_and_each_fault_is_told_with_its_own(task, tmp_path):
    pairs = "source\ttarget\na\tb\n"
    columns = "train: ['${data}/a.tsv', '${data}/b.tsv'], longest: 2"
    one = task(f"{{type: table, {columns}}}", head="retrieve", a_tsv=pairs, b_tsv=pairs).read("train")
    assert [one["line"].row(row) for row in one.numbers] == [["2"], ["4"]]
    broken = task(f"{{type: table, {columns}}}", head="retrieve", a_tsv=pairs, b_tsv=pairs + "a b c\tb\n")
    with pytest.raises(DataError, match=f"^{tmp_path}/b.tsv:3: a text of 3 tokens is over the limit"):
        broken.read("train")
