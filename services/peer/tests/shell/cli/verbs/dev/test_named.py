"""What a person writes behind ``actr dev``, and who the actors are then."""

from __future__ import annotations

from pathlib import Path

import pytest

from actr_peer.cli.verbs.dev.named import MAX_WORKLOADS, configured, read_workloads
from actr_peer.errors import ConfigError


def ids(*texts: str, realm: str = "default") -> list[str]:
    return [str(named.id) for named in read_workloads(texts, realm)]


def labels(*texts: str) -> list[str]:
    return [named.label for named in read_workloads(texts, "default")]


def test_an_actor_that_is_not_named_is_called_after_its_class() -> None:
    assert ids("room:ChatRoom") == ["dev:chat-room@1:default"]
    assert ids("a.b.room:make_room", realm="lab") == ["dev:make_room@1:lab"]


def test_a_name_that_can_be_no_part_of_an_id_is_passed_over() -> None:
    assert ids("room:__", "room:_") == ["dev:actor@1:default", "dev:actor@2:default"]


def test_instances_of_a_type_are_counted() -> None:
    assert ids("room:Room", "room:Room") == ["dev:room@1:default", "dev:room@2:default"]
    assert ids("room:Room=2", "room:Room=acme:room", "desk:Desk") == [
        "dev:room@1:default",
        "dev:room@2:default",
        "acme:room@1:default",
        "dev:desk@1:default",
    ]


def test_an_instance_that_somebody_has_named_is_not_given_again() -> None:
    assert ids("room:Room", "room:Room=dev:room@1:default") == [
        "dev:room@2:default",
        "dev:room@1:default",
    ]


def test_ids_may_be_written_as_uris() -> None:
    assert ids("room:Room=actr://lab/acme:room@7") == ["acme:room@7:lab"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("room", "write module:name"),
        ("room:", "write module:name"),
        ("room:Room=", "write module:name"),
        ("room:Room=0", "from 1 to"),
        (f"room:Room={MAX_WORKLOADS + 1}", "from 1 to"),
        ("room:Room=acme", "manufacturer:name"),
        ("room:Room=acme:room@", "manufacturer:name"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_words(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        read_workloads([text], "default")
    assert text in str(raised.value)


def test_an_id_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="named twice"):
        read_workloads(["a:A=x:y@1:default", "b:B=x:y@1:default"], "default")


def test_more_processes_than_a_machine_takes_are_refused() -> None:
    with pytest.raises(ConfigError, match="too many"):
        read_workloads([f"room:Room={MAX_WORKLOADS}", "desk:Desk"], "default")


def test_labels_are_as_short_as_tells_them_apart() -> None:
    assert labels("room:Room", "desk:Desk") == ["room", "desk"]
    assert labels("room:Room=2", "desk:Desk") == ["room@1", "room@2", "desk@1"]
    assert labels("room:Room", "room:Room=acme:room@1:default") == ["dev:room@1", "acme:room@1"]
    assert labels("a:A=x:y@1:one", "a:A=x:y@1:two") == ["x:y@1:one", "x:y@1:two"]


def test_no_actor_has_the_label_of_the_signaling_service() -> None:
    assert labels("signaling:Signaling") == ["signaling@1"]


def test_a_project_lists_its_workloads(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.actr]\ndev = ["room:Room", "desk:Desk=2"]\n', "utf-8")
    assert configured(project) == ["room:Room", "desk:Desk=2"]
    project.write_text('[tool.actr]\ndev = "room:Room"\n', "utf-8")
    assert configured(project) == ["room:Room"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "actr new NAME"),
        ("", "actr new NAME"),
        ("tool = 3", "actr new NAME"),
        ("[tool.actr]\ndev = []", "actr new NAME"),
        ("[tool.actr]\ndev = [3]", "is a list of workloads"),
        ("[tool.actr.dev]\nroom = 1", "is a list of workloads"),
        ("[tool", "is not TOML"),
    ],
)
def test_a_project_that_lists_none_is_told_how(tmp_path: Path, text: str | None, said: str) -> None:
    project = tmp_path / "pyproject.toml"
    if text is not None:
        project.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=said):
        configured(project)
