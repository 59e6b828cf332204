"""`ghostctl secret`: API keys in the system's keyring. A value is never taken from the command line, nor printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
import msgspec

from ghostd.cli.options import is_there
from ghostd.config.load import load_config
from ghostd.config.settings import Config
from ghostd.errors import GhostdError, InstanceError, SecretError
from ghostd.local.client import Client
from ghostd.local.paths import Paths, find_paths
from ghostd.secret_references import checked_name
from ghostd.secrets.names import SecretNames
from ghostd.secrets.patience import PatientCalls
from ghostd.secrets.system_keyring import UNLOCK, Entries, SystemKeyring
from ghostd.secrets.values import MAX_CHARS, checked_value

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_TIMEOUT_S = 120.0
"""The keyring may ask for its password, and the user is here to give it."""


class Listed(msgspec.Struct, frozen=True):
    """One line of `secret list`."""

    name: str
    state: str
    """set, missing, or unknown where the keyring does not answer."""
    used_by: list[str]
    """Providers whose configuration names it."""


class _Users(NamedTuple):
    """Keyring entries → the providers that use them."""

    configured: dict[str, list[str]]
    by_default: dict[str, list[str]]
    """By a provider without `keys`, which needs no entry where its variable is set or where it takes no key."""


@click.group()
def secret() -> None:
    """Keep API keys in the system's keyring."""


def _value_options(command: F) -> F:
    command = click.argument("extra", nargs=-1, type=click.UNPROCESSED, metavar="")(command)
    option = click.option("--from-stdin", is_flag=True, help="Read the value from standard input, also on a terminal.")
    return click.argument("name")(option(command))


@secret.command(name="set")
@_value_options
def set_(name: str, from_stdin: bool, extra: tuple[str, ...]) -> None:
    """Store a key under NAME, for "keyring:NAME" in the configuration. It is asked for, or read from a pipe."""
    name = _name(name)
    _refuse_arguments(extra)
    replaced = _read(name) is not None
    _store(name, _value(name, from_stdin))
    click.echo(f"{'Replaced' if replaced else 'Stored'} {name}. The configuration refers to it as keyring:{name}.")
    _tell_daemon(name)


@secret.command()
@_value_options
def rotate(name: str, from_stdin: bool, extra: tuple[str, ...]) -> None:
    """Replace the key under NAME by a new one."""
    name = _name(name)
    _refuse_arguments(extra)
    old = _read(name)
    if old is None:
        raise SecretError(f"there is no secret {name!r} to rotate; `ghostctl secret set {name}` stores one")
    value = _value(name, from_stdin)
    if value == old:
        raise SecretError(f"that is the value that {name!r} has already; nothing was changed")
    _store(name, value)
    click.echo(f"Replaced {name}. Revoke the old key at its provider.")
    _tell_daemon(name)


@secret.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Configuration file.")
def list_(as_json: bool, config_path: Path | None) -> None:
    """List the keys' names, whether the keyring has them, and which providers use them; never a value."""
    paths = find_paths()
    # Its routes and presets may be wrong: that is no reason to hide the keys.
    users = _users(load_config(config_path or (paths.config_file if is_there(paths.config_file) else None)))
    expected = {*_names(paths).read(), *users.configured}
    found, problem = [], None
    for name in sorted({*expected, *users.by_default}):
        state = "unknown"
        if problem is None:
            try:
                state = "missing" if _read(name) is None else "set"
            except SecretError as error:
                problem = error  # it would be the same for the others, each after the time-out
        if name in expected or state == "set":
            used_by = [*users.configured.get(name, []), *users.by_default.get(name, [])]
            found.append(Listed(name, state, used_by))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for entry in found:
            click.echo(_row(entry))
    if problem is not None:
        raise problem


@secret.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete the key under NAME from the keyring."""
    name = _name(name)
    paths = find_paths()
    names = _names(paths)
    there = _read(name) is not None
    if there:
        _ask(lambda keyring: keyring.remove(name))
    elif name not in names.read():
        raise SecretError(f"there is no secret {name!r}; `ghostctl secret list` shows what there is")
    names.remove(name)
    click.echo(f"Removed {name}." if there else f"{name} was gone from the keyring already.")
    _tell_daemon(name)


def _name(text: str) -> str:
    return checked_name(text.removeprefix("keyring:"))


def _refuse_arguments(extra: tuple[str, ...]) -> None:
    if extra:
        raise click.UsageError(
            "a value on the command line can be seen by every program on this machine, and stays in the shell's "
            "history: give it at the prompt or by a pipe, and revoke this one if it was a real key"
        )


def _value(name: str, from_stdin: bool) -> str:
    """From the terminal without echo, else from standard input."""
    if sys.stdin.isatty() and not from_stdin:
        return checked_value(click.prompt(f"Key for {name} (not shown)", hide_input=True), name)
    data = sys.stdin.buffer.read(2 * MAX_CHARS)
    try:
        return checked_value(data.decode("utf-8"), name)
    except UnicodeDecodeError:
        raise SecretError(f"{name}: standard input is not UTF-8 text") from None


def _store(name: str, value: str) -> None:
    _ask(lambda keyring: keyring.write(name, value))
    if _read(name) != value:
        raise SecretError(f"the keyring did not keep the value of {name!r}")
    _names(find_paths()).add(name)


def _names(paths: Paths) -> SecretNames:
    paths.create()
    return SecretNames(paths.data / "secrets.json")


def _read(name: str) -> str | None:
    return _ask(lambda keyring: keyring.read(name))


def _ask(work: Callable[[Entries], T]) -> T:
    """Ask the keyring, which may wait for its password in a dialog."""
    keyring = SystemKeyring()
    try:
        return PatientCalls("keyring", at_once=1).start(lambda: work(keyring)).result(_TIMEOUT_S)
    except TimeoutError:
        raise SecretError(f"the keyring did not answer within {_TIMEOUT_S:g} s; it may be locked: {UNLOCK}") from None


def _users(config: Config) -> _Users:
    users = _Users({}, {})
    for provider, settings in config.providers.items():
        if settings.keys is None:
            users.by_default[provider] = [provider]
        for reference in settings.keys or ():
            kind, _, name = reference.partition(":")
            if kind == "keyring":
                users.configured.setdefault(name, []).append(provider)
    return users


def _row(entry: Listed) -> str:
    users = f"used by {', '.join(entry.used_by)}" if entry.used_by else "not used by the configuration"
    hint = f" (`ghostctl secret set {entry.name}`)" if entry.state == "missing" else ""
    return f"{entry.name}: {entry.state}{hint}; {users}"


def _tell_daemon(name: str) -> None:
    try:
        Client(find_paths()).forget_secret(name)
    except InstanceError:
        return  # none runs, or it is ending
    except GhostdError as error:
        click.echo(f"ghostctl: the running ghostd may still use the value before: {error}", err=True)
        return
    click.echo("The running ghostd reads it anew with its next request.")
