"""A process whose views are made by others: it prints their ids after the first batch, and waits to be killed."""

import sys
import time
from pathlib import Path

import psutil

from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frames
from trainers.data.loading import ViewLoader

if __name__ == "__main__":
    ViewLoader.num_processes = 2
    with Frames([Path(sys.argv[1])]) as frames:
        loader = ViewLoader(frames, MoCoAugmentation(size_px=32), batch_size=10, seed=0, threads=2)
        batches = loader.epoch(0)
        next(batches)
        print(*[each.pid for each in psutil.Process().children(recursive=True)], flush=True)
        time.sleep(3600)
