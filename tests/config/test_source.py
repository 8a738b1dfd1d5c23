import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.config import Source, override, parse, read, unknown, write_yaml
from seqloom.errors import ConfigError, DataError, Fault


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("1e-3", 0.001),
        ("12:30", "12:30"),
        ("010", 10),
        ("0o10", 8),
        ("+1", 1),
        (".5", 0.5),
        ("~", None),
        ("'1'", "1"),
        ("&anchor false", False),
    ],
)
def test_scalars_are_those_of_yaml_1_2_and_plain(written, value):
    found = parse(f"key: {written}").values["key"]
    assert found == value
    assert type(found) is type(value)


def test_a_mistake_that_is_found_later_is_told_with_its_line():
    source = parse("a: 1\nb:\n  c: 2\n", "file.yaml")
    with pytest.raises(ConfigError) as found, source.placing():
        raise ConfigError([Fault("", "b.c", "wrong"), Fault("other:1", "b", "bad"), Fault("", "", "none")])
    assert str(found.value) == "file.yaml:3  b.c  wrong\nother:1  b  bad\nnone"


def test_every_value_knows_its_line():
    source = parse("a: 1\nb:\n  - x\n  - c: 2\n    d: 3\n", "file.yaml")
    assert source.values == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert source.where(("b", 1, "d")) == "file.yaml:5"
    assert source.where(("b", 1, "missing", "below")) == "file.yaml:4"
    assert source.where(("nothing",)) == "file.yaml"


def test_merged_and_repeated_tables_are_plain_copies():
    source = parse("base: &base {x: 1, y: 2}\none:\n  <<: *base\n  y: 3\ntwo: *base\n")
    assert source.values["one"] == {"x": 1, "y": 3}
    assert source.values["two"] == {"x": 1, "y": 2}
    assert source.where(("one", "x")) == "config:2"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "a: 1\nb: {c: 2, c: 3}\n",
            ("file.yaml:2", 'a key stands twice in one table: found duplicate key "c"'),
        ),
        ("a: 1\nb: 2\na: 3\n", ("file.yaml:3", 'found duplicate key "a"')),
        ("a: [1, 2\nb: 3\n", ("file.yaml:2", "not YAML")),
        ("a:\tb\n", ("file.yaml:1", "not YAML")),
        ("a: 1\n---\nb: 2\n", ("file.yaml:2", "not YAML: but found another document")),
        ("", ("file.yaml", "should hold a table of keys, such as `version: 1`")),
        ("- 1\n", ("file.yaml", "should hold a table of keys")),
        ("a: 2020-13-45\n", ("file.yaml", "a value cannot be read: month must be in 1..12")),
        ("a: !!int abc\n", ("file.yaml", "a value cannot be read: invalid literal")),
        ("a: " + "[" * 1500 + "]" * 1500, ("file.yaml", "a value cannot be read: maximum recursion")),
    ],
)
def test_what_is_no_table_of_yaml_is_refused_with_its_line(text, fault):
    with pytest.raises(ConfigError) as found:
        parse(text, "file.yaml")
    (one,) = found.value.faults
    assert one.where == fault[0]
    assert fault[1] in one.what


def test_a_file_is_read_as_its_text(tmp_path):
    file = tmp_path / "one.yaml"
    file.write_bytes("\ufeffa: ü\r\nb: 2\r\n".encode())
    source = read(file)
    assert source.values == {"a": "ü", "b": 2}
    assert source.where(("b",)) == f"{file}:2"
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "missing.yaml")


def test_settings_replace_and_add_values():
    source = parse("a: {b: 1}\nlist: [1, {x: 2}]\n")
    override(source, ["a.b=1e-3", "a.c=[1, two]", "new.key=no", "list.1.x=true", "list.0=x=y", "a.d="])
    assert source.faults == []
    assert source.values == {
        "a": {"b": 0.001, "c": [1, "two"], "d": None},
        "list": ["x=y", {"x": True}],
        "new": {"key": "no"},
    }


def test_a_table_that_is_set_to_null_is_left_out():
    source = parse("tasks: {de: {reader: {}}, fr: {reader: {}}}\nlist: [{x: 1}]\nother: 3\n")
    override(source, ["tasks.de=null", "other=null", "list.0=null"])
    assert source.values == {"tasks": {"fr": {"reader": {}}}, "other": None, "list": [None]}


@pytest.mark.parametrize(
    ("setting", "where", "what"),
    [
        ("nonsense", "--set nonsense", "should read key.path=value"),
        ("a..b=1", "--set a..b=1", "should read key.path=value"),
        ("=1", "--set =1", "should read key.path=value"),
        ("a=[1", "--set a=[1", "cannot be set: expected ',' or ']', but got '<stream end>'"),
        ("a=2020-13-45", "--set a=2020-13-45", "cannot be set: month must be in 1..12"),
        ("list.7=1", "--set list.7=1", "cannot be set: list assignment index out of range"),
        ("list.7.x=1", "--set list.7.x", "nothing to set in list"),
    ],
)
def test_a_setting_that_cannot_be_is_a_fault(setting, where, what):
    source = parse("a: 1\nlist: [1]\n")
    override(source, [setting])
    assert source.faults == [Fault(where, "", what)]


def test_faults_come_once_each_in_the_order_of_the_file():
    source = parse("a: 1\nb: 2\n", "f")
    for path in ("b", "a", "b"):
        source.fault((path,), "is wrong")
    with pytest.raises(ConfigError) as found:
        source.done()
    assert str(found.value) == "f:1  a  is wrong\nf:2  b  is wrong"


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("ab:#'\"- \n0é", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1-é", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1), PLAIN, min_size=1))
def test_what_is_written_is_read_again(values):
    assert parse(write_yaml(values)).values == values


def test_an_unknown_word_is_told_with_the_nearest_and_all_valid_ones():
    assert unknown("head", "tga", ["tag", "classify"]) == 'no head "tga"; did you mean "tag"? (classify, tag)'
    assert unknown("head", "x", ["tag"]) == 'no head "x" (tag)'
    assert unknown("head", "x", []) == 'no head "x" (there is none)'


def test_a_source_is_done_while_it_has_no_faults():
    source = Source({"a": 1})
    source.done()
    source.fault(["a"], "is wrong")
    with pytest.raises(ConfigError, match="a  is wrong"):
        source.done()
