from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from trainers.data.datasets.label_fraction import draw_labelled, phases_shown
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.video import Video
from trainers.stage import InputError

PHASES = ("Preparation", "Dissection", "Retraction")


def recording(folder: Path, number: int, phases: tuple[str, ...] = PHASES) -> Video:
    annotation = folder / f"video{number:02}-phase.txt"
    annotation.write_text("Frame\tPhase\n" + "".join(f"{frame}\t{phase}\n" for frame, phase in enumerate(phases)))
    return Video(
        name=f"video{number:02}",
        video_digest=f"{number:032x}",
        annotation_digest=f"{number:032x}",
        phases=PHASES,
        video_path=folder / f"video{number:02}.mp4",
        annotation_path=annotation,
    )


@pytest.fixture
def videos(tmp_path: Path) -> tuple[Video, ...]:
    return tuple(recording(tmp_path, number) for number in range(1, 17))


def test_a_hole_is_no_phase_that_a_draw_could_count_on(tmp_path: Path):
    """Of 16 videos one shows the last phase; in the others its time is a hole."""
    videos = []
    for number in range(1, 17):
        last = "Retraction" if number == 9 else "unlabelled"
        video = recording(tmp_path, number, ("Preparation", "Dissection", last))
        videos.append(replace(video, annotation_format=AnnotationFormat()))
    assert [phases_shown(video) for video in videos[7:9]] == [frozenset({0, 1}), frozenset({0, 1, 2})]
    for seed in range(3):
        assert videos[8] in draw_labelled(videos, 0.125, seed).videos


def names(videos: tuple[Video, ...]) -> list[str]:
    return [video.name for video in videos]


@pytest.mark.parametrize(("fraction", "count"), [(0.125, 2), (0.25, 4), (0.3, 5), (0.5, 8), (0.75, 12), (1, 16)])
def test_a_fraction_of_the_videos_is_rounded_up(videos: tuple[Video, ...], fraction: float, count: int):
    assert len(draw_labelled(videos, fraction, seed=0).videos) == count


def test_fractions_are_nested_and_keep_the_order_of_the_videos(videos: tuple[Video, ...]):
    shares = [draw_labelled(videos, fraction, seed=3).videos for fraction in (0.125, 0.25, 0.5, 0.75, 1.0)]
    for smaller, larger in pairwise(shares):
        assert set(names(smaller)) < set(names(larger))
    for share in shares:
        assert names(share) == sorted(names(share))


def test_the_draw_depends_on_the_seed_alone(videos: tuple[Video, ...]):
    draws = {tuple(names(draw_labelled(videos, 0.25, seed).videos)) for seed in range(8)}
    assert len(draws) > 4
    assert draw_labelled(videos, 0.25, seed=0).videos == draw_labelled(videos[::-1], 0.25, seed=0).videos[::-1]


def test_it_does_not_depend_on_videos_that_are_not_there(videos: tuple[Video, ...]):
    """Who is drawn first stays first when a video of the rest is taken away."""
    (first,) = draw_labelled(videos, 1 / 16, seed=0).videos
    rest = tuple(video for video in videos[:-1] if video != first)
    assert draw_labelled((first, *rest), 1 / 16, seed=0).videos == (first,)


def test_a_fraction_is_raised_until_every_phase_occurs(tmp_path: Path):
    short = [recording(tmp_path, number, PHASES[:2]) for number in range(1, 8)]
    whole = recording(tmp_path, 8)
    for seed in range(5):
        for fraction in (0.125, 0.25):
            share = draw_labelled([*short, whole], fraction, seed).videos
            assert whole in share
            assert set().union(*map(phases_shown, share)) == {0, 1, 2}


def test_a_raised_draw_says_how_many_videos_were_asked_for(tmp_path: Path):
    videos = [*(recording(tmp_path, number, PHASES[:2]) for number in range(1, 8)), recording(tmp_path, 8)]
    draws = [draw_labelled(videos, 0.125, seed) for seed in range(40)]
    assert {draw.num_asked for draw in draws} == {1}
    assert [draw.is_raised for draw in draws] == [len(draw.videos) > 1 for draw in draws]
    assert {draw.is_raised for draw in draws} == {True, False}, "the whole video is drawn first by some seeds alone"


def test_what_is_rounded_up_is_not_raised(videos: tuple[Video, ...]):
    for fraction, asked in ((0.3, 5), (1.0, 16)):
        draw = draw_labelled(videos, fraction, seed=0)
        assert (draw.num_asked, draw.is_raised) == (asked, False)


def test_raised_fractions_are_still_nested(tmp_path: Path):
    videos = [*(recording(tmp_path, number, PHASES[:2]) for number in range(1, 8)), recording(tmp_path, 8)]
    shares = [set(names(draw_labelled(videos, fraction, seed=1).videos)) for fraction in (0.125, 0.25, 0.5, 1.0)]
    assert shares == sorted(shares, key=len)
    assert all(smaller <= larger for smaller, larger in pairwise(shares))


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5])
def test_a_fraction_that_is_none_is_refused(videos: tuple[Video, ...], fraction: float):
    with pytest.raises(InputError, match=f"label_fraction is {fraction:g}: it must be above 0 and at most 1"):
        draw_labelled(videos, fraction, seed=0)


def test_a_phase_that_no_training_video_shows_is_named(tmp_path: Path):
    videos = [recording(tmp_path, number, PHASES[:2]) for number in range(1, 4)]
    with pytest.raises(InputError, match=r"label_fraction 0.5 leaves phase Retraction without a video, for none of th"):
        draw_labelled(videos, 0.5, seed=0)
    with pytest.raises(
        InputError, match=r"label_fraction=1 or, in a study that varies it, with --row for its rows at 1"
    ):
        draw_labelled(videos, 0.5, seed=0)
    assert draw_labelled(videos, 1.0, seed=0).videos == tuple(videos)
