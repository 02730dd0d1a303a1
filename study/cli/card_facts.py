"""Facts of a model card: what an exported part is, how it was trained, on what, from whose weights, and how good."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from search_spaces.protocol.presets import PRESETS
from search_spaces.searches.distilled import SEARCHES
from study.cli.demo import DEMO
from study.cli.planning import FULL_SCALE_DATASET
from study.cli.trained_model import KEY_SHOWN, FoundTrial
from study.cli.videos import find_scale
from study.core.graph import describe, inputs, key, walk
from study.core.store import Store
from study.home.request import Request
from study.report.model_card import DataUse, ModelCard
from trainers.artifacts.evaluation import Scores, read_scores
from trainers.data.frames import FrameSource
from trainers.data.ingest.video import Ingest
from trainers.data.synthetic.generic_images import GenericImages
from trainers.evaluation.evaluate import Evaluate
from trainers.export.formats import named
from trainers.export.parts import Part
from trainers.export.writing import FORMATS
from trainers.pretrained import registry as weights_registry
from trainers.pretrained.public_weights import PublicWeights
from trainers.pretrained.registry import RegisteredWeights
from trainers.runtime.registry import names
from trainers.ssl.pretrain import Pretrain
from trainers.stage import FreelunchError, Stage

ROLES = {
    "student": "the network trained without labels",
    "teacher": "the network that taught the student",
    "classifier": "the network fine-tuned on labelled frames, with its classifier of frames",
    "pipeline": "the network fine-tuned on labelled frames, with its classifier of frames and the temporal model",
}
FILES = {
    "model.pth": "`state_dict` under torchvision's names",
    "model.safetensors": "weights",
    "config.json": "timm's description of the model and its input",
    "checkpoint.pth.tar": "query encoder, and key encoder where there is one, as MoCo's training script saves them",
    "model.onnx": "graph from images to features, and to probabilities where there is a classifier",
    "frames.onnx": "graph from frames to features and to the frame classifier's probabilities",
    "temporal.onnx": "graph from the features of one video to the probability of every phase",
}
_RESIZED = "In the trial, frames were stretched to {before}×{before} first, and from there resized to {size}×{size}."


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a card is made of.

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
        return request.dataset or (DEMO if request.scale == DEMO else FULL_SCALE_DATASET)

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
        """What formats with a place for it say of themselves."""
        part, image = self.part, self.part.image
        return {
            "freelunch.part": part.name,
            "freelunch.trial": self.found.model.label,
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
        known = self._registered(stage.digest)
        title = f"{known.name}, {known.title}" if known else stage.path.name
        title += f", from {known.source}" if known and known.source else ""
        licence = "not noted; look it up where they are published before you pass these files on"
        if known and known.licence:
            licence = f"{known.licence}, as it was noted when they were registered; these files are made from them"
        return f"Weights of others: {title} (SHA-256 `{stage.digest}`); licence: {licence}."

    def _registered(self, digest: str) -> RegisteredWeights | None:
        folder = self.store.home / "weights"
        for name in names(folder):
            with suppress(FreelunchError):  # its record is damaged
                weights = weights_registry.recorded(folder, name)
                if weights.digest == digest:
                    return weights
        return None


def describe_export(facts: CardFacts, files: Mapping[str, str], difference: float) -> ModelCard:
    """The card of an export.

    Args:
        facts: what it is made of.
        files: SHA-256 of every file of the format.
        difference: what the files, read back, differ by.
    """
    part, found, request = facts.part, facts.found, facts.found.request
    preset = PRESETS[request.preset]
    return ModelCard(
        title=f"{part.name.capitalize()} of {found.model.label}, as {facts.format_name}",
        summary=(
            f"Here is {ROLES[part.name]}, of a trial of freelunch:",
            f"{named(part.extractor)}, from images to {part.extractor.num_features} features"
            + (f", and to {len(part.phases)} phases." if part.phases else "."),
            f"Read back, the files differ by at most {difference:.1e} of the largest value.",
        ),
        files={name: f"{FILES[name]} (SHA-256 `{digest}`)" for name, digest in files.items() if name in FILES},
        image=_image(facts),
        results=_results(part),
        usage=FORMATS[facts.format_name].usage(part),
        phases=part.phases,
        facts={
            "stage": f"{facts.stage.title}, `{key(facts.stage)[:KEY_SHOWN]}`",
            "preset": f"{request.preset}: {preset.description}",
            "scale": f"{request.scale}: {find_scale(request.scale).description}",
            "data set": facts.dataset,
            **({"pre-trained on": request.pretrain_on} if request.pretrain_on else {}),
            "seed": str(found.trial.seed),
        },
        parameters={name: str(value) for name, value in found.trial.parameters.items() if value is not None},
        config=json.dumps({k: describe(stage) for k, stage in facts.ancestors.items()}, indent=1),
        scores=facts.scores,
        scored=_scored(facts, preset.stamp),
        data=facts.data,
        origin=facts.origin(),
        command=_without_folder(request).command("search" if request.study in SEARCHES else "run"),
        versions=facts.store.manifest(key(facts.stage)).versions,
    )


def _without_folder(request: Request) -> Request:
    """The request, a user's own study by the name of its file alone: cards name no folders of a machine."""
    return replace(request, study=request.study.rpartition("/")[2])


