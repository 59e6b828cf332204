"""The secret store: where keys are read from, and what it says when they cannot be."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import secret_backends
from e2e.daemons import wait_until_gone
from keyring.errors import InitError
from secret_backends import Asking, Broken, MemoryKeyring, Odd

from ghostd.config.log import LogConfig
from ghostd.errors import SecretError, SecretMissing
from ghostd.redaction import redact, remember
from ghostd.secrets import command, patience
from ghostd.secrets.command import MAX_OUTPUT_BYTES
from ghostd.secrets.store import Secrets
from ghostd.secrets.system_keyring import SystemKeyring
from ghostd.telemetry import set_up_logging
from ghostd.testing.memory_secrets import MemorySecrets
from ghostd.testing.secret_contract import SecretContract, Subject

VALUE = "the-first-value-of-all"


class TestMemory(SecretContract):
    @pytest.fixture
    def subject(self) -> Subject:
        store = MemorySecrets({"keyring:a": VALUE})
        return Subject(store, "keyring:a", VALUE, "keyring:b", lambda new: store.values.update({"keyring:a": new}))


class TestKeyring(SecretContract):
    @pytest.fixture
    def subject(self) -> Subject:
        keyring = MemoryKeyring()
        keyring.entries["a"] = VALUE
        return Subject(Secrets(keyring=keyring), "keyring:a", VALUE, "keyring:b", lambda new: keyring.write("a", new))


class TestLibrary(SecretContract):
    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        keyring = SystemKeyring(["secret_backends.Working"])
        keyring.write("a", VALUE)
        yield Subject(Secrets(keyring=keyring), "keyring:a", VALUE, "keyring:b", lambda new: keyring.write("a", new))
        keyring.remove("a")


class TestEnvironment(SecretContract):
    @pytest.fixture
    def subject(self) -> Subject:
        environ = {"A_KEY": VALUE}
        return Subject(Secrets(environ=environ), "env:A_KEY", VALUE, "env:B", lambda new: environ.update(A_KEY=new))


class TestCommand(SecretContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Subject:
        file = tmp_path / "with a blank"
        file.write_text(f"{VALUE}\nurl: https://example.org\n")
        return Subject(
            Secrets(),
            f"command:cat {shlex.quote(str(file))}",
            VALUE,
            "command:no-such-program-anywhere --key",
            file.write_text,
        )


# --- the environment and references ----------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "two\nlines", "tab\tinside", "nul\0inside", "na\u00efve", "x" * 20_000, "esc\x1b"]
)
async def test_a_value_that_is_no_key_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(SecretError) as raised:
        await Secrets(environ={"K": value}).get("env:K")
    assert str(raised.value).startswith("env:K: ")
    assert not value or value not in str(raised.value)


async def test_blanks_around_a_value_are_left_out() -> None:
    assert await Secrets(environ={"K": "  sk-1234\r\n"}).get("env:K") == "sk-1234"


# --- commands ----------------------------------------------------------------------------


def script(folder: Path, text: str) -> str:
    """A reference to a Python program."""
    file = folder / "program.py"
    file.write_text(text)
    return f"command:{sys.executable} {shlex.quote(str(file))}"


async def failure(reference: str, timeout_s: float = 20.0) -> str:
    with pytest.raises(SecretError) as raised:
        await Secrets(command_timeout_s=timeout_s).get(reference)
    return str(raised.value)


async def test_a_command_has_the_users_environment_and_no_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OP_SESSION", "session-of-the-user")
    reference = script(tmp_path, "import os, sys; print(os.environ['OP_SESSION'], *sys.argv[1:], sep='|')")
    value = await Secrets().get(f"{reference} '$OP_SESSION' ; | 'a b'")
    assert value == "session-of-the-user|$OP_SESSION|;|||a b"


async def test_a_failing_command_tells_its_status_and_the_beginning_of_its_errors(tmp_path: Path) -> None:
    text = "import sys; sys.stderr.write('not signed in\\n' + 'x' * 5000); sys.exit(3)"
    told = await failure(script(tmp_path, text))
    assert "it failed with exit status 3: not signed in xxx" in told
    assert len(told) < 400


async def test_a_failing_commands_errors_do_not_give_the_secret_away(tmp_path: Path) -> None:
    text = "import sys; print('sk-printed-first'); sys.stderr.write('cannot cache sk-printed-first'); sys.exit(1)"
    assert "cannot cache [redacted]" in await failure(script(tmp_path, text))


async def test_a_commands_error_output_is_not_told_when_it_succeeds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = script(tmp_path, "import sys; print('sk-good-value'); sys.stderr.write('deprecated option')")
    with caplog.at_level(logging.DEBUG):
        assert await Secrets().get(reference) == "sk-good-value"
    assert "deprecated" not in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the value is empty"),
        ("print(); print('second line')", "the value is empty"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "not UTF-8"),
        ("print('a\\0b')", "no HTTP header can hold"),
        ("while True: print('x' * 1000)", "it prints too much"),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "it prints too much"),
        ("import os; os.kill(os.getpid(), 9)", "it was ended by SIGKILL"),
        ("import os; os.close(1); os.close(2)", "the value is empty"),
    ],
)
async def test_what_a_command_does_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in await failure(script(tmp_path, text))


async def test_output_up_to_the_limit_is_read_and_only_its_first_line_counts(tmp_path: Path) -> None:
    text = f"print('sk-first-line'); print('x' * {MAX_OUTPUT_BYTES - 20})"
    assert await Secrets().get(script(tmp_path, text)) == "sk-first-line"


@pytest.mark.parametrize("closes", ["", "os.close(1); os.close(2)"])
async def test_a_command_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closes: str
) -> None:
    told = tmp_path / "pids"
    os.mkfifo(told)
    text = f"""
