import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seqloom.data.vectors import Vectors
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.evaluation.transfer import SETTINGS, Encoder, Settings, baseline, markdown, transfer
from seqloom.evaluation.transfer.perceptrons import Perceptron
from seqloom.evaluation.transfer.tables import read
from seqloom.evaluation.transfer.vectors import paired
from seqloom.files import write_json, write_text

QUICK = Settings(
    folds=2, perceptron=Perceptron(optimizer="rmsprop", batch=8, tenacity=1, epoch_size=10, epochs=30)
)
WORDS = ("good", "bad", "film", "plot", "who", "where", "cat", "dog", "sleeps", "runs")


def words_of(texts):
    """Which of the words a text has."""
    return np.array([[4.0 * (word in text.split()) for word in WORDS] for text in texts])


def opinions(count=30):
    return "".join(
        f"{row % 2} a {('bad', 'good')[row % 2]} film {'plot ' * (row % 5)}.\n" for row in range(count)
    )


def pairs(count):
    for row in range(count):
        first, second = ("cat", "dog")[row % 2], ("cat", "dog")[row // 2 % 2]
        yield row, f"the {first} sleeps", f"the {second} sleeps " + "now " * (row % 3), first == second


def sick(count):
    head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
    cells = (
        f"{n}\t{a}\t{b}\t{4.5 if s else 1.5}\t{'ENTAILMENT' if s else 'NEUTRAL'}\n"
        for n, a, b, s in pairs(count)
    )
    return head + "".join(cells)


def probing(count=36):
    parts = ("tr", "tr", "va", "te")
    return "".join(
        f"{parts[row % 4]}\t{('PAST', 'PRES')[row // 4 % 2]}\tthe {('cat', 'dog')[row // 4 % 2]} runs\n"
        for row in range(count)
    )


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    # A command's --data sets the variable; this puts it back after.
    monkeypatch.setenv("SEQLOOM_DATA", str(folder))
    write_text(folder / "mr/rt-polarity.all", opinions())
    write_text(folder / "CR/custrev.pos", "a good film\na good plot\n" * 8)
    write_text(folder / "CR/custrev.neg", "a bad film\na bad plot\n" * 8)
    write_text(folder / "trec/TREC.train", "HUM:ind who runs ?\nLOC:other where is it ?\n" * 12)
    write_text(folder / "trec/TREC.test", "HUM:gr who sleeps ?\nLOC:city where runs it ?\n")
    for name in ("SICK_train.txt", "SICK_trial.txt", "SICK_test_annotated.txt"):
        write_text(folder / "sick" / name, sick(24))
    scored = "".join(f"{5 if same else 0}\t{a}\t{b}\n" for _, a, b, same in pairs(8))
    write_text(folder / "sts/2016/headlines.test.tsv", scored + "\tnobody\tjudged\n")
    write_text(folder / "STS/STS14-en-test/STS.gs.images.txt", "5\n0\n3\n")
    write_text(folder / "STS/STS14-en-test/STS.input.images.txt", "cat\tcat\ncat\tdog\ncat dog\tdog\n")
    for part in ("train", "dev", "test"):
        lines = (f'"{a}, yes",{b},{4.0 if same else 1.0}\n' for _, a, b, same in pairs(16))
        write_text(folder / f"stsb/stsb-en-{part}.csv", "".join(lines))
        told = [
            {"gold_label": "entailment" if s else "neutral", "sentence1": a, "sentence2": b}
            for _, a, b, s in pairs(16)
        ] + [{"gold_label": "-", "sentence1": "x", "sentence2": "y"}]
        write_text(folder / f"snli_1.0/snli_1.0_{part}.jsonl", "".join(json.dumps(one) + "\n" for one in told))
    write_text(folder / "probing/past_present.txt", probing())
    return folder


@pytest.fixture
def photographs(root):
    folder = root / "flickr8k_features"
    names = [f"{number}.jpg" for number in range(8)]
    write_text(folder / "images.txt", "\n".join(names) + "\n")
    for part in ("train", "val", "test"):
        write_text(folder / f"{part}.images.txt", "\n".join(names) + "\n")
    shown = [WORDS[number] for number in range(8)]
    captions = [f"{name}#{k}\ta {word}\n" for name, word in zip(names, shown, strict=True) for k in range(60)]
    write_text(folder / "captions.token.txt", "".join(captions))
    np.save(folder / "xception_classprobs.npy", np.eye(8, 12, dtype=np.float32) * 2 - 1)
    return folder


def told(root, *tasks, **more):
    report = transfer(words_of, tasks=tasks or None, data=root, setting=QUICK, **more)
    return report["tasks"]


def test_every_kind_of_task_is_learnt_from_files_of_either_layout(root):
    found = told(root, "mr", "CR", "TREC", "SICK-E", "snli", "Tense")
    assert {name: one["test"]["accuracy"] for name, one in found.items()} == dict.fromkeys(found, 100.0)
    assert found["SNLI"]["rows"] == {"train": 16, "test": 16}
    assert found["Tense"]["rows"] == {"train": 18, "test": 9}
    assert found["MR"]["protocol"]["folds"] == 2
    assert list(found["MR"]["data"]) == ["mr/rt-polarity.all"]
    assert len(found["CR"]["data"]) == 2


def test_relatedness_and_similarity(root):
    found = told(root, "sick-r", "stsbenchmark", "STS16", "STS14")
    assert found["SICK-R"]["test"]["pearson"] > 0.99
    assert found["SICK-R"]["test"]["mse"] < 0.5
    assert found["STS-B"]["test"]["pearson"] > 0.99
    assert found["STS16"]["sets"]["headlines"]["rows"] == 8
    assert found["STS16"]["test"]["pearson"] == pytest.approx(1)
    assert found["STS16"]["lacking"] == ["answer-answer", "plagiarism", "postediting", "question-question"]
    assert found["STS14"]["sets"]["images"]["pearson"] == pytest.approx(
        np.corrcoef([1, 0, 0.5**0.5], [5, 0, 3])[0, 1]
    )


def test_means_over_sets_are_plain_and_weighted(root):
    write_text(root / "sts/2016/plagiarism.test.tsv", "5\tcat\tdog\n0\tcat\tcat\n")
    found = told(root, "sts16")["STS16"]
    assert found["sets"]["plagiarism"]["pearson"] == pytest.approx(-1)
    assert found["test"]["pearson"] == pytest.approx(0)
    assert found["test"]["pearson_weighted"] == pytest.approx((8 - 2) / 10)


def test_captions_find_their_images(photographs, root):
    found = told(root, "ImageCaptionRetrieval")["Captions"]
    assert found["test"]["image_r1"] == found["test"]["caption_r1"] == 100
    assert found["rows"]["train"] == 480


def test_what_has_no_data_is_told(root):
    write_text(root / "alone/trec/TREC.train", "HUM:ind who runs ?\n")
    report = transfer(words_of, data=root / "alone")
    assert report["tasks"]["SUBJ"] == {"not_run": "no data"}
    assert report["tasks"]["TREC"] == {"not_run": "trec/TREC.test missing"}
    assert "| SUBJ | not run: no data |" in markdown([report])


def test_a_task_that_is_asked_for_needs_its_files(root):
    (root / "trec/TREC.test").unlink()
    with pytest.raises(DataError, match=r"lacks trec/TREC.test; fetch them with `seqloom data get trec`"):
        told(root, "trec")
    with pytest.raises(DataError, match=r"lacks subj/subj.all; fetch them with `seqloom data get subj`"):
        told(root, "subj")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("mr/rt-polarity.all", "1 good\n2 bad\n", r'rt-polarity.all:2: no label "2" is known here \(0, 1\)'),
        ("mr/rt-polarity.all", "1 good\nbad\n", r"rt-polarity.all:2: .*a label, a blank and a text are needed"),
        ("mr/rt-polarity.all", "", r"rt-polarity.all: holds no examples"),
        ("trec/TREC.train", "HUMAN:ind who ?\n", r'TREC.train:1: no label "HUMAN"'),
        ("sick/SICK_train.txt", "head\n1\ta\tb\n", r"SICK_train.txt:2: .*3 cells, 5 are needed"),
        ("sts/2016/headlines.test.tsv", "high\ta\tb\n", r'headlines.test.tsv:1: "high" is no score'),
        ("STS/STS14-en-test/STS.gs.images.txt", "5\n", r"images.txt: 1 lines, but STS.input.images.txt has 3"),
        ("snli_1.0/snli_1.0_dev.jsonl", "{\n", r"snli_1.0_dev.jsonl:1: cannot be read as an example"),
        ("snli_1.0/snli_1.0_dev.jsonl", "[1]\n", r"dev.jsonl:1: .*an object with texts gold_label, sentence1"),
        (
            "snli_1.0/snli_1.0_dev.jsonl",
            '{"gold_label": "neutral", "sentence1": null, "sentence2": "a"}\n',
            r"dev.jsonl:1: .*an object with texts gold_label, sentence1",
        ),
        ("sts/2016/headlines.test.tsv", "nan\ta\tb\n", r'headlines.test.tsv:1: "nan" is no score'),
    ],
)
def test_broken_files_are_told_with_their_line(root, file, text, message):
    write_text(root / file, text)
    with pytest.raises(DataError, match=message):
        told(root, "mr", "trec", "sick-e", "sts16", "sts14", "snli")


