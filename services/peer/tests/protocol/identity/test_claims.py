"""Claims that nobody changes, and everybody may copy."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict

import pytest

from actr_peer.protocol.identity.claims import HeldClaims
from actr_peer.protocol.rpc.access.principals import Principal, Trust

SAID = {"role": "operator", "teams": ("a", "b")}
ANN = Principal("acme", "ann", "1", "default", Trust.SECRET, HeldClaims(SAID))


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: claims.update(role="root"),
        lambda claims: claims.__setitem__("role", "root"),
        lambda claims: claims.__delitem__("role"),
        lambda claims: claims.__ior__({"role": "root"}),
        lambda claims: claims.setdefault("new", "x"),
        lambda claims: claims.pop("role"),
        lambda claims: claims.popitem(),
        lambda claims: claims.clear(),
    ],
)
def test_no_way_to_change_a_mapping_changes_them(change: Callable[[HeldClaims], object]) -> None:
    claims = HeldClaims(SAID)
    with pytest.raises(TypeError, match="what its issuer says"):
        change(claims)
    assert claims == SAID


def test_a_caller_is_copied_pickled_and_told_as_a_dictionary() -> None:
    assert asdict(ANN)["claims"] == SAID
    assert json.loads(json.dumps(asdict(ANN)["claims"]))["role"] == "operator"
    for copied in (copy.copy(ANN), copy.deepcopy(ANN), pickle.loads(pickle.dumps(ANN))):
        assert copied == ANN
        assert copied.claims == SAID
        with pytest.raises(TypeError):
            copied.claims["role"] = "root"
