"""Layers with the weights of the original DME programs."""

from pathlib import Path

from seqloom.nn import MLP, DynamicMetaEmbedding, Recurrent

FOLDER = Path(__file__).parent / "dme"
ATTENTION = {"none": "none", "no_dep": "word", "dep": "context"}


def cut(weights, mark):
    """The weights whose names begin with a mark, without it."""
    return {name.removeprefix(mark): one for name, one in weights.items() if name.startswith(mark)}


def embedder(weights, settings, activation, *, over_padding=False):
    """The mixture of the sets, in the original's order."""
    kind, _, gate = settings["attnnet"].rpartition("_")
    concat = settings["mixmode"] == "cat"
    one = DynamicMetaEmbedding(
        [settings["widths"][name] for name in settings["set_order"]],
        None if concat else settings["emb_sz"],
        mixing="concat" if concat else "sum",
        attention=ATTENTION[kind or "none"],
        gate="sigmoid" if gate == "gating" else "softmax",
        activation=activation,
        over_padding=over_padding,
    )
    own = cut(weights, "weight.encoder.embedder.")
    renamed = {}
    for place, name in enumerate(settings["set_order"]):
        for part in ("weight", "bias"):
            if not concat:
                renamed[f"projections.{place}.{part}"] = own[f"projectors.{name}.{part}"]
    if kind == "dep":
        renamed |= {f"context.{name}": value for name, value in layers(cut(own, "attn_0.")).items()}
        renamed |= {f"score.{name}": value for name, value in cut(own, "attn_1.").items()}
    elif kind == "no_dep":
        for place in (0, 1):
            renamed |= {f"score.{place}.{name}": one for name, one in cut(own, f"attn_{place}.").items()}
    one.load_state_dict(renamed)
    return one.eval()


def layers(weights):
    """The weights of a one-layer LSTM of torch as those of `Recurrent`."""
    return {f"layer0.{name.replace('_l0', '')}": one for name, one in weights.items()}


def encoder(weights):
    """The BiLSTM that reads mixed vectors."""
    own = layers(cut(weights, "weight.encoder.rnn."))
    one = Recurrent(
        "lstm", own["layer0.weight_ih"].shape[1], own["layer0.weight_hh"].shape[1], bidirectional=True
    )
    one.load_state_dict(own)
    return one.eval()


def perceptron(weights):
    """The perceptron that scores labels."""
    own = cut(weights, "weight.classifier.")
    hidden, features = own["0.weight"].shape
    one = MLP(features, [hidden, hidden], len(own["6.bias"]))
    places = {"0": 0, "3": 1, "6": 2}
    one.load_state_dict({f"linears.{places[name[0]]}.{name[2:]}": value for name, value in own.items()})
    return one.eval()
