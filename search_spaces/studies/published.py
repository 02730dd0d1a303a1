"""The numbers printed by Ding et al., MICCAI 2022 (arXiv 2205.09292), with their tables."""

from study import MeasuredOn, Published

SOURCE = "Ding, Liu, Li: Free Lunch for Surgical Video Understanding by Distilling Self-Supervisions, MICCAI 2022"

COLUMN_SWAP = (
    "On Cholec80 the published tables print a Jaccard index above the precision in every row but Scratch, which cannot "
    "be: per phase, TP/|pred ∪ gt| never exceeds TP/|pred|. The Precision and Jaccard columns are evidently "
    "interchanged there. Both readings are given: as printed, and with the two columns exchanged."
)

ON_CHOLEC80 = MeasuredOn(pretraining="cholec80", test="cholec80")
TO_M2CAI16 = MeasuredOn(pretraining="cholec80", test="m2cai16")
"""The paper's M2CAI16 results are of encoders that were pre-trained on Cholec80."""

METRICS = ("accuracy", "precision", "recall", "jaccard")


def _row(*cells: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return dict(zip(METRICS, cells, strict=True))


TABLE1 = Published(
    source=f"{SOURCE}, Table 1 (Cholec80)",
    rows={
        "scratch": _row((65.0, 13.8), (67.7, 14.3), (53.0, 21.4), (40.7, 18.4)),
        "in-sup": _row((83.1, 10.5), (64.7, 11.0), (82.3, 7.6), (77.8, 9.8)),
        "in-moco": _row((82.3, 9.8), (64.2, 12.0), (81.2, 6.1), (77.7, 10.5)),
        "moco": _row((85.7, 10.4), (72.0, 9.1), (85.4, 6.3), (84.9, 5.4)),
        "swav": _row((84.7, 2.8), (71.6, 7.9), (84.9, 7.6), (84.2, 6.3)),
        "simsiam": _row((83.9, 6.7), (68.5, 5.5), (84.5, 5.0), (82.6, 5.7)),
        "regioncl": _row((84.8, 11.4), (69.8, 11.1), (85.0, 6.5), (82.8, 10.9)),
        "ours": _row((87.3, 9.5), (73.5, 9.9), (85.1, 7.6), (86.1, 6.9)),
    },
    note=COLUMN_SWAP,
    swapped=("precision", "jaccard"),
    measured_on=ON_CHOLEC80,
    unswapped=("scratch",),
)

TABLE1_M2CAI16 = Published(
    source=f"{SOURCE}, Table 1 (M2CAI16 after pre-training on Cholec80)",
    rows={
        "scratch": _row((59.8, 12.9), (65.0, 13.6), (56.6, 29.7), (40.0, 23.0)),
        "in-sup": _row((76.0, 6.3), (78.8, 5.2), (73.8, 17.6), (58.9, 15.0)),
        "in-moco": _row((75.1, 5.8), (77.8, 6.4), (73.5, 10.4), (58.2, 14.2)),
        "moco": _row((78.4, 4.6), (80.5, 5.1), (78.5, 12.6), (63.5, 13.6)),
        "swav": _row((77.3, 6.1), (79.9, 6.3), (77.8, 11.3), (63.1, 11.5)),
        "simsiam": _row((77.0, 5.3), (79.1, 6.2), (77.1, 8.2), (62.8, 9.7)),
        "regioncl": _row((78.2, 10.4), (79.9, 8.1), (78.0, 9.5), (63.4, 7.4)),
        "ours": _row((81.1, 6.5), (80.7, 8.3), (83.2, 6.9), (67.9, 5.1)),
    },
    measured_on=TO_M2CAI16,
)

TABLE2 = Published(
    source=f"{SOURCE}, Table 2 (Cholec80)",
    rows={
        "addition": _row((84.0, 10.5), (67.3, 11.1), (82.7, 8.7), (81.6, 8.3)),
        "concatenation": _row((84.2, 9.4), (67.9, 11.7), (83.1, 8.6), (81.0, 10.1)),
        "initialization": _row((85.5, 10.9), (71.7, 8.1), (83.8, 7.2), (83.2, 8.4)),
        "distillation": _row((87.3, 9.5), (73.5, 9.9), (85.1, 7.6), (86.1, 6.9)),
    },
    note=COLUMN_SWAP,
    swapped=("precision", "jaccard"),
    measured_on=ON_CHOLEC80,
)

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
    measured_on=ON_CHOLEC80,
)
