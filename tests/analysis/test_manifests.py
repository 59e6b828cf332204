"""Manifests are read literally; a broken or hostile one is a problem, told in words."""

from __future__ import annotations

from textwrap import dedent

import pytest

from ghostd.analysis.manifests.manifest import MAX_BYTES, ManifestProblem
from ghostd.analysis.manifests.read import reader_of

READ = [
    (
        "pyproject.toml",
        """
        [build-system]
        requires = ["hatchling>=1"]
        [project]
        name = "shop"
        version = "1.2"
        description = "Sells\\nthings"
        dependencies = ["click>=8,<9; python_version > '3.8'", "httpx[http2] ~= 0.28", "local @ file:///x"]
        optional-dependencies.fast = ["uvloop"]
        scripts.shop = "shop.cli:main"
        entry-points."shop.plugins".csv = "shop.csv:Plugin"
        [dependency-groups]
        test = ["pytest==9", {include-group = "lint"}]
        """,
        ("python", "shop", "1.2", "Sells things"),
        [
            ("click", ">=8,<9", ""), ("httpx", "~= 0.28", ""), ("local", "@ file:///x", ""),
            ("uvloop", "", "optional:fast"), ("pytest", "==9", "test"), ("hatchling", ">=1", "build"),
        ],
        [("script", "shop", "shop.cli:main"), ("library", "shop.plugins: csv", "shop.csv:Plugin")],
    ),
    (
        "pyproject.toml",
        """
        [tool.poetry]
        name = "old"
        version = "0.1"
        [tool.poetry.dependencies]
        python = "^3.11"
        requests = "^2.3"
        mine = {path = "../mine"}
        [tool.poetry.group.dev.dependencies]
        black = {version = "26", extras = ["d"]}
        [tool.poetry.scripts]
        old = "old:main"
        """,
        ("python", "old", "0.1", ""),
        [("requests", "^2.3", ""), ("mine", "path: ../mine", ""), ("black", "26", "dev")],
        [("script", "old", "old:main")],
    ),
    (
        "requirements-dev.txt",
        """
        # what we need
        -r base.txt
        --index-url https://example.invalid/simple
        flask==3.1 \\
            --hash=sha256:00
        git+https://example.invalid/x.git#egg=x
        ./local
        pytest  # to test
        """,
        ("python", "", "", ""),
        [("flask", "==3.1", ""), ("x", "git+https://example.invalid/x.git", ""), ("pytest", "", "")],
        [],
    ),
    (
        "setup.cfg",
        """
        [metadata]
        name = cfg
        version = 3
        [options]
        install_requires =
            attrs>=21
            six
        [options.extras_require]
        test = pytest
        [options.entry_points]
        console_scripts =
            run = cfg.main:run
        """,
        ("python", "cfg", "3", ""),
        [("attrs", ">=21", ""), ("six", "", ""), ("pytest", "", "optional:test")],
        [("script", "run", "cfg.main:run")],
    ),
    (
        "setup.py",
        """
        import os, setuptools
        os.system("touch /tmp/ghostd-was-here")
        NEEDS = ["numpy>=2"] + ["scipy"]
        if True:
            setuptools.setup(
                name="py", version=open("VERSION").read(), install_requires=NEEDS + computed(),
                extras_require={"plot": ["matplotlib"]},
                entry_points={"console_scripts": ["py = py:main"]},
            )
        """,
        ("python", "py", "", ""),
        [("numpy", ">=2", ""), ("scipy", "", ""), ("matplotlib", "", "optional:plot")],
        [("script", "py", "py:main")],
    ),
    (
        "package.json",
        """
        {"name": "@shop/web", "version": "2.0.0", "description": "Web", "bin": {"web": "./bin/web.js"},
         "exports": {".": {"import": "./dist/index.mjs"}}, "scripts": {"build": "tsc -b"},
         "dependencies": {"react": "^19"}, "devDependencies": {"vitest": "4"}, "workspaces": ["packages/*"]}
        """,
        ("node", "@shop/web", "2.0.0", "Web"),
        [("react", "^19", ""), ("vitest", "4", "dev")],
        [("program", "web", "./bin/web.js"), ("main", "@shop/web", "./dist/index.mjs"), ("script", "build", "tsc -b")],
    ),
    (
        "Cargo.toml",
        """
        [package]
        name = "shop"
        version.workspace = true
        [dependencies]
        serde = { version = "1", features = ["derive"] }
        tokio.workspace = true
        renamed = { package = "real-name", git = "https://example.invalid/r" }
        [target.'cfg(unix)'.dev-dependencies]
        nix = "0.30"
        [[bin]]
        name = "shopd"
        path = "src/daemon.rs"
        """,
        ("rust", "shop", "", ""),
        [
            ("serde", "1", ""), ("tokio", "", ""), ("real-name", "git: https://example.invalid/r", ""),
            ("nix", "0.30", "dev"),
        ],
        [("program", "shopd", "src/daemon.rs")],
    ),
    (
        "build.zig.zon",
        """
        .{
            .name = .shop, // .name = "no"
            .version = "0.3.0",
            .dependencies = .{
                .clap = .{ .url = "https://example.invalid/clap.tar.gz", .hash = "1220" },
                .@"my-lib" = .{ .path = "../lib" },
            },
            .paths = .{""},
        }
        """,
        ("zig", "shop", "0.3.0", ""),
        [("clap", "https://example.invalid/clap.tar.gz", ""), ("my-lib", "../lib", "")],
        [],
    ),
    (
        "build.zig",
        """
        pub fn build(b: *std.Build) void {
            const exe = b.addExecutable(.{ .name = "shop", .root_source_file = b.path("src/main.zig") });
            const run = b.step("run", "Run it");
        }
        """,
        ("zig", "", "", ""),
        [],
        [("program", "shop", "src/main.zig"), ("task", "run", "Run it")],
    ),
    (
        "go.mod",
        """
        module example.invalid/shop
        go 1.24
        require example.invalid/one v1.0.0
        require (
            example.invalid/two v2.0.0 // indirect
        )
        replace example.invalid/one => ../one
        """,
        ("go", "example.invalid/shop", "", ""),
        [("example.invalid/one", "v1.0.0", ""), ("example.invalid/two", "v2.0.0", "indirect")],
        [],
    ),
    (
        "pom.xml",
        """
        <project xmlns="http://maven.apache.org/POM/4.0.0">
          <artifactId>shop</artifactId><version>1.0</version><description>Sells</description>
          <properties><jackson.version>2.20</jackson.version></properties>
          <dependencies>
            <dependency><groupId>com.x</groupId><artifactId>databind</artifactId><version>${jackson.version}</version>
              <exclusions><exclusion><groupId>no</groupId><artifactId>no</artifactId></exclusion></exclusions></dependency>
            <dependency><groupId>org.junit.jupiter</groupId><artifactId>junit-jupiter</artifactId><scope>test</scope></dependency>
          </dependencies>
          <build><plugins><plugin><configuration><mainClass>com.x.Main</mainClass></configuration></plugin></plugins></build>
        </project>
        """,
        ("java", "shop", "1.0", "Sells"),
        [("com.x:databind", "2.20", ""), ("org.junit.jupiter:junit-jupiter", "", "test")],
        [("main", "Main", "com.x.Main")],
    ),
    (
        "build.gradle.kts",
        """
        version = "4.0"
        dependencies {
            implementation("com.x:core:1.0") /* implementation("no:no:1") */
            testImplementation("junit:junit:4.13")
            api(project(":lib"))
            println("not:a:dependency")
        }
        application { mainClass.set("com.x.App") }
        """,
        ("java", "", "4.0", ""),
        [("com.x:core", "1.0", ""), ("junit:junit", "4.13", "test"), (":lib", "in the project", "")],
        [("main", "App", "com.x.App")],
    ),
    (
        "CMakeLists.txt",
        """
        project(shop VERSION 1.5 LANGUAGES CXX)
        find_package(Boost 1.80 REQUIRED) # find_package(No)
        FetchContent_Declare(fmt GIT_REPOSITORY https://example.invalid/fmt)
        pkg_check_modules(GTK REQUIRED gtk4)
        add_library(core STATIC core.cpp)
        add_executable(shop main.cpp)
        add_executable(${NAME} other.cpp)
        """,
        ("c++", "shop", "1.5", ""),
        [("Boost", "1.80", ""), ("fmt", "https://example.invalid/fmt", ""), ("gtk4", "", "")],
        [("library", "core", ""), ("program", "shop", "main.cpp")],
    ),
    (
        "src/Shop.csproj",
        """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup><OutputType>Exe</OutputType><AssemblyName>Shop</AssemblyName><Version>1.1</Version></PropertyGroup>
          <ItemGroup>
            <PackageReference Include="Serilog" Version="4.0" />
            <PackageReference Include="Dapper"><Version>2.1</Version></PackageReference>
            <ProjectReference Include="..\\Lib\\Lib.csproj" />
          </ItemGroup>
        </Project>
        """,
        ("dotnet", "Shop", "1.1", ""),
        [("Serilog", "4.0", ""), ("Dapper", "2.1", ""), ("Lib", "path: ../Lib/Lib.csproj", "")],
        [("program", "Shop", "")],
    ),
    (
        "Gemfile",
        """
        source "https://example.invalid"
        gem "rails", "~> 8.0", ">= 8.0.1"
        group :test do
          gem 'rspec'
        end
        gem "rubocop", require: false, group: :development
        """,
        ("ruby", "", "", ""),
        [("rails", "~> 8.0, >= 8.0.1", ""), ("rspec", "", "test"), ("rubocop", "", "dev")],
        [],
    ),
    (
        "shop.gemspec",
        """
        Gem::Specification.new do |spec|
          spec.name = "shop"
          spec.version = "0.9"
          spec.executables << "shop"
          spec.add_dependency "rack", ">= 3"
          spec.add_development_dependency("rake")
        end
        """,
        ("ruby", "shop", "0.9", ""),
        [("rack", ">= 3", ""), ("rake", "", "dev")],
        [("program", "shop", "")],
    ),
    (
        "Makefile",
        "CC := gcc\n.PHONY: all\nall test: build\n\techo x: y\nbuild/x.o: x.c\n%.o: %.c\n",
        ("make", "", "", ""),
        [],
        [("task", "all", ""), ("task", "test", "")],
    ),
    (
        "Dockerfile",
        """
        FROM python:3.13-slim AS build
        RUN pip install .
        FROM registry.invalid:5000/base
        COPY --from=build /app /app
        ENTRYPOINT ["shop", "--serve now"]
        CMD ["--port", "80"]
        """,
        ("docker", "", "", ""),
        [("python", "3.13-slim", "image"), ("registry.invalid:5000/base", "", "image")],
        [("image", "image", "shop '--serve now' --port 80")],
    ),
    (
        "Pipfile",
        """
        [[source]]
        name = "pypi"
        url = "https://example.invalid/simple"
        [packages]
        requests = "*"
        django = {version = "~=5.2", extras = ["bcrypt"]}
        mine = {path = "./mine", editable = true}
        [dev-packages]
        pytest = ">=8"
        [docs]
        sphinx = "*"
        [requires]
        python_version = "3.12"
        [scripts]
        serve = "python manage.py runserver"
        lint = {call = "tools:lint"}
        """,
        ("python", "", "", ""),
        [
            ("requests", "", ""), ("django", "~=5.2", ""), ("mine", "path: ./mine", ""), ("pytest", ">=8", "dev"),
            ("sphinx", "", "docs"),
        ],
        [("script", "serve", "python manage.py runserver"), ("script", "lint", "tools:lint")],
    ),
    (
        "shop-1.2-1.rockspec",
        """
        package = "shop" -- package = "no"
        version = "1.2-1"
        --[[ dependencies = { "no" } ]]
        description = { summary = "Sells things", license = "MIT" }
        dependencies = {
           "lua >= 5.1, < 5.5", "lpeg ~> 1.0",
           platforms = { unix = { "luaposix" } }
        }
        test_dependencies = { "busted" }
        build = { type = "builtin", install = { bin = { ["shop"] = "bin/shop.lua", "bin/other" } } }
        """,
        ("lua", "shop", "1.2-1", "Sells things"),
        [("lua", ">= 5.1, < 5.5", ""), ("lpeg", "~> 1.0", ""), ("busted", "", "test")],
        [("program", "shop", "bin/shop.lua"), ("program", "other", "bin/other")],
    ),
    (
        "justfile",
        """
        set shell := ["bash", "-c"]
        alias b := build
        version := "a:b"
        default: build
        @build target='x:y' *args: (dep "x")
            echo hi: there
        _private:
        test-all +FLAGS="-v":
            x
        """,
        ("just", "", "", ""),
        [],
        [("task", "default", ""), ("task", "build", ""), ("task", "test-all", "")],
    ),
    ("build.zig.zon", '.{ .name = "", .version = "", .dependencies = .{} }', ("zig", "", "", ""), [], []),
    (
        "setup.cfg",
        """
        [metadata]
        name = shop
        [options]
        install_requires = click>=8; httpx
        """,
        ("python", "shop", "", ""),
        [("click", ">=8", ""), ("httpx", "", "")],
        [],
    ),
    (
        "pyproject.toml",
        """
        [tool.uv]
        dev-dependencies = ["mypy>1"]
        [tool.pdm.dev-dependencies]
        docs = ["sphinx"]
        """,
        ("python", "", "", ""),
        [("sphinx", "", "docs"), ("mypy", ">1", "dev")],
        [],
    ),
    (
        "build.gradle.kts",
        """
        dependencies { implementation("a.b:one:1.0"); testImplementation("a.b:two:2") }
        dependencies {
            api(group = "a.b", name = "three", version = "3")
            compile group: 'a.b', name: 'four'
            implementation(kotlin("stdlib"))
            implementation(platform("a.b:bom:5"))
            implementation(libs.ok.http) { exclude("x") }
            kapt(project(":lib:core"))
        }
        """,
        ("java", "", "", ""),
        [
            ("a.b:one", "1.0", ""), ("a.b:two", "2", "test"), ("a.b:bom", "5", ""), ("a.b:three", "3", ""),
            ("a.b:four", "", ""), ("org.jetbrains.kotlin:kotlin-stdlib", "", ""), ("libs.ok.http", "", ""),
            (":lib:core", "in the project", "kapt"),
        ],
        [],
    ),
    (
        "a.csproj",
        """
        <Project Sdk="Microsoft.NET.Sdk"><ItemGroup>
          <PackageReference Include="One" /><PackageReference Include="Two" VersionOverride="2" />
        </ItemGroup></Project>
        """.strip(),
        ("dotnet", "", "", ""),
        [("One", "", ""), ("Two", "2", "")],
        [],
    ),
    (
        "pom.xml",
        """
        <project><parent><groupId>shop</groupId><version>7</version></parent><artifactId>api</artifactId>
        <dependencies><dependency><groupId>${project.groupId}</groupId><artifactId>core</artifactId>
        <version>${project.version}</version></dependency></dependencies></project>
        """.strip(),
        ("java", "api", "7", ""),
        [("shop:core", "7", "")],
        [],
    ),
    (
        "CMakeLists.txt",
        "project(x)\npkg_check_modules(GTK REQUIRED gtk+-3.0>=3.20 glib-2.0)\n",
        ("c++", "x", "", ""),
        [("gtk+-3.0", ">=3.20", ""), ("glib-2.0", "", "")],
        [],
    ),
    (
        "conanfile.txt",
        "[requires]\nfmt/10.1.1\n# no\nzlib/1.3@user/stable\n[tool_requires]\ncmake/3.25\n[generators]\nCMakeDeps\n",
        ("c++", "", "", ""),
        [("fmt", "10.1.1", ""), ("zlib", "1.3", ""), ("cmake", "3.25", "build")],
        [],
    ),
    (
        "conanfile.py",
        """
        class Shop(ConanFile):
            name = "shop"
            version = "1.0"
            requires = "fmt/10.0.0", "spdlog/1.12"  # and more
            def requirements(self):
                self.requires("poco/1.12", force=True)
                self.test_requires("gtest/1.13")
        """,
        ("c++", "shop", "1.0", ""),
        [("fmt", "10.0.0", ""), ("spdlog", "1.12", ""), ("poco", "1.12", ""), ("gtest", "1.13", "test")],
        [],
    ),
    (
        "vcpkg.json",
        """
        {"name": "shop", "version-string": "2", "dependencies": ["fmt", {"name": "curl", "version>=": "8"}, 5, null,
         {"name": "cmake", "host": true}], "features": {"gui": {"dependencies": ["qt"]}, "odd": 7}}
        """,
        ("c++", "shop", "2", ""),
        [("fmt", "", ""), ("curl", "8", ""), ("cmake", "", "build"), ("qt", "", "optional:gui")],
        [],
    ),
    (
        "meson.build",
        """
        project('shop', 'c', version : '0.3')
        glib = dependency('glib-2.0', version: ['>=2.50', '<3'])  # dependency('none')
        executable('shopper', 'main.c', dependencies: [glib])
        shared_library('shoplib', files)
        """,
        ("c++", "shop", "0.3", ""),
        [("glib-2.0", ">=2.50", "")],
        [("program", "shopper", "main.c"), ("library", "shoplib", "")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "text", "head", "needs", "points"), READ, ids=[f"{n}-{row[0]}" for n, row in enumerate(READ)]
)
def test_a_manifest_says_what_it_is_what_it_needs_and_what_it_runs(
    path: str, text: str, head: tuple[str, ...], needs: list[tuple[str, ...]], points: list[tuple[str, ...]]
) -> None:
    reader = reader_of(path)
    assert reader is not None
    found = reader(dedent(text).encode())
    assert (found.ecosystem, found.name, found.version, found.description) == head
    assert [(one.name, one.wanted, one.group) for one in found.dependencies] == needs
    assert [(point.kind, point.name, point.target) for point in found.entry_points] == points


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("requirements.txt", True),
        ("requirements/prod.txt", True),
        ("dev-requirements.in", True),
        ("Dockerfile.prod", True),
        ("a/b/App.fsproj", True),
        ("notes.txt", False),
        ("requirements.md", False),
        ("mypackage.json", False),
    ],
)
def test_manifests_are_known_by_their_names(path: str, is_one: bool) -> None:
    assert (reader_of(path) is not None) == is_one


