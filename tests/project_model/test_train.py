"""The process that learns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ghostd.project_model.learner import run_training
from ghostd.project_model.train import Done, Job, read_file


def job(folder: Path) -> Job:
    root = folder / "project"
    root.mkdir()
    (root / "a.py").write_text("def first():\n    return 1\n")
    return Job(str(root), str(folder / "a.segment"), (("a.py", "1"),), 1000, 1000)


async def test_nothing_of_a_project_that_is_the_working_directory_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = job(tmp_path)
    evil = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    for name in ("ghostd.py", "msgspec.py", "threading.py"):
        (Path(wanted.root) / name).write_text(evil)
    monkeypatch.chdir(wanted.root)
    assert (await run_training(wanted)).files == 1
    assert not (tmp_path / "ran").exists()


async def test_a_folder_in_the_place_of_a_file_counts_as_empty(tmp_path: Path) -> None:
    wanted = job(tmp_path)
    (Path(wanted.root) / "a.py").unlink()
    (Path(wanted.root) / "a.py").mkdir()
    assert (await run_training(wanted)).files == 1


def test_a_process_that_has_learned_ends_by_itself_and_without_a_fault(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "ghostd.project_model.train"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(msgspec.json.encode(job(tmp_path)) + b"\n")
        process.stdin.flush()
        done = msgspec.json.decode(process.stdout.read(), type=Done)
        assert (done.files, process.stderr.read(), process.wait(60)) == (1, b"", 0)


def test_a_folder_that_was_a_link_just_then_leads_out_of_no_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "pkg", outside):
        folder.mkdir(parents=True)
    (root / "pkg" / "a.py").write_text("inside = 1\n")
    (outside / "a.py").write_text("outside = 1\n")
    usual_open = os.open

    def open_amid_a_swap(path: str, flags: int) -> int:
        (root / "pkg").rename(root / "aside")
        (root / "pkg").symlink_to(outside)
        descriptor = usual_open(path, flags)
        (root / "pkg").unlink()
        (root / "aside").rename(root / "pkg")
        return descriptor

    assert read_file(str(root), "pkg/a.py", 100) == b"inside = 1\n"
    monkeypatch.setattr(os, "open", open_amid_a_swap)
    assert read_file(str(root), "pkg/a.py", 100) is None