import os, signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"])
{closes}
with open({str(told)!r}, "w") as out:
    out.write(f"{{os.getpid()}} {{child.pid}}")
child.wait()
"""
    late_s = 0.0
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late_s))
    failed = asyncio.create_task(failure(script(tmp_path, text)))
    pids = [int(word) for word in (await asyncio.to_thread(told.read_text)).split()]
    late_s = 21.0
    assert "it did not end within 20 s" in await failed
    for pid in pids:
        await asyncio.to_thread(wait_until_gone, pid)


async def test_a_child_that_keeps_the_pipe_open_does_not_delay_the_value(tmp_path: Path) -> None:
    child = tmp_path / "pid"
    text = f"""
import subprocess
print("sk-from-the-parent", flush=True)
open({str(child)!r}, "w").write(str(subprocess.Popen(["sleep", "1000"]).pid))
"""
    assert await Secrets(command_timeout_s=500).get(script(tmp_path, text)) == "sk-from-the-parent"
    os.kill(int(child.read_text()), 9)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("command:'unclosed", "cannot be read: No closing quotation"),
        ("command:   ", "must be followed by a program"),
        ("command:''", "must be followed by a program"),
        ("command:a\0b", "must be text"),
        ("command:" + "x" * 5000, "must be text"),
        ("command:/dev/null", "cannot be started: Permission denied"),
        ("command:TOKEN=sk-not-for-the-log tool", "command:TOKEN: there is no such program"),
    ],
)
async def test_a_command_that_cannot_be_started_is_told(reference: str, told: str) -> None:
    message = await failure(reference)
    assert told in message
    assert "sk-not-for-the-log" not in message


async def test_one_run_of_a_command_serves_all_who_wait(tmp_path: Path) -> None:
    log = tmp_path / "runs"
    reference = script(tmp_path, f"open({str(log)!r}, 'a').write('run\\n'); print('sk-once-for-all')")
    store = Secrets()
    assert set(await asyncio.gather(*(store.get(reference) for _ in range(100)))) == {"sk-once-for-all"}
    assert log.read_text() == "run\n"


# --- the keyring ---------------------------------------------------------------------------


def keyring(*backends: str, timeout_s: float = 20.0) -> Secrets:
    return Secrets(keyring=SystemKeyring([f"secret_backends.{name}" for name in backends]), keyring_timeout_s=timeout_s)


async def test_a_locked_keyring_says_to_unlock_it() -> None:
    with pytest.raises(SecretError, match=r"^keyring:openai: the keyring is locked: unlock it"):
        await keyring("Locked").get("keyring:openai")


async def test_an_entry_that_is_missing_names_the_command_that_sets_it() -> None:
    with pytest.raises(SecretMissing, match=r"run `ghostctl secret set openai`"):
        await keyring("Working").get("keyring:openai")


async def test_without_a_keyring_service_the_alternatives_are_named() -> None:
    with pytest.raises(SecretMissing) as raised:
        await keyring("Unusable").get("keyring:openai")
    assert "keyring:openai: no keyring service runs" in str(raised.value)
    assert "use an env: or command: reference" in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_the_first_backend_that_works_is_used() -> None:
    with pytest.raises(SecretError, match="locked"):
        await keyring("Unusable", "NoSuchClass", "Locked", "Working").get("keyring:openai")


async def test_a_keyring_that_waits_for_a_dialog_is_not_waited_for_and_counts_once_it_is_answered() -> None:
    Asking.answered.clear()
    Asking.asked = 0
    store = keyring("Asking", timeout_s=0.2)
    for _ in range(3):
        with pytest.raises(SecretError, match=r"did not answer within 0\.2 s; it may be locked"):
            await store.get("keyring:openai")
    Asking.answered.set()
    async with asyncio.timeout(20):
        while True:
            try:
                assert await store.get("keyring:openai") == "value-after-the-dialog"
            except SecretError:
                continue
            break
    assert Asking.asked == 1


async def test_a_keyring_that_never_answers_binds_a_bounded_number_of_threads() -> None:
    Asking.answered.clear()
    store = keyring("Asking", timeout_s=0.05)
    try:
        for number in range(40):
            with pytest.raises(SecretError, match="did not answer"):
                await store.get(f"keyring:k{number}")
        assert sum(thread.name == "keyring" for thread in threading.enumerate()) <= 16
    finally:
        Asking.answered.set()


def test_a_keyring_that_never_answers_does_not_keep_the_process_from_ending() -> None:
    code = """
