"""The commands and the programs of the pages for users, run as they stand there."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent

import pytest

from peer_kit import block
from peer_kit.place import Place, of_this_tree

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(240)]

CONTRACT = """
syntax = "proto3";
package chat;
import "actr/options.proto";
service Room {
  rpc Say(Line) returns (Receipt);
  rpc Listen(Query) returns (stream Line);
  rpc Upload(stream Line) returns (Receipt);
  rpc Cursors(stream Line) returns (stream Line) {
    option (actr.payload_type) = STREAM_LATENCY_FIRST;
  }
  rpc Who(PresenceQuery) returns (Presence);
  rpc Watch(PresenceQuery) returns (stream Presence);
}
message Line { string author = 1; string text = 2; }
message Receipt { uint64 number = 1; }
message Query { uint32 limit = 1; }
message PresenceQuery {}
message Presence { string who = 1; }
"""
WORKLOAD = """
from room_actr import RoomService
from room_pb2 import Presence, Receipt

class Room(RoomService):
    def __init__(self):
        self.lines = []

    async def say(self, request, ctx):
        self.lines.append(request)
        return Receipt(number=len(self.lines))

    async def listen(self, request, ctx):
        for line in self.lines[-request.limit:]:
            yield line

    async def upload(self, requests, ctx):
        async for line in requests:
            self.lines.append(line)
        return Receipt(number=len(self.lines))

    async def cursors(self, requests, ctx):
        async for line in requests:
            yield line

    async def who(self, request, ctx):
        return Presence(who="ann")

    async def watch(self, request, ctx):
        yield Presence(who="bob")
"""


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A person's machine, where nothing is configured and nothing runs."""
    found = Place(tmp_path)
    scripts = Path(sys.executable).parent
    path = f"{scripts}:{found.environment['PATH']}"
    found.environment = {
        **of_this_tree(),
        "PATH": path,
        "HOME": str(tmp_path),
        "ACTR_LOG__FORMAT": "json",
    }
    return found


@pytest.fixture
def place(bare: Place) -> Iterator[Place]:
    """The same with a signaling service, on a free port."""
    with bare.signaling():
        yield bare


@pytest.fixture
def chat(place: Place) -> Place:
    """The same with the contract and the workload of a chat room."""
    return made(place, "room", CONTRACT, WORKLOAD)


def made(place: Place, name: str, contract: str, program: str) -> Place:
    """Write a contract and a program of its name, and generate what the program imports."""
    (place.folder / f"{name}.proto").write_text(contract, encoding="utf-8")
    place.shell(f"actr gen {name}.proto")
    (place.folder / f"{name}.py").write_text(program, encoding="utf-8")
    return place


def commands(text: str) -> list[str]:
    """The lines of a block, without what is said beside them."""
    return [re.sub(r"\s+#.*$", "", line) for line in text.splitlines()]


@contextmanager
def running(place: Place, actor: str, workload: str = "room:Room") -> Iterator[None]:
    with place.beside(f"actr run {workload} --id {actor}") as process:
        place.wait_until_ready(process)
        yield


def test_the_page_on_the_command_line_lists_and_describes(chat: Place) -> None:
    everybody, room, watch = commands(block("docs/cli.md", "actr ls"))
    whole, method, document = commands(block("docs/cli.md", "actr describe"))
    with running(chat, "acme:room@2:default"):
        for command in (everybody, room):
            assert "acme:room@2:default" in chat.shell(command)
        with chat.beside(watch) as watching:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["id"] == "acme:room@2:default"
        for command in (whole, method):
            assert "rpc Say(chat.Line) returns (chat.Receipt);" in chat.shell(command)
        (service,) = json.loads(chat.shell(document))["services"]
        assert service["name"] == "chat.Room"


def test_the_page_on_the_command_line_calls(chat: Place) -> None:
    say, of_a_file, listen, of_a_type, upload, cursors = commands(block("docs/cli.md", "actr call"))
    for name, text in {
        "line.json": '{"author": "bob", "text": "hi"}',
        "head.json": '{"author": "cy"}',
        "pieces.json": '{"text": "a"}\n{"text": "b"}\n',
        "moves": '{"author": "ann"}\n',
    }.items():
        (chat.folder / name).write_text(text, encoding="utf-8")
    with running(chat, "acme:room@2:default"):
        numbers = [json.loads(chat.shell(each)) for each in (say, of_a_file, of_a_type, upload)]
        assert numbers == [{"number": text} for text in ("1", "2", "3", "6")]
        lines = [json.loads(line) for line in chat.shell(listen).splitlines()]
        assert [line["author"] for line in lines] == ["ann", "bob", "ann", "cy", "", ""]
        with chat.beside(cursors) as moving:
            assert moving.stdout is not None
            assert json.loads(moving.stdout.readline())["author"] == "ann"


