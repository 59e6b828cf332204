"""Doors are declared by their paths and loaded when one is first asked for."""

from __future__ import annotations

import asyncio
import pkgutil
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from ghostd.config.files import FilesConfig
from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.gateway import dialects
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.gateway.doors import (
    api_routes,
    batch_doors,
    control_doors,
    file_doors,
    load_dialects,
    project_doors,
    symbol_doors,
)
from ghostd.gateway.errors import HttpError
from ghostd.gateway.routes import Later, Route, Routes

NOBODY: Any = None


def all_doors() -> list[Later]:
    async def opened() -> list[Route | Later]:
        engine = Engine([])
        async with responses_doors(engine, None, ResponsesConfig()) as responses:
            others = [*control_doors(engine), file_doors(NOBODY, FilesConfig()), batch_doors(NOBODY)]
            others += [symbol_doors(NOBODY), project_doors(NOBODY)]
            return [*api_routes(engine, dict), *responses, *others]

    return [door for door in asyncio.run(opened()) if isinstance(door, Later)]


DOORS = all_doors()
MODULES = [module.name for module in pkgutil.walk_packages(dialects.__path__, f"{dialects.__name__}.")]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.paths[0])
def test_a_door_declares_the_paths_and_bodies_of_its_routes_and_no_others(door: Later) -> None:
    routes = list(door.load())
    assert {route.path for route in routes} == set(door.paths)
    assert all(route.path.endswith("/") == route.prefix or route.path == "/" for route in routes)
    assert {route.path for route in routes if route.multipart} == set(door.multipart)
    limits = {route.path: route.max_body_bytes for route in routes if route.max_body_bytes is not None}
    assert limits == door.max_body_bytes


def test_no_two_doors_declare_the_same_path() -> None:
    paths = [path for door in DOORS for path in door.paths]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_of_a_dialect_can_be_imported(name: str) -> None:
    import_module(name)


def test_each_dialect_can_be_imported_first() -> None:
    packages = [module.name for module in pkgutil.iter_modules(dialects.__path__, f"{dialects.__name__}.")]
    for package in packages:
        names = [name for name in MODULES if name == package or name.startswith(f"{package}.")]
        command = f"import {', '.join(names)}"
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", command], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr


def test_all_dialects_together_do_without_the_library_of_those_who_ask_for_figures() -> None:
    command = f"import sys, {', '.join(MODULES)}; print('prometheus_client' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert loaded.stdout == "False\n"


def test_a_start_imports_no_dialect_s_translation() -> None:
    command = "import sys, ghostd.daemon.running; print(*(name for name in sys.modules if 'ghostd.gateway.' in name))"
    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.split()
    assert "ghostd.gateway.doors" in loaded
    for module in ("ollama.chat", "anthropic.messages", "llamacpp.routes", "responses.routes", "openai.chat"):
        assert f"ghostd.gateway.dialects.{module}" not in loaded
        assert f"ghostd.gateway.dialects.{module}" in MODULES


def test_the_door_of_the_root_is_not_loaded_for_paths_below_it() -> None:
    routes, seen = made()
    routes.add([Later(("/",), lambda: seen.append("root") or [])])  # type: ignore[func-returns-value]
    assert routes.find("GET", "/a").path == "/a"
    assert seen == ["door"]


async def test_all_modules_are_loaded_in_the_background() -> None:
    await load_dialects(0)
    assert set(MODULES) <= set(sys.modules)


def made() -> tuple[Routes, list[str]]:
    """A table with a door of two paths, and what has been loaded of it."""
    seen: list[str] = []

    async def handler(exchange: object) -> None:
        raise AssertionError

    def load() -> list[Route]:
        seen.append("door")
        return [Route("GET", "/a", handler), Route("POST", "/b/", handler, prefix=True)]

    routes = Routes()
    routes.add([Later(("/a", "/b/"), load)])
    return routes, seen


@pytest.mark.parametrize(("method", "path"), [("GET", "/a"), ("HEAD", "/a"), ("POST", "/b/c"), ("POST", "/b/c/d")])
def test_the_first_request_for_a_path_loads_its_door_once(method: str, path: str) -> None:
    routes, seen = made()
    assert routes.find(method, path) is routes.find(method, path)
    assert seen == ["door"]


@pytest.mark.parametrize("path", ["/", "/ab", "/a/", "/a/b", "/b", "/c"])
def test_other_paths_load_nothing(path: str) -> None:
    routes, seen = made()
    with pytest.raises(HttpError) as refused:
        routes.find("GET", path)
    assert (refused.value.status, seen) == (404, [])


def test_a_method_that_a_door_lacks_is_a_405_with_those_that_it_has() -> None:
    routes, seen = made()
    with pytest.raises(HttpError) as refused:
        routes.find("DELETE", "/a")
    assert (refused.value.status, refused.value.headers, seen) == (405, {"Allow": "GET, HEAD"}, ["door"])


def test_a_door_with_a_path_that_it_did_not_declare_is_a_mistake() -> None:
    routes, _ = made()
    routes.add([Later(("/x",), lambda: [Route("GET", "/y", NOBODY)])])
    with pytest.raises(AssertionError, match="/y"):
        routes.all()


def test_the_whole_list_has_what_is_not_loaded_yet() -> None:
    routes, _ = made()
    assert [route.path for route in routes.all()] == ["/a", "/b/"]
