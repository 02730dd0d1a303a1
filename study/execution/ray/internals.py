"""Private functions of Ray that have no public counterpart: the only imports of its private modules here."""

from ray._common.utils import get_default_ray_temp_dir
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


def default_session_folder() -> str:
    """The folder in which Ray keeps the sessions that are started here, by RAY_TMPDIR and TMPDIR."""
    folder: str = get_default_ray_temp_dir()  # type: ignore[no-untyped-call]
    return folder
