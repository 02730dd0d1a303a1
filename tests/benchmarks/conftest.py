"""Tiny homes for the tests of benchmarks."""

from tests.study.tiny_home import no_pictures, tiny_home, tiny_scale, tiny_videos  # noqa: F401 (fixtures)
