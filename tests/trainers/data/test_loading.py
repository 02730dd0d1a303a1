import gc
import subprocess
import sys
import threading

import cv2
import numpy as np
import psutil
import pytest
import torch

from trainers.data.augmentation import NUMBERS_PER_VIEW, MoCoAugmentation, MultiCropAugmentation
from trainers.data.frames import Frame, Frames, write_frames
from trainers.data.loading import THREAD_NAMES, ViewLoader, plain_batches
from trainers.data.processes import fitting
from trainers.data.views import plain, write_view
from trainers.runtime.randomness import CounterDraws
from trainers.stage import InputError

AUGMENTATION = MoCoAugmentation(size_px=32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    generator = np.random.default_rng(0)
    result = []
    for source, length in (("digest-a", 30), ("digest-b", 23)):
        folder = tmp_path_factory.mktemp(source)
        coarse = generator.integers(0, 256, (length, 6, 6, 3), dtype=np.uint8)
        frames = (Frame(5 * i, 0, cv2.resize(image, (50, 50))) for i, image in enumerate(coarse))
        write_frames(folder, frames, source=source, label_names=["phase"])
        result.append(folder)
    return result


@pytest.fixture
def frames(folders):
    with Frames(folders) as opened:
        yield opened


def loader(frames, *, batch_size=10, seed=7, threads=2, **kwargs):
    return ViewLoader(frames, AUGMENTATION, batch_size=batch_size, seed=seed, threads=threads, **kwargs)


def views_by_frame(batches):
    """Both views of every frame visited, by the frame's id."""
    return {int(frame): batch.views[:, position] for batch in batches for position, frame in enumerate(batch.frame_ids)}


def expected_view(frames, row, augmentation, epoch, index):
    """One view of a frame alone, at seed 7."""
    image = frames.image(row)
    numbers = CounterDraws(7, "view", epoch).numbers(
        frames.source(row), frames.frame(row), (index + 1) * NUMBERS_PER_VIEW
    )
    draw = augmentation.draw(numbers[-NUMBERS_PER_VIEW:], *image.shape[:2], index)
    planes = np.empty((3, augmentation.sizes_px[index], augmentation.sizes_px[index]), np.uint8)
    write_view(image, draw, planes)
    return planes


def assert_same_batches(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.views, b.views)
        assert torch.equal(a.frame_ids, b.frame_ids)


def running_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAMES)]


def test_batches_hold_two_different_views_of_every_frame(frames):
    batch = next(loader(frames).epoch(0))
    assert batch.views.shape == (2, 10, 3, 32, 32)
    assert batch.views.dtype == torch.uint8
    assert batch.frame_ids.shape == (10,)
    assert batch.frame_ids.dtype == torch.int64
    assert not any(torch.equal(first, second) for first, second in zip(*batch.views, strict=True))


def test_views_are_the_augmentations_of_the_frames_named_beside_them(frames):
    visited = views_by_frame(loader(frames).epoch(3))
    for row in range(len(frames)):
        for index, view in enumerate(visited.get(frames.frame_id(row), ())):
            assert np.array_equal(view.numpy(), expected_view(frames, row, AUGMENTATION, 3, index))


def test_an_epoch_visits_each_frame_once_and_drops_the_incomplete_batch(frames):
    batches = list(loader(frames).epoch(0))
    assert len(batches) == len(loader(frames)) == 5
    ids = torch.cat([batch.frame_ids for batch in batches]).tolist()
    assert len(set(ids)) == 50
    assert set(ids) <= {frames.frame_id(row) for row in range(53)}


def test_order_and_views_change_with_the_epoch_and_the_seed(frames):
    one, other_epoch, other_seed = (
        list(made.epoch(epoch))
        for made, epoch in ((loader(frames), 0), (loader(frames), 1), (loader(frames, seed=8), 0))
    )
    for other in (other_epoch, other_seed):
        assert not torch.equal(one[0].frame_ids, other[0].frame_ids)
        first, second = views_by_frame(one), views_by_frame(other)
        shared = first.keys() & second.keys()
        assert shared
        assert not any(torch.equal(first[frame], second[frame]) for frame in shared)


@pytest.mark.parametrize("threads", [1, 5])
def test_threads_do_not_change_the_numbers(frames, threads):
    assert_same_batches(loader(frames, threads=threads).epoch(2), loader(frames).epoch(2))


def test_views_depend_neither_on_the_batch_size_nor_on_the_other_frames(folders, frames):
    everything = views_by_frame(loader(frames, batch_size=53).epoch(0))
    with Frames(folders[::-1], sample_every=10) as some:
        subset = views_by_frame(loader(some, batch_size=9).epoch(0))
    assert subset
    assert all(torch.equal(views, everything[frame]) for frame, views in subset.items())


def test_the_shares_of_all_workers_make_up_the_batch(frames):
    shares = [loader(frames, share=part).epoch(0) for part in (slice(0, 4), slice(4, 10))]
    for whole, first, second in zip(loader(frames).epoch(0), *shares, strict=True):
        assert torch.equal(torch.cat([first.views, second.views], 1), whole.views)
        assert torch.equal(torch.cat([first.frame_ids, second.frame_ids]), whole.frame_ids)


