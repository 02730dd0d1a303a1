"""The public face of `study`: every class of it has an example in its docstring, which runs."""

import doctest
import subprocess
import sys

import pytest

import study


@pytest.mark.parametrize("name", study.__all__)
def test_the_example_of_a_public_class_gives_what_it_says(name: str):
    cls = getattr(study, name)
    assert "    Example:\n" in cls.__doc__
    (found,) = doctest.DocTestFinder(recurse=False).find(cls, name, globs={})
    assert found.examples
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(found, out=said.append)
    assert not failed, "".join(said)


def test_importing_the_face_alone_loads_nothing_of_the_platform():
    program = (
        "import sys, study; print([name for name in sys.modules if name.startswith(('study.', 'trainers', 'torch'))])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'study' has no attribute 'Stduy'"):
        getattr(study, "Stduy")  # noqa: B009