def test_a_line_that_is_no_row_of_values_is_told(root):
    for part in ("train", "dev", "test"):
        write_text(root / f"stsb/stsb-en-{part}.csv", "a\rb,c,1\n")
    with pytest.raises(DataError, match=r"stsb-en-train.csv:1: cannot be read as an example"):
        told(root, "stsb")


def test_features_that_are_no_table_are_told(root, photographs):
    path = photographs / "xception_classprobs.npy"
    for array, message in (
        (np.ones(8), r"has the shape \(8,\); \(images, size\)"),
        (None, "is no numpy array"),
    ):
        if array is None:
            path.write_bytes(b"")
        else:
            np.save(path, array)
        with pytest.raises(DataError, match=message):
            told(root, "captions")


def test_names_and_settings_that_are_none(root):
    with pytest.raises(ConfigError, match='no task "TREK"; did you mean "TREC"'):
        told(root, "TREK")
    with pytest.raises(ConfigError, match='no setting "prototype"; did you mean "prototyping"'):
        transfer(words_of, setting="prototype", data=root)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda texts: np.zeros(len(texts)), r"gave an array \(\d+,\) for \d+ texts"),
        (lambda texts: np.full((len(texts), 2), np.nan), "not of finite numbers for"),
        (lambda texts: np.full((len(texts), 2), "x"), "gave an array of <U1; numbers are needed"),
    ],
)
def test_what_is_no_vector_is_refused(root, encode, message):
    with pytest.raises(ModelError, match=message):
        transfer(encode, tasks=["mr"], data=root, setting=QUICK)