def test_the_page_on_two_peers_that_do_not_connect(chat: Place) -> None:
    block_of_page = block("docs/doctor.md", "actr doctor")
    whole, with_module, alone, ping, pings = commands(block_of_page)
    with running(chat, "acme:room@2:default"):
        for command in (whole, with_module, alone):
            assert chat.shell(command).startswith("no step failed\n")
        assert "│ webrtc " in chat.shell(ping)
        assert [each["sent"] for each in json.loads(chat.shell(pings))["wires"]] == [20, 20]


def test_the_page_on_generated_code_runs_the_compilers(place: Place) -> None:
    contract = place.folder / "proto/chat/room.proto"
    contract.parent.mkdir(parents=True)
    contract.write_text(block("docs/codegen.md", 'syntax = "proto3"'), encoding="utf-8")
    place.shell(block("docs/codegen.md", "actr gen"))
    written = place.folder / "src/chat/room_actr.py"
    text = written.read_text("utf-8")
    shutil.rmtree(written.parent)
    place.shell(block("docs/codegen.md", "ACTR="))
    assert written.read_text("utf-8") == text
    assert {"room_pb2.py", "room_pb2.pyi"} < {path.name for path in written.parent.iterdir()}


def test_the_page_on_generated_code_calls_by_the_message(chat: Place) -> None:
    program = f"""
import actr_peer
from room import Room
from room_actr import RoomService
from room_pb2 import Line, PresenceQuery

async def pieces():
    yield Line(author="ann")

async def main(ctx):
    room, line = "acme:room@1:default", Line(author="ann", text="hello")
{indent(block("docs/codegen.md", "await ctx.call("), "    ")}
    print(receipt.number, change)

actr_peer.run(main, Room())
"""
    (chat.folder / "program.py").write_text(program, encoding="utf-8")
    with running(chat, "acme:room@1:default"):
        said = chat.shell("python program.py", ACTR_ACTOR__ID="acme:caller@1:default")
    assert said.split("\n")[0] == '2 who: "bob"'


def test_a_program_of_the_page_on_configuration_serves_and_another_calls_it(chat: Place) -> None:
    served = block("docs/configuration.md", "import actr_peer")
    called = block("docs/configuration.md", "async def main()")
    imports = "import actr_peer\nfrom room_actr import RoomClient\nfrom room_pb2 import Line\n\n"
    (chat.folder / "served.py").write_text(served, encoding="utf-8")
    program = f"{imports}{called}\nactr_peer.run(main)\n"
    (chat.folder / "called.py").write_text(program, encoding="utf-8")
    with chat.beside("python served.py", ACTR_ACTOR__ID="chat:room@1:default") as room:
        chat.wait_until_ready(room)
        assert chat.shell("python called.py") == "number: 1\n\n"


def test_the_parts_of_the_page_on_configuration_are_an_actor(chat: Place) -> None:
    parts = block("docs/configuration.md", "config = ")
    program = f"""
import asyncio
import actr_peer
from room import Room

async def main():
{indent(parts, "    ")}

asyncio.run(main())
"""
    (chat.folder / "parts.py").write_text(program, encoding="utf-8")
    with chat.beside("python parts.py"):
        while "chat:room@1:default" not in chat.shell("actr ls chat:room"):
            pass
        said = chat.shell("""actr call chat:room@1:default Say '{"author": "ann"}'""")
    assert json.loads(said) == {"number": "1"}


BANK = """
syntax = "proto3";
package bank;
service Bank {
  rpc Open(DepositRequest) returns (DepositReply);
  rpc Deposit(DepositRequest) returns (DepositReply);
}
message DepositRequest { string account = 1; int32 amount = 2; }
message DepositReply { int32 balance = 1; }
"""


def test_the_handler_of_the_page_on_the_mailbox_has_its_effect(place: Place) -> None:
    program = f"""
from bank_actr import BankService
from bank_pb2 import DepositReply

class Bank(BankService):
    async def open(self, request, ctx):
        async with ctx.transaction() as tx:
            await tx.execute("CREATE TABLE account(id TEXT PRIMARY KEY, balance INTEGER)")
        return DepositReply()

{indent(block("docs/mailbox.md", "async def deposit"), "    ")}
"""
    made(place, "bank", BANK, program)
    call = "actr call acme:bank@1:default"
    with running(place, "acme:bank@1:default", "bank:Bank"):
        place.shell(f"{call} Open")
        for balance in (3, 6):
            said = place.shell(f"""{call} Deposit '{{"account": "ann", "amount": 3}}'""")
            assert json.loads(said) == {"balance": balance}


def test_the_commands_of_the_page_on_files_move_one(place: Place) -> None:
    receive, send = commands(block("docs/files.md", "actr receive"))
    film = bytes(range(256)) * 1_000
    (place.folder / "holiday.mkv").write_bytes(film)
    with place.beside(receive) as receiving:
        place.wait_until_ready(receiving)
        assert "holiday.mkv" in place.shell(send)
        assert (place.folder / "inbox/holiday.mkv").read_bytes() == film


