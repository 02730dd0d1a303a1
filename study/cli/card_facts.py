"""Facts of a model card: what an exported part is, how it was trained, on what, from whose weights, and how good."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from study.cli.trained_model import FoundTrial
from study.cli.videos import find_scale
from study.core.graph import describe, inputs, key, walk
from study.core.store import Store
from study.report.model_card import DataUse
from trainers.artifacts.evaluation import Scores, read_scores
from trainers.data.frames import FrameSource
from trainers.data.ingest.video import Ingest
from trainers.data.synthetic.generic_images import GenericImages
from trainers.evaluation.evaluate import Evaluate
from trainers.export.formats import named
from trainers.export.parts import Part
from trainers.pretrained import registry as weights_registry
from trainers.pretrained.file_metadata import EXPORTED_PART, EXPORTED_TRIAL, KIND
from trainers.pretrained.public_weights import PublicWeights
from trainers.pretrained.registry import RegisteredWeights
from trainers.pretrained.shipped import shipped_with
from trainers.runtime.registry import names
from trainers.ssl.pretrain import Pretrain
from trainers.stage import FreelunchError, Stage


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Facts of a model card.

    Attributes:
        store: the artifacts.
        found: the trial.
        part: the networks.
        format_name: the format.
        stage: the last stage of the part.
    """

    store: Store
    found: FoundTrial
    part: Part
    format_name: str
    stage: Stage

    @cached_property
    def dataset(self) -> str:
        """The dataset that is learned from with labels, and tested on."""
        request = self.found.request
        return request.dataset or find_scale(request.scale).dataset

    @cached_property
    def ancestors(self) -> dict[str, Stage]:
        """The stages that lead to the part, by key, without videos and images."""
        return {k: stage for k, stage in walk(self.stage).items() if not isinstance(stage, FrameSource)}

    @cached_property
    def scores(self) -> Scores | None:
        """Scores of the trial on its test videos; None where it ends before them, as those of a search do."""
        stage = self.found.trial.stage
        return read_scores(self.store.check(key(stage)), describe(stage)) if isinstance(stage, Evaluate) else None

    @cached_property
    def data(self) -> tuple[DataUse, ...]:
        """The videos and images of every stage, and for what it reads them."""
        return tuple(each for stage in self.ancestors.values() for each in _data_of(stage))

    def metadata(self) -> dict[str, str]:
        """Metadata inside the exported file, for formats that have a place for it."""
        part, image = self.part, self.part.image
        return {
            EXPORTED_PART: part.name,
            EXPORTED_TRIAL: self.found.model.label,
            **({KIND: "self-supervised"} if isinstance(self.stage, Pretrain) else {}),
            "freelunch.stage": key(self.stage),
            "freelunch.architecture": named(part.extractor),
            "freelunch.input": f"RGB, {image.size_px}×{image.size_px}",
            "freelunch.mean": json.dumps(image.mean),
            "freelunch.std": json.dumps(image.std),
            "freelunch.phases": json.dumps(part.phases),
        }

    def record(self) -> dict[str, Any]:
        """The facts for scripts."""
        part, request = self.part, self.found.request
        return {
            "part": part.name,
            "format": self.format_name,
            "trial": self.found.model.label,
            "stage": key(self.stage),
            "architecture": named(part.extractor),
            "num_features": part.extractor.num_features,
            "input": {
                "size_px": part.image.size_px,
                "mean": part.image.mean,
                "std": part.image.std,
                "normalised_by_the_file": self.format_name == "onnx",
            },
            "phases": part.phases,
            "preset": request.preset,
            "scale": request.scale,
            "dataset": self.dataset,
            "pretrained_on": request.pretrain_on,
            "parameters": {name: str(value) for name, value in self.found.trial.parameters.items()},
            "seed": self.found.trial.seed,
            "data": [{"stage": d.stage, "number": d.number, "sha256": d.digest, "names": d.names} for d in self.data],
            "metrics": self.scores.summary if self.scores else None,
            "origin": self.origin(),
            "config": {k: describe(stage) for k, stage in self.ancestors.items()},
        }

    def origin(self) -> tuple[str, ...]:
        """Sentences on the weights behind the part, and on whose licences hold."""
        behind = walk(self.stage).values()
        free = [self._of_others(stage) for stage in behind if isinstance(stage, PublicWeights)]
        if any(isinstance(stage, GenericImages) for stage in behind):
            free.append("In place of free weights: networks trained on images that freelunch has drawn itself.")
        datasets = " and ".join(dict.fromkeys(filter(None, (self.dataset, self.found.request.pretrain_on))))
        return (
            *(free or ["No weights of others: every network started from random weights."]),
            f"Learned from videos of {datasets}: whether weights trained on them may be passed on is said by the "
            "licence of the videos, which freelunch does not know.",
            "The software, freelunch, is under Apache-2.0, which says nothing of weights.",
        )

    def _of_others(self, stage: PublicWeights) -> str:
        own = next((each for each in shipped_with(stage.backbone) if each.digest == stage.digest), None)
        if own:
            return f"Weights that come with freelunch: {own.title} (SHA-256 `{own.digest}`); licence: {own.licence}."
        known = self._registered(stage.digest)
        title = f"{known.name}, {known.title}" if known else stage.path.name
        title += f", from {known.source}" if known and known.source else ""
        licence = "not noted; look it up where they are published before you pass these files on"
        if known and known.licence:
            says = "their file says" if "licence" in known.from_metadata else "it was noted when they were registered"
            licence = f"{known.licence}, as {says}; these files are made from them"
        return f"Weights of others: {title} (SHA-256 `{stage.digest}`); licence: {licence}."

    def _registered(self, digest: str) -> RegisteredWeights | None:
        folder = self.store.home / "weights"
        for name in names(folder):
            with suppress(FreelunchError):  # its record is damaged
                weights = weights_registry.recorded(folder, name)
                if weights.digest == digest:
                    return weights
        return None


def _data_of(stage: Stage) -> Iterator[DataUse]:
    groups: dict[str, list[FrameSource]] = {}
    for path, needed in inputs(stage).items():
        if isinstance(needed, FrameSource):
            groups.setdefault(path.rpartition(".")[0], []).append(needed)
    for field, sources in groups.items():
        digests = sorted(_digests(source) for source in sources)
        yield DataUse(
            stage=f"{stage.kind}: {field}",
            number=len(sources),
            digest=hashlib.sha256(json.dumps(digests).encode()).hexdigest(),
            names=tuple(source.name if isinstance(source, Ingest) else source.title for source in sources),
        )


def _digests(source: FrameSource) -> list[str]:
    """Content digests of a video and its annotation; of other images the key, which says how they are drawn."""
    if isinstance(source, Ingest):
        return [source.video_digest, source.annotation_digest or ""]
    return [key(source)]
