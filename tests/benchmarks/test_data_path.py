import json
import subprocess
import sys


def test_smallest_run_compares_the_data_path_with_the_authors_loader(tmp_path):
    output = tmp_path / "data_path.json"
    blocked = "import sys; sys.modules.update(dict.fromkeys(('ray', 'mlflow', 'optuna', 'av')))"
    program = f"{blocked}; from benchmarks import data_path; data_path.main()"
    command = [sys.executable, "-c", program, "--small", "--output", output]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    measured = json.loads(output.read_text())
    assert {"authors' loader", "ours", "decode alone"} <= measured["cpu_milliseconds_per_frame"].keys()
    assert measured["times_ours"]["ours"] == 1
    assert measured["versions"]["opencv"]
    rates = measured["loader_frames_per_second"]
    assert all(rates[kind]["2"] > 0 for kind in ("threads", "processes"))
    assert "ms of CPU per frame" in printed
