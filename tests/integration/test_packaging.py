"""The wheel, built as a release would be."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The project's wheel, built without a network."""
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=50)
    (path,) = directory.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Data that the code opens is shipped with it; tests and fixtures are not."""
    packaged = {
        path.relative_to(ROOT).as_posix()
        for package in ("bridge", "twiml")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert packaged == shipped


def test_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    """`voicebridge` is on the path after an install."""
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))

    assert "voicebridge = bridge.cli:main" in wheel.read(name).decode()
