"""Annotations of phases: files of any format, read whole or refused with the line that is wrong."""

from trainers.data.ingest.annotations.format import AnnotationFormat
from trainers.data.ingest.annotations.labels import read_labels
from trainers.data.ingest.annotations.phases import read_phases
from trainers.data.ingest.annotations.track import LabelTrack

__all__ = ["AnnotationFormat", "LabelTrack", "read_labels", "read_phases"]
