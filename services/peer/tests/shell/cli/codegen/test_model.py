"""Descriptors to the model: payload types, options, types, and every refusal."""

from __future__ import annotations

import pytest

from actr_peer.cli.codegen.model import RpcMethod, read
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import MethodKind
from peer_kit.contracts import chat, compiled, contract

UNARY = "rpc Say(Ask) returns (Reply)"
REPLIES = "rpc Say(Ask) returns (stream Reply)"
REQUESTS = "rpc Say(stream Ask) returns (Reply)"
BOTH = "rpc Say(stream Ask) returns (stream Reply)"


def only_method(method: str, **parts: str) -> RpcMethod:
    found = contract(chat(method, **parts))
    assert found.problems == ()
    return found.files[0].services[0].methods[0]


def only_problem(method: str, **parts: str) -> str:
    problems = contract(chat(method, **parts)).problems
    assert len(problems) == 1
    return str(problems[0])


@pytest.mark.parametrize(
    ("method", "option", "default", "resolved"),
    [
        pytest.param(UNARY, None, None, "RPC_RELIABLE", id="unary without a word"),
        pytest.param(REPLIES, None, None, "STREAM_RELIABLE", id="stream of replies"),
        pytest.param(REQUESTS, None, None, "STREAM_RELIABLE", id="stream of requests"),
        pytest.param(BOTH, None, None, "STREAM_RELIABLE", id="stream both ways"),
        pytest.param(UNARY, "RPC_SIGNAL", None, "RPC_SIGNAL", id="the method's own option"),
        pytest.param(UNARY, None, "RPC_SIGNAL", "RPC_SIGNAL", id="the service's default"),
        pytest.param(
            UNARY, "RPC_RELIABLE", "RPC_SIGNAL", "RPC_RELIABLE", id="0 is a choice, not absence"
        ),
        pytest.param(
            BOTH,
            None,
            "RPC_SIGNAL",
            "STREAM_RELIABLE",
            id="a default that does not fit is not used",
        ),
        pytest.param(
            UNARY, None, "STREAM_LATENCY_FIRST", "RPC_RELIABLE", id="nor on a unary method"
        ),
        pytest.param(
            REPLIES, None, "STREAM_LATENCY_FIRST", "STREAM_LATENCY_FIRST", id="a default that fits"
        ),
    ],
)
def test_the_payload_type_is_resolved_from_method_service_and_kind(
    method: str, option: str | None, default: str | None, resolved: str
) -> None:
    body = f"{{ option (actr.payload_type) = {option}; }}" if option else ";"
    service_option = f"option (actr.default_payload_type) = {default};" if default else ""
    found = only_method(f"{method} {body}", service_option=service_option)
    assert found.payload_type is PayloadType[resolved]


@pytest.mark.parametrize(
    ("method", "option", "said"),
    [
        (
            UNARY,
            "STREAM_RELIABLE",
            "does not fit a unary method; allowed: RPC_RELIABLE, RPC_SIGNAL",
        ),
        (
            REPLIES,
            "RPC_RELIABLE",
            "does not fit a method that streams replies; "
            "allowed: STREAM_RELIABLE, STREAM_LATENCY_FIRST",
        ),
        (REQUESTS, "RPC_SIGNAL", "does not fit a method that streams requests"),
        (BOTH, "RPC_SIGNAL", "does not fit a method that streams both ways"),
        (UNARY, "MEDIA_RTP", "does not fit any method: media is published, not called; allowed:"),
        (BOTH, "MEDIA_RTP", "does not fit any method: media is published, not called; allowed:"),
    ],
)
def test_a_wrong_pairing_names_file_line_service_method_and_what_is_allowed(
    method: str, option: str, said: str
) -> None:
    problem = only_problem(f"{method} {{ option (actr.payload_type) = {option}; }}")
    place = "chat/v1/chat.proto:9: service chat.v1.Chat, method Say: "
    assert problem.startswith(f"{place}payload_type {option} ")
    assert said in problem


def test_media_is_no_default_of_a_service() -> None:
    option = "option (actr.default_payload_type) = MEDIA_RTP;"
    problem = only_problem(f"{UNARY};", service_option=option)
    assert problem.startswith("chat/v1/chat.proto:8: service chat.v1.Chat: default_payload_type")
    assert "RPC_RELIABLE, RPC_SIGNAL, STREAM_RELIABLE, STREAM_LATENCY_FIRST" in problem


