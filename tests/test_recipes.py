from pathlib import Path

import pytest

from seqloom.config import data_paths
from seqloom.experiment import check, open_config

RECIPES = Path(__file__).parent.parent / "recipes"
FILES = sorted(RECIPES.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(RECIPES)))
def test_a_recipe_has_no_mistake_and_names_no_place_of_one_machine(path: Path) -> None:
    table = check(open_config(path))
    read = [one for task in table.tasks.values() for _, one in data_paths(task.reader)]
    assert read
    assert not [one for one in read if Path(one).is_absolute() or one.startswith("~")]