def test_each_task_takes_the_pooling_that_is_best_on_dev(root):
    pools = {"nothing": lambda texts: np.zeros((len(texts), 2)), "words": words_of}
    found = transfer(pools, tasks=["mr", "sick-r"], data=root, setting=QUICK)
    assert {name: one["pool"] for name, one in found["tasks"].items()} == {"MR": "words", "SICK-R": "words"}
    assert "| MR | 100.0 (words) |" in markdown([found])


def test_vectors_are_computed_once_and_kept(root):
    asked = []

    def encode(texts):
        asked.extend(texts)
        return words_of(texts)

    for _ in range(2):
        transfer(Encoder({"": encode}, "some weights"), tasks=["sick-e", "sick-r"], data=root, setting=QUICK)
    assert len(asked) == len(set(asked)) > 0
    transfer(Encoder({"": encode}, "other weights"), tasks=["sick-e"], data=root, setting=QUICK)
    assert len(asked) == 2 * len(set(asked))


def test_a_curve_of_fewer_examples(root):
    report = transfer(words_of, tasks=["mr", "trec", "sick-r", "sts16"], data=root, setting=QUICK, first=[12])
    assert list(report["curve"]) == ["12"]
    assert report["curve"]["12"].keys() == {"MR", "TREC", "SICK-R"}
    assert report["curve"]["12"]["TREC"]["rows"]["train"] == 12
    assert report["curve"]["12"]["SICK-R"]["rows"]["train"] == 12
    assert report["tasks"]["TREC"]["rows"]["train"] == 24
    assert "| | 12 | all |" in markdown([report])


def test_a_report_says_what_its_figures_depend_on(root, tmp_path):
    encoder = Encoder({"": words_of}, "f00d", "blanks")
    report = transfer(encoder, tasks=["mr"], data=root, setting=replace(QUICK, seed=5), name="words")
    assert (report["fingerprint"], report["tokenizer"], report["settings"]["seed"]) == ("f00d", "blanks", 5)
    assert {"python", "seqloom", "torch", "numpy"} <= report["versions"].keys()
    (digest,) = report["tasks"]["MR"]["data"].values()
    write_json(tmp_path / "report.json", report)
    assert read(tmp_path / "report.json") == json.loads(json.dumps(report))
    write_text(root / "mr/rt-polarity.all", opinions(32))
    assert told(root, "mr")["MR"]["data"]["mr/rt-polarity.all"] != digest


@pytest.mark.slow
def test_processes_find_what_one_finds(root):
    alone, together = (told(root, "mr", "trec", "sick-r", workers=workers) for workers in (1, 2))
    assert alone == together


