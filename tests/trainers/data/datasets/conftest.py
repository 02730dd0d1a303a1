"""Videos that tests of datasets register."""

from tests.trainers.data.datasets.registered import digested, root  # noqa: F401 (fixtures)