import asyncio
from ghostd.errors import SecretError
from ghostd.secrets.store import Secrets
from ghostd.secrets.system_keyring import SystemKeyring
store = Secrets(keyring=SystemKeyring(["secret_backends.Asking"]), keyring_timeout_s=0.1)
try:
    asyncio.run(store.get("keyring:a"))
except SecretError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert "did not answer" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "error",
    [
        lambda: InitError("Failed to create the collection: \n dismissed"),
        lambda: SystemExit(3),
        KeyboardInterrupt,
        MemoryError,
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        lambda: ConnectionResetError(104, "Connection reset by peer"),
    ],
)
async def test_whatever_a_backend_raises_is_a_secret_error(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    monkeypatch.setattr(Broken, "error", staticmethod(error))
    with pytest.raises(SecretError, match=r"^keyring:a: the keyring does not work") as raised:
        await keyring("Broken").get("keyring:a")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "x" * 10**6, b"bytes", 7])
async def test_whatever_a_backend_returns_is_checked(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    monkeypatch.setattr(Odd, "value", value)
    with pytest.raises(SecretError) as raised:
        await keyring("Odd").get("keyring:a")
    assert len(str(raised.value)) < 300


async def test_the_librarys_own_choice_is_never_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PYTHON_KEYRING_BACKEND, keyringrc.cfg and installed plug-ins may name a plaintext store."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "secret_backends.Working")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    (tmp_path / "python_keyring").mkdir()
    (tmp_path / "python_keyring/keyringrc.cfg").write_text("[backend]\ndefault-keyring=secret_backends.Working\n")
    secret_backends.Working.entries["ghostd", "a"] = "value-in-plain-text"
    try:
        with pytest.raises(SecretMissing, match="no keyring service runs"):
            await Secrets().get("keyring:a")
    finally:
        del secret_backends.Working.entries["ghostd", "a"]


def test_the_library_is_not_imported_until_a_keyring_reference_is_read() -> None:
    code = """
import asyncio, sys
from ghostd.secrets.store import Secrets
store = Secrets(environ={"K": "value-of-k"})
asyncio.run(store.get("env:K"))
print(*{"keyring", "secretstorage", "jeepney", "cryptography", "subprocess.run"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


async def test_a_thousand_references_are_read_and_kept() -> None:
    entries = MemoryKeyring()
    entries.entries = {f"k{number}": f"value-number-{number}" for number in range(1000)}
    store = Secrets(keyring=entries)
    for number in range(1000):
        assert await store.get(f"keyring:k{number}") == f"value-number-{number}"
    assert "value-number" not in redact("value-number-0, value-number-999 and value-number-17")


async def test_hundreds_of_keys_can_be_read_at_the_same_time() -> None:
    entries = MemoryKeyring()
    entries.entries = {f"k{number}": f"value-number-{number}" for number in range(400)}
    store = Secrets(keyring=entries)
    found = await asyncio.gather(*(store.get(f"keyring:k{number}") for number in range(400)))
    assert found == [f"value-number-{number}" for number in range(400)]
    printed = await asyncio.gather(*(store.get(f"command:echo value-number-{number}") for number in range(60)))
    assert printed == [f"value-number-{number}" for number in range(60)]


async def test_a_call_that_is_stuck_for_minutes_no_longer_keeps_others_from_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late_s = 0.0
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late_s))
    calls, release = patience.PatientCalls("test", at_once=1), threading.Event()
    stuck, waiting = calls.start(release.wait), calls.start(lambda: "came after")
    late_s = 121.0
    assert calls.start(lambda: "third").result(20) == "third"
    assert waiting.result(20) == "came after"
    assert not stuck.done()
    release.set()
    assert stuck.result(20)
    assert calls.start(lambda: "again").result(20) == "again"


async def test_calls_that_all_stay_stuck_are_refused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    late_s = 0.0
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: late_s))
    calls, release = patience.PatientCalls("test", at_once=1), threading.Event()
    stuck = []
    with pytest.raises(patience.TooManyUnfinished):
        for _ in range(100):
            stuck.append(calls.start(release.wait))
            late_s += 121.0
    assert len(stuck) == 16
    release.set()
    for call in stuck:
        assert await asyncio.to_thread(call.result, 20)
    assert calls.start(lambda: "again").result(20) == "again"


async def test_a_machine_without_a_thread_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    store = Secrets(keyring=MemoryKeyring())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(SecretError, match="did not answer"):
            await store.get("keyring:a")
    with pytest.raises(SecretMissing):
        await store.get("keyring:a")


async def test_a_value_that_was_forgotten_while_it_was_read_is_read_again() -> None:
    Asking.answered.clear()
    Asking.asked = 0
    store = keyring("Asking")
    first = asyncio.create_task(store.get("keyring:a"))
    while not Asking.asked:
        await asyncio.sleep(0)
    store.forget("keyring:a")
    Asking.answered.set()
    await first
    await store.get("keyring:a")
    assert Asking.asked == 2


# --- what must not be written down ------------------------------------------------------------


@pytest.mark.parametrize("layout", ["text", "json"])
def test_the_log_holds_no_secret_in_messages_arguments_or_exceptions(layout: str) -> None:
    secrets = ('sk-"quoted"/and+signs', "sk-plain-value")
    for secret in secrets:
        remember(secret)
    stream = io.StringIO()
    before, hook = logging.getLogger().handlers[:], sys.excepthook
    try:
        set_up_logging(LogConfig(format="json" if layout == "json" else "text"), stream)
        log = logging.getLogger("ghostd.test")
        try:
            raise ValueError(f"cannot send {secrets[0]}", secrets[1])
        except ValueError:
            log.exception("failed with %s at https://host/?key=sk-%%22quoted%%22%%2Fand%%2Bsigns", secrets[1])
    finally:
        logging.getLogger().handlers[:], sys.excepthook = before, hook
    text = stream.getvalue()
    assert not any(part in text for part in ("quoted", "plain-value"))
    assert text.count("[redacted]") >= 4
    if layout == "json":
        assert json.loads(text)["message"].startswith("failed with [redacted] at")


def test_what_a_crash_prints_holds_no_secret() -> None:
    code = """
import threading
from ghostd.config.log import LogConfig
from ghostd.redaction import remember
from ghostd.telemetry import set_up_logging

set_up_logging(LogConfig())
remember("sk-value-in-a-crash")

def crash():
    raise RuntimeError("cannot send sk-value-in-a-crash")

thread = threading.Thread(target=crash, name="sender")
thread.start()
thread.join()
crash()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "sk-value" not in done.stdout + done.stderr
    assert done.stderr.count("RuntimeError: cannot send [redacted]") == 2
    assert "the thread 'sender' has crashed" in done.stderr
    assert "ghostd has crashed" in done.stderr


def test_short_values_are_left_in_the_log() -> None:
    """Local servers are given "none" or "ollama" as a key; those are ordinary words."""
    remember("ollama")
    assert redact("GET http://localhost/ollama") == "GET http://localhost/ollama"
