"""References to secrets, as they stand in the configuration: where a key lies, never the key itself."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

from ghostd.errors import SecretError

Kind = Literal["keyring", "env", "command"]

MAX_NAME_CHARS = 128
_MAX_COMMAND_CHARS = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where one secret lies."""

    kind: Kind
    name: str
    """The keyring entry's name, the variable's name, or the command line."""

    @property
    def shown(self) -> str:
        """For people: as configured, but of a command only its first word, since its options are nobody's business."""
        return f"{self.kind}:{program(self.name) if self.kind == 'command' else self.name}"


def parse_reference(text: str) -> SecretReference:
    """The reference in `text`; raises SecretError, which says what a reference looks like and never repeats `text`.

    What stands there may be a key that was pasted by mistake.
    """
    kind, _, name = text.partition(":")
    if kind == "keyring":
        return SecretReference("keyring", checked_name(name))
    if kind == "env":
        if not _VARIABLE.fullmatch(name):
            raise SecretError(
                '"env:" must be followed by the name of an environment variable, e.g. "env:OPENAI_API_KEY"'
            )
        return SecretReference("env", name)
    if kind == "command":
        _check_command(name)
        return SecretReference("command", name)
    raise SecretError(
        'a key is given by reference: "keyring:NAME", "env:NAME" or "command:…", never by its value '
        "(`ghostctl secret set NAME` puts it into the keyring)"
    )


def checked_name(name: str) -> str:
    """`name` if a keyring entry may have it; raises SecretError."""
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        raise SecretError(
            "a secret's name consists of letters, digits and . _ @ + - and starts with a letter or digit "
            f'(at most {MAX_NAME_CHARS} of them), e.g. "openai" or "openai.work"'
        )
    return name


def shown(text: str) -> str:
    """How a reference is shown to people; never fails."""
    try:
        return parse_reference(text).shown
    except SecretError:
        return "an invalid reference"


def program(command: str) -> str:
    """The first word of a command line."""
    return command.split(maxsplit=1)[0].partition("=")[0][
        :64
    ]  # what follows a "=" may be a secret put there by mistake


def _check_command(command: str) -> None:
    if "\0" in command or len(command) > _MAX_COMMAND_CHARS:
        raise SecretError(f'a "command:" must be text of at most {_MAX_COMMAND_CHARS} characters')
    try:
        words = shlex.split(command)
    except ValueError as error:  # e.g. "No closing quotation"
        raise SecretError(f'the command line after "command:" cannot be read: {error}') from None
    if not words or not words[0]:
        raise SecretError('"command:" must be followed by a program, e.g. "command:op read op://Private/OpenAI/key"')
