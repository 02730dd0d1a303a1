"""The numbers printed by Ding et al., MICCAI 2022 (arXiv 2205.09292), with their tables."""

from study.spec import Published

SOURCE = "Ding, Liu, Li: Free Lunch for Surgical Video Understanding by Distilling Self-Supervisions, MICCAI 2022"

COLUMN_SWAP = (
    "On Cholec80 the published tables print a Jaccard index above the precision in every row but Scratch, which cannot "
    "be: per phase, TP/|pred ∪ gt| never exceeds TP/|pred|. The Precision and Jaccard columns are evidently "
    "interchanged there. Both readings are given: as printed, and with the two columns exchanged."
)

METRICS = ("accuracy", "precision", "recall", "jaccard")


def _row(*cells: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return dict(zip(METRICS, cells, strict=True))


TABLE3 = Published(
    source=f"{SOURCE}, Table 3 (Cholec80)",
    rows={
        "none": _row((84.7, 11.0), (67.5, 11.4), (84.2, 8.2), (79.6, 8.8)),
        "head": _row((87.3, 9.5), (73.5, 9.9), (85.1, 7.6), (86.1, 6.9)),
        "backbone": _row((86.1, 11.8), (72.4, 9.4), (86.1, 6.5), (84.8, 9.3)),
        "all": _row((85.2, 10.9), (71.3, 10.4), (85.1, 5.7), (85.8, 6.5)),
    },
    note=COLUMN_SWAP,
    swapped=("precision", "jaccard"),
)
