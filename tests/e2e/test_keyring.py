"""Keys in a real gnome-keyring: set by `ghostctl secret`, read by other processes, locked, missing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.gnome_keyring import Session, session

KEY = "sk-a-key-in-a-real-keyring"
GHOSTCTL = str(Path(sys.executable).with_name("ghostctl"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.representative,
    pytest.mark.e2e,
    pytest.mark.timeout(300),  # the first call fetches the packages
    pytest.mark.skipif(sys.platform != "linux", reason="gnome-keyring is for Linux"),
]

READ = """
import asyncio, sys
from ghostd.errors import SecretError
from ghostd.secrets.store import Secrets

try:
    print(asyncio.run(Secrets(keyring_timeout_s=float(sys.argv[2])).get(sys.argv[1])))
except SecretError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def desktop() -> Iterator[Session]:
    """A session whose keyring is not started yet."""
    with tempfile.TemporaryDirectory(prefix="ghostd-keyring-") as folder, session(Path(folder)) as found:
        yield found


@pytest.fixture
def unlocked(desktop: Session) -> Session:
    desktop.start_keyring()
    return desktop


def secret(desktop: Session, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return desktop.run(GHOSTCTL, "secret", *arguments, stdin=stdin, **variables)


def read(desktop: Session, reference: str, timeout_s: float = 20, **variables: str) -> str:
    """What a process of its own gets from the store."""
    done = desktop.run(sys.executable, "-c", READ, reference, str(timeout_s), **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.rstrip("\n")


def test_a_key_is_set_read_by_another_process_rotated_and_removed(unlocked: Session) -> None:
    assert secret(unlocked, "set", "openai", stdin=f"{KEY}\n").returncode == 0
    assert read(unlocked, "keyring:openai") == KEY
    assert unlocked.secret_tool("lookup", "service", "ghostd", "username", "openai").stdout == KEY

    assert secret(unlocked, "rotate", "openai", stdin="sk-the-next-one").returncode == 0
    assert read(unlocked, "keyring:openai") == "sk-the-next-one"
    assert secret(unlocked, "list").stdout == "openai: set; not used by the configuration\n"

    assert secret(unlocked, "remove", "openai").returncode == 0
    assert read(unlocked, "keyring:openai").startswith(
        "SecretMissing: keyring:openai: the keyring has no such entry; run `ghostctl secret set openai`"
    )
    assert unlocked.secret_tool("lookup", "service", "ghostd", "username", "openai").stdout == ""


def test_a_key_outlives_the_keyrings_process(unlocked: Session) -> None:
    secret(unlocked, "set", "openai", stdin=KEY)
    unlocked.stop_keyring()
    unlocked.start_keyring()
    assert read(unlocked, "keyring:openai") == KEY


def test_the_value_is_in_no_command_line_and_in_no_file(unlocked: Session) -> None:
    marker = "sk-marker-of-the-test"
    shown = subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()", marker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert shown.stdout is not None and shown.stdout.readline()
    assert _in_command_lines(marker), "the check does not see command lines"
    shown.communicate(b"\n")
    setter = subprocess.Popen(
        [GHOSTCTL, "secret", "set", "openai"],
        env=unlocked.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert setter.stdin is not None
    setter.stdin.write(KEY.encode())
    setter.stdin.close()
    looks = 0
    while setter.poll() is None:
        assert not _in_command_lines(KEY)
        looks += 1
    assert (setter.returncode, looks > 0) == (0, True)
    assert read(unlocked, "keyring:openai") == KEY
    files = [file for file in unlocked.folder.rglob("*") if file.is_file()]
    assert any(file.name == "login.keyring" for file in files)
    assert not [file for file in files if KEY.encode() in file.read_bytes()]


def test_a_locked_keyring_without_a_dialog_says_to_unlock_it(unlocked: Session) -> None:
    secret(unlocked, "set", "openai", stdin=KEY)
    unlocked.lock_keyring()
    assert read(unlocked, "keyring:openai").startswith("SecretError: keyring:openai: the keyring is locked: unlock it")
    done = secret(unlocked, "set", "openai", stdin=KEY)
    assert (done.returncode, done.stderr.startswith("ghostctl: the keyring is locked: unlock it")) == (1, True)


def test_a_locked_keyring_with_a_dialog_that_nobody_answers_is_given_up(unlocked: Session) -> None:
    """The library blocks for ever in that dialog; neither the answer nor the end of the process may wait for it."""
    secret(unlocked, "set", "openai", stdin=KEY)
    unlocked.lock_keyring()
    with unlocked.prompter():
        told = read(unlocked, "keyring:openai", timeout_s=1)
    assert told.startswith("SecretError: keyring:openai: the keyring did not answer within 1 s; it may be locked")


def test_without_a_keyring_nobody_is_asked_to_make_one(desktop: Session) -> None:
    desktop.start_keyring(unlock=False)
    with desktop.prompter():
        assert read(desktop, "keyring:openai").startswith(
            "SecretMissing: keyring:openai: the keyring has no such entry"
        )


def test_without_a_keyring_service_the_alternatives_are_named(desktop: Session) -> None:
    for bus in (desktop.environment["DBUS_SESSION_BUS_ADDRESS"], "unix:path=/nowhere/at/all"):
        told = read(desktop, "keyring:openai", DBUS_SESSION_BUS_ADDRESS=bus)
        assert told.startswith("SecretMissing: keyring:openai: no keyring service runs in this session")
        done = secret(desktop, "set", "openai", stdin=KEY, DBUS_SESSION_BUS_ADDRESS=bus)
        assert (done.returncode, "use an env: or command: reference" in done.stderr) == (1, True)


def test_a_keyring_service_that_dies_is_told_and_used_again_when_it_is_back(unlocked: Session) -> None:
    secret(unlocked, "set", "openai", stdin=KEY)
    reader = subprocess.Popen(
        [sys.executable, "-c", _REPEAT],
        env=unlocked.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None and reader.stdout is not None

    def again() -> str:
        assert reader.stdin is not None and reader.stdout is not None
        reader.stdin.write("\n")
        reader.stdin.flush()
        return reader.stdout.readline().rstrip("\n")

    try:
        assert again() == KEY
        unlocked.stop_keyring()
        assert "keyring:openai: " in again()
        unlocked.start_keyring()
        assert again() == KEY
    finally:
        reader.stdin.close()
        reader.wait(20)
        reader.stdout.close()


_REPEAT = """
import asyncio, sys
from ghostd.errors import SecretError
from ghostd.secrets.store import Secrets

store = Secrets()
for _ in sys.stdin:
    store.forget("keyring:openai")
    try:
        print(asyncio.run(store.get("keyring:openai")), flush=True)
    except SecretError as error:
        print(error, flush=True)
"""


def test_an_installed_plug_in_that_stores_plain_text_is_not_used(desktop: Session, tmp_path: Path) -> None:
    """As keyrings.alt does; it would be the library's first choice wherever no keyring service runs."""
    (tmp_path / "plain_text.py").write_text(_PLAIN_TEXT)
    installed = tmp_path / "plain_text-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: plain-text\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[keyring.backends]\nplain = plain_text\n")
    store = tmp_path / "store"
    variables = {"PYTHONPATH": str(tmp_path), "PLAIN_TEXT": str(store)}

    library = desktop.run(sys.executable, "-m", "keyring", "set", "ghostd", "other", stdin="sk-other\n", **variables)
    assert (library.returncode, store.read_text()) == (0, "sk-other"), library.stderr

    assert "no keyring service runs" in secret(desktop, "set", "openai", stdin=KEY, **variables).stderr
    assert read(desktop, "keyring:other", 20, **variables).startswith("SecretMissing")
    assert store.read_text() == "sk-other"
    for choice in ("plain_text.Plain", "keyring.backends.null.Keyring"):
        told = secret(desktop, "set", "openai", stdin=KEY, PYTHON_KEYRING_BACKEND=choice, **variables).stderr
        assert "no keyring service runs" in told
    assert store.read_text() == "sk-other"


_PLAIN_TEXT = """
import os, pathlib
from keyring.backend import KeyringBackend

class Plain(KeyringBackend):
    priority = 99
    def get_password(self, service, username):
        file = pathlib.Path(os.environ["PLAIN_TEXT"])
        return file.read_text() if file.exists() else None
    def set_password(self, service, username, password):
        pathlib.Path(os.environ["PLAIN_TEXT"]).write_text(password)
    def delete_password(self, service, username):
        pathlib.Path(os.environ["PLAIN_TEXT"]).unlink()
"""


def _in_command_lines(text: str) -> bool:
    """Whether some process of this machine shows the text to everybody."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in file.read_bytes():
                return True
        except OSError:
            continue  # it has ended
    return False
