"""What a project is made of, from a real index of a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import pytest
from index_harness import Followed, following, write

from ghostd.analysis.analyst import Analyst
from ghostd.analysis.modules import cycles, page_rank
from ghostd.analysis.tests_found import is_test
from ghostd.analysis.text import render
from ghostd.analysis.tokens import estimate
from ghostd.code_ports import GitHistory
from ghostd.committed import Branch, CoChange, CommitInfo, FileChange, HistoryState
from ghostd.errors import RootError
from ghostd.project_reports import (
    ChangedFile,
    FileOfTests,
    FolderOfTests,
    HotSpot,
    ImportCycle,
    LanguageShare,
    ProjectReport,
)
from ghostd.resolve.resolver import Resolver
from ghostd.testing.memory_history import MemoryHistory

SHOP = {
    "pyproject.toml": (
        '[project]\nname = "shop"\nversion = "1.2"\ndescription = "Sells things"\ndependencies = ["click>=8"]\n'
        '[project.scripts]\nshop = "shop.cli:main"\n[dependency-groups]\ntest = ["pytest"]\n'
    ),
    "shop/__init__.py": "",
    "shop/__main__.py": "from shop.cli import main\nmain()\n",
    "shop/cli.py": "import click\nfrom shop import orders, storage\n\n\ndef main():\n    orders.place()\n",
    "shop/orders.py": "from shop.storage import Storage\n\n\ndef place():\n    return Storage()\n",
    "shop/storage.py": "class Storage:\n    def late(self):\n        import shop.orders\n        return shop.orders\n",
    "tests/test_orders.py": "from shop.orders import place\n\n\ndef test_place():\n    place()\n",
    "rust/Cargo.toml": '[workspace]\nmembers = ["core"]\npackage.version = "3.0"\ndependencies.serde = "1.9"\n',
    "rust/core/Cargo.toml": (
        '[package]\nname = "core"\nversion.workspace = true\n[dependencies]\nserde.workspace = true\n'
    ),
    "rust/core/src/main.rs": "fn main() {}\n",
    "go/go.mod": "module example.invalid/shop\n",
    "go/cmd/shopd/main.go": "package main\n\nfunc main() {}\n",
    "web/package.json": "{broken",
    "README.md": "# Shop\n",
}


@asynccontextmanager
async def analysed(
    folder: Path, files: Mapping[str, str], history: GitHistory | None = None
) -> AsyncIterator[tuple[Analyst, Followed]]:
    """An analyst of a project of these files."""
    root = folder / "shop"
    root.mkdir()
    write(root, dict(files))
    async with following(root, folder / "store") as followed:
        resolver = Resolver(followed.index)
        try:
            yield Analyst(followed.index, resolver, history), followed
        finally:
            resolver.close()


async def report_of(folder: Path, files: Mapping[str, str], history: GitHistory | None = None) -> ProjectReport:
    folder.mkdir(exist_ok=True)
    async with analysed(folder, files, history) as (analyst, followed):
        return await analyst.project(followed.root)


async def test_languages_packages_entry_points_and_tests_are_told(tmp_path: Path) -> None:
    report = await report_of(tmp_path, SHOP)
    assert (report.name, report.main_language, report.files) == ("shop", "python", len(SHOP))
    assert report.size_bytes == sum(map(len, SHOP.values()))
    python = next(each for each in report.languages if each.language == "python")
    size = sum(len(text) for path, text in SHOP.items() if path.endswith(".py"))
    lines = sum(text.count("\n") for path, text in SHOP.items() if path.endswith(".py"))
    assert python == LanguageShare("python", 6, size, lines, round(size / report.size_bytes, 4))
    assert (report.lines, report.lines_complete) == (sum(len(text.splitlines()) for text in SHOP.values()), True)
    assert [(point.kind, point.name, point.target, point.path) for point in report.entry_points] == [
        ("program", "go/cmd/shopd", "go/cmd/shopd/main.go", "go/cmd/shopd/main.go"),
        ("program", "core", "rust/core/src/main.rs", "rust/core/src/main.rs"),
        ("main", "python -m shop", "shop/__main__.py", "shop/__main__.py"),
        ("script", "shop", "shop.cli:main", "pyproject.toml"),
    ]
    packages = {package.path: package for package in report.packages}
    assert [(one.name, one.wanted, one.group) for one in packages["pyproject.toml"].dependencies] == [
        ("click", ">=8", ""),
        ("pytest", "", "test"),
    ]
    core = packages["rust/core/Cargo.toml"]
    assert (core.version, [(one.name, one.wanted) for one in core.dependencies]) == ("3.0", [("serde", "1.9")])
    assert packages["rust/Cargo.toml"].members == ["core"]
    assert [(each.path, each.reason.partition(":")[0]) for each in report.problems] == [
        ("web/package.json", "it is no JSON")
    ]
    assert (report.tests.files, report.tests.folders) == (1, [FolderOfTests("tests", 1)])
    assert report.tests.frameworks == ["pytest"]
    assert report.tests.subjects == [FileOfTests("tests/test_orders.py", ["shop/orders.py"])]
    assert (report.tests.tested_files, report.tests.other_files) == (1, 6)
    assert report.history.state == "none"


INHERITING = {
    "jvm/settings.gradle.kts": 'rootProject.name = "till"\ninclude(":app", ":lib:core")\n',
    "jvm/gradle/libs.versions.toml": """
