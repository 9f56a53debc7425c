"""Runs protoc and mypy-protobuf, both from PyPI, so that no compiler need be on the PATH."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message import DecodeError

from actr import options_pb2
from actr_peer.cli.codegen.generate import generate
from actr_peer.cli.codegen.names import Language
from actr_peer.errors import ConfigError

_OPTIONS = "actr/options.proto"
_SHIPPED = Path(options_pb2.__file__).parent.parent
"""Where ``import "actr/options.proto"`` is found."""


def compile_files(
    files: Iterable[Path], include: Sequence[Path] = (), *, python_out: Path | None = None
) -> CodeGeneratorRequest:
    """Compile .proto files to the request that a plugin gets.

    Args:
        files: At least one.
        include: Directories in which imports are found, in this order; empty: the current
            directory, or for files that are not below it the directory of each. The
            directories of ``actr/options.proto`` and of protobuf's own types are known.
        python_out: Where to write ``*_pb2.py`` in the same run.

    Raises:
        ConfigError: If grpcio-tools is missing, a file is not below an include directory, or
            the compiler refuses; then the text is the compiler's.
    """
    files = tuple(files)
    roots = [root.resolve() for root in include] or _default_roots(files)
    names = [_import_path(file, roots) for file in files]
    with TemporaryDirectory(prefix="actr-gen-") as scratch:
        descriptors = Path(scratch, "descriptors.binpb")
        options = [f"-I{root}" for root in (*roots, _SHIPPED)]
        options += [f"--descriptor_set_out={descriptors}", "--include_imports"]
        options += ["--include_source_info"]
        options += [f"--python_out={python_out}"] if python_out else []
        _protoc([*options, *names])
        found = FileDescriptorSet.FromString(descriptors.read_bytes())
    return CodeGeneratorRequest(file_to_generate=names, proto_file=found.file)


def read_descriptor_set(path: Path) -> CodeGeneratorRequest:
    """Read a serialized FileDescriptorSet that holds its imports; all of its files are wanted.

    Raises:
        ConfigError: If the file cannot be read, is none, or lacks an import.
    """
    try:
        found = FileDescriptorSet.FromString(path.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}") from exc
    except DecodeError as exc:
        text = "neither a .proto file, nor a directory, nor a descriptor set"
        raise ConfigError(f"{path}: {text}") from exc
    names: list[str] = []
    for file in found.file:
        names.append(file.name)
        if missing := set(file.dependency).difference(names):
            raise ConfigError(
                f"{path}: {file.name} imports {min(missing)}, which is not in it: write the "
                "descriptor set with its imports"
            )
    return CodeGeneratorRequest(file_to_generate=names, proto_file=found.file)


def generate_modules(
    files: Iterable[Path],
    include: Sequence[Path] = (),
    language: Language = Language.PYTHON,
    out: Path = Path(),
) -> dict[Path, str]:
    """Write all modules of these files: ``*_pb2.py``, ``*_pb2.pyi`` and ``*_actr.py``, or in
    TypeScript ``*_pb.ts`` and ``*_actr.ts``.

    Args:
        files: As for :func:`compile_files`.
        include: As for :func:`compile_files`.
        language: Which of the two.
        out: Where they will be written: the tools of TypeScript are installed there or above.

    Returns:
        Path relative to the output directory, to text.

    Raises:
        ConfigError: If a tool is missing or refuses, or the contract is wrong.
    """
    if language is Language.TYPESCRIPT:
        return _typescript(compile_files(files, include), out)
    with TemporaryDirectory(prefix="actr-gen-") as scratch:
        made = Path(scratch)
        request = compile_files(files, include, python_out=made)
        modules = {path.relative_to(made): path.read_text("utf-8") for path in made.rglob("*.py")}
    modules |= _answered("protoc-gen-actr", generate(request))
    return modules | _answered("mypy-protobuf", _stubs(request))


def _typescript(request: CodeGeneratorRequest, out: Path) -> dict[Path, str]:
    request.parameter = f"lang={Language.TYPESCRIPT.value}"
    modules = _answered("protoc-gen-actr", generate(request))
    plugin = _installed("protoc-gen-es", out)
    if plugin is None:
        raise ConfigError(
            "protoc-gen-es, which makes the messages in TypeScript, is neither in a node_modules "
            f"of {out.resolve()} or above nor on the PATH: "
            "npm install --save-dev @bufbuild/protoc-gen-es"
        )
    answer = _plugin([plugin], messages_alone(request), "protoc-gen-es")
    return modules | _answered("protoc-gen-es", answer)


def messages_alone(request: CodeGeneratorRequest) -> CodeGeneratorRequest:
    """The request for messages without what is said of lanes: that is in ``*_actr.ts``, and no
    module of ``actr/options.proto`` need be beside the user's own; there is one where a message
    or method refers to a type of it."""
    types = {
        f".{file.package}.{each.name}"
        for file in request.proto_file
        if file.name == _OPTIONS
        for each in chain[DescriptorProto | EnumDescriptorProto](file.message_type, file.enum_type)
    }
    referring = {file.name for file in request.proto_file if types.intersection(_types(file))}
    referring.discard(_OPTIONS)
    alone = CodeGeneratorRequest(
        file_to_generate=[name for name in request.file_to_generate if name != _OPTIONS],
        parameter="target=ts,import_extension=js",
    )
    if referring:
        alone.file_to_generate.append(_OPTIONS)
    for file in request.proto_file:
        if file.name == _OPTIONS and not referring:
            continue
        kept = alone.proto_file.add()
        kept.CopyFrom(file)
        if _OPTIONS in kept.dependency and file.name not in referring:
            _forget_import(kept, list(kept.dependency).index(_OPTIONS))
        for service in kept.service:
            service.ClearField("options")
            for method in service.method:
                method.ClearField("options")
    return alone


def _types(file: FileDescriptorProto) -> Iterator[str]:
    """Names of the types that fields and methods of a file have, with a dot before them."""
    waiting = [*file.message_type]
    fields = [*file.extension]
    for message in waiting:
        waiting.extend(message.nested_type)
        fields.extend((*message.field, *message.extension))
    yield from (field.type_name for field in fields)
    for service in file.service:
        for method in service.method:
            yield from (method.input_type, method.output_type)


def _forget_import(file: FileDescriptorProto, index: int) -> None:
    """Take one import out of a file; others are named by their place among all."""
    del file.dependency[index]
    for places in (file.public_dependency, file.weak_dependency):
        kept = [place - (place > index) for place in places if place != index]
        del places[:]
        places.extend(kept)


def _installed(tool: str, out: Path) -> str | None:
    """Where npm has put a tool: of the output's package, of the current one, or of all."""
    for folder in (out.resolve(), Path.cwd()):
        for above in (folder, *folder.parents):
            if (found := above / "node_modules" / ".bin" / tool).is_file():
                return str(found)
    return shutil.which(tool)


