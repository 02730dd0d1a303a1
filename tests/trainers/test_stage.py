from pathlib import Path

from trainers.stage import Work


def test_inputs_of_a_tuple_come_in_its_order_however_the_mapping_is_sorted():
    folders = {f"videos.{index}": Path(f"/store/{index}") for index in range(12)}
    work = Work(output=Path("/out"), inputs={"model": Path("/model")} | dict(sorted(folders.items())))
    assert work.inputs_of("videos") == [Path(f"/store/{index}") for index in range(12)]
    assert work.inputs_of("validation") == []


def test_inputs_under_a_field_are_named_by_the_rest_of_their_path():
    inputs = {"method.teacher": Path("/teacher"), "method.start": Path("/start"), "methods.teacher": Path("/other")}
    work = Work(output=Path("/out"), inputs=inputs)
    assert work.inputs_under("method") == {"teacher": Path("/teacher"), "start": Path("/start")}