SHOP = """
syntax = "proto3";
package shop;
service Shop { rpc Order(OrderRequest) returns (OrderReply); }
service Stock { rpc Take(Item) returns (Taken); }
message Item { string name = 1; }
message Taken {}
message OrderRequest { Item item = 1; }
message OrderReply {}
"""


def test_the_spans_of_the_page_on_traces_are_one_trace(place: Place) -> None:
    program = f"""
import asyncio
from contextlib import AsyncExitStack

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import shop_pb2 as pb
from actr_peer import Context, NodeConfig, Service, System
from shop_actr import ShopClient, ShopService, StockClient, StockService

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("shop")

class Stock(StockService):
    async def take(self, request, ctx):
        with tracer.start_as_current_span("take"):
            return pb.Taken()

class Shop(ShopService):
{indent(block("docs/tracing.md", "async def order"), "    ")}
        return pb.OrderReply()

async def main():
    async with AsyncExitStack() as stack:
        for name, workload in dict(stock=Stock(), shop=Shop(), caller=Service()).items():
            config = NodeConfig.load(id=f"acme:{{name}}@1:default")
            node = await stack.enter_async_context(System(config).attach(workload))
        request = pb.OrderRequest(item=pb.Item(name="pen"))
{indent(block("docs/tracing.md", "with tracer"), "        ")}
    spans = exporter.get_finished_spans()
    names = {{span.context.span_id: span.name for span in spans}}
    print({{span.name: names.get(span.parent and span.parent.span_id) for span in spans}})

asyncio.run(main())
"""
    made(place, "shop", SHOP, program)
    said = place.shell("python shop.py").replace("'", '"').replace("None", "null")
    assert json.loads(said) == {"checkout": None, "order": "checkout", "take": "order"}


def test_the_sensors_of_the_page_on_destinations_are_asked(place: Place) -> None:
    contract = f"""
syntax = "proto3";
package acme;
service Sensor {{
{indent(block("docs/destinations.md", "rpc Read("), "  ")}
}}
message ReadRequest {{}}
message Reading {{ int32 degrees = 1; }}
message Rate {{ int32 hertz = 1; }}
"""
    workload = """
from sensor_actr import SensorService
from sensor_pb2 import Reading

class Sensor(SensorService):
    async def read(self, request, ctx):
        return Reading(degrees=21)

    async def set_rate(self, request, ctx):
        return request
"""
    program = f"""
import actr_peer
from sensor_actr import SensorClient
from sensor_pb2 import ReadRequest

async def main():
    async with actr_peer.connect() as ref:
{indent(block("docs/destinations.md", "sensors = "), "        ")}
        print(await sensors.read(ReadRequest()))

actr_peer.run(main)
"""
    made(place, "sensor", contract, workload)
    (place.folder / "program.py").write_text(program, encoding="utf-8")
    one, two = (running(place, f"acme:sensor@{n}:default", "sensor:Sensor") for n in (1, 2))
    with one, two:
        assert place.shell("python program.py") == "degrees: 21\n\n"


def test_the_project_that_is_written_runs_and_is_called(bare: Place) -> None:
    new, enter, dev = block("README.md", "actr new").splitlines()
    assert commands(block("docs/cli.md", "actr new")) == [new, dev]
    pages = block("docs/dev.md", "actr new"), block("docs/dev.md", "actr dev")
    assert pages == (f"{new}\n", f"{dev}\n")
    bare.shell(new)
    with bare.beside(f"{enter}\n{dev}") as watched:
        assert watched.stdout is not None
        assert any("online as dev:my-room@1:default" in line for line in watched.stdout)
        called = block("README.md", "python caller.py")
        said = bare.shell(f"{enter}\n{called}")
    assert json.loads(said.splitlines()[-1])["number"]


def test_the_test_of_the_page_on_writing_an_actor_passes(bare: Place) -> None:
    bare.shell("actr new my-room")
    (bare.folder / "my-room/test_page.py").write_text(block("docs/dev.md", "import asyncio"))
    assert "1 passed" in bare.shell("cd my-room; python -m pytest -q test_page.py")


def test_the_program_on_the_page_of_the_package_calls(chat: Place) -> None:
    program = block("services/peer/README.md", "import actr_peer")
    (chat.folder / "program.py").write_text(program, encoding="utf-8")
    with running(chat, "chat:room@1:default"):
        assert chat.shell("python program.py") == "number: 1\n\n"


def test_the_room_of_the_page_on_the_protocol_runs(place: Place) -> None:
    with place.beside(block("docs/protocol.md", "actr run")) as room:
        place.wait_until_ready(room)
        assert "demo:room@1:default" in place.shell("actr ls demo:room")