def _stubs(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    _need("mypy_protobuf", "mypy-protobuf")
    return _plugin([sys.executable, "-m", "mypy_protobuf.main"], request, "mypy-protobuf")


def _plugin(
    command: Sequence[str], request: CodeGeneratorRequest, name: str
) -> CodeGeneratorResponse:
    try:
        run = subprocess.run(  # noqa: S603 - our own interpreter, or what npm has installed here
            command, input=request.SerializeToString(), capture_output=True, check=False
        )
    except OSError as exc:
        raise ConfigError(f"{name} cannot be run: {command[0]}: {exc.strerror}") from exc
    if run.returncode:
        raise ConfigError(f"{name} failed:\n{run.stderr.decode(errors='replace').strip()}")
    return CodeGeneratorResponse.FromString(run.stdout)


def _answered(plugin: str, response: CodeGeneratorResponse) -> dict[Path, str]:
    if response.error:
        raise ConfigError(f"{plugin} refuses:\n{response.error}")
    return {Path(file.name): file.content for file in response.file}


def _protoc(arguments: Iterable[str]) -> None:
    _need("grpc_tools", "grpcio-tools")
    run = subprocess.run(  # noqa: S603 - our own interpreter, a fixed module
        [sys.executable, "-m", "grpc_tools.protoc", *arguments], capture_output=True, check=False
    )
    if run.returncode:
        raise ConfigError(f"protoc refuses:\n{run.stderr.decode(errors='replace').strip()}")


def _need(module: str, package: str) -> None:
    if find_spec(module) is None:
        raise ConfigError(f"{package} is not installed: pip install 'actr-peer[gen]'")


def _default_roots(files: Iterable[Path]) -> list[Path]:
    here = Path.cwd()
    parents = [file.resolve().parent for file in files]
    roots = [here if parent.is_relative_to(here) else parent for parent in parents]
    return list(dict.fromkeys(roots))


def _import_path(file: Path, roots: Iterable[Path]) -> str:
    """The name by which other files import this one: relative to the first root above it."""
    path = file.resolve()
    if not path.is_file():
        raise ConfigError(f"{file}: no such file")
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    tried = ", ".join(map(str, roots))
    raise ConfigError(f"{file} is below no include directory ({tried}): give its root with -I")
