"""Annotated rows of recordings at a rate, those after the last frame of a recording among them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Ingest
from trainers.fields import Count
from trainers.stage import Stage, Work

FILE_NAME = "annotated_rows.parquet"


@dataclass(frozen=True, kw_only=True)
class AnnotatedRows(Stage):
    """Every n-th row of the annotation of each recording, as it stands in the file.

    A frame store ends where either the recording or its annotation ends; these rows do not.
    Leaves `annotated_rows.parquet`: the recording's name and the phase's index, row by row.

    Attributes:
        videos: recordings with annotations.
        sample_every: keep every n-th row, the first among them.
    """

    videos: tuple[Ingest, ...]
    sample_every: Count = 5

    def expected_seconds(self) -> float:
        return 0.02 * len(self.videos)

    def run(self, work: Work) -> None:
        rows = [video.annotated_at(NOMINAL_FPS)[:: self.sample_every] for video in self.videos]
        names = np.repeat([video.name for video in self.videos], [len(labels) for labels in rows])
        labels = pa.array(np.concatenate(rows), pa.int8())
        pq.write_table(pa.table({"video": pa.array(names, pa.string()), "label": labels}), work.output / FILE_NAME)


def read_annotated_rows(folder: Path) -> dict[str, np.ndarray]:
    """The phases of every recording's rows (int8), by its name."""
    table = pq.read_table(folder / FILE_NAME)
    names, labels = table["video"].to_numpy(), table["label"].to_numpy()
    return {name: labels[names == name] for name in dict.fromkeys(names.tolist())}
