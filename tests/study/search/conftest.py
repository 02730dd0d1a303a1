"""The home that tests of the command `search` share."""

from tests.study.search.searched_home import searched  # noqa: F401 (fixture)
