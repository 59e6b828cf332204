"""What the commands say when something is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ghostd.cli.main import ghostctl


def test_commands_need_a_daemon_and_say_how_to_start_one() -> None:
    for arguments in (["status"], ["models"], ["roots"]):
        result = CliRunner().invoke(ghostctl, arguments)
        assert result.exit_code == 1
        assert "ghostd is not running. Start it with `ghostd start`" in result.output


@pytest.mark.parametrize("place", ["file.py", "file.py:0", "file.py:1:0", ":3"])
def test_a_place_that_is_none_is_told(place: str) -> None:
    result = CliRunner().invoke(ghostctl, ["complete", place])
    assert result.exit_code == 1
    assert "is no FILE:LINE[:COLUMN]" in result.output


def test_a_line_beyond_the_files_end_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x\n")
    result = CliRunner().invoke(ghostctl, ["complete", f"{tmp_path}/a.py:9"])
    assert "there is no line 9" in result.output


def test_a_configuration_is_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[http]\nport = 1\n")
    bad.write_text("[http]\nports = 1\n")
    assert CliRunner().invoke(ghostctl, ["config", "check", str(good)]).output == f"{good}: no mistakes\n"
    result = CliRunner().invoke(ghostctl, ["config", "check", str(bad)])
    assert (result.exit_code, f"{bad}:2: unknown setting" in result.output) == (2, True)


def test_status_imports_nothing_heavy() -> None:
    code = "import sys, ghostd.cli.status, ghostd.cli.main; print(*{'aiohttp', 'numpy', 'pygls'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
