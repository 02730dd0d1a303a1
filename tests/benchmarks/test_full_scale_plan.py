"""Plan of the paper at full scale: the benchmark prints it, and it stays within the disk that the project aims at."""

from benchmarks.full_scale_plan import lines, planned

AIMED_BYTES = 60e9


def test_the_paper_at_full_scale_keeps_what_is_aimed_at_and_the_table_adds_up():
    plan, machine, found = planned("h100", drops_features=True)
    assert 22e9 < found.kept_bytes < AIMED_BYTES  # the frames alone take 23 GB
    assert found.kept_bytes < found.peak_bytes < 2 * AIMED_BYTES
    shown = list(lines(plan, machine, found))
    rows = [line.strip("| ").split(" | ") for line in shown if line.startswith("| ")][2:]
    assert sum(float(hours) for _, _, hours, _, _ in rows) > 0.98 * found.gpu_hours - 0.05 * len(rows)
    assert {"Pretrain DistilledMoCo", "EncoderFeatures", "TrainTemporal", "Video"} <= {row[0] for row in rows}
    assert f"{found.kept_bytes / 1e9:.1f} GB are kept" in shown[-1]


def test_features_are_most_of_what_is_left_where_they_are_kept():
    _, _, found = planned("h100")
    _, _, dropped = planned("h100", drops_features=True)
    assert found.kept_bytes > 4 * dropped.kept_bytes
    assert found.gpu_hours == dropped.gpu_hours
