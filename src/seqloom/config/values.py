"""A configuration from plain values of Python, as from a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqloom.config.source import Source, override, parse, read, write_yaml


def source_of(config: str | Path | Mapping[str, Any], overrides: Mapping[str, Any]) -> Source:
    """A configuration from a file or plain values, with `training__steps=100` read as training.steps."""
    source = parse(write_yaml(_as_written(config))) if isinstance(config, Mapping) else read(config)
    # JSON is YAML, so that None, True and strings stay what they are.
    values = {
        key.replace("__", "."): json.dumps(_as_written(value), ensure_ascii=False)
        for key, value in overrides.items()
    }
    override(source, [f"{key}={value}" for key, value in values.items()])
    return source


def _as_written(value: Any) -> Any:
    """A value as a file would hold it: paths as text, numbers of numpy as Python's."""
    if isinstance(value, Mapping):
        return {key: _as_written(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_written(one) for one in value]
    return value.item() if isinstance(value, np.generic) else str(value) if isinstance(value, Path) else value
