"""Annotation files of every format, and what is wrong with them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainers.data.ingest.annotations import AnnotationFormat, read_labels
from trainers.data.ingest.annotations.cells import exact_rate
from trainers.stage import InputError

PHASES = ("Access", "Bladder neck", "Closure")
SECONDS = AnnotationFormat(kind="second-rows", rate=1)
CLOCK = AnnotationFormat(kind="intervals", unit="hh:mm:ss")
FRAMES = AnnotationFormat(rate=25)


def read(tmp_path: Path, text: str, layout: AnnotationFormat, at: list[float]) -> list[int]:
    path = tmp_path / "annotation.txt"
    path.write_text(text, encoding="utf-8")
    return read_labels(path, PHASES, layout).at(np.array(at)).tolist()


NUMBERED = AnnotationFormat(kind="second-rows", rate=1, first=1, first_phase=1, unlabelled=("-1",))
NAMED_CSV = AnnotationFormat(kind="csv", rate=1, unit="seconds", phase="Step", time="t")
NAMED_CLOCK = replace(CLOCK, start="a", end="b", phase="what")
IN_SECONDS = AnnotationFormat(kind="intervals", unit="seconds")
TO_THE_LAST_FRAME = AnnotationFormat(kind="intervals", rate=30, end_included=True)


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("Frame\tPhase\n0\tAccess\n25\tAccess\n50\t\n75\tBladder neck\n", AnnotationFormat(rate=1, frame_rate=25)),
        ("0 Access\n1 Access\n\n3 Bladder neck\n", SECONDS),
        ("phase\nAccess\nAccess\nunlabelled\nBladder neck\n", SECONDS),
        ("Access;\nAccess;\nunlabelled;\nBladder neck;\n", SECONDS),
        ("Frame\tPhase\n1\t1\n2\t1\n3\t-1\n4\t2\n", NUMBERED),
        ("0,0.0\n1,0\n3,01\n", AnnotationFormat(kind="second-rows", rate=1, first_phase=0)),
        ("step;t;x\nAccess;0,0;1\n Access ;1,0;\n;2,0;\nBladder neck;3,0;\n", NAMED_CSV),
        ("start,end,phase\n0,2,Access\n3,4,Bladder neck\n", IN_SECONDS),
        ("phase,end,start\nBladder neck,4,3\nAccess,2,0\n", IN_SECONDS),
        ("0 59 Access\n90 119 Bladder neck\n", TO_THE_LAST_FRAME),
        ('a,b,what\n00:00,0:00:02,Access\n0:03.000,00:04,"Bladder neck"\n', NAMED_CLOCK),
    ],
)
def test_every_format_gives_the_label_that_is_valid_at_a_time(tmp_path: Path, text: str, layout: AnnotationFormat):
    assert read(tmp_path, text, layout, [0, 1.96, 2, 2.96, 3, 3.96, 4, 100]) == [0, 0, -1, -1, 1, 1, -1, -1]


@pytest.mark.parametrize(
    ("text", "layout", "sentence"),
    [
        ("Access\nAcess\n", SECONDS, ":2 names the unknown phase 'Acess': did you mean 'Access'"),
        ("1 Access\n2 Access\n", SECONDS, ":1 begins with number 1: give `first = 1`"),
        ("0 Access\n2 Access\n1 Access\n", SECONDS, ":3 is not later than the row before it"),
        ("0 Access\n25 Access\n50 Access\n", FRAMES, ":1 begins rows that are 1 s apart instead of 25 per second"),
        ("0 Access\n", AnnotationFormat(rate=None), "has a row per frame: give the frames per second as `rate`"),
        ("0\tAccess\n1\n", FRAMES, ":2 reads '1', without column 2 for the phase"),
        ("0\tAccess\n-1\tAccess\n", FRAMES, ":2 has '-1' where a time in frames is due"),
        ("0 Access\n3 Access\n4 Access\n", AnnotationFormat(holes=False), ":2 comes after a hole"),
        ("time,step\n0,Access\n", AnnotationFormat(kind="csv", phase="stepp"), ":1 has no column 'stepp'.*'step'"),
        ("0:10,0:05,Access\n", CLOCK, ":1 ends at 5 s, not after its start at 10 s"),
        ("0:61,2:05,Access\n", CLOCK, ":1 has '0:61' where a time in hh:mm:ss is due"),
        ("0:75:20,1:80:00,Access\n", CLOCK, ":1 has '0:75:20' where a time in hh:mm:ss is due"),
        ("0:00,0:05,Access\n0:05,,Closure\n", CLOCK, ":2 leaves its interval open, as its end is empty: write when"),
        ("0,5,Access\n5,end,Closure\n", IN_SECONDS, ":2 leaves its interval open, as its end is 'end': write when it"),
        ("0:00,0:05,Access\n0:04,0:09,Closure\n", CLOCK, ":2 starts at 4 s, before .*:1 ends at 5 s"),
        ("start,end,phase\n", CLOCK, "has no rows below its header"),
        ("\n", CLOCK, "is empty"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, layout: AnnotationFormat, sentence: str):
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, text, layout, [0])


def test_minutes_of_a_time_without_hours_may_go_beyond_an_hour(tmp_path: Path):
    text = "59:58,75:20,Access\n75:20,1:15:24,Closure\n105:00,105:01.5,Access\n"
    assert read(tmp_path, text, CLOCK, [3597, 3598, 4519, 4520, 4523, 4524, 6301]) == [-1, 0, 0, 2, 2, -1, 0]


def test_words_of_a_file_stand_for_phases_beside_their_names(tmp_path: Path):
    words = (("closing up", "Closure"), ("entry", "Access"), ("7", "Access"))
    text = "entry\nAccess\n7\nclosing up\n\n"
    assert read(tmp_path, text, replace(SECONDS, phase_names=words), [0, 1, 2, 3, 4]) == [0, 0, 0, 2, -1]
    with pytest.raises(InputError, match=":1 names the unknown phase 'entri': did you mean 'entry'"):
        read(tmp_path, "entri\n", replace(SECONDS, phase_names=words), [0])


def test_more_phases_than_a_byte_can_number_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="has 128 phases: labels are stored in a byte, give at most 127"):
        read_labels(tmp_path / "none", [str(number) for number in range(128)], FRAMES)


def test_rates_of_television_are_what_they_stand_for():
    assert [exact_rate(rate) for rate in (29.97, 23.976, 59.94, 25, 30, 12.5)] == [
        pytest.approx(exact, abs=1e-9) for exact in (30000 / 1001, 24000 / 1001, 60000 / 1001, 25, 30, 12.5)
    ]


def test_holes_are_the_stretches_without_a_label(tmp_path: Path):
    path = tmp_path / "annotation.txt"
    path.write_text("0:05,0:10,Access\n0:10,0:12,unlabelled\n0:15,0:20,Closure\n")
    track = read_labels(path, PHASES, CLOCK)
    assert track.holes() == [(0, 5), (10, 15)]
    assert track.seconds == 20


TRIPLETS = AnnotationFormat(kind="cholect50", rate=1, first_phase=0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"annotations": {\n"0": [}', r":2 is no JSON \(.*\): copy it again"),
        ('{"frames": {}}', "has no 'annotations' of frames: name CholecT50's files"),
        ('{"annotations": {"a": []}}', "frame a, has no number"),
        ('{"annotations": {"0": 3}}', "frame 0, has no list of triplets"),
        ('{"annotations": {"0": [[1, 2]]}}', "frame 0, has a triplet without a phase at its end"),
        (f'{{"annotations": {{"7": [{[0] * 14 + [1]}, {[0] * 14 + [2]}]}}}}', "frame 7, has several phases"),
        (f'{{"annotations": {{"7": [{[0] * 14 + [9]}]}}}}', "frame 7, names the unknown phase '9'"),
    ],
)
def test_a_file_of_triplets_is_refused_with_its_frame(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, text, TRIPLETS, [0])


def test_a_frame_without_triplets_and_a_frame_that_is_left_out_have_no_label(tmp_path: Path):
    rows = {"0": [[-1] * 14 + [0]], "1": [], "2": [[-1] * 15], "4": [[3] * 14 + [2], [5] * 14 + [2]]}
    text = json.dumps({"fps": 1, "annotations": rows})
    assert read(tmp_path, text, TRIPLETS, [0, 1, 2, 3, 4, 5]) == [0, -1, -1, -1, 2, -1]
