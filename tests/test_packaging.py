"""Whether what is declared to be needed is what is installed and tried."""

import importlib.metadata
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cifar_keras import data

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]


def test_requirements_are_the_package_s_dependencies():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines == [*PROJECT["dependencies"], "-e ."]


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_installed_version_is_within_the_bounds(line):
    requirement = Requirement(line)
    assert requirement.specifier.contains(importlib.metadata.version(requirement.name))
    assert any(part.operator in ("<", "==") for part in requirement.specifier), "no upper bound"


@pytest.mark.parametrize("name", ["README.md", *data.SAMPLE_HASHES])
def test_the_sample_is_installed_with_the_package(name):
    path = data.SAMPLE_FOLDER / name
    inside = path.relative_to(ROOT / "cifar_keras").as_posix()
    assert path.is_file()
    assert any(fnmatch(inside, p) for p in SETUPTOOLS["package-data"]["cifar_keras"])


def test_every_folder_with_code_is_installed():
    folders = {path.parent for path in (ROOT / "cifar_keras").rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert names == set(SETUPTOOLS["packages"])
