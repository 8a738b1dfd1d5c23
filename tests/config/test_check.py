from types import SimpleNamespace
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from seqloom.config import (
    Checked,
    Choice,
    Count,
    Part,
    Positive,
    Share,
    Table,
    choice_at,
    parse,
    table_at,
)
from seqloom.errors import ConfigError


class Engine(Table):
    fuel: Literal["steam", "diesel"] = "steam"
    power: Count


class Toy(Part):
    family = "toys"


@pytest.fixture(scope="module", autouse=True)
def toys():
    """Two kinds of toys, filed apart from the real families."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqloom.config.tables._families", {})

        class Train(Toy):
            class Config(Table):
                type: Literal["train"] = "train"
                length: Count
                engine: Engine | None = None
                waggons: list[Annotated[str | Table, Choice("toys", names=("toys",))]] = []

        class Ball(Toy):
            class Config(Table):
                type: Literal["ball"] = "ball"
                bounce: Share = 0.5

                @model_validator(mode="after")
                def _lively(self):
                    if self.bounce == 0:
                        raise ValueError("a ball should bounce")
                    return self

        yield SimpleNamespace(Train=Train, Ball=Ball)


class Root(Checked):
    toys: Annotated[dict[str, Annotated[Table, Choice("toys")]], Field(min_length=1)]
    best: Annotated[str, Choice("toys", names=("toys",), inline=False)] | None = None
    sizes: dict[Count, Positive] = {}
    amount: Annotated[Count | Share | Engine | Literal["all"], Field(union_mode="left_to_right")] = "all"
    lights: bool = False
    speed: Positive | None = None


def faults(text):
    source = parse(text, "f")
    assert Root.check(source) is None
    with pytest.raises(ConfigError) as found:
        source.done()
    return [str(fault) for fault in found.value.faults]


def test_a_right_source_is_the_table():
    found = Root.check(
        parse("toys: {a: {type: train, length: 3, waggons: [b, {type: ball}]}, b: {type: ball}}")
    )
    assert found.toys["a"].length == 3
    assert found.toys["a"].waggons[0] == "b"
    assert found.toys["a"].waggons[1].bounce == 0.5


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("extra: 1", 'extra  no key "extra" (amount, best, lights, sizes, speed, toys)'),
        (
            "light: 1",
            'light  no key "light"; did you mean "lights"? (amount, best, lights, sizes, speed, toys)',
        ),
        ("lights: on", 'lights  should be true or false, found "on"'),
        ("lights: 1", "lights  should be true or false, found 1"),
        ("speed: fast", 'speed  should be a number, found "fast"'),
        ("speed: 0", "speed  should be greater than 0, found 0"),
        ("sizes: [1]", "sizes  should be a table, found [1]"),
        ("sizes: {x: 1}", 'sizes.x  should be a whole number, found "x"'),
        ("sizes: {2: no}", 'sizes.2  should be a number, found "no"'),
        ("amount: 1.5", "amount  should be a whole number, less than 1, a table or 'all', found 1.5"),
        ("amount: al", "amount  should be a whole number, a number, a table or 'all', found \"al\""),
        ("amount: {pover: 1, power: 2}", 'amount.pover  no key "pover"; did you mean "power"? (fuel, power)'),
        ("amount: {fuel: wood, power: 2}", "amount.fuel  should be 'steam' or 'diesel', found \"wood\""),
        ("best: {type: ball}", "best  should be a name from toys, found {'type': 'ball'}"),
        ("best: 3", "best  should be a name from toys, found 3"),
    ],
)
def test_a_mistake_is_told_with_its_place(line, fault):
    assert faults(f"toys: {{b: {{type: ball}}}}\n{line}\n") == [f"f:2  {fault}"]


@pytest.mark.parametrize(
    ("toy", "fault"),
    [
        ("{type: bal}", 'toys.b  no toy "bal"; did you mean "ball"? (ball, train)'),
        ("{bounce: 0.1}", "toys.b  should be a table with a type (ball, train), found {'bounce': 0.1}"),
        ("{type: [ball]}", 'toys.b  no toy "[\'ball\']"; did you mean "ball"? (ball, train)'),
        ("ball", 'toys.b  should be a table with a type (ball, train), found "ball"'),
        ("{type: train}", 'toys.b.length  needs the key "length"'),
        ("{type: ball, bounce: 1}", "toys.b.bounce  should be less than 1, found 1"),
        ("{type: ball, bounce: 0}", "toys.b  a ball should bounce"),
        ("{type: train, length: 1, waggons: x}", 'toys.b.waggons  should be a list, found "x"'),
        (
            "{type: train, length: 1, waggons: [c, 3]}",
            "toys.b.waggons.1  should be a table with a type (ball, train) or a name, found 3",
        ),
        (
            "{type: train, length: 1, waggons: [{type: train, length: 0}]}",
            "toys.b.waggons.0.length  should be greater than or equal to 1, found 0",
        ),
        (
            "{type: train, length: 1, engine: {powr: 1, power: 1}}",
            'toys.b.engine.powr  no key "powr"; did you mean',
        ),
        ("{type: train, length: 1, engine: steam}", 'toys.b.engine  should be a table, found "steam"'),
    ],
)
def test_a_mistake_inside_a_part_is_told_with_its_place(toy, fault):
    (found,) = faults(f"toys:\n  b: {toy}\n")
    assert found.startswith(f"f:2  {fault}")


def test_all_mistakes_are_told_at_once():
    text = "toys:\n  a: {type: ball, bouncy: 1}\n  b: {type: train}\nlights: 3\nbest: [1]\nzpeed: 1\n"
    assert [fault.split("  ")[:2] for fault in faults(text)] == [
        ["f:2", "toys.a.bouncy"],
        ["f:3", "toys.b.length"],
        ["f:4", "lights"],
        ["f:5", "best"],
        ["f:6", "zpeed"],
    ]


def test_what_is_missing_at_the_top_has_the_file_for_its_place():
    assert faults("lights: true") == ['f  toys  needs the key "toys"']
    assert faults("toys: {}") == ["f:1  toys  should have at least one entry, found {}"]


def test_long_values_are_cut():
    (found,) = faults(f"toys: {{b: {{type: ball}}}}\nspeed: {'x' * 99}")
    assert found.endswith(f'found "{"x" * 56}...')


def test_the_table_and_the_choice_of_a_path(toys):
    source = parse("toys: {a: {type: train, engine: {}, waggons: [b, {type: ball}]}}\namount: {}\n")
    assert table_at(Root, source, ()) is Root
    assert table_at(Root, source, ("toys", "a")) is toys.Train.Config
    assert table_at(Root, source, ("toys", "a", "engine")) is Engine
    assert table_at(Root, source, ("toys", "a", "waggons", 1)) is toys.Ball.Config
    assert table_at(Root, source, ("amount",)) is Engine
    assert table_at(Root, source, ("toys",)) is None
    assert table_at(Root, source, ("nothing", "here")) is None
    assert choice_at(Root, source, ("toys", "a", "waggons", 0)) == Choice("toys", names=("toys",))
    assert choice_at(Root, source, ("amount",)) is None
