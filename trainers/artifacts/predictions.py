"""Phase predictions of a set of videos, in `predictions.parquet`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trainers.stage import InputError

FILE_NAME = "predictions.parquet"

SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("truth", pa.int8(), nullable=False),
        pa.field("prediction", pa.int8(), nullable=False),
        pa.field("framewise", pa.int8()),
    ]
)
"""frame: index in the source video; truth: index of the phase, or -1 where unlabelled; prediction: index of the phase;
framewise: the frame classifier's phase, before the temporal model; null where there is none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoPredictions:
    """The predictions of one video: arrays of one length, a row per sampled frame, in order of time."""

    video: str
    frames: npt.NDArray[np.int32]
    truth: npt.NDArray[np.int8]
    prediction: npt.NDArray[np.int8]
    framewise: npt.NDArray[np.int8] | None = None

    @property
    def accuracy(self) -> float:
        """Share of labelled frames that are predicted right, in percent; for captions only."""
        known = self.truth >= 0
        return 100 * float(np.mean(self.truth[known] == self.prediction[known]))


def write_predictions(folder: Path, videos: Iterable[VideoPredictions]) -> None:
    """Writes the predictions of all videos into `folder`, replacing what an interrupted run left there."""
    with pq.ParquetWriter(folder / FILE_NAME, SCHEMA) as writer:
        for video in videos:
            writer.write_table(_table_of(video))


def read_predictions(folder: Path) -> list[VideoPredictions]:
    """The predictions of every video in `folder`, in the file's order; the column `framewise` may be missing.

    Raises:
        InputError: the frames of a video do not increase, or only some of the rows have a `framewise` prediction.
    """
    path = folder / FILE_NAME
    table = _without_empty_framewise(pq.read_table(path), path)
    encoded = table["video"].combine_chunks().dictionary_encode()
    row_video = encoded.indices.to_numpy()
    videos = enumerate(encoded.dictionary.to_pylist())
    return [_video_of(table.take(np.flatnonzero(row_video == index)), name, path) for index, name in videos]


def _table_of(video: VideoPredictions) -> pa.Table:
    columns = {
        "video": pa.repeat(video.video, len(video.frames)),
        "frame": video.frames,
        "truth": video.truth,
        "prediction": video.prediction,
        "framewise": pa.nulls(len(video.frames)) if video.framewise is None else video.framewise,
    }
    return pa.table(columns, schema=SCHEMA)


def _without_empty_framewise(table: pa.Table, path: Path) -> pa.Table:
    if "framewise" not in table.column_names:
        return table
    num_missing = table["framewise"].null_count
    if 0 < num_missing < len(table):
        raise InputError(f"{path}: {num_missing} of {len(table)} rows have no framewise prediction; write all or none")
    return table.drop_columns("framewise") if num_missing else table


def _video_of(rows: pa.Table, name: str, path: Path) -> VideoPredictions:
    columns = {column: rows[column].to_numpy() for column in rows.column_names if column != "video"}
    frames = columns.pop("frame")
    if np.any(np.diff(frames) <= 0):
        raise InputError(f"{path}: the frames of {name} do not increase; write every frame once, in order of time")
    return VideoPredictions(
        video=name,
        frames=frames,
        truth=columns["truth"],
        prediction=columns["prediction"],
        framewise=columns.get("framewise"),
    )
