"""`ghostctl secret`: keys go into the keyring without passing the command line, and never come out of it."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from secret_backends import MemoryKeyring

from ghostd.cli.main import ghostctl
from ghostd.errors import GhostdError, SecretError
from ghostd.local.client import Client
from ghostd.local.paths import find_paths
from ghostd.secrets.names import SecretNames
from ghostd.secrets.system_keyring import SystemKeyring

KEY = "sk-a-key-of-the-tests"


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    ring = MemoryKeyring()
    monkeypatch.setattr("ghostd.cli.secret.SystemKeyring", lambda: ring)
    return ring


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    result = CliRunner().invoke(ghostctl, ["secret", *arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def configure(text: str) -> None:
    paths = find_paths()
    paths.create()
    paths.config_file.write_text(text)


def test_a_key_is_stored_from_a_pipe(keyring: MemoryKeyring) -> None:
    result = run("set", "openai", stdin=f"{KEY}\n")
    assert (result.exit_code, keyring.entries) == (0, {"openai": KEY})
    assert result.output == "Stored openai. The configuration refers to it as keyring:openai.\n"


def test_a_reference_is_taken_for_its_name(keyring: MemoryKeyring) -> None:
    assert run("set", "keyring:openai", stdin=KEY).exit_code == 0
    assert keyring.entries == {"openai": KEY}


def test_setting_a_key_again_says_that_it_was_replaced(keyring: MemoryKeyring) -> None:
    run("set", "openai", stdin="sk-the-one-before")
    assert run("set", "openai", stdin=KEY).output.startswith("Replaced openai.")
    assert keyring.entries == {"openai": KEY}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("sk-one\nsk-two\n", "more than one line"),
        ("sk-\0nul", "no HTTP header"),
        (b"sk-\xff", "not UTF-8"),
        ("x" * 100_000, "more than 16384 characters"),
    ],
)
def test_a_value_that_is_no_key_is_refused(keyring: MemoryKeyring, value: str | bytes, problem: str) -> None:
    for command in ("set", "rotate"):
        keyring.entries = {"openai": KEY}
        result = run(command, "openai", stdin=value)
        assert (result.exit_code, problem in result.output, keyring.entries) == (1, True, {"openai": KEY})


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "-a", "a\n", "ключ", "x" * 200, "env:A"])
def test_a_name_that_cannot_be_referred_to_is_refused(keyring: MemoryKeyring, name: str) -> None:
    result = run("set", "--", name, stdin=KEY)
    assert (result.exit_code, "a secret's name consists of" in result.output, keyring.entries) == (1, True, {})


def test_a_value_on_the_command_line_is_refused_and_not_repeated(keyring: MemoryKeyring) -> None:
    for command in ("set", "rotate"):
        result = run(command, "openai", KEY, stdin=KEY)
        assert result.exit_code == 2
        assert "stays in the shell's history" in " ".join(result.output.split())
        assert (KEY in result.output, keyring.entries) == (False, {})


def test_no_command_prints_a_value(keyring: MemoryKeyring) -> None:
    printed = [
        run("set", "openai", stdin="sk-the-one-before").output,
        run("rotate", "openai", stdin=KEY).output,
        run("rotate", "openai", stdin=KEY).output,
        run("list").output,
        run("list", "--json").output,
        run("remove", "openai").output,
        find_paths().data.joinpath("secrets.json").read_text(),
    ]
    assert not any("sk-" in text for text in printed)


def test_rotating_replaces_a_key_that_is_there(keyring: MemoryKeyring) -> None:
    missing = run("rotate", "openai", stdin=KEY)
    assert (missing.exit_code, "there is no secret 'openai' to rotate" in missing.output) == (1, True)
    keyring.entries = {"openai": "sk-the-one-before"}
    assert run("rotate", "openai", stdin=KEY).output == "Replaced openai. Revoke the old key at its provider.\n"
    assert keyring.entries == {"openai": KEY}
    same = run("rotate", "openai", stdin=KEY)
    assert (same.exit_code, "nothing was changed" in same.output) == (1, True)


def test_the_list_tells_what_is_there_and_who_uses_it(keyring: MemoryKeyring) -> None:
    configure(
        '[providers.openai]\nkeys = ["keyring:openai", "keyring:work", "env:OTHER"]\n'
        '[providers.copy]\npreset = "openai"\nkeys = ["keyring:work"]\n[providers.mistral]\n[providers.ollama]\n'
    )
    run("set", "openai", stdin=KEY)
    run("set", "left-over", stdin=KEY)
    run("set", "gone", stdin=KEY)
    keyring.entries["mistral"] = KEY
    del keyring.entries["gone"]
    assert run("list").output == (
        "gone: missing (`ghostctl secret set gone`); not used by the configuration\n"
        "left-over: set; not used by the configuration\n"
        "mistral: set; used by mistral\n"
        "openai: set; used by openai\n"
        "work: missing (`ghostctl secret set work`); used by openai, copy\n"
    )
    assert json.loads(run("list", "--json").output)[4] == {
        "name": "work",
        "state": "missing",
        "used_by": ["openai", "copy"],
    }


def test_a_key_is_removed(keyring: MemoryKeyring) -> None:
    run("set", "openai", stdin=KEY)
    assert run("remove", "openai").output == "Removed openai.\n"
    assert (keyring.entries, run("list").output) == ({}, "")
    again = run("remove", "openai")
    assert (again.exit_code, "there is no secret 'openai'" in again.output) == (1, True)


def test_a_name_whose_key_has_gone_is_dropped(keyring: MemoryKeyring) -> None:
    run("set", "openai", stdin=KEY)
    keyring.entries.clear()
    assert run("remove", "openai").output == "openai was gone from the keyring already.\n"
    assert run("list").output == ""


def test_a_running_daemon_is_told_to_read_the_key_anew(keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(Client, "forget_secret", lambda _, name: told.append(name))
    outputs = [
        run("set", "openai", stdin="sk-the-one-before").output,
        run("rotate", "openai", stdin=KEY).output,
        run("remove", "openai").output,
    ]
    assert all(text.endswith("\nThe running ghostd reads it anew with its next request.\n") for text in outputs)
    assert told == ["openai"] * 3


def test_a_daemon_that_cannot_be_told_is_no_failure_of_the_command(
    keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Client, name: str) -> None:
        raise GhostdError("no such route")

    monkeypatch.setattr(Client, "forget_secret", refuse)
    result = run("set", "openai", stdin=KEY)
    assert (result.exit_code, keyring.entries) == (0, {"openai": KEY})
    assert result.stderr == "ghostctl: the running ghostd may still use the value before: no such route\n"


class _Locked(MemoryKeyring):
    def read(self, name: str) -> str | None:
        raise SecretError("the keyring is locked: unlock it")


def test_a_locked_keyring_is_told_before_the_key_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.cli.secret.SystemKeyring", _Locked)
    for arguments in (["set", "a"], ["rotate", "a"], ["remove", "a"]):
        result = run(*arguments)
        assert (result.exit_code, result.output) == (1, "ghostctl: the keyring is locked: unlock it\n")


def test_the_list_of_names_needs_no_open_keyring(keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    run("set", "a", stdin=KEY)
    run("set", "b", stdin=KEY)
    monkeypatch.setattr("ghostd.cli.secret.SystemKeyring", _Locked)
    result = run("list")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [f"{name}: unknown; not used by the configuration" for name in "ab"]
    assert result.stderr == "ghostctl: the keyring is locked: unlock it\n"


def test_a_keyring_that_does_not_keep_the_value_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.cli.secret.SystemKeyring", lambda: SystemKeyring(["secret_backends.Forgetful"]))
    result = run("set", "openai", stdin=KEY)
    assert (result.exit_code, "did not keep the value" in result.output) == (1, True)
    assert SecretNames(find_paths().data / "secrets.json").read() == ()


def test_without_a_keyring_service_the_command_says_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.cli.secret.SystemKeyring", lambda: SystemKeyring(["secret_backends.Unusable"]))
    result = run("set", "openai", stdin=KEY)
    assert (result.exit_code, "use an env: or command: reference" in result.output) == (1, True)


# --- the file of names ---------------------------------------------------------------------


def test_the_names_lie_in_a_file_that_only_the_user_may_read(keyring: MemoryKeyring) -> None:
    before = os.umask(0)
    try:
        run("set", "openai", stdin=KEY)
    finally:
        os.umask(before)
    file = find_paths().data / "secrets.json"
    assert json.loads(file.read_text()) == {"names": ["openai"]}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_writers_at_the_same_time_lose_no_name(tmp_path: Path) -> None:
    names = SecretNames(tmp_path / "secrets.json")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(names.add, [f"n{number}" for number in range(80)]))
    assert len(names.read()) == 80


def test_a_writer_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    names = SecretNames(tmp_path / "secrets.json")
    names.add("a")
    (tmp_path / "secrets.new").write_text('{"names": [')
    names.add("b")
    assert names.read() == ["a", "b"]


def test_a_damaged_file_of_names_is_told(keyring: MemoryKeyring) -> None:
    find_paths().create()
    (find_paths().data / "secrets.json").write_text("{")
    result = run("list")
    assert (result.exit_code, "secrets.json is damaged; delete it" in result.output) == (1, True)


# --- on a terminal ---------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_key_is_asked_for_without_an_echo(tmp_path: Path) -> None:
    code = """
