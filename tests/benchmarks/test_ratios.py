"""One table at the end of all benchmarks: what is aimed at, and whether it was reached."""

import pytest

from benchmarks import full_scale_plan, gpu, ingest, measuring, ratios

LINE = {"decoding": 100, "ingest": 90, "passes": 2.0, "peak_mib": 700}
FIGURES = {
    "step": {
        "memory": {"reserved_gib": 8.8},
        "steps": [
            {
                "architecture": architecture,
                "size_px": size_px,
                "times_the_authors": {"ours, bf16": 2.0},
                "frames_per_second": {"ours, bf16": 3216.0},
                "parts_over_one": 1.006,
            }
            for architecture, size_px in (("resnet18", 64), ("resnet50", 96), ("resnet50", 224), ("resnet18", 32))
        ],
    },
    "data_path": {"times_ours": {"authors' loader": 12.7, "albumentations": 1.9}},
    "resuming": {"data_wait": 0.2, "largest_difference": 0.0},
    "ingest": {"speeds": [{"video": "480p", **LINE}]},
    "full_scale_plan": {"gpu_hours": 69.9, "kept_gb": 34.7},
}


def test_every_target_is_a_row_that_says_whether_it_was_reached():
    found = {each.what: each.cells[1:] for each in ratios.ratios(FIGURES)}
    assert found["step, resnet18, 64 px: times the authors'"] == ("2", "≥ 1.9", "reached")
    assert found["step, resnet50, 96 px: times the authors'"] == ("2", "≥ 2.3", "missed")
    assert found["step, resnet50, 224 px: frames/s"] == ("3,216", "≥ 1,300", "reached")
    assert found["step, resnet18, 32 px: 4 parts of a batch over one"] == ("1.006", "≤ 1.05", "reached")
    assert found["data path: CPU time of albumentations over ours"] == ("1.9", "≥ 2", "missed")
    assert found["long epoch: share of a step that waits for data"] == ("0.2", "≤ 0.05", "missed")
    assert found["interrupted training: difference of its weights"] == ("0", "≤ 0", "reached")
    assert found["ingest, 480p: speed over decoding"] == ("0.9", "≥ 1.1", "missed")
    assert found["paper at full scale, without its features: GB kept"] == ("34.7", "≤ 60", "reached")
    assert len(found) == 17


def test_a_benchmark_that_fails_has_no_rows_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fails(*arguments: object, **options: object) -> dict[str, object]:
        raise OSError("no room")

    monkeypatch.setattr(gpu, "BENCHMARKS", ())
    monkeypatch.setattr(ingest, "time_all", fails)
    monkeypatch.setattr(full_scale_plan, "planned", fails)
    nothing = {name: gpu.guarded(name, fails) for name in ("step", "data_path", "resuming")}
    monkeypatch.setattr(gpu, "measure", lambda device, small: dict(nothing))
    figures = ratios.measure(measuring.chosen_device(), small=True)
    assert figures["ratios"] == []
    assert {name for name in FIGURES if figures[name] == {"failed": "OSError: no room"}} == FIGURES.keys()
    assert "ingest failed: OSError: no room" in capsys.readouterr().out
