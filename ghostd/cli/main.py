"""The commands `ghostd` and `ghostctl`. A command's module is imported when it is called, so that each starts fast."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from ghostd import __version__
from ghostd.errors import ConfigError, GhostdError

_GHOSTD = {
    "run": ("run:run", "Run the daemon in the foreground."),
    "start": ("background:start", "Start the daemon in the background."),
    "stop": ("background:stop", "End the running daemon."),
    "restart": ("background:restart", "End the daemon and start it again."),
    "status": ("status:status", "Show what the daemon is and does."),
    "logs": ("background:logs", "Show what the background daemon wrote."),
    "index": ("index:index", "Index a project."),
    "lsp": ("lsp:lsp", "Connect an editor (LSP over stdio), starting the daemon if need be."),
}
_GHOSTCTL = {
    "status": _GHOSTD["status"],
    "models": ("models:models", "List the models; load, unload, pin and fetch local ones."),
    "roots": ("roots:roots", "List, add and remove indexed projects."),
    "index": ("index_group:index", "Ask the index: symbols, references, a file's outline; evaluate retrieval."),
    "context": ("context:context", "Show what a prompt would quote at FILE:LINE[:COLUMN], and why."),
    "complete": ("complete:complete", "Show a completion at FILE:LINE[:COLUMN]."),
    "completions": ("completions:completions", "Show how soon completions come, and from where."),
    "secret": ("secret:secret", "Keep API keys in the system's keyring."),
    "usage": ("usage:usage", "Show requests, tokens and cost by day, model, project, client …"),
    "requests": ("usage:requests", "Show the last requests: where each went and why."),
    "ab": ("usage:ab", "Compare the arms of A/B splits."),
    "health": ("routing:health", "Show how deployments and API keys fare."),
    "route": ("routing:route", "Explain where a request goes and why."),
    "reload": ("routing:reload", "Put changes of the configuration into force."),
    "config": ("configuration:config", "Check and locate the configuration."),
    "logs": _GHOSTD["logs"],
}


class _Commands(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def __init__(self, commands: dict[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._lazy = commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, _, name = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"ghostd.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in self._lazy.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _open_standard_streams()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GhostdError as error:
            click.echo(f"{ctx.info_name}: {error}", err=True)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)
        except OSError as error:  # a full disk, a folder that may not be read
            if error.errno == errno.EPIPE:
                raise  # click ends quietly
            with suppress(OSError):
                click.echo(f"{ctx.info_name}: {error}", err=True)
            ctx.exit(1)


def _open_standard_streams() -> None:
    """Open /dev/null where the caller closed a standard stream.

    Else a lock, a store or a pipe would get its number, and a child's last words would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(descriptor, True)


def _group(name: str, commands: dict[str, tuple[str, str]], help_: str) -> click.Group:
    group = _Commands(commands, name=name, help=help_, context_settings={"help_option_names": ["-h", "--help"]})
    return click.version_option(__version__, prog_name=name)(group)


ghostd = _group("ghostd", _GHOSTD, "ghostd indexes your projects and serves completions to editors and tools.")
ghostctl = _group("ghostctl", _GHOSTCTL, "Manage the running ghostd.")
