"""Private functions of Ray that have no public counterpart: the only imports of `ray._private` here."""

from ray._private.services import canonicalize_bootstrap_address
from ray._private.worker import get_dashboard_url


def running_cluster() -> str | None:
    """The `host:port` of the cluster that runs on this machine, or None."""
    try:
        address: str | None = canonicalize_bootstrap_address("auto")
    except ConnectionError:
        return None
    return address


def dashboard_url() -> str:
    """The dashboard's `host:port` of the cluster that this process is connected to; empty where it has none."""
    return get_dashboard_url() or ""  # type: ignore[no-untyped-call]
