"""Whether what is declared to be needed is what is installed and tried."""

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_requirements_are_the_package_s_dependencies():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines == [*PROJECT["dependencies"], "-e ."]


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_installed_version_is_within_the_bounds(line):
    requirement = Requirement(line)
    assert requirement.specifier.contains(importlib.metadata.version(requirement.name))
    assert any(part.operator in ("<", "==") for part in requirement.specifier), "no upper bound"
