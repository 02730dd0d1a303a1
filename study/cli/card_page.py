"""Page of a model card: the facts of an export in sentences."""

import json
from collections.abc import Mapping
from dataclasses import replace

from search_spaces.protocol.presets import PRESETS
from study.cli.card_facts import CardFacts
from study.cli.trained_model import KEY_SHOWN
from study.cli.videos import find_scale
from study.core.graph import describe, key
from study.home.request import Request
from study.report.model_card import ModelCard
from trainers.export.formats import named
from trainers.export.parts import Part
from trainers.export.writing import FORMATS
from trainers.ssl.pretrain import Pretrain

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
        command=_without_folder(request).command(found.verb),
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
