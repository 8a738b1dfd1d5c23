"""Numbers of the original CoVe programs."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from seqloom.data.batch import Text
from seqloom.deploy.legacy import import_cove
from seqloom.model.task import Batcher
from seqloom.nn.beam import Search, beam_search
from seqloom.nn.decoder import DecoderWriter
from seqloom.training.optim import Halving
from tests.golden.cove_models import FOLDER, decoder, encoded, translator
from tests.letters import TAGGER, assembled

FORWARD = load_file(FOLDER / "nmt_forward.safetensors")
VARIANTS = load_file(FOLDER / "nmt_variants.safetensors")
BEAMS = json.loads((FOLDER / "beam.json").read_text())
RATES = json.loads((FOLDER / "lr_schedule.json").read_text())
TRANSLATORS = {
    "masked": (None, FORWARD, {}),
    "dot": ("dot", VARIANTS, {"scoring": "dot"}),
    "no_input_feed": ("no_input_feed", VARIANTS, {"input_feeding": False}),
}


def begun(weights, source, lengths, **settings):
    """The decoder, its memory and its first state, the encoder's last."""
    one, text = decoder(weights, **settings), encoded(weights, source, lengths)
    last = [torch.stack([layer[part].transpose(0, 1).flatten(1) for layer in text.state]) for part in (0, 1)]
    return one, one.attention.remember(text.states, lengths), one.start(*last)