FIELDS = (
    "string room = 1; uint64 number = 2; Mood mood = 3; bytes raw = 4; "
    "optional bool maybe = 5; oneof one { string of = 6; } "
    "Part part = 7; repeated string many = 8; map<string, string> table = 9;"
)


@pytest.mark.parametrize("key", ["sender", "room", "number", "mood", "raw", "maybe", "of"])
def test_a_conflict_key_is_the_sender_or_a_scalar_field(key: str) -> None:
    method = f'{UNARY} {{ option (actr.conflict_key) = "{key}"; }}'
    assert only_method(method, request=FIELDS).conflict_key == key


@pytest.mark.parametrize(
    ("key", "fault"),
    [("roomm", "is missing"), ("", "is missing")]
    + [(key, "is not a scalar") for key in ("part", "many", "table")],
)
def test_a_conflict_key_that_is_no_scalar_field_is_refused(key: str, fault: str) -> None:
    problem = only_problem(f'{UNARY} {{ option (actr.conflict_key) = "{key}"; }}', request=FIELDS)
    assert f'conflict_key "{key}": that field of chat.v1.Ask {fault}' in problem
    assert 'allowed: "sender", "room", "number", "mood", "raw", "maybe", "of"' in problem


def test_streamed_requests_have_no_conflict_key_but_the_sender() -> None:
    option = '{ option (actr.conflict_key) = "room"; }'
    assert 'allowed: "sender"' in only_problem(f"{REQUESTS} {option}")
    assert only_method(f"{BOTH} {option.replace('room', 'sender')}").conflict_key == "sender"
    assert only_method(f"{REPLIES} {option}").conflict_key == "room"


@pytest.mark.parametrize("level", ["IDEMPOTENT", "NO_SIDE_EFFECTS"])
def test_a_method_that_may_run_twice_says_so_in_protobuf_s_own_words(level: str) -> None:
    assert only_method(f"{UNARY} {{ option idempotency_level = {level}; }}").is_idempotent
    assert not only_method(f"{UNARY};").is_idempotent


def test_tries_and_time_of_a_handler_are_read_in_seconds() -> None:
    options = "option (actr.max_failures) = 3; option (actr.handler_timeout_ms) = 1500;"
    found = only_method(f"{UNARY} {{ {options} }}")
    assert (found.max_failures, found.handler_timeout) == (3, 1.5)
    plain = only_method(f"{UNARY};")
    assert (plain.max_failures, plain.handler_timeout) == (0, None)


def test_each_claim_that_a_caller_needs_is_an_option_of_its_own() -> None:
    options = 'option (actr.requires) = "operator"; option (actr.requires) = "team=a b";'
    assert only_method(f"{UNARY} {{ {options} }}").requires == ("operator", "team=a b")
    assert only_method(f"{UNARY};").requires == ()


@pytest.mark.parametrize("claim", ["", "a, b", "team=", "=a", "an operator", "team=a,b", "a=\\t"])
def test_what_is_no_claim_is_refused_with_what_is(claim: str) -> None:
    said = only_problem(f'{UNARY} {{ option (actr.requires) = "{claim}"; }}')
    assert "write the name of a claim, as operator, or name=value" in said


def test_claims_are_named_once_and_are_not_more_than_a_certificate_has() -> None:
    twice = 'option (actr.requires) = "a"; option (actr.requires) = "a";'
    assert "requires names a claim twice" in only_problem(f"{UNARY} {{ {twice} }}")
    many = "".join(f'option (actr.requires) = "a{n}";' for n in range(17))
    assert "requires 17 claims; at most 16" in only_problem(f"{UNARY} {{ {many} }}")


def test_options_that_could_never_act_are_refused() -> None:
    tries = only_problem(f"{BOTH} {{ option (actr.max_failures) = 3; }}")
    assert "max_failures 3 does not fit a method that streams both ways" in tries
    time = only_problem(f"{UNARY} {{ option (actr.handler_timeout_ms) = 0; }}")
    assert "handler_timeout_ms 0 lets no handler run; allowed: 1 and more" in time


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Import", "'import' is a Python keyword"),
        ("Tell", "'tell' is an attribute of the base classes"),
        ("Methods", "'METHODS' is an attribute of the base classes"),
        ("Fingerprint", "'FINGERPRINT' is an attribute of the base classes"),
        ("OnStart", "'on_start' is a hook"),
        ("_Say", "'_say' begins with an underscore"),
    ],
)
def test_a_name_that_python_or_the_base_classes_have_is_refused(name: str, said: str) -> None:
    problem = only_problem(f"rpc {name}(Ask) returns (Reply);")
    assert f"method {name}: its name in Python: {said}" in problem
    assert problem.endswith("; rename the method")


