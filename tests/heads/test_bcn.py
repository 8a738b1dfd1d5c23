"""Heads with a biattentive classification network keep to what every part keeps to."""

import re

import pytest
import torch

from seqloom.config import parse
from seqloom.errors import ConfigError
from seqloom.experiment import check
from tests import test_contract as contract

ALLENNLP = {
    "integrators": 1,
    "poolings": ["max", "min", "mean", "attention"],
    "reduction": 2,
    "batch_norm": False,
    "dropout": [0.1, 0.2, 0.3],
}
every_head = pytest.mark.parametrize("kind", ["classify", "pair"])
every_form = pytest.mark.parametrize("form", [{}, ALLENNLP], ids=["paper", "allennlp"])


def parts(kind, form):
    plain = {family: contract.plain(family, contract.PLAIN[family]) for family in contract.FAMILIES}
    plain["encoders"] |= {"project": {"size": 12, "activation": "relu"}, "bidirectional": True}
    return plain | {"heads": {"type": kind, "bcn": {"hidden": 8, **form}}}


@every_head
@every_form
@pytest.mark.parametrize(
    "holds",
    [
        contract.test_parts_of_any_two_kinds_make_a_model_that_learns_in_every_parameter,
        contract.test_padding_changes_nothing,
        contract.test_the_loss_of_a_batch_is_the_sum_of_its_rows,
        contract.test_a_batch_is_learnt_by_heart,
        contract.test_predictions_need_no_gold_and_fit_the_score,
        contract.test_labels_that_training_never_showed_count_for_nothing_but_in_the_score,
    ],
)
def test_it_keeps_the_contract(kind, form, holds):
    holds(parts(kind, form))


@every_head
@every_form
def test_what_is_saved_is_loaded_with_the_statistics_of_training(kind, form, tmp_path):
    contract.test_what_is_saved_is_loaded(parts(kind, form), tmp_path)


@every_head
@every_form
def test_rows_are_coupled_where_they_are_normalised_together(kind, form):
    made = contract.made(parts(kind, form))
    head = made.network.train().head("one")
    for module in head.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    together, alone = (
        made.network(made.batch()).loss,
        sum(made.network(made.batch(row)).loss for row in range(6)),
    )
    assert head.couples_rows == (form is not ALLENNLP)
    assert torch.allclose(together, alone, rtol=1e-4) != head.couples_rows


CONFIG = """
embedders: {words: {type: word, size: 4}}
encoders: {one: {type: lstm, input: words, hidden: 4}}
tasks:
  kind: {reader: {type: table, train: a.tsv}, encoder: one, head: {type: %s}}
training: {steps: 1}
"""


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("classify, bcn: {hiden: 3}", 'tasks.kind.head.bcn.hiden  no key "hiden"; did you mean "hidden"?'),
        ("pair, bcn: {dropout: [0.1, 0.2]}", "one rate or three, for three maxout layers, found 2"),
        ("pair, symmetric: true, bcn: {}", "with bcn nothing reads symmetric"),
        ("classify, bcn: {integrators: 3}", "tasks.kind.head.bcn.integrators  should be 1 or 2, found 3"),
    ],
)
def test_mistakes_are_told(head, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        check(parse(CONFIG % head, "one.yaml"))
