"""Parts and graphs that the tests of exported files share."""

from tests.trainers.export.parts_made import graphs, made  # noqa: F401 (fixtures)
