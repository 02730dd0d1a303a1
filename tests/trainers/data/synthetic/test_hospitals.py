"""The second synthetic hospital: other phases, another rate, other looks; the first one's videos are what they were."""

import itertools
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from trainers.data.datasets.m2cai16 import PHASES
from trainers.data.synthetic.annotation_files import phase_intervals
from trainers.data.synthetic.hospitals import FIRST, SECOND, Hospital
from trainers.data.synthetic.operation import RETRACTION, TROCAR, Segment
from trainers.data.synthetic.scene import Scene
from trainers.data.synthetic.videos import Parameters, outline, plan_operation, synthesize
from trainers.stage import InputError

SECONDS = 6.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("second")
    synthesize(root, num_videos=2, minutes=SECONDS / 60, width=64, height=48, hospital=SECOND)
    return root


def parameters(hospital: Hospital) -> Parameters:
    return Parameters(minutes=0.5, seed=0, width=64, height=48, hospital=hospital.name)


def intervals(path: Path) -> list[tuple[float, float, str]]:
    header, *rows = path.read_text().splitlines()
    assert header == "start,end,phase"
    return [(float(start), float(end), phase) for start, end, phase in (row.split(",") for row in rows)]


def test_its_videos_are_at_29_97_fps_and_their_intervals_cover_every_frame(folder: Path):
    for number in (1, 2):
        with av.open(str(folder / f"operations/operation{number:02}.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == Fraction(30_000, 1001)
            times = [float(frame.time) for frame in container.decode(stream) if frame.time is not None]
        assert times[:2] == pytest.approx([0, 1001 / 30_000], abs=1e-4)
        found = intervals(folder / f"phases/operation{number:02}.csv")
        assert found[0][0] == 0
        assert all(end == start for (_, end, _), (start, _, _) in itertools.pairwise(found))
        assert found[-1][1] > times[-1]
        assert found[0][2] == TROCAR
        assert {phase for _, _, phase in found} <= set(PHASES)


def test_every_frame_has_the_phase_of_its_segment_by_time():
    segments = (Segment("a", 0, 7), Segment("b", 7, 8), Segment("c", 8, 20))
    rows = phase_intervals(segments, (), SECOND.fps).splitlines()[1:]
    found = [(float(start), float(end), phase) for start, end, phase in (row.split(",") for row in rows)]
    for segment in segments:
        for frame in range(segment.start, segment.stop):
            assert [p for start, end, p in found if start <= frame / SECOND.fps < end] == [segment.phase]


def test_its_phases_are_m2cai16s_and_the_first_hospitals_are_cholec80s():
    assert SECOND.phases == PHASES
    assert FIRST.phases == PHASES[1:]
    shown = {segment.phase for number in range(1, 25) for segment in plan_operation(number, parameters(SECOND))[0]}
    assert shown == set(PHASES)


def test_both_last_as_long():
    lasting = [
        np.mean([plan_operation(number, parameters(each))[0][-1].stop / each.fps for number in range(1, 65)])
        for each in (FIRST, SECOND)
    ]
    assert lasting[0] == pytest.approx(lasting[1], rel=0.1)


def test_its_images_differ_from_the_first_hospitals():
    """Corners are dark in most of its videos, and colours are colder."""
    looks = {}
    for hospital in (FIRST, SECOND):
        images = []
        for number in range(1, 9):
            segments, uses = plan_operation(number, parameters(hospital))
            scene = Scene(hospital.seed_of(0), number, 64, 48, segments, uses, hospital)
            images.append(scene.frame(segments[-1].start).astype(float))
        dark = np.mean([image[:3, :3].mean() < 20 for image in images])
        looks[hospital.name] = (dark, np.mean([image[..., 2].sum() / image[..., 0].sum() for image in images]))
    assert looks["second"][0] >= 0.75 > looks["first"][0]
    assert looks["second"][1] > 1.1 * looks["first"][1]


def test_the_placement_of_trocars_is_seen_apart_from_the_retraction():
    segments, uses = plan_operation(1, parameters(SECOND))
    scene = Scene(SECOND.seed_of(0), 1, 64, 48, segments, uses, SECOND)
    views = {each.phase: scene.frame((each.start + each.stop) // 2).astype(float) for each in segments}
    assert {TROCAR, RETRACTION} <= views.keys()
    assert np.abs(views[TROCAR] - views[RETRACTION]).mean() > 10


def test_an_outline_has_the_annotations_and_lengths_of_the_videos(folder: Path, tmp_path: Path):
    outlined = outline(tmp_path, num_videos=2, minutes=SECONDS / 60, hospital=SECOND)
    for video, annotation, num_frames in outlined:
        made = folder / annotation.relative_to(tmp_path)
        assert annotation.read_text() == made.read_text()
        assert num_frames == round(intervals(made)[-1][1] * SECOND.fps)
        assert (folder / video.relative_to(tmp_path)).exists()
        assert not video.exists()


def test_a_folder_is_of_one_hospital(folder: Path):
    assert json.loads((folder / "synthetic.json").read_text())["hospital"] == "second"
    with pytest.raises(InputError, match=r"made with hospital second \(asked: first\)"):
        synthesize(folder, num_videos=2, minutes=SECONDS / 60, width=64, height=48)


def test_videos_of_the_first_hospital_are_those_that_were_made_before_there_was_a_second():
    segments, uses = plan_operation(3, parameters(FIRST))
    assert [segment.stop for segment in segments] == [52, 228, 286, 501, 542, 623, 672]
    assert [(use.tool, use.start) for use in uses[:3]] == [("Grasper", 0), ("Hook", 52), ("Grasper", 119)]
    scene = Scene(0, 3, 64, 48, segments, uses)
    means = [scene.frame(index).mean((0, 1)) for index in (50, 300, 650)]
    before = [[220.33, 147.94, 154.41], [195.11, 143.91, 143.27], [236.81, 207.88, 200.27]]
    np.testing.assert_allclose(means, before, atol=0.5)


def test_videos_of_the_second_hospital_are_those_that_were_made_before_there_were_planted_ones():
    segments, uses = plan_operation(3, parameters(SECOND))
    assert [segment.stop for segment in segments] == [48, 107, 331, 382, 667, 700, 744, 774, 811]
    assert [(use.tool, use.start) for use in uses[:3]] == [("Trocar", 0), ("Grasper", 48), ("Hook", 107)]
    scene = Scene(SECOND.seed_of(0), 3, 64, 48, segments, uses, SECOND)
    means = [scene.frame(index).mean((0, 1)) for index in (50, 300, 650)]
    before = [[97.99, 66.63, 69.87], [93.37, 72.68, 80.37], [68.65, 48.48, 64.43]]
    np.testing.assert_allclose(means, before, atol=0.5)
