import numpy as np
import pytest
import torch

from seqloom.config import parse
from seqloom.errors import ConfigError
from seqloom.heads.tag import Tag
from seqloom.model.build import build
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import Batcher, bind, fit

EXAMPLES = [{"text": ["a", "b", "c"], "tags": ["X", "Y", "X"]}, {"text": ["d"], "tags": ["Z"]}]
WORD = "{type: word, size: 3}"
LSTM = f"{{type: lstm, hidden: 5, input: {WORD}}}"


def task(encoder=LSTM, head="{type: tag}", rest=""):
    return f"{{reader: {{type: conll}}, encoder: {encoder}, head: {head}{rest}}}"


def assembled(text, seed=0, examples=None):
    """The tasks, vocabularies and network of a configuration, fitted to some examples by task."""
    discover()
    source = parse(text)
    table = ModelTable.check(source)
    source.done()
    plan = lay_out(table)
    tasks = bind(table, plan)
    training = {name: one.from_examples((examples or {}).get(name, EXAMPLES)) for name, one in tasks.items()}
    vocabularies = fit(tasks, training)
    return tasks, vocabularies, build(plan, tasks, vocabularies, stores={}, seed=seed)


def test_parameters_bear_the_names_of_the_configuration():
    words = "embedders: {words: {type: concat, of: [{type: word, size: 3}, {type: chars, highway: 0}]}}\n"
    text = words + "encoders: {shared: {type: lstm, hidden: 5, input: words}}\n"
    *_, network = assembled(text + f"tasks: {{ner: {task('shared')}, train: {task('shared')}}}")
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == len(set(names))
    assert "embedders.words-word.table.weight" in names
    assert "encoders.shared.layer0.weight_hh" in names
    owners = {".".join(name.split(".")[:2]) for name in names}
    assert owners == {
        "embedders.words-word",
        "embedders.words-chars",
        "encoders.shared",
        "heads.ner",
        "heads.train",
    }


def test_sizes_follow_from_the_parts_below():
    text = f"tasks: {{ner: {task('{type: gru, hidden: 5, bidirectional: true, input: ' + WORD + '}')}}}"
    tasks, vocabularies, network = assembled(text)
    assert network.embedders["ner"].table.weight.shape == (len(vocabularies["words"]), 3)
    assert network.encoders["ner"].size == 10
    batcher = Batcher(tasks["ner"], tasks["ner"].from_examples(EXAMPLES), vocabularies)
    assert network(batcher.batch(np.array([0, 1]))).scores.shape == (2, 3, len(vocabularies["ner.tags"]))


def test_weights_depend_on_the_seed_alone():
    text = f"tasks: {{ner: {task()}}}"
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = assembled(text, seed=3)[2].state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = (assembled(text, seed=seed)[2].state_dict() for seed in (3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_text_vocabularies_are_shared_and_label_vocabularies_are_not():
    other = [{"text": ["d", "e"], "tags": ["W", "X"]}]
    text = f"tasks: {{ner: {task()}, pos: {task()}}}"
    _, vocabularies, network = assembled(text, examples={"pos": other})
    assert sorted(vocabularies) == ["ner.tags", "pos.tags", "words"]
    assert vocabularies["words"].symbols == ("<pad>", "<unk>", "d", "a", "b", "c", "e")
    assert vocabularies["ner.tags"].symbols == ("X", "Y", "Z")
    assert vocabularies["pos.tags"].symbols == ("W", "X")
    assert network.embedders["ner"] is not network.embedders["pos"]


def test_a_vocabulary_of_its_own_is_kept_apart():
    own = task(rest=", embedder: {type: word, size: 3, vocabulary: nl}")
    _, vocabularies, _ = assembled(f"tasks: {{ner: {task()}, nl: {own}}}")
    assert sorted(vocabularies) == ["ner.tags", "nl", "nl.tags", "words"]


def test_embedders_of_two_tasks_that_read_a_vocabulary_in_different_ways_are_refused():
    lower = task(rest=", embedder: {type: word, size: 3, lower: true}")
    with pytest.raises(ConfigError, match=r'two embedders read the vocabulary "words" in different ways'):
        assembled(f"tasks: {{ner: {task()}, nl: {lower}}}")


def test_embedders_of_one_encoder_must_agree_in_size():
    text = "encoders: {shared: {type: lstm, hidden: 5}}\ntasks:\n"
    text += "".join(f"  {name}: {task('shared', rest=f', embedder: {WORD}')}\n" for name in "ab")
    *_, network = assembled(text)
    assert set(network.encoders._modules) == {"shared"}
    told = r"encoders.shared: its tasks' embedders differ in size \(a: 7, b: 3\); they must agree"
    with pytest.raises(ConfigError, match=told):
        assembled(text.replace("size: 3", "size: 7", 1))


def test_a_head_that_reads_left_to_right_needs_an_encoder_that_does(monkeypatch):
    monkeypatch.setattr(Tag, "causal", True)
    both = LSTM.replace("hidden: 5", "hidden: 5, bidirectional: true")
    assembled(f"tasks: {{ner: {task()}}}")
    told = (
        r'tasks.ner.head: reads left to right, but encoder "ner" sees what follows \(encoders.ner.bidirectional'
    )
    with pytest.raises(ConfigError, match=told):
        assembled(f"tasks: {{ner: {task(both)}}}")


TIED = "{type: language, tied: true}"


@pytest.mark.parametrize(
    ("encoder", "head", "told"),
    [
        (
            "{type: sparse, hidden: 20, layers: 2, fraction: 0.05, input: words}",
            "{type: tag}",
            r"encoders\.ner  a sparse LSTM 9 -> 20 reduced by .* \(a greater fraction\)",
        ),
        (
            "{type: lstm, hidden: 8, input: words}",
            TIED,
            r"tasks\.ner\.head  .*the states have 8 numbers, the embedder's vectors 9; let them agree",
        ),
    ],
)
def test_what_cannot_be_made_is_told_with_its_part(encoder, head, told):
    text = f"embedders: {{words: {{type: sparse, size: 9}}}}\ntasks: {{ner: {task(encoder, head)}}}"
    with pytest.raises(ConfigError, match=told):
        assembled(text)


SHARING = "{type: tag, share: names}"


def test_heads_of_a_group_use_one_scorer_over_one_label_vocabulary():
    other = [{"text": ["d", "e"], "tags": ["W", "X"]}]
    text = f"tasks: {{ner: {task(head=SHARING)}, nl: {task(head='{type: tag, share: names, specific: true}')}}}"
    _, vocabularies, network = assembled(text, examples={"nl": other})
    assert vocabularies["shared.names.tags"].symbols == ("X", "W", "Y", "Z")
    names = {name for name, _ in network.named_parameters()}
    assert any(name.startswith("shared.names.") for name in names)
    assert not any(name.startswith("heads.ner.") for name in names)
    assert any(name.startswith("heads.nl.specific") for name in names)
    assert network.head("ner").universal is network.head("nl").universal is network.shared["names"]


def test_states_of_a_group_must_agree_in_size():
    text = f"tasks: {{ner: {task(head=SHARING)}, nl: {task(LSTM.replace('5', '6'), SHARING)}}}"
    told = r'tasks.nl.head.share: its states have 6 numbers, those of the others in group "names" 5; encoders of one'
    with pytest.raises(ConfigError, match=told):
        assembled(text)
