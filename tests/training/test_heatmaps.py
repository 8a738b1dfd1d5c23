import json

import numpy as np
import pytest

from seqloom.errors import ConfigError
from seqloom.training import heatmaps
from seqloom.training.heatmaps import HeatMap, draw, drawn, heat_maps

FIRST = {"words": ["die", "$Lampe$"], "score": -0.1, "attention": [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]}
TOLD = {"source": ["the", "old", "lamp"], "translations": [FIRST, {"words": [], "score": -9, "attention": []}]}


def test_the_best_translation_and_what_sets_weigh_are_maps():
    (one,) = heat_maps(TOLD)
    assert (one.name, one.across, one.down) == ("attention", ["the", "old", "lamp"], ["die", "$Lampe$"])
    assert one.weights == FIRST["attention"]
    (one,) = heat_maps({**TOLD, "translations": [{**FIRST, "pieces": ["di", "e"]}]})
    assert one.down == ["di", "e"]
    (one,) = heat_maps({"text": ["a"], "weights": {"text": {"glove": [0.25], "chars": [0.75]}}})
    assert one == HeatMap("weights-text", ["a"], ["glove", "chars"], [[0.25], [0.75]])
    assert not list(heat_maps({"source": ["the"], "translations": [{**FIRST, "words": []}]}))


def test_a_file_for_each_row_up_to_the_limit(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    said = []
    monkeypatch.setattr(heatmaps, "notice", said.append)
    lines = [json.dumps(one) + "\n" for one in (TOLD, None, TOLD, TOLD, TOLD)]
    assert list(drawn(lines, tmp_path / "maps", most=3)) == lines
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["1-attention.png", "3-attention.png"]
    assert said == ["heat maps are drawn of the first 3 rows, no more"]


def test_a_weight_is_dark_where_it_stands(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    two = [
        draw(HeatMap("one", ["the", "lamp"], ["die", "Lampe"], weights), tmp_path / f"{row}.png")
        for row, weights in enumerate([[[1, 0], [0, 0]], [[0, 1], [0, 0]]])
    ]
    left, right = (image.imread(path)[..., 0] for path in two)
    rows, columns = np.nonzero(left < right)
    moved = np.nonzero(right < left)
    assert columns.max() < moved[1].min()
    assert set(rows) == set(moved[0])


def test_what_is_not_explained_by_weights_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not explained by weights"):
        list(drawn(['{"text": ["a"], "prediction": "X"}\n'], tmp_path))
