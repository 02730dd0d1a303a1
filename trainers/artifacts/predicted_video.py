"""Predictions for one video that has no annotation: phases with their probabilities, in `phases.parquet`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

FILE_NAME = "phases.parquet"
SECONDS = b"seconds"
"""Metadata of the file: length of the video."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedVideo:
    """Predictions for one video: T rows in order of time.

    Attributes:
        video: its name.
        phases: names of the P phases, in index order.
        seconds: its length.
        frames: time of every row in frames of 25 per second, T.
        prediction: index of the most probable phase, T.
        framewise: index of the frame classifier's phase, before the temporal model, T.
        probabilities: T×P, rows sum to 1.
    """

    video: str
    phases: tuple[str, ...]
    seconds: float
    frames: npt.NDArray[np.int32]
    prediction: npt.NDArray[np.int8]
    framewise: npt.NDArray[np.int8]
    probabilities: npt.NDArray[np.float32]

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """Probability of the most probable phase, T."""
        best: npt.NDArray[np.float32] = self.probabilities.max(axis=1)
        return best


def write_predicted(folder: Path, predicted: PredictedVideo) -> None:
    """Writes the predictions for one video into its artifact."""
    flat = pa.array(predicted.probabilities.reshape(-1), pa.float32())
    table = pa.table(
        {
            "frame": pa.array(predicted.frames, pa.int32()),
            "prediction": pa.array(predicted.prediction, pa.int8()),
            "framewise": pa.array(predicted.framewise, pa.int8()),
            "probabilities": pa.FixedSizeListArray.from_arrays(flat, len(predicted.phases)),
        }
    )
    pq.write_table(table.replace_schema_metadata({SECONDS: repr(predicted.seconds)}), folder / FILE_NAME)


def read_predicted(folder: Path, video: str, phases: tuple[str, ...]) -> PredictedVideo:
    """Reads the predictions for one video.

    Args:
        folder: the artifact.
        video: name of the video.
        phases: names of the phases, in index order.
    """
    table = pq.read_table(folder / FILE_NAME).combine_chunks()
    frames, prediction, framewise = (table[name].to_numpy() for name in ("frame", "prediction", "framewise"))
    probabilities = np.concatenate([chunk.flatten().to_numpy() for chunk in table["probabilities"].chunks])
    return PredictedVideo(
        video=video,
        phases=phases,
        seconds=float(table.schema.metadata[SECONDS]),
        frames=frames,
        prediction=prediction,
        framewise=framewise,
        probabilities=probabilities.reshape(len(frames), -1),
    )
