from pathlib import Path

import pytest

from study.home.file_systems import Mount
from study.tracking.uri import checked_uri
from trainers.stage import InputError


def test_an_sqlite_database_on_a_network_file_system_is_refused_and_a_server_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    table = [Mount(folder="/", kind="ext4"), Mount(folder=str(tmp_path.resolve() / "shared"), kind="lustre")]
    monkeypatch.setattr("study.home.file_systems.mounts", lambda: table)
    home, disk = tmp_path / "shared" / "home", tmp_path / "mlflow.db"
    for uri in (None, f"sqlite:///{home}/other.db"):
        with pytest.raises(InputError, match=r"\(lustre at .*shared\).*`MLFLOW_TRACKING_URI=sqlite:.* freelunch ui"):
            checked_uri(home, uri)
    for uri in ("http://first-node:5000", "postgresql://me@host/mlflow", f"sqlite:///{disk}"):
        assert checked_uri(home, uri) == uri
