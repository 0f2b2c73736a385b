"""When a fault strikes: by turn, by number, by chance, by whom; and how it is set, read and removed."""

import json

import pytest

from nightbatch.emulator.flags import parse_flags
from nightbatch.emulator.settings import Settings

LIST = {"where": "list", "what": "overloaded"}


def struck(desk, calls=10):
    return [
        desk.http.get("/v1/messages/batches").status_code == 529 for _ in range(calls)
    ]


def test_without_a_when_it_strikes_every_time(desk):
    desk.emulator.faults(LIST)
    assert all(struck(desk))


def test_by_turn(desk):
    desk.emulator.faults(LIST | {"nth": [2, 4]})
    assert struck(desk, 5) == [False, True, False, True, False]


def test_by_number(desk):
    desk.emulator.faults(LIST | {"count": 2})
    assert struck(desk, 4) == [True, True, False, False]


def test_by_chance_with_a_seed_that_brings_it_back(desk):
    runs = []
    for seed in (1, 1, 2):
        desk.emulator.reset()
        desk.emulator.faults(LIST | {"probability": 0.5, "seed": seed})
        runs.append(struck(desk, 30))
    assert runs[0] == runs[1] != runs[2]
    assert 5 < sum(runs[0]) < 25


def test_by_batch(desk):
    one, two = desk.create(desk.items(1)), desk.create(desk.items(1))
    desk.emulator.faults(
        {"where": "retrieve", "what": "overloaded", "match": {"batch": one.id}}
    )
    statuses = [
        desk.http.get(f"/v1/messages/batches/{batch.id}").status_code
        for batch in (one, two)
    ]
    assert statuses == [529, 200]


def test_by_how_many_requests_a_batch_has(desk):
    desk.emulator.faults(
        {"where": "create", "what": "overloaded", "match": {"min_requests": 2}}
    )
    assert [desk.post(desk.items(count)).status_code for count in (1, 2)] == [200, 529]


def test_a_fault_on_any_call_sees_each_call_once(desk):
    desk.emulator.faults({"where": "any", "what": "delay", "seconds": 0})
    desk.create(desk.items(1))
    (fault,) = desk.http.get("/_emulator/faults").json()["faults"]
    assert fault["seen"] == 1


def test_faults_can_be_read_with_what_they_saw_and_struck(desk):
    desk.emulator.faults(LIST | {"nth": 1})
    struck(desk, 3)
    (fault,) = desk.http.get("/_emulator/faults").json()["faults"]
    assert fault == {"id": 1, **LIST, "nth": [1], "seen": 3, "hits": 1}


def test_faults_add_up_until_they_are_replaced_or_removed(desk):
    desk.emulator.faults(LIST)
    both = desk.emulator.faults({"where": "cancel", "what": "timeout"})
    assert len(both) == 2
    (only,) = desk.emulator.faults(LIST, replace=True)
    assert desk.http.delete(f"/_emulator/faults/{only['id']}").json() == {"faults": []}
    desk.emulator.faults(LIST, LIST)
    desk.emulator.clear_faults()
    assert not any(struck(desk, 2))


def test_several_faults_on_one_call_work_together(desk):
    desk.emulator.faults(
        {"where": "list", "what": "delay", "seconds": 0.2}, LIST | {"after": True}
    )
    assert struck(desk, 1) == [True]


def test_one_fault_alone_or_a_list_is_taken_as_well(desk):
    assert len(desk.http.post("/_emulator/faults", json=LIST).json()["faults"]) == 1
    assert (
        len(desk.http.post("/_emulator/faults", json=[LIST, LIST]).json()["faults"])
        == 3
    )


@pytest.mark.parametrize(("spec", "says"), [
    ({"where": "nowhere", "what": "delay"}, "faults.where"),
    ({"where": "list", "what": "cut_clean"}, "faults.what"),
    ({"where": "list", "what": "delay", "secnods": 1}, "faults.secnods: Extra inputs are not permitted"),
    ({"where": "list", "what": "delay", "match": {"name": 1}}, "faults.match.name: Extra inputs are not permitted"),
    (3, "faults: Input should be a list of dictionaries"),
])  # fmt: skip
def test_a_fault_that_makes_no_sense_is_refused_and_none_is_set(desk, spec, says):
    answer = desk.http.post("/_emulator/faults", json=[LIST, spec])
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]
    assert desk.http.get("/_emulator/faults").json()["faults"] == []


def test_faults_come_from_flags_and_files_too(tmp_path):
    (tmp_path / "faults.json").write_text(json.dumps({"faults": [LIST]}))
    flags = [
        "--faults",
        str(tmp_path / "faults.json"),
        "--fault",
        "create:drop_after:nth=1,reset=true",
    ]
    flags += [
        "--fault",
        '{"where":"row","what":"errored","match":{"model":"x"}}',
        "--fault",
        "any:timeout",
    ]
    assert list(parse_flags(flags).faults) == [
        LIST,
        {"where": "create", "what": "drop_after", "nth": 1, "reset": True},
        {"where": "row", "what": "errored", "match": {"model": "x"}},
        {"where": "any", "what": "timeout"},
    ]


def test_faults_of_the_settings_are_there_from_the_start_and_after_a_reset(open_desk):
    with open_desk(Settings(faults=(LIST,))) as desk:
        assert struck(desk, 1) == [True]
        desk.emulator.reset()
        assert struck(desk, 1) == [True]