def _image(facts: CardFacts) -> tuple[str, ...]:
    """Sentences on the images that go in."""
    image, size = facts.part.image, facts.part.image.size_px
    views = facts.stage.augmentation.size_px if isinstance(facts.stage, Pretrain) else size
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (image.mean, image.std))
    values = "values from 0 to 1, without normalisation"
    if image.is_normalised:
        values = f"values from 0 to 1, minus the mean {mean}, divided by the standard deviation {std} (R, G, B)"
    if facts.format_name == "onnx":
        values = f"uint8, values from 0 to 255; the graph itself normalises them ({values})"
    return (
        f"RGB images of {size}×{size} pixels, N×3×{size}×{size}: {values}.",
        "Black margins of the video are cut, then the whole frame is stretched to the square (not cropped); where it "
        "shrinks, a pixel is the mean over an area.",
        *([_RESIZED.format(before=image.before_px, size=size)] if image.before_px else []),
        *([f"It was trained on augmented views of {views}×{views} pixels."] if views != size else []),
    )


def _results(part: Part) -> tuple[str, ...]:
    """Sentences on what comes out."""
    said = [f"Features: N×{part.extractor.num_features}, float32, the mean over the last feature maps."]
    if part.classifier is not None:
        said.append(f"The classifier of frames: probabilities N×{len(part.phases)} after a softmax.")
    if part.temporal is not None:
        said.append(
            f"The temporal model: of the features of one video, T×{part.extractor.num_features} in order of time, the "
            f"probabilities T×{len(part.phases)}. It is causal: row t depends on rows up to t alone, so that a video "
            "that goes on is predicted by all of its rows so far."
        )
    return tuple(said)


def _scored(facts: CardFacts, stamp: str | None) -> tuple[str, ...]:
    """Sentences on what the scores are of."""
    if facts.scores is None:
        return ("The trial is one of a search, which sees validation videos alone: there are no test scores.",)
    whole = {
        "student": "They are of the whole trial: this network after fine-tuning, with the temporal model.",
        "teacher": "They are of the student that it taught, after fine-tuning and with the temporal model; the teacher "
        "itself was not tested.",
        "classifier": "The frame classifier alone is the protocol `framewise`; the others are with the temporal model.",
        "pipeline": "They are of what these files compute, on the test videos.",
    }[facts.part.name]
    temporal = facts.found.model
    return (
        whole.replace("`framewise`", "“strict, frame classifier alone”"),
        f"Rows are {temporal.fps:g} per second.",
        *([f"**These results are {stamp}: they flatter the method.**"] if stamp else []),
    )


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