def test_logistic_regression_is_the_other_classifier(root):
    pytest.importorskip("sklearn")
    report = transfer(words_of, tasks=["mr"], data=root, setting=replace(SETTINGS["logistic"], folds=3))
    assert report["tasks"]["MR"]["test"]["accuracy"] == 100
    assert report["tasks"]["MR"]["penalties"] == [0.25, 0.5, 1, 2, 4, 8]


def test_baselines_are_of_the_known_words():
    store = Vectors.of(["cat", "dog"], np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    bag, random = baseline("bag", store), baseline("random", store)
    np.testing.assert_allclose(bag.pools["mean"](["the Cat", "cat dog", "?"]), [[1, 0], [0.5, 0.5], [0, 0]])
    alone, beside = random.pools["max"](["cat dog"]), random.pools["max"](["cat", "cat dog", "dog dog dog"])
    np.testing.assert_allclose(alone[0], beside[1], atol=1e-6)
    assert bag.fingerprint != random.fingerprint
    with pytest.raises(ConfigError, match='no baseline "bags"; did you mean "bag"'):
        baseline("bags", store)


def test_the_command_writes_report_table_and_chart(root, tmp_path, seqloom):
    store, out = tmp_path / "vectors.txt", tmp_path / "out"
    write_text(store, "".join(f"{word} {place} 1 {place % 2}\n" for place, word in enumerate(WORDS)))
    words = ["--baseline", "bag", "--vectors", store, "--data", root, "--setting", "prototyping", "-o", out]
    said = seqloom("transfer", *words, "--tasks", "mr,sts16", "--first", "20")
    assert said.code == 0, said.error
    assert "| MR |" in said.out
    assert {path.name for path in out.iterdir()} == {"bag-of-vectors.txt.json", "transfer.md", "transfer.png"}
    again = ["--tasks", "mr", "--beside", out / "bag-of-vectors.txt.json"]
    assert "| | bag of vectors.txt | bag of vectors.txt |" in seqloom("transfer", *words, *again).out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "what is to be measured?"),
        (["--baseline", "bag"], "--baseline needs --vectors"),
        (["no-such-model", "--tasks", "trek"], 'did you mean "TREC"'),
        (["no-such-model", "--pool", "maximum"], 'no pool "maximum"'),
        (["no-such-model", "--first", "many"], '--first "many" should be numbers'),
        (["no-such-model", "--setting", "quick"], 'no setting "quick"'),
        (["no-such-model", "--tokenizer", "mozes"], 'no tokenizer "mozes"'),
        (["no-such-model"], "no-such-model: does not exist"),
    ],
)
def test_mistakes_in_the_command(seqloom, words, message):
    said = seqloom("transfer", *words)
    assert said.code == 1
    assert message in said.error


def test_a_model_is_measured_with_its_poolings(root, finished, tmp_path, seqloom):
    words = ("--tasks", "sick-e", "--pool", "best", "--name", "mine")
    said = seqloom("transfer", finished, "--data", root, *words, "-o", tmp_path)
    assert said.code == 0, said.error
    report = read(Path(tmp_path) / "mine.json")
    assert report["tasks"]["SICK-E"]["pool"] in ("mean", "max", "last")
    assert len(report["fingerprint"].split()[0]) == 64


def test_encoders_side_by_side_are_measured_also_from_inside(root, finished, tmp_path, monkeypatch, seqloom):
    assert seqloom("concat", finished, finished, "-o", tmp_path / "pair").code == 0
    monkeypatch.chdir(tmp_path / "pair")
    said = seqloom("transfer", ".", "--data", root, "--tasks", "sick-e", "-o", tmp_path)
    assert said.code == 0, said.error
    assert read(tmp_path / "pair.json")["name"] == "pair"
    assert "| SICK-E |" in said.out


def test_whole_numbers_of_few_bits_do_not_wrap_around():
    small = np.array([[100, -3]], np.int8)
    found = Encoder({"": lambda texts: small})._checked("", ["a"])
    assert paired(found, -found, "two").tolist() == [[200, 6, -10000, -9]]


def test_a_damaged_file_of_kept_vectors_is_written_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQLOOM_CACHE", str(tmp_path))
    make = {"": lambda texts: np.ones((len(texts), 2))}
    Encoder(make, "print").table("", ["a", "b"], "texts")
    (kept,) = tmp_path.rglob("*.npy")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:10])
    assert Encoder(make, "print").table("", ["a", "b"], "texts")[1].shape == (2, 2)
    assert kept.read_bytes() == whole
