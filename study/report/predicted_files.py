"""Files of new videos: predictions as a table, a picture and a phase file, and features as a table.

Every file is replaced whole. A table is written last, and names the stage that it was made from: where it is there, the
other files of its video are, too.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from study.home.files import replacing, write_text
from study.report.figures.prediction import prediction_figure
from study.report.figures.style import write_png
from trainers.artifacts.predicted_video import PredictedVideo

NOMINAL_FPS = 25
"""Rows per second of a phase file in Cholec80's format, and of the column `frame`."""
STAGE_KEY = b"freelunch.stage"
"""Metadata of a table: the key of the stage that it was made from."""


def write_predictions(folder: Path, predicted: PredictedVideo, *, fps: float, title: str, stage_key: str) -> None:
    """Writes `NAME-phase.txt`, `NAME.png` and `NAME.parquet`.

    Args:
        folder: the folder to write to.
        predicted: the predictions.
        fps: rate of their rows.
        title: of the picture.
        stage_key: of the stage that they are the artifact of.
    """
    write_text(folder / f"{predicted.video}-phase.txt", phase_file(predicted))
    ribbons = {"temporal model": predicted.prediction, "frames alone": predicted.framewise}
    figure = prediction_figure(title, predicted.phases, ribbons, predicted.probability, fps)
    with replacing(folder / f"{predicted.video}.png") as temporary:
        write_png(figure, temporary)
    _write_table(table_path(folder, predicted.video), predictions_table(predicted), stage_key)


def write_features(folder: Path, video: str, frames: np.ndarray, features: np.ndarray, *, stage_key: str) -> None:
    """Writes `NAME.parquet`: a row per frame with its time and its features.

    Args:
        folder: the folder to write to.
        video: name of the video.
        frames: time of every row in frames of 25 per second, T.
        features: T×C, float32.
        stage_key: of the stage that they are the artifact of.
    """
    flat = pa.array(features.reshape(-1), pa.float32())
    columns = {**_times(frames), "feature": pa.FixedSizeListArray.from_arrays(flat, features.shape[1])}
    _write_table(table_path(folder, video), pa.table(columns), stage_key)


def table_path(folder: Path, video: str) -> Path:
    """The table of a video."""
    return folder / f"{video}.parquet"


def is_written(folder: Path, video: str, stage_key: str) -> bool:
    """Whether the table of a video is there and was made from this stage."""
    try:
        return (pq.read_metadata(table_path(folder, video)).metadata or {}).get(STAGE_KEY) == stage_key.encode()
    except (OSError, pa.ArrowException):
        return False


def predictions_table(predicted: PredictedVideo) -> pa.Table:
    """A row per frame that was predicted.

    Columns: `frame` (time in frames of 25 per second), `seconds`, `phase` and `framewise` (names, of the temporal model
    and of the frame classifier before it), `probability` (of `phase`), and `probability of NAME` for every phase.
    """
    names = pa.array(predicted.phases, pa.string())
    columns = {
        **_times(predicted.frames),
        "phase": pa.DictionaryArray.from_arrays(pa.array(predicted.prediction, pa.int8()), names),
        "probability": pa.array(predicted.probability, pa.float32()),
        "framewise": pa.DictionaryArray.from_arrays(pa.array(predicted.framewise, pa.int8()), names),
    }
    for index, phase in enumerate(predicted.phases):
        columns[f"probability of {phase}"] = pa.array(predicted.probabilities[:, index], pa.float32())
    return pa.table(columns)


def phase_file(predicted: PredictedVideo) -> str:
    """A phase file as Cholec80 has it: a header, then a row `frame<TAB>phase` for every 1/25 s of the video.

    A phase holds from its row to the next: the rows of a second that were not predicted repeat the one before them.
    """
    num_rows = max(round(predicted.seconds * NOMINAL_FPS), int(predicted.frames[-1]) + 1)
    latest = np.searchsorted(predicted.frames, np.arange(num_rows), side="right") - 1
    phases = predicted.prediction[np.maximum(latest, 0)].tolist()
    rows = (f"{frame}\t{predicted.phases[phase]}\n" for frame, phase in enumerate(phases))
    return "Frame\tPhase\n" + "".join(rows)


def _times(frames: np.ndarray) -> dict[str, pa.Array]:
    return {"frame": pa.array(frames, pa.int32()), "seconds": pa.array(frames / NOMINAL_FPS, pa.float64())}


def _write_table(path: Path, table: pa.Table, stage_key: str) -> None:
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata({STAGE_KEY: stage_key}), temporary)