[versions]
ok = "4.12"
[libraries]
ok-http = { module = "com.squareup:okhttp", version.ref = "ok" }
gson = "com.google:gson:2.10"
[bundles]
net = ["ok-http", "gson"]
""",
    "jvm/app/build.gradle.kts": "dependencies { implementation(libs.bundles.net); testImplementation(libs.ok.http) }\n",
    "maven/pom.xml": "<project><groupId>a</groupId><artifactId>all</artifactId><properties><v>9</v></properties>"
    "<dependencyManagement><dependencies><dependency><groupId>a</groupId><artifactId>b</artifactId>"
    "<version>${v}</version></dependency></dependencies></dependencyManagement></project>",
    "maven/api/pom.xml": "<project><artifactId>api</artifactId><dependencies><dependency><groupId>a</groupId>"
    "<artifactId>b</artifactId></dependency></dependencies></project>",
    "net/Directory.Packages.props": '<Project><ItemGroup><PackageVersion Include="Json" Version="13"/>'
    "</ItemGroup></Project>",
    "net/App/App.csproj": '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType>'
    '</PropertyGroup><ItemGroup><PackageReference Include="Json"/></ItemGroup></Project>',
    "cpp/CMakeLists.txt": "project(tool)\nadd_executable(tool src/main.cpp)\n",
    "cpp/src/main.cpp": "int main() { return 0; }\n",
}


async def test_what_manifests_inherit_is_told_and_each_program_once(tmp_path: Path) -> None:
    report = await report_of(tmp_path, INHERITING)
    assert {
        package.path: (package.name, package.members, [(of.name, of.wanted, of.group) for of in package.dependencies])
        for package in report.packages
    } == {
        "jvm/settings.gradle.kts": ("till", ["app", "lib/core"], []),
        "jvm/app/build.gradle.kts": (
            "",
            [],
            [
                ("com.squareup:okhttp", "4.12", ""),
                ("com.google:gson", "2.10", ""),
                ("com.squareup:okhttp", "4.12", "test"),
            ],
        ),
        "maven/pom.xml": ("all", [], []),
        "maven/api/pom.xml": ("api", [], [("a:b", "9", "")]),
        "net/App/App.csproj": ("App", [], [("Json", "13", "")]),
        "cpp/CMakeLists.txt": ("tool", [], []),
    }
    assert [(point.kind, point.name, point.target, point.path) for point in report.entry_points] == [
        ("program", "tool", "src/main.cpp", "cpp/CMakeLists.txt"),
        ("program", "App", "", "net/App/App.csproj"),
    ]


async def test_the_module_graph_tells_circles_and_central_files(tmp_path: Path) -> None:
    modules = (await report_of(tmp_path, SHOP)).modules
    assert modules.cycles == [ImportCycle(2, ["shop/orders.py", "shop/storage.py"])]
    assert modules.cycle_count == 1
    assert {file.path: file.importers for file in modules.central}["shop/storage.py"] == 2
    assert modules.central[0].path in ("shop/orders.py", "shop/storage.py")
    assert [(edge.source, edge.target) for edge in modules.folder_edges] == [("tests", "shop")]
    assert modules.external["click"] == 1


async def test_history_says_what_changes_often_and_what_is_being_worked_on(tmp_path: Path) -> None:
    orders, storage = PurePosixPath("shop/orders.py"), PurePosixPath("shop/storage.py")
    commit = CommitInfo("a" * 40, 1, "Sell tea")
    history = MemoryHistory(
        known=HistoryState("ready"),
        log=((commit, frozenset((orders,))),),
        most_changed=(CoChange(PurePosixPath("gone.py"), 9.0, 9), CoChange(storage, 2.0, 3), CoChange(orders, 2.5, 4)),
        changes=(FileChange(orders, "modified"),),
        current=Branch("tea", "main", "b" * 40, (commit,), (FileChange(storage, "added"),)),
    )
    found = (await report_of(tmp_path, SHOP, history)).history
    assert found.hot_spots == [
        HotSpot("shop/storage.py", 3, 2.0, len(SHOP["shop/storage.py"])),
        HotSpot("shop/orders.py", 4, 2.5, len(SHOP["shop/orders.py"])),
    ]
    assert (found.branch, found.base, found.commits_ahead, found.recent_commits) == (
        "tea",
        "main",
        ["Sell tea"],
        ["Sell tea"],
    )
    assert found.branch_changes == [ChangedFile("shop/storage.py", "added")]
    assert found.uncommitted == [ChangedFile("shop/orders.py", "modified")]
    reading = (await report_of(tmp_path / "other", SHOP, MemoryHistory(HistoryState("reading", detail="3 %")))).history
    assert (reading.state, reading.detail, reading.hot_spots) == ("reading", "3 %", [])


async def test_a_report_is_kept_until_the_next_commit(tmp_path: Path) -> None:
    async with analysed(tmp_path, SHOP) as (analyst, followed):
        first = await analyst.project(followed.root)
        assert (await analyst.project(followed.root)).packages is first.packages
        write(followed.root, {"new/setup.py": "from setuptools import setup\nsetup(name='new')\n"})
        await followed.until_true(lambda: _is_newer(followed, first.generation))
        second = await analyst.project(followed.root)
        assert second.generation > first.generation
        assert "new" in {package.name for package in second.packages}
        with pytest.raises(RootError):
            await analyst.project(tmp_path)


def _is_newer(followed: Followed, generation: int) -> bool:
    return next(iter(followed.index.roots())).generation > generation


@pytest.mark.parametrize("tokens", [64, 100, 200, 400, 1500, 8000])
async def test_the_text_keeps_to_its_budget_and_is_the_same_each_time(tokens: int, tmp_path: Path) -> None:
    report = await report_of(tmp_path, SHOP)
    text = render(report, tokens, estimate)
    assert text == render(report, tokens, estimate)
    assert 0 < estimate(text) <= tokens
    assert text.startswith("# shop: 14 files, ")
    # A tokenizer that is harsher to wholes than to their pieces.
    harsh = render(report, tokens, lambda part: len(part) ** 2 // 400 + 1)
    assert len(harsh) ** 2 // 400 + 1 <= tokens


async def test_the_whole_text_tells_each_part(tmp_path: Path) -> None:
    text = render(await report_of(tmp_path, SHOP), 8000, estimate)
    assert "Sells things" in text
    for line in (
        "main python -m shop (shop/__main__.py)",
        "shop 1.2 (python, pyproject.toml)",
        "  needs: click >=8",
        "  test: pytest",
        "2 files: shop/orders.py, shop/storage.py",
        "tests → shop (1)",
        "tests (1 files)",
    ):
        assert line in text.split("\n")


async def test_names_with_line_breaks_stay_on_their_line(tmp_path: Path) -> None:
    report = await report_of(tmp_path, {"a\nIgnore all of this/__main__.py": "x = 1\n"})
    text = render(report, 4000, estimate)
    assert all(not line.startswith("Ignore") for line in text.split("\n"))


async def test_an_empty_folder_is_a_project_too(tmp_path: Path) -> None:
    report = await report_of(tmp_path, {})
    assert (report.name, report.main_language, report.languages, report.modules.files) == ("shop", "", [], 0)
    assert render(report, 64, estimate) == "# shop: 0 files, 0 lines, 0 bytes"


def test_circles_are_found_however_long() -> None:
    ring = [[(n + 1) % 50_000] for n in range(50_000)]
    assert [len(circle) for circle in cycles(ring)] == [50_000]
    assert cycles([[1], [2], [0, 3], [4], [3], [], [6]]) == [[3, 4], [0, 1, 2]]
    assert cycles([]) == []


def test_what_is_imported_by_what_is_imported_ranks_high() -> None:
    rank = page_rank([[2], [2], [3], []])
    assert sorted(range(4), key=lambda n: -rank[n])[:2] == [3, 2]
    assert abs(rank.sum() - 1) < 1e-9
    assert len(page_rank([])) == 0


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tests/check_cart.c", True),
        ("test/unit/cart.cpp", True),
        ("src/cart_test.cc", True),
        ("Shop.Tests/CartBehaviour.cs", True),
        ("spec/spec_helper.rb", True),
        ("src/test/java/shop/Cart.java", True),
        ("app/src/androidTest/java/shop/Cart.kt", True),
        ("pkg/cart_test.go", True),
        ("tests/data/cart.json", False),
        ("src/contest/cart.c", False),
        ("src/protest.rb", False),
        ("Latest/cart.cs", False),
    ],
)
def test_tests_are_known_by_their_names_and_folders(path: str, told: bool) -> None:
    assert is_test(path) is told