def test_too_few_frames_for_a_batch_are_refused(frames):
    with pytest.raises(InputError, match="53 frames do not fill one batch of 64"):
        loader(frames, batch_size=64)


def test_an_exception_in_a_thread_surfaces_and_leaves_no_thread(frames, monkeypatch):
    read = frames.image

    def fail_at_the_last(row):
        if row == 52:
            raise OSError("the disk is gone")
        return read(row)

    monkeypatch.setattr(frames, "image", fail_at_the_last)
    with pytest.raises(OSError, match="the disk is gone"):
        list(loader(frames, batch_size=53).epoch(0))
    with pytest.raises(OSError, match="the disk is gone"):
        list(plain_batches(frames, 32, batch_size=8, threads=2))
    assert not running_threads()


@pytest.mark.parametrize("begin", [lambda f: loader(f, batch_size=4).epoch(0), lambda f: plain_batches(f, 32, 4, 2)])
def test_closing_early_leaves_no_thread(frames, begin):
    batches = begin(frames)
    next(batches)
    assert running_threads()
    batches.close()
    assert not running_threads()


def test_only_a_few_batches_are_made_ahead(frames, monkeypatch):
    read, visited = frames.image, []
    monkeypatch.setattr(frames, "image", lambda row: visited.append(row) or read(row))
    batches = loader(frames, batch_size=4).epoch(0)
    next(batches)
    batches.close()
    assert 4 <= len(visited) <= 12


def test_plain_batches_hold_all_frames_in_order(frames):
    batches = list(plain_batches(frames, 32, batch_size=20, threads=2))
    assert [batch.shape for batch in batches] == [(20, 3, 32, 32), (20, 3, 32, 32), (13, 3, 32, 32)]
    for row, shown in enumerate(torch.cat(batches)):
        assert np.array_equal(shown.permute(1, 2, 0).numpy(), plain(frames.image(row), 32))


def multi_crop_loader(frames, **kwargs):
    augmentation = MultiCropAugmentation(size_px=32, small_size_px=16, num_small=3)
    return ViewLoader(frames, augmentation, **{"batch_size": 10, "seed": 7, "threads": 2} | kwargs)


def small_by_frame(batches):
    """The small views of every frame visited, by the frame's id."""
    return {
        int(frame): torch.stack([view[position] for view in batch.small])
        for batch in batches
        for position, frame in enumerate(batch.frame_ids)
    }


def test_without_multi_crop_there_are_no_small_views(frames):
    assert next(loader(frames).epoch(0)).small == ()


def test_small_views_are_further_augmentations_of_the_frames_named_beside_them(frames):
    made = multi_crop_loader(frames)
    visited = small_by_frame(made.epoch(3))
    assert len(visited) == 50
    for row in range(len(frames)):
        for index, view in enumerate(visited.get(frames.frame_id(row), ()), start=2):
            assert view.shape == (3, 16, 16)
            assert np.array_equal(view.numpy(), expected_view(frames, row, made.augmentation, 3, index))


def test_small_views_depend_neither_on_threads_nor_shares_nor_the_batch_size(frames):
    everything = small_by_frame(multi_crop_loader(frames, batch_size=53, threads=1).epoch(0))
    for part in (slice(0, 4), slice(4, 10)):
        share = small_by_frame(multi_crop_loader(frames, share=part).epoch(0))
        assert share
        assert all(torch.equal(views, everything[frame]) for frame, views in share.items())


@pytest.fixture
def by_processes(frames, monkeypatch):
    """A loader whose views two processes make, as on a GPU."""
    monkeypatch.setattr(ViewLoader, "num_processes", 2)
    with multi_crop_loader(frames) as made:
        yield made
    gc.collect()  # an exception's traceback holds what it was raised through
    assert not children()


def children():
    """Processes that were forked for us by another one."""
    ours = psutil.Process().children()
    return [child for each in ours if "forkserver" in " ".join(each.cmdline()) for child in each.children()]


def test_processes_make_the_views_that_threads_make(frames, by_processes):
    threads = multi_crop_loader(frames, threads=1)
    for epoch, first in ((0, 0), (1, 3)):
        assert_same_batches(by_processes.epoch(epoch, first), threads.epoch(epoch, first))
    assert small_by_frame(by_processes.epoch(1)).keys() == small_by_frame(threads.epoch(1)).keys()


def test_an_epoch_by_processes_may_be_left_early_and_an_exception_there_surfaces(folders, frames, by_processes):
    batches = by_processes.epoch(0)
    first = next(batches)
    batches.close()
    assert torch.equal(next(by_processes.epoch(0)).views, first.views)
    with pytest.raises(IndexError):
        list(by_processes._started().batches([(np.array([10_000]), 0)]))


def test_threads_make_views_for_a_cpu_and_where_shared_memory_is_small(capsys):
    assert fitting(8, batch_bytes=1000) == 8
    assert fitting(8, batch_bytes=10**15) == 0
    assert "made by threads" in capsys.readouterr().out
    assert fitting(1, batch_bytes=1000) == 0
    assert not capsys.readouterr().out


@pytest.mark.kills
def test_processes_end_when_the_one_that_they_work_for_is_killed(folders):
    command = [sys.executable, "-m", "tests.trainers.data.loading_program", folders[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        started = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(started) > 2
    for each in started:
        each.wait()
