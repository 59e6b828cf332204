"""What the commands say when something is wrong."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

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
    assert result.exit_code == 2
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
    code = "import sys, ghostd.cli.status, ghostd.cli.main; print(*{'httptools', 'numpy', 'pygls'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "1e30"])
def test_a_time_that_nobody_can_wait_is_refused(wait: str) -> None:
    assert CliRunner().invoke(ghostctl, ["status", f"--wait={wait}"]).exit_code == 2


@pytest.mark.parametrize(
    ("root", "problem"),
    [
        ("loop", "symbolic links"),
        ("~nobody-of-this-name", "no home folder"),
        (b"\xff", "not UTF-8"),
        ("x" * 300, "long"),
    ],
)
def test_a_root_with_an_impossible_path_is_told(tmp_path: Path, root: str | bytes, problem: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    done = _run(tmp_path, "index", "--once", os.fsdecode(root))
    assert (problem in done.stderr, "Traceback" in done.stderr) == (True, False)
    assert done.returncode in (1, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and /proc")
def test_a_full_disk_is_told_without_a_traceback(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = _run(tmp_path, "index", "--once", str(tmp_path), stdout=full)
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and /proc")
def test_closed_standard_streams_are_opened_before_anything_else_takes_their_numbers() -> None:
    code = "import os; from ghostd.cli.main import ghostctl; ghostctl.main(['config', 'path'], standalone_mode=False)"
    code += "; os.write(int(os.environ['TO']), ' '.join(os.readlink(f'/proc/self/fd/{n}') for n in range(3)).encode())"
    reader, writer = os.pipe()
    with os.fdopen(reader, encoding="utf-8") as told:
        subprocess.run(
            ["/bin/sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code],
            pass_fds=(writer,),
            env={**os.environ, "TO": str(writer)},
            check=True,
        )
        os.close(writer)
        assert told.read() == " ".join(["/dev/null"] * 3)


def _run(folder: Path, *arguments: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """`ghostd …` in a process of its own, in this folder, with a home there."""
    return subprocess.run(
        [sys.executable, "-m", "ghostd", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "GHOSTD_HOME": str(folder / "home")},
        check=False,
    )
