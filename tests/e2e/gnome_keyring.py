"""A real gnome-keyring on a session bus of its own.

Its packages are fetched once from the Debian archive that this machine uses and unpacked under `.cache/`, without
touching the system: apt's lists and cache lie there, too. The password dialog (gcr, GTK) is left out.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from jeepney import (  # type: ignore[import-untyped]
    DBusAddress,
    MatchRule,
    Message,
    MessageType,
    message_bus,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection  # type: ignore[import-untyped]

CACHE = Path(__file__).parents[2] / ".cache" / "gnome-keyring"
PASSWORD = "password-of-the-keyring"
PROMPTER = "org.gnome.keyring.SystemPrompter"
_SECRETS = "org.freedesktop.secrets"
_SERVICE = DBusAddress("/org/freedesktop/secrets", _SECRETS, "org.freedesktop.Secret.Service")
_BUS = """<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


def fetch() -> Path:
    """The folder into which the packages are unpacked; one process at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = CACHE / "root"
        if not prefix.exists():
            work = CACHE / "work"
            shutil.rmtree(work, ignore_errors=True)
            (work / "root").mkdir(parents=True)
            for package in _download(work):
                _run(["dpkg", "-x", str(package), str(work / "root")])
            (work / "root").rename(prefix)
            shutil.rmtree(work)
    return prefix


def _download(work: Path) -> list[Path]:
    for folder in ("lists/partial", "cache/archives/partial", "packages"):
        (work / folder).mkdir(parents=True)
    settings = {
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    _run(["apt-get", "-qq", *options, "update"])
    needs = re.findall(r"^\s*Depends: (lib\S+)", _run(["apt-cache", *options, "depends", "gnome-keyring"]), re.M)
    wanted = [*needs, "libsecret-tools", "dbus"]  # those that are installed are not listed
    plan = _run(["apt-get", "-qq", *options, "install", "-s", "--no-install-recommends", *wanted])
    names = ["gnome-keyring", *re.findall(r"^Inst (\S+)", plan, re.M)]
    _run(["apt-get", "-qq", *options, "download", *names], work / "packages")
    return sorted((work / "packages").glob("*.deb"))


@dataclass(slots=True)
class Session:
    """A session bus; `environment` is that of a program which the user starts in the session."""

    prefix: Path
    folder: Path
    environment: dict[str, str]
    keyring: subprocess.Popen[bytes] | None = field(default=None)

    def start_keyring(self, *, unlock: bool = True) -> None:
        """Start the service with its keyring open, as a login does; returns once it is on the bus.

        Without `unlock` it starts as on a machine where nobody has made a keyring yet.
        """
        with self.connection() as bus:
            rule = MatchRule(type="signal", sender=message_bus.bus_name, member="NameOwnerChanged")
            rule.add_arg_condition(0, _SECRETS)
            bus.send_and_get_reply(message_bus.AddMatch(rule), timeout=20)
            with bus.filter(rule) as signals, (self.folder / "keyring.log").open("ab") as log:
                self.keyring = subprocess.Popen(
                    [
                        _program(self.prefix, "gnome-keyring-daemon"),
                        "--foreground",
                        *(("--unlock",) if unlock else ()),
                        "--components=secrets",
                        f"--control-directory={self.folder / 'control'}",
                    ],
                    env=self.environment | _libraries(self.prefix),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
                assert self.keyring.stdin is not None
                self.keyring.stdin.write(PASSWORD.encode())
                self.keyring.stdin.close()
                bus.recv_until_filtered(signals, timeout=20)

    def stop_keyring(self) -> None:
        if self.keyring is not None:
            self.keyring.kill()
            self.keyring.wait(20)
            self.keyring = None

    def lock_keyring(self) -> None:
        """As a screen lock or `secret-tool lock` does."""
        with self.connection() as bus:
            alias = new_method_call(_SERVICE, "ReadAlias", "s", ("default",))
            (collection,) = _answer(bus, alias)
            _answer(bus, new_method_call(_SERVICE, "Lock", "ao", ([collection],)))

    @contextmanager
    def prompter(self) -> Iterator[None]:
        """While the block runs, a dialog service takes questions and nobody answers them."""
        with self.connection() as bus:
            assert bus.send_and_get_reply(message_bus.RequestName(PROMPTER), timeout=20).body == (1,)
            yield

    def run(self, *command: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """A program in the session, with further environment variables."""
        environment = self.environment | variables
        return subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def secret_tool(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """libsecret's own command, as an independent witness."""
        return self.run(_program(self.prefix, "secret-tool"), *arguments, stdin=stdin, **_libraries(self.prefix))

    @contextmanager
    def connection(self) -> Iterator[DBusConnection]:
        with open_dbus_connection(self.environment["DBUS_SESSION_BUS_ADDRESS"]) as bus:
            yield bus


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """A session with its files below `folder`, whose path must be short enough for a socket; no keyring runs yet."""
    prefix = fetch()
    config, socket = folder / "bus.conf", folder / "bus"
    config.write_text(_BUS.format(socket=socket))
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")},
        "HOME": str(folder),
        "GHOSTD_HOME": str(folder / "ghostd"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={socket}",
    }
    bus = subprocess.Popen(
        [_program(prefix, "dbus-daemon"), f"--config-file={config}", "--nofork", "--print-address"],
        env=environment | _libraries(prefix),
        stdout=subprocess.PIPE,
    )
    found = Session(prefix, folder, environment)
    try:
        assert bus.stdout is not None and bus.stdout.readline(), "dbus-daemon ended"
        yield found
    finally:
        found.stop_keyring()
        bus.kill()
        bus.wait(20)
        with suppress(OSError):
            assert bus.stdout is not None
            bus.stdout.close()


def _answer(bus: DBusConnection, call: Message) -> tuple[object, ...]:
    reply = bus.send_and_get_reply(call, timeout=20)
    assert reply.header.message_type is MessageType.method_return, reply.body
    body: tuple[object, ...] = reply.body
    return body


def _libraries(prefix: Path) -> dict[str, str]:
    """What the unpacked programs need to find the libraries that came with them."""
    return {"LD_LIBRARY_PATH": ":".join(str(folder) for folder in sorted(prefix.glob("usr/lib/*-linux-*")))}


def _program(prefix: Path, name: str) -> str:
    """Of the unpacked packages, else the system's."""
    unpacked = prefix / "usr/bin" / name
    found = str(unpacked) if unpacked.exists() else shutil.which(name)
    assert found, f"neither the packages nor this machine have {name}"
    return found


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
