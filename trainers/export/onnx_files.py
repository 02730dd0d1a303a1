"""Graphs in ONNX, which hold the normalisation of images: frames go in as bytes."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trainers.export.formats import Format
from trainers.export.networks import FrameNetwork, PhaseNetwork
from trainers.export.parts import Part
from trainers.stage import MachineError

MODEL, FRAMES, TEMPORAL = "model.onnx", "frames.onnx", "temporal.onnx"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 18
LARGEST_GRAPH_BYTES = 1_800_000_000
"""Graphs with more weights keep them in a file beside, since one file of ONNX holds 2 GiB at most."""
EXAMPLE_FRAMES, EXAMPLE_ROWS = 2, 16


class OnnxFormat(Format):
    """One graph of an encoder or a classifier; of a pipeline two, one for frames and one for the features of a video.

    A graph for frames and time at once would need memory for every frame of a video at the same moment.
    """

    name = "onnx"
    tolerance = 1e-4

    def refusal(self, part: Part) -> str:
        return ""

    def write(self, part: Part, folder: Path, metadata: dict[str, str]) -> None:
        check_packages()
        size, outputs = part.image.size_px, ["features"]
        outputs += ["probabilities"] if part.classifier is not None else []
        images = torch.zeros(EXAMPLE_FRAMES, 3, size, size, dtype=torch.uint8)
        network = FrameNetwork(part.network, part.classifier, part.image).eval()
        target = folder / (MODEL if part.temporal is None else FRAMES)
        _write(network, images, target, names=("images", *outputs), axis="frames", metadata=metadata)
        if part.temporal is not None:
            rows = torch.zeros(EXAMPLE_ROWS, part.extractor.num_features)
            model, names = PhaseNetwork(part.temporal).eval(), ("features", "probabilities")
            _write(model, rows, folder / TEMPORAL, names=names, axis="rows", metadata=metadata)

    def read_back(self, part: Part, folder: Path, images: Tensor) -> Tensor:
        if part.temporal is None:
            return _run(folder / MODEL, "features" if part.classifier is None else "probabilities", "images", images)
        features = _run(folder / FRAMES, "features", "images", images)
        return _run(folder / TEMPORAL, "probabilities", "features", features)

    def usage(self, part: Part) -> str:
        size = part.image.size_px
        images = f"images = frames.transpose(0, 3, 1, 2)  # N×3×{size}×{size}, uint8: the graph normalises it"
        begin = ["import numpy as np", "import onnxruntime"]
        if part.temporal is None:
            outputs = "(features,)" if part.classifier is None else "features, probabilities"
            run = f'{outputs} = session.run(None, {{"images": images}})'
            return "\n".join([*begin[1:], f'session = onnxruntime.InferenceSession("{MODEL}")', images, run])
        return "\n".join(
            [
                *begin,
                f'frame_session = onnxruntime.InferenceSession("{FRAMES}")',
                f'time_session = onnxruntime.InferenceSession("{TEMPORAL}")',
                images,
                "batches = [images[start : start + 64] for start in range(0, len(images), 64)]",
                'features = np.concatenate([frame_session.run(["features"], {"images": each})[0] for each in batches])',
                '(probabilities,) = time_session.run(None, {"features": features})  # T×P, one video in order of time',
            ]
        )


def check_packages() -> None:
    """Refuses to go on without the packages of ONNX.

    Raises:
        MachineError: one is not installed.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MachineError(
            f"format onnx needs {' and '.join(missing)}: install freelunch-surgical[export], or choose another format."
        )


def _write(
    network: nn.Module, example: Tensor, path: Path, *, names: tuple[str, ...], axis: str, metadata: dict[str, str]
) -> None:
    """Writes a network as a graph whose first axis, of inputs and outputs, has any length."""
    import onnx

    try:
        program = torch.onnx.export(
            network,
            (example,),
            input_names=names[:1],
            output_names=names[1:],
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim(axis)},),
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise MachineError(f"torch cannot make a graph of this network ({reason}): take another format.") from error
    assert program is not None, "the exporter returns a program"
    program.model.metadata_props.update(metadata)
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    program.save(path, external_data=num_bytes > LARGEST_GRAPH_BYTES)
    onnx.checker.check_model(path)


def _run(path: Path, wanted: str, name: str, value: Tensor) -> Tensor:
    """An output of a graph."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run([wanted], {name: value.numpy()})[0]
    return torch.from_numpy(found)