import sys
from ghostd.cli import secret
from ghostd.cli.main import ghostctl
from secret_backends import MemoryKeyring
ring = MemoryKeyring()
secret.SystemKeyring = lambda: ring
ghostctl.main(["secret", "set", "openai"], standalone_mode=False)
print("kept", len(ring.entries["openai"]))
"""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "GHOSTD_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    os.close(theirs)
    shown = b""
    while b"Key for openai (not shown):" not in shown:
        shown += os.read(ours, 1024)
    os.write(ours, f"{KEY}\n".encode())
    while data := _read(ours):
        shown += data
    os.close(ours)
    assert process.wait(30) == 0, shown
    assert f"kept {len(KEY)}".encode() in shown
    assert KEY.encode() not in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1024)
    except OSError:  # Linux's way to say that the terminal's other side is closed
        return b""


def test_secret_commands_import_nothing_heavy_until_they_ask_the_keyring() -> None:
    code = (
        "import sys, ghostd.cli.secret; print(*{'httptools', 'keyring', 'cryptography', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_every_subcommand_has_a_help() -> None:
    group = ghostctl.get_command(click.Context(ghostctl), "secret")
    assert isinstance(group, click.Group)
    assert sorted(group.commands) == ["list", "remove", "rotate", "set"]
    for name in group.commands:
        assert run(name, "--help").exit_code == 0