def test_two_methods_may_not_become_one_handler() -> None:
    method = "rpc GetURL(Ask) returns (Reply); rpc GetUrl(Ask) returns (Reply);"
    assert "method GetUrl: its name in Python is 'get_url', as that of GetURL" in only_problem(
        method
    )


def test_two_services_may_not_become_one_class() -> None:
    text = chat(f"{UNARY};") + f"service ChatService {{ {UNARY}; }}"
    (problem,) = contract(text).problems
    assert "service chat.v1.ChatService: its class would be ChatService, as that of Chat" in str(
        problem
    )


def test_files_that_python_cannot_import_are_refused() -> None:
    (problem,) = contract(chat(f"{UNARY};"), "chat/class.v1.proto").problems[:1]
    assert str(problem).startswith("chat/class.v1.proto: file name: Python cannot import ")


def test_messages_with_the_name_of_a_keyword_are_refused() -> None:
    text = chat("rpc Say(None) returns (Reply);") + "message None {}"
    (problem,) = contract(text).problems
    assert "message chat.v1.None: its name is a Python keyword" in str(problem)


def test_all_faults_are_found_in_one_pass() -> None:
    bad = "{ option (actr.payload_type) = MEDIA_RTP; }"
    text = chat(
        f"rpc Import(Ask) returns (Reply) {bad}\n rpc Say(stream Ask) returns (Reply) {bad}"
    )
    assert [(p.line, p.where.rpartition(" ")[2]) for p in contract(text).problems] == [
        (9, "Import"),
        (9, "Import"),
        (10, "Say"),
    ]


def test_types_are_named_by_the_file_that_declares_them() -> None:
    request = compiled(
        {
            "base/v1/types.proto": 'syntax = "proto3"; package base.v1;'
            "message Outer { message Inner {} }",
            "public.proto": 'syntax = "proto3"; import public "base/v1/types.proto";',
            "plain.proto": 'syntax = "proto3"; import "public.proto";'
            'import "google/protobuf/empty.proto";'
            "service Plain { rpc Take(base.v1.Outer.Inner) returns (google.protobuf.Empty); }",
        }
    )
    found = read(request.proto_file, request.file_to_generate)
    assert found.problems == ()
    (file,) = found.files
    (service,) = file.services
    assert (file.path, service.full_name) == ("plain.proto", "Plain")
    (take,) = service.methods
    assert take.route_key == "Plain.Take"
    assert (take.request.module, take.request.attribute) == ("base.v1.types_pb2", "Outer.Inner")
    assert take.reply.module == "google.protobuf.empty_pb2"


def test_only_wanted_files_are_read() -> None:
    request = compiled({"chat/v1/chat.proto": chat(f"{UNARY};")})
    assert read(request.proto_file, ()).files == ()


@pytest.mark.parametrize("head", ['syntax = "proto2";', 'edition = "2023";', 'edition = "2024";'])
def test_every_syntax_and_edition_is_read(head: str) -> None:
    text = (
        f'// Read me.\n{head} import "actr/options.proto";'
        " message Ask { repeated int32 n = 1; } message Reply {}"
        " service Chat { rpc Say(Ask) returns (stream Reply) {"
        " option (actr.payload_type) = STREAM_LATENCY_FIRST; option deprecated = true; } }"
    )
    (file,) = contract(text, "chat.proto").files
    assert file.comment == "Read me."
    (say,) = file.services[0].methods
    assert say.kind is MethodKind.SERVER_STREAM
    assert say.payload_type is PayloadType.STREAM_LATENCY_FIRST
    assert say.is_deprecated


def test_comments_above_and_behind_are_kept() -> None:
    found = contract(
        chat(f"// One.\n//\n//   Two.  \n{UNARY};\n{REPLIES.replace('Say', 'More')}; // Behind.")
    )
    say, more = found.files[0].services[0].methods
    assert say.comment == "One.\n\n  Two."
    assert more.comment == "Behind."
