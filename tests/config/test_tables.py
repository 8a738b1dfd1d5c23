from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
from pydantic import ValidationError

from seqloom.config import (
    Choice,
    Count,
    FilePath,
    Natural,
    Part,
    Share,
    Table,
    choice,
    data_paths,
    definitions,
    families,
    field_choice,
    kinds,
    part,
    singular,
)


class Numbers(Table):
    share: Share = 0.0
    natural: Natural = 0
    count: Count = 1


class Files(Table):
    one: FilePath | None = None
    many: list[FilePath] = []
    other: str = "not a file"


Inner = Annotated[str | Table, Choice("toys", names=("toys", "dolls"))]


class Holder(Table):
    """What may hold definitions in every way that a table can."""

    plain: Inner | None = None
    several: list[Inner] = []
    named: dict[str, Inner] = {}
    other: Any = None


@pytest.fixture
def shelf(monkeypatch):
    """An empty register of parts."""
    monkeypatch.setattr("seqloom.config.tables._families", {})

    class Toy(Part):
        family = "toys"

    return SimpleNamespace(Toy=Toy)


def toy(shelf, kind, name):
    table = type("Config", (Table,), {"__annotations__": {"type": Literal[kind]}, "type": kind})
    return type(name, (shelf.Toy,), {"Config": table})


def test_a_class_with_a_kind_is_filed(shelf):
    assert families() == []
    ball = toy(shelf, "ball", "Ball")
    train = toy(shelf, "train", "Train")
    assert families() == ["toys"]
    assert kinds("toys") == {"ball": ball, "train": train}
    assert list(kinds("toys")) == ["ball", "train"]
    assert part("toys", "train") is train
    assert train.kind == "train"
    assert kinds("dolls") == {}


def test_a_class_between_is_not_filed(shelf):
    class Wheeled(shelf.Toy):
        class Config(Table):
            wheels: Count

    assert Wheeled.Config(wheels=4).wheels == 4
    assert kinds("toys") == {}


def test_a_kind_has_one_class(shelf):
    toy(shelf, "ball", "Ball")
    again = toy(shelf, "ball", "Ball")
    assert kinds("toys")["ball"] is again
    with pytest.raises(TypeError, match='toys has two kinds "ball"'):
        toy(shelf, "ball", "Globe")


@pytest.mark.parametrize(
    "values",
    [
        {"share": 1.0},
        {"share": -0.1},
        {"natural": -1},
        {"count": 0},
        {"count": 1.0},
        {"count": "1"},
        {"else": 1},
    ],
)
def test_tables_refuse_what_they_do_not_name_and_convert_nothing(values):
    with pytest.raises(ValidationError):
        Numbers(**values)


def test_tables_are_frozen():
    table = Numbers(share=0.5)
    with pytest.raises(ValidationError):
        table.share = 0.1


def test_the_word_for_one_of_a_family():
    assert [singular(one) for one in ("heads", "vectors", "embedders")] == ["head", "vectors", "embedder"]


def test_a_choice_is_found_inside_any_annotation():
    wanted = Choice("toys", names=("toys", "dolls"))
    assert [field_choice(Holder, key) for key in Holder.model_fields] == [wanted, wanted, wanted, None]
    assert choice(int) is None
    assert choice(list[Inner]) == wanted


def test_definitions_are_found_with_their_paths():
    values = {
        "plain": {"type": "ball"},
        "several": ["a", {"type": "ball"}],
        "named": {"x": "b", "y": {"type": "ball"}},
        "other": "c",
        "unknown": "d",
    }
    found = [(value, path) for _, value, path in definitions(Holder, values, ("here",))]
    assert found == [
        ({"type": "ball"}, ("here", "plain")),
        ("a", ("here", "several", 0)),
        ({"type": "ball"}, ("here", "several", 1)),
        ("b", ("here", "named", "x")),
        ({"type": "ball"}, ("here", "named", "y")),
    ]
    assert list(definitions(Holder, "no table", ())) == []


def test_the_files_a_table_names():
    assert list(data_paths(Files())) == []
    assert list(data_paths(Files(one="a", many=["b", "c"]))) == [("one", "a"), ("many", "b"), ("many", "c")]
