import subprocess
import sys

import pytest

from trainers.networks.batch_norm import kernels_available

PROGRAM = "tests.trainers.networks.kernels_program"


@pytest.mark.skipif(not kernels_available(), reason="torch comes without Triton here")
def test_kernels_normalise_every_part_as_torch_does():
    done = subprocess.run([sys.executable, "-m", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
