"""The requirement files: complete, pinned, and naming no registry and no machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from itertools import chain, pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("runtime", "demo", "serve", "dev")
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?: ; (?P<marker>.+))? \\$")


def lines_of(name: str) -> list[str]:
    """The lines of a requirement file."""
    return (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def pins_of(name: str) -> set[tuple[str, str]]:
    """The pins of a requirement file as name and version; a name may have one version for each Python."""
    return {(match["name"], match["version"]) for line in lines_of(name) if (match := PIN.match(line))}


def needs_of(name: str) -> list[Requirement]:
    """What `pyproject.toml` asks for that a requirement file must pin."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras: dict[str, list[str]] = pyproject["project"]["optional-dependencies"]
    groups: dict[str, list[object]] = pyproject["dependency-groups"]
    editable, dev = ([need for need in groups[name] if isinstance(need, str)] for name in ("editable", "dev"))
    wanted: dict[str, list[str]] = {
        "runtime": [],
        "demo": [*extras["embedded"], *editable],
        "serve": [*chain.from_iterable(extras[name] for name in ("fast", "otel", "postgres", "redis"))],
        "dev": [*chain.from_iterable(extras.values()), *editable, *dev],
    }
    return [Requirement(need) for need in [*pyproject["project"]["dependencies"], *wanted[name]]]


@pytest.mark.parametrize("name", NAMES)
def test_requirement_file_names_no_registry_and_no_path(name: str) -> None:
    """What is installed does not depend on where it was compiled, nor tell it."""
    telling = re.compile(r"://|--(extra-)?index|--find-links|(^|[ =])/|@ ")

    assert [] == [line for line in lines_of(name) if telling.search(line)]


@pytest.mark.parametrize("name", NAMES)
def test_requirement_file_pins_by_hash_and_takes_wheels_only(name: str) -> None:
    """An install runs no build script of anybody, and takes only files that were seen when compiling."""
    lines = [line for line in lines_of(name) if line and not line.lstrip().startswith("#")]
    heads = [line for line in lines if not line.startswith("    --hash=sha256:")]

    assert "--only-binary :all:" == heads[0]
    assert [] == [line for line in heads[1:] if not PIN.match(line)]
    assert all(after.startswith("    --hash=") for line, after in pairwise(lines) if PIN.match(line))


@pytest.mark.parametrize("name", NAMES)
def test_requirement_file_pins_all_that_the_project_asks_for(name: str) -> None:
    """After a change of `pyproject.toml` somebody has to say `make lock`."""
    pins = pins_of(name)
    unmet = [
        str(need)
        for need in needs_of(name)
        if not any(pin == canonicalize_name(need.name) and need.specifier.contains(version) for pin, version in pins)
    ]

    assert [] == unmet


def test_requirement_files_agree_on_versions() -> None:
    """The demo runs on what the tests ran on, and the server on what the demo ran on."""
    assert pins_of("runtime") < pins_of("demo") < pins_of("dev")
    assert pins_of("runtime") < pins_of("serve") < pins_of("dev")


@pytest.mark.parametrize("target", ["demo", "test"])
def test_what_make_sets_up_has_the_command(target: str, tmp_path: Path) -> None:
    """Whoever has made the demo finds `voicebridge` where the README says."""
    command = ["make", "--dry-run", target, f"VENV={tmp_path}"]
    recipe = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert f"{tmp_path}/bin/python -m pip" in recipe
    assert "--no-deps --editable ." in recipe
