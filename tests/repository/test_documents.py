"""The documents say what the tree holds, and the tree nothing of the machine it was made on."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from actr_peer.cli.exits import Exit
from actr_peer.cli.main import VERBS
from actr_peer.node.config import loading, settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "services/peer/src/actr_peer", ROOT / "services/signaling/src/actr_signaling")
SERVICES = (ROOT / "services/peer", ROOT / "services/signaling")
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#]+)")
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)+/?|[\w-]+\.(py|md|toml|yaml|proto|txt|in)")
LABEL = re.compile(r"/v\d+(/|$)")
"""What a proof is made over, and the like: no file."""
WORD = re.compile(r"[A-Za-z_]\w*")
EXAMPLES = {
    "room.proto",
    "room.py",
    "ann.py",
    "caller.py",
    "my_room.proto",
    "my_room.py",
    "my_room_actr.py",
    "my_room_pb2.py",
    "test_my_room.py",
    "actr.toml",
    "video.mp4",
    "compose.override.yaml",
    "dist/requirements.txt",
    ".actr/console.html",
}
"""Files that the documents tell the reader to make."""
PLAIN = {"True", "False", "None", "kill", "on_stop"}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [name for name in listed.stdout.split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.S | re.M)


@cache
def defined() -> frozenset[str]:
    """Every name that the sources define: modules, classes, functions, fields, members, keys."""
    names = {part for package in PACKAGES for path in package.rglob("*") for part in [path.stem]}
    for path in tracked():
        if path.suffix == ".py":
            tree = ast.parse(path.read_text("utf-8"))
            names |= {name for node in ast.walk(tree) for name in names_of(node)}
        if path.suffix == ".proto":
            names |= set(WORD.findall(path.read_text("utf-8")))
    return frozenset(names)


def names_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.arg(arg=name):
            yield name
        case _:
            pass


def exists(text: str, document: Path) -> bool:
    """Whether a path of a document is there: from the root, a package, or the document."""
    places = (ROOT, document.parent, *PACKAGES, *SERVICES, ROOT / "proto", ROOT / "proto/actr")
    return any(next(place.glob(text.rstrip("/")), None) is not None for place in places)


@pytest.mark.parametrize("document", documents(), ids=label)
def test_every_path_a_document_names_is_there(document: Path) -> None:
    text = prose(document)
    named = {span for span in SPAN.findall(text) if PATH.fullmatch(span)} - EXAMPLES
    named -= {span for span in named if LABEL.search(span)}
    links = {link for link in LINK.findall(text) if not (document.parent / link).exists()}
    missing = {path for path in named if not path.startswith("/") and not exists(path, document)}
    assert missing | links == set()


def test_every_name_of_the_architecture_page_is_defined_in_the_tree() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    spans = set(SPAN.findall(prose(ROOT / "docs/architecture.md")))
    words = {span for span in spans if WORD.fullmatch(span)}
    pictures = {
        word
        for block in re.findall(r"^```.*?^```", text, flags=re.S | re.M)
        for word in WORD.findall(block)
        if re.fullmatch(r"(?:[A-Z][a-z]+){2,}|[A-Z]+_[A-Z_]+|[a-z]+(?:_[a-z]+)+", word)
    }
    folders = {folder.name for path in tracked() for folder in path.parents}
    assert (words | pictures) - defined() - folders - PLAIN == set()


@cache
def verbs_of_make() -> dict[str, str]:
    """Verb to help, as ``make help`` prints them."""
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    verbs = [line for line in shown.splitlines() if line.startswith("  ")]
    return dict(line.split(maxsplit=1) for line in verbs)


def test_make_help_lists_every_verb() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.findall(r"^\.PHONY: (\S+)$", text, flags=re.M))
    targets = set(re.findall(r"^([a-z-]+):", text, flags=re.M))
    assert phony == targets == set(verbs_of_make())


def test_every_program_of_the_makefile_is_there() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    modules = re.findall(r"-m (bench[\w.]+)", text)
    tools = re.findall(r"@(?:\$\(BIN\)/python )?(tools/\S+)", text)
    paths = [ROOT / module.replace(".", "/") for module in modules]
    programs = [path / "__main__.py" if path.is_dir() else Path(f"{path}.py") for path in paths]
    programs += [ROOT / tool for tool in tools]
    assert [program for program in programs if not program.is_file()] == []


@pytest.mark.parametrize("document", documents(), ids=label)
def test_every_command_a_document_names_is_there(document: Path) -> None:
    text = document.read_text("utf-8")
    made = set(re.findall(r"(?:^|`|&& )make ([a-z]+(?:-[a-z]+)*)", text, flags=re.M))
    blocks = "\n".join(re.findall(r"^```.*?^```", text, flags=re.S | re.M))
    called = set(re.findall(r"`actr ([a-z]+)", text))
    called |= set(re.findall(r"^actr ([a-z]+)", blocks, flags=re.M))
    assert (made - set(verbs_of_make()), called - set(VERBS)) == (set(), set())


def test_every_verb_of_actr_has_its_module() -> None:
    missing = [
        module
        for module, _ in VERBS.values()
        if not (PACKAGES[0].parent / (module.replace(".", "/") + ".py")).exists()
        and not (PACKAGES[0].parent / module.replace(".", "/") / "__init__.py").exists()
    ]
    assert missing == []


def test_the_page_on_configuration_lists_every_variable_with_its_default() -> None:
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `(ACTR_\w+)` \| (?:`([^`]*)`|none) \|", text, flags=re.M))
    defaults = settings.Settings.model_construct().model_dump(mode="json")
    expected = {}
    for key in loading.known_keys():
        section, _, name = key.partition(".")
        value = defaults[section][name] if name else defaults[section]
        expected[loading.variable(key)] = as_variable(value)
    assert listed == expected


def as_variable(value: object) -> str:
    """A default as one would write it in the environment; empty for none."""
    match value:
        case None | "" | [] | {}:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ",".join(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def test_the_readme_lists_every_exit_code() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.M)}
    assert codes == {int(code) for code in Exit}


BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.S | re.M)
RUN = {"sh", "python", "protobuf", "yaml"}
"""Languages of code; text is what a program says, or a usage."""
COMMAND = re.compile(
    r"^(?:\w+=\S+ )*(actr|actr-issuer|actr-signaling|docker|git|make|python|pip|uv) ", flags=re.M
)
NOT_RUN = {
    (
        "CONTRIBUTING.md",
        "git clone",
    ): "the checkout that the test runs in; make's verbs are compared",
    ("docs/benchmarks.md", "make "): "they measure for minutes; make's verbs are compared",
    ("docs/scale.md", "make bench-signaling"): "it measures for minutes; make's verbs are compared",
    ("docs/browser.md", "make browser-test"): "it needs Node.js; CI runs it where that is",
    ("docs/browser.md", "npm pack"): "a registry; browser/tests/service/page.test.ts does the rest",
    ("docs/cli.md", "actr ps "): "peer's tests/shell/cli/verbs/running/test_ps.py does each",
    ("docs/cli.md", "actr top "): "peer's verbs/running/watch/test_top.py does each",
    ("docs/metrics.md", "ACTR_METRICS__LISTEN="): "peer's test_page.py asks what is told there",
    ("docs/codegen.md", "npm install"): "a registry; browser/tests/service does the rest",
    ("docs/codegen.md", "version: v2"): "needs buf; test_tools runs another one where it is",
    ("docs/deployment.md", "docker compose up"): "containers: make integration-test",
    ("docs/operations.md", "docker compose --profile observability"): "containers",
    ("docs/deployment.md", "docker compose exec redis"): "containers: make integration-test",
    ("docs/deployment.md", "ACTR_TURN_URLS="): "containers",
    ("docs/deployment.md", "mkdir -p secrets/realm"): "a cluster: make check-kubernetes",
    ("docs/deployment.md", "# compose.override.yaml; the file's owner"): "containers",
    ("docs/deployment.md", "# compose.override.yaml\nservices:\n  turn"): "containers",
    (
        "docs/issuer.md",
        "actr-issuer token new",
    ): "signaling's tests/service/issuer/test_main.py does each verb",
    ("docs/gateway.md", "pip install"): "make package installs the wheels",
    ("services/peer/README.md", "pip install"): "make package installs the wheels",
    ("services/signaling/README.md", "pip install"): "make package installs the wheels",
}
"""Document and beginning of each block of code that no test runs, with the reason."""


def blocks() -> Iterator[tuple[str, str, str]]:
    """Document, language and text of each block."""
    for path in documents():
        for language, text in BLOCK.findall(path.read_text("utf-8")):
            yield label(path), language, text


def taken() -> set[tuple[str, str]]:
    """Document and beginning of each block that a test asks for, to run it."""
    return {
        (node.args[0].value, node.args[1].value)
        for path in (ROOT / "services/peer/tests/service").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "block"
        and all(isinstance(each, ast.Constant) for each in node.args)
    }


def test_every_block_of_code_is_run_by_a_test_or_says_why_not() -> None:
    ways = [*taken(), *NOT_RUN]
    code = [(document, text) for document, language, text in blocks() if language in RUN]
    neither = [
        (document, text.splitlines()[0])
        for document, text in code
        if sum(document == page and text.startswith(start) for page, start in ways) != 1
    ]
    assert neither == [], "run it in a test that takes it with block(), or give the reason here"
    stale = [
        (page, start)
        for page, start in ways
        if not any(document == page and text.startswith(start) for document, text in code)
    ]
    assert stale == []


def test_every_block_of_commands_is_labelled_as_such() -> None:
    found = [
        (document, text.splitlines()[0])
        for document, language, text in blocks()
        if not language and COMMAND.search(text)
    ]
    assert found == [], "label it sh, or text"


# In pieces, so that this file does not match itself.
FOREIGN = re.compile(
    "|".join(
        (
            "/" + "work/",
            "/" + r"root/\.pyenv",
            "/" + "opt/(pypi|wheels)",
            "(pypi|python" + "hosted)" + r"\." + "org/",
            r"(ghcr|quay|gcr|docker)\." + "io/",
            r"pkg\." + "dev",
            r"registry\." + "(npmjs|hub|docker)",
            r"deb\.debian\." + "org",
        )
    )
)


def test_no_registry_address_and_no_path_of_one_machine_is_in_the_tree() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{label(path)}: {match.group()}" for match in FOREIGN.finditer(text)]
    assert found == []
