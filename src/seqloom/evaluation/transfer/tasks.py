"""The tasks of the suite: their names, their data, and by which protocol each is scored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seqloom.config import nearest, unknown
from seqloom.errors import ConfigError
from seqloom.evaluation.transfer import corpora
from seqloom.evaluation.transfer.captions import Captions
from seqloom.evaluation.transfer.corpora import Layout, Source

Protocol = Literal["nested", "folds", "split", "relatedness", "similarity", "retrieval"]


@dataclass(frozen=True)
class Task:
    """One task of the suite.

    Args:
        name: as papers write it.
        other: SentEval's name, if it is another.
        protocol: `nested` cross-validation, `folds` of the training part for the penalty and a test part, `split`
            into training, dev and test, `relatedness`, `similarity` without training, or `retrieval`.
        source: its data.
        pairs: of two texts u and v, [|u-v|; u*v] ("two") or [u; v; u*v; |u-v|] ("four").
        figure: what its table shows.
        family: transfer or probing.
        searches: whether the penalty is searched for.
        linear: whether a hidden layer is never used.
    """

    name: str
    protocol: Protocol
    source: Source | Captions
    other: str = ""
    pairs: Literal["two", "four"] = "two"
    figure: str = "accuracy"
    family: str = "transfer"
    searches: bool = True
    linear: bool = False

    @property
    def stopped_by(self) -> str:
        """The figure on dev that a choice goes by."""
        return "recalls" if self.protocol == "retrieval" else self.figure


def _get(name: str) -> str:
    return f"fetch them with `seqloom data get {name}`, or name another folder with --data"


def _opinions(name: str, catalogue: str, file: str, one: str, zero: str) -> Task:
    ours = Layout({"all": (f"{catalogue}/{file}",)}, corpora.label_first)
    return Task(name, "nested", Source((ours, _sides(name, one, zero)), _get(catalogue), {"0": 0, "1": 1}))


def _sides(name: str, one: str, zero: str) -> Layout:
    """SentEval's own files, one for each class."""
    return Layout({"all": (f"{name}/{one}", f"{name}/{zero}")}, corpora.sided(one))


def _sst(name: str, other: str, kind: str, folder: str, classes: int) -> Task:
    parts = ("train", "dev", "test")
    ours = Layout({part: (f"sst/stsa.{kind}.{part}",) for part in parts}, corpora.label_first)
    theirs = Layout({part: (f"SST/{folder}/sentiment-{part}",) for part in parts}, corpora.label_last)
    numbers = {str(one): one for one in range(classes)}
    return Task(name, "split", Source((ours, theirs), _get("sst"), numbers), other)


def _sick(name: str, other: str, protocol: Protocol, gold: int, figure: str) -> Task:
    files = {"train": "SICK_train.txt", "dev": "SICK_trial.txt", "test": "SICK_test_annotated.txt"}
    layouts = [
        Layout({part: (f"{folder}/{file}",) for part, file in files.items()}, corpora.cells(gold, 1, 2), skip=1)
        for folder in ("sick", "SICK")
    ]
    classes = {"CONTRADICTION": 0, "NEUTRAL": 1, "ENTAILMENT": 2} if protocol == "split" else None
    return Task(name, protocol, Source(tuple(layouts), _get("sick"), classes), other, figure=figure)


def _sts(year: int, sets: Sequence[str], remedy: str) -> Task:
    places = {one: (f"sts/20{year}/{one.removeprefix('surprise.')}.test.tsv",) for one in sets}
    ours = Layout(places, corpora.cells(0, 1, 2), optional=True)
    beside = {
        one: (f"STS/STS{year}-en-test/STS.gs.{one}.txt", f"STS/STS{year}-en-test/STS.input.{one}.txt")
        for one in sets
    }
    theirs = Layout(beside, corpora.cells(0, 1, 2), optional=True, beside=True)
    return Task(f"STS{year}", "similarity", Source((ours, theirs), remedy), figure="pearson")


def _probing(name: str, other: str, file: str, linear: bool = False) -> Task:
    layout = Layout({part: (f"probing/{file}.txt",) for part in ("train", "dev", "test")}, corpora.probing)
    source = Source((layout,), _get("senteval_probing"), {})
    return Task(name, "split", source, other, family="probing", linear=linear)


_TREC = {"ABBR": 0, "DESC": 1, "ENTY": 2, "HUM": 3, "LOC": 4, "NUM": 5}
_SNLI = {"entailment": 0, "neutral": 1, "contradiction": 2}
_STS16 = (
    "there is no public place that the catalogue knows: put lines SCORE, tab, TEXT, tab, TEXT into "
    "sts/2016/SET.test.tsv, or SentEval's STS folder there"
)

