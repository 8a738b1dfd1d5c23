import sys
from pathlib import Path

import pytest

from seqloom.config import data_paths
from seqloom.experiment import check, open_config
from seqloom.model.plan import lay_out
from seqloom.model.task import bind

RECIPES = Path(__file__).parent.parent / "recipes"
FILES = sorted(RECIPES.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RECIPES)))
def test_a_recipe_has_no_mistake_and_names_no_place_of_one_machine(path: Path) -> None:
    table = check(open_config(path))
    read = [one for task in table.tasks.values() for _, one in data_paths(task.reader)]
    assert read
    assert not [one for one in read if Path(one).is_absolute() or one.startswith("~")]


SYSTEMS = sorted(path.parent.name for path in RECIPES.glob("*/experiments.toml"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_experiment_of_a_list_has_a_mistake(system, monkeypatch):
    monkeypatch.syspath_prepend(RECIPES)
    for name in ("run", "curves", "grids"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import run

    listed = run.experiments(system)
    for name in (name for name, row in listed.items() if "gain" not in row):
        table = check(open_config(RECIPES / system / listed[name]["config"], listed[name].get("set", [])))
        task, figure = listed[name]["watch"].split(".")
        assert figure in bind(table, lay_out(table))[task].figures, name
