"""Options and environment of the whole test suite."""

import os
import uuid

import pytest

# Every Ray of the tests asks for this token, as clusters of several nodes should; none writes one into the user's home.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden numbers instead of comparing")
