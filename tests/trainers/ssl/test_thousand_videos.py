"""Training on a thousand videos where 256 files may be open, as under `ulimit -n 256`."""

import json
import subprocess
import sys
from pathlib import Path

NUM_VIDEOS, BATCH, LIMIT = 1000, 200, 256
TRAIN = f"""
import json, os, resource, sys
from pathlib import Path

resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))

from tests.trainers.tiny import BACKBONE, EMBEDDING, SIZE_PX, work, write_recording
from trainers.artifacts.history import read_history
from trainers.data.augmentation import MoCoAugmentation
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pretrain import Pretrain

folder = Path(sys.argv[1])
videos = [write_recording(folder / f"{{each}}", [each % 3], name=f"video{{each}}") for each in range({NUM_VIDEOS})]
stage = Pretrain(
    frames=tuple(video for video, _ in videos),
    method=MoCo(temperature=0.2, queue_size={2 * BATCH}, momentum=0.9, embedding_size=EMBEDDING),
    backbone=BACKBONE,
    augmentation=MoCoAugmentation(size_px=SIZE_PX),
    optimisation=Optimisation(epochs=1, batch_size={BATCH}, learning_rate=0.05),
    seed=5,
)
most_open, files = [], lambda: len(os.listdir("/proc/self/fd"))
inputs = {{f"frames.{{number}}": path for number, (_, path) in enumerate(videos)}}
stage.run(work(folder / "out", inputs, threads=1, listener=lambda report: most_open.append(files())))
print(json.dumps([len(read_history(folder / "out")["loss"]), max(most_open), files()]))
"""


def test_a_thousand_videos_are_trained_on_where_256_files_may_be_open(tmp_path: Path):
    command = [sys.executable, "-c", TRAIN, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    num_epochs, most_open, left_open = json.loads(ran.stdout)
    assert num_epochs == 1
    assert LIMIT // 4 < most_open < LIMIT  # some stay open, and the others are opened when they are read
    assert left_open < 40