_LISTED = (
    _opinions("MR", "mr", "rt-polarity.all", "rt-polarity.pos", "rt-polarity.neg"),
    _opinions("CR", "cr", "custrev.all", "custrev.pos", "custrev.neg"),
    _opinions("SUBJ", "subj", "subj.all", "subj.objective", "subj.subjective"),
    _opinions("MPQA", "mpqa", "mpqa.all", "mpqa.pos", "mpqa.neg"),
    _sst("SST-2", "SST2", "binary", "binary", 2),
    _sst("SST-5", "SST5", "fine", "fine", 5),
    Task(
        "TREC",
        "folds",
        Source(
            (
                Layout({"train": ("trec/TREC.train",), "test": ("trec/TREC.test",)}, corpora.question),
                Layout(
                    {"train": ("TREC/train_5500.label",), "test": ("TREC/TREC_10.label",)}, corpora.question
                ),
            ),
            _get("trec"),
            _TREC,
        ),
    ),
    Task(
        "MRPC",
        "folds",
        Source(
            (
                Layout(
                    {
                        "train": ("msrp/msr-para-train.tsv", "msrp/msr-para-val.tsv"),
                        "test": ("msrp/msr-para-test.tsv",),
                    },
                    corpora.cells(0, 3, 4),
                    skip=1,
                ),
                Layout(
                    {"train": ("MRPC/msr_paraphrase_train.txt",), "test": ("MRPC/msr_paraphrase_test.txt",)},
                    corpora.cells(0, 3, 4),
                    skip=1,
                ),
            ),
            _get("msrp"),
            {"0": 0, "1": 1},
        ),
    ),
    _sick("SICK-E", "SICKEntailment", "split", 4, "accuracy"),
    _sick("SICK-R", "SICKRelatedness", "relatedness", 3, "pearson"),
    Task(
        "STS-B",
        "relatedness",
        Source(
            (
                Layout(
                    {part: (f"stsb/stsb-en-{part}.csv",) for part in ("train", "dev", "test")}, corpora.commas
                ),
                Layout(
                    {part: (f"STS/STSBenchmark/sts-{part}.csv",) for part in ("train", "dev", "test")},
                    corpora.cells(4, 5, 6),
                ),
            ),
            _get("stsb"),
        ),
        "STSBenchmark",
        figure="pearson",
    ),
    _sts(12, ["MSRpar", "MSRvid", "SMTeuroparl", "surprise.OnWN", "surprise.SMTnews"], _get("sts")),
    _sts(13, ["FNWN", "headlines", "OnWN"], _get("sts")),
    _sts(14, ["deft-forum", "deft-news", "headlines", "images", "OnWN", "tweet-news"], _get("sts")),
    _sts(15, ["answers-forums", "answers-students", "belief", "headlines", "images"], _get("sts")),
    _sts(16, ["answer-answer", "headlines", "plagiarism", "postediting", "question-question"], _STS16),
    Task(
        "SNLI",
        "split",
        Source(
            (
                Layout(
                    {part: (f"snli_1.0/snli_1.0_{part}.jsonl",) for part in ("train", "dev", "test")},
                    corpora.inference,
                ),
                Layout(
                    {
                        "train": ("snli/snli_train_sample.jsonl", "snli/snli_dev_part_train.jsonl"),
                        "dev": ("snli/snli_dev_part_dev.jsonl",),
                        "test": ("snli/snli_test_tok.jsonl",),
                    },
                    corpora.inference,
                ),
            ),
            _get("snli"),
            _SNLI,
        ),
        pairs="four",
        searches=False,
    ),
    Task(
        "Captions",
        "retrieval",
        Captions(
            "flickr8k_features",
            captions="captions.token.txt",
            features="xception_classprobs.npy",
            names="images.txt",
            parts={"train": "train.images.txt", "dev": "val.images.txt", "test": "test.images.txt"},
            remedy=_get("flickr8k_features"),
        ),
        "ImageCaptionRetrieval",
        figure="r1",
    ),
    _probing("Length", "", "sentence_length"),
    _probing("WordContent", "", "word_content", linear=True),
    _probing("Depth", "", "tree_depth"),
    _probing("TopConstituents", "", "top_constituents"),
    _probing("BigramShift", "", "bigram_shift"),
    _probing("Tense", "", "past_present"),
    _probing("SubjNumber", "", "subj_number"),
    _probing("ObjNumber", "", "obj_number"),
    _probing("OddManOut", "", "odd_man_out"),
    _probing("CoordinationInversion", "", "coordination_inversion"),
)

TASKS: Mapping[str, Task] = {task.name: task for task in _LISTED}
"""The tasks of the suite, by name, in the order of its tables."""


GROUPS: Mapping[str, Sequence[Task]] = {
    "probing": [task for task in _LISTED if task.family == "probing"],
    "sts": [task for task in _LISTED if task.protocol == "similarity"],
}
"""Tasks that are named together, of which those without data may be passed over."""


def named(names: Iterable[str]) -> list[Task]:
    """Tasks by their names or SentEval's, in any case, hyphens or not; `probing` and `sts` name all of theirs.

    Raises:
        ConfigError: a name is none of the suite's; it says which is nearest.
    """
    known: dict[str, Sequence[Task]] = {
        _plain(name): [task] for task in _LISTED for name in (task.name, task.other) if name
    }
    known |= GROUPS
    found: set[str] = set()
    for name in names:
        if _plain(name) not in known:
            valid = [*TASKS, *GROUPS]
            raise ConfigError(unknown("task", name if nearest(name, valid) else name.upper(), valid))
        found.update(task.name for task in known[_plain(name)])
    return [task for task in _LISTED if task.name in found]


def singled(names: Iterable[str]) -> set[str]:
    """The tasks that are named themselves, not as some of a group."""
    return {task.name for task in named(name for name in names if _plain(name) not in GROUPS)}


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").strip()