@torch.no_grad()
@pytest.mark.parametrize("name", TRANSLATORS)
def test_translations_have_the_originals_probabilities_and_attention(name):
    variant, golden, settings = TRANSLATORS[name]
    one, memory, state = begun(translator(variant), golden["src"].t(), golden["src_lengths"], **settings)
    attended, weights, _ = one(golden["tgt"][:-1].t(), memory, state)
    scores = one.scores(attended).log_softmax(-1)
    for row, length in enumerate((golden["tgt_lengths"] - 1).tolist()):
        expected = golden[f"{name}.log_probs"][:length, row], golden[f"{name}.attention"][:length, row]
        torch.testing.assert_close(scores[row, :length], expected[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(weights[row, :length], expected[1], atol=1e-5, rtol=0)
    gold = golden["tgt"][1:].t()
    losses = functional.nll_loss(scores.transpose(1, 2), gold, ignore_index=0, reduction="none")
    torch.testing.assert_close(losses.sum(), golden[f"{name}.nll_sum"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_decoder_begins_where_the_original_does_and_attends_to_its_states():
    _, _, state = begun(translator(), FORWARD["src"].t(), FORWARD["src_lengths"])
    torch.testing.assert_close(torch.stack(state.hidden), FORWARD["masked.dec_init_h"], atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.stack(state.cells), FORWARD["masked.dec_init_c"], atol=1e-5, rtol=0)
    text = encoded(translator(), FORWARD["src"].t(), FORWARD["src_lengths"])
    torch.testing.assert_close(text.states.transpose(0, 1), FORWARD["masked.context"], atol=1e-5, rtol=0)


def searched(beam):
    sources = [torch.tensor(one["src"]) for one in BEAMS["sentences"]]
    lengths = torch.tensor([len(one) for one in sources])
    one, memory, state = begun(translator(), torch.nn.utils.rnn.pad_sequence(sources, True), lengths)
    limits = torch.full_like(lengths, BEAMS["max_length"])
    writer = DecoderWriter(one, memory, state)
    return beam_search(writer, limits, Search(beam), start=BEAMS["bos"], end=BEAMS["eos"])


@torch.no_grad()
def test_beam_search_finds_what_the_mended_original_finds():
    for found, sentence in zip(searched(5), BEAMS["sentences"], strict=True):
        words = [one.words + [BEAMS["eos"]] * one.finished for one in found]
        assert words == [one["tokens"] for one in sentence["nbest_frozen"]]
        expected = [one["score"] for one in sentence["nbest_frozen"]]
        assert [one.score for one in found] == pytest.approx(expected, abs=1e-4)
        looked = {tuple(one["tokens"]): one["attention_argmax"] for one in sentence["nbest"]}
        for one, each in zip(found, words, strict=True):
            assert one.attention.argmax(-1).tolist() == looked.get(
                tuple(each), one.attention.argmax(-1).tolist()
            )


@torch.no_grad()
def test_a_wide_beam_finds_the_best_of_all_short_translations():
    for found, sentence in zip(searched(600), BEAMS["sentences"], strict=True):
        short = [one for one in found if one.finished and len(one.words) < 4][:1]
        best = sentence["exhaustive_top5_max4"][0]
        assert [[*one.words, BEAMS["eos"]] for one in short] == [best["tokens"]]
        assert short[0].score == pytest.approx(best["score"], abs=1e-4)


@pytest.mark.parametrize("golden", RATES)
def test_rates_are_halved_as_in_the_original(golden):
    start = golden["start_decay_at"]
    config = Halving.Config(factor=golden["decay"], sticky=False, start=start)
    schedule, rates = Halving(config, 0), []
    for perplexity in golden["validation_ppl"]:
        schedule.evaluated(-perplexity, 0.0)
        rates.append(golden["lr0"] * schedule.factor(0))
    assert rates == pytest.approx(golden["lr_after_epoch"])


SELECTIONS = {
    f"{'residual_' * before}{'_'.join(f'layer{layer}' for layer in layers)}": {
        "input": before,
        "layers": layers,
    }
    for before in (False, True)
    for layers in ([0], [1], [0, 1])
}


FILES = pytest.mark.parametrize("file", ["a", "square"])
CHOSEN = pytest.mark.parametrize("selection", SELECTIONS)


def over(folder, selection):
    """A model over the context embedder of a folder."""
    keys = {"type": "context", "of": str(folder), **SELECTIONS[selection]}
    return assembled(
        {"cove": keys}, {"shared": {"type": "lstm", "input": "cove", "hidden": 2}}, {"one": TAGGER}
    )


@torch.no_grad()
@FILES
@CHOSEN
def test_context_vectors_are_the_originals_in_every_selection(file, selection, tmp_path):
    golden = load_file(FOLDER / f"encoder_{file}.safetensors")
    import_cove(FOLDER / f"wmtlstm-{file}.pth", tmp_path)
    embedder = over(tmp_path, selection).network.embedders["cove"].eval()
    inputs = golden["inputs"]
    embedder.inside.embedders["words"].table = torch.nn.Embedding.from_pretrained(inputs.flatten(0, 1))
    ids = torch.arange(inputs[..., 0].numel()).view(inputs.shape[:2])
    found = embedder(Text({"cove+words": ids}, golden["lengths"]))
    torch.testing.assert_close(found, golden[f"out.{selection}"], atol=1e-5, rtol=0)


@torch.no_grad()
@FILES
@pytest.mark.parametrize("selection", ["layer1", "residual_layer0_layer1"])
def test_words_are_looked_up_as_in_the_originals_own_table(file, selection, tmp_path):
    golden = load_file(FOLDER / f"encoder_{file}.safetensors")
    rows = [
        f"word{number} {' '.join(map(str, row.tolist()))}"
        for number, row in enumerate(golden["embedding.weight"])
    ]
    (tmp_path / "vectors.txt").write_text("\n".join(rows[1:]) + "\n")
    import_cove(FOLDER / f"wmtlstm-{file}.pth", tmp_path / "model", tmp_path / "vectors.txt")
    model = over(tmp_path / "model", selection)
    task = model.tasks["one"]
    texts = [[f"Word{number}" for number in row.tolist() if number] for row in golden["ids"]]
    columns = task.from_examples([{"text": words} for words in texts])
    text = Batcher(task, columns, model.vocabularies).batch(columns.numbers).text("text")
    found = model.network.eval().embedders["cove"](text)
    torch.testing.assert_close(found, golden[f"out.{selection}.with_embedding"], atol=1e-5, rtol=0)
