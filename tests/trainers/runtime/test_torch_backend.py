import os
import socket

import psutil
import pytest

from trainers.runtime.torch_backend import GLOO_INTERFACE, choose_interface, interface_of


def test_an_interface_is_found_by_its_address():
    for name, addresses in psutil.net_if_addrs().items():
        for each in addresses:
            if each.family == socket.AF_INET:
                assert interface_of(each.address) == name
    assert interface_of("203.0.113.7") is None


def test_gloo_uses_the_interface_by_which_ray_knows_the_node(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(GLOO_INTERFACE, raising=False)
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "192.168.7.9")
    monkeypatch.setattr("trainers.runtime.torch_backend.interface_of", {"192.168.7.9": "ib0"}.get)
    choose_interface()
    assert os.environ[GLOO_INTERFACE] == "ib0"


@pytest.mark.parametrize(("chosen", "interface", "used"), [("eth7", "ib0", "eth7"), (None, "lo", None)])
def test_the_users_choice_and_a_machine_without_a_network_are_left_alone(
    chosen: str | None, interface: str, used: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(GLOO_INTERFACE, raising=False)
    if chosen:
        monkeypatch.setenv(GLOO_INTERFACE, chosen)
    monkeypatch.setattr("trainers.runtime.torch_backend.interface_of", lambda address: interface)
    choose_interface()
    assert os.environ.get(GLOO_INTERFACE) == used