BROKEN = [
    ("pyproject.toml", b"[project", "no TOML"),
    ("pyproject.toml", b"a = " + b"[" * 100_000, "nested too deeply"),
    ("pyproject.toml", b"[" + b"a." * 100_000 + b"a]", "too many parts"),
    ("pyproject.toml", b"\xff\xfe\xff", "not UTF-8"),
    ("package.json", b'{"name": ', "no JSON"),
    ("package.json", b"[" * 200_000, "nested too deeply"),
    ("package.json", b"[]", "no JSON object"),
    ("setup.py", b"setup(" * 1000, "nested too deeply"),
    ("setup.py", b"x = " + b"-" * 50_000 + b"1", "nested too deeply"),
    ("setup.py", b"x = 1" + b"+1" * 50_000, "too many operators"),
    ("setup.py", b"def", "no Python"),
    ("setup.cfg", b"x", "no INI file"),
    ("setup.cfg", b"[a]\n" + b"y\n" * 100_000, "larger than"),
    ("pom.xml", b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><project>&c;</project>', "document type"),
    ("pom.xml", '<!DOCTYPE a [<!ENTITY b "bb">]><project/>'.encode("utf-16"), "document type"),
    ("pom.xml", b"<a>" * 100_000, "nested too deeply"),
    ("pom.xml", b'<?xml version="1.0" encoding="klingon"?><a/>', "no XML"),
    ("pom.xml", b"<project>", "no XML"),
    ("go.mod", b"x" * (MAX_BYTES + 1), "larger than"),
]


@pytest.mark.parametrize(("path", "data", "told"), BROKEN, ids=[f"{n}-{row[0]}" for n, row in enumerate(BROKEN)])
def test_a_broken_manifest_is_a_problem_in_words(path: str, data: bytes, told: str) -> None:
    reader = reader_of(path)
    assert reader is not None
    with pytest.raises(ManifestProblem, match=told):
        reader(data)


PATTERNS = (
    "/*",
    "(",
    '"',
    "\\\n",
    "[a]\n",
    "a.b.c=1\n",
    "gem ",
    "implementation( ",
    ".add_dependency ",
    "\n requires = 'a', ",
    "include ':a', ",
    "{ api group: 'a', name: 'b', ",
    "dependency('a', version: ",
    "FROM a AS b\n",
)
NAMES = (
    *("pyproject.toml", "requirements.txt", "setup.cfg", "setup.py", "package.json", "Cargo.toml", "build.zig.zon"),
    *("build.zig", "go.mod", "pom.xml", "build.gradle", "CMakeLists.txt", "a.csproj", "Gemfile", "a.gemspec"),
    *("Makefile", "Dockerfile", "Pipfile", "pnpm-workspace.yaml", "a.rockspec", "justfile"),
    *("settings.gradle", "libs.versions.toml", "conanfile.txt", "conanfile.py", "vcpkg.json", "meson.build"),
)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_takes_long(name: str) -> None:
    """Quadratic time would take minutes, which the suite's time-out ends."""
    reader = reader_of(name)
    assert reader is not None
    for pattern in PATTERNS:
        try:
            found = reader((pattern * MAX_BYTES)[:MAX_BYTES].encode())
        except ManifestProblem:
            continue
        assert len(found.dependencies) <= 1000
        assert len(found.entry_points) <= 200


def test_texts_that_are_told_stand_on_one_line_and_are_cut() -> None:
    reader = reader_of("package.json")
    assert reader is not None
    found = reader(b'{"name": "a\\u001b[2J\\nb", "description": "%s", "dependencies": {"x": 3}}' % (b"y" * 5000))
    assert found.name == "a [2J b"
    assert (len(found.description), found.description[-1]) == (200, "…")
    assert [(one.name, one.wanted) for one in found.dependencies] == [("x", "")]


def test_a_pnpm_workspace_names_its_folders() -> None:
    reader = reader_of("pnpm-workspace.yaml")
    assert reader is not None
    found = reader(b"packages:\n  # all\n  - 'packages/*'\n  - apps/web\ncatalog:\n  - react\n")
    assert (found.ecosystem, found.members) == ("node", ("packages/*", "apps/web"))


def test_a_workspace_of_go_has_its_modules() -> None:
    reader = reader_of("go.work")
    assert reader is not None
    found = reader(b"go 1.24\n\nuse (\n\t./shop // the shop\n\t./tea\n)\nuse ./more\n")
    assert (found.ecosystem, found.members) == ("go", ("./shop", "./tea", "./more"))


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("requirements.txt", "-e git+https://tok3n@host.invalid/x/tea.git#egg=tea\n"),
        ("package.json", '{"dependencies": {"tea": "git+https://me:tok3n@host.invalid/x/tea.git"}}'),
        ("Cargo.toml", '[dependencies]\ntea = {git = "https://tok3n@host.invalid/x/tea.git"}\n'),
    ],
)
def test_who_fetches_a_dependency_is_not_told(path: str, data: str) -> None:
    reader = reader_of(path)
    assert reader is not None
    (dependency,) = reader(data.encode()).dependencies
    assert dependency.name == "tea"
    assert "//host.invalid/x/tea.git" in dependency.wanted


def test_a_version_that_only_a_program_knows_is_none() -> None:
    reader = reader_of("setup.cfg")
    assert reader is not None
    assert reader(b"[metadata]\nname = shop\nversion = attr: shop.__version__\n").version == ""
