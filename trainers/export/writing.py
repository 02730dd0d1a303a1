"""Writing of a part in a format, and the proof that what was written is what was trained."""

from pathlib import Path

import torch
from torch import Tensor

from trainers.export.formats import Format, named
from trainers.export.onnx_files import OnnxFormat
from trainers.export.parts import Part
from trainers.export.safetensors_file import SafetensorsFormat
from trainers.export.timm_folder import TimmFormat
from trainers.export.torch_files import MoCoFormat, TorchvisionFormat
from trainers.runtime.randomness import torch_generator
from trainers.stage import InputError, MachineError

FORMATS: dict[str, Format] = {
    each.name: each for each in (TorchvisionFormat(), TimmFormat(), SafetensorsFormat(), MoCoFormat(), OnnxFormat())
}
READ_BACK_IMAGES = 3


def check_holds(part: Part, name: str) -> Format:
    """The format of a name, once it is known that it can hold a part.

    Raises:
        InputError: it cannot; the sentence names the formats that can.
    """
    refusal = FORMATS[name].refusal(part)
    if refusal:
        others = [other for other, each in FORMATS.items() if not each.refusal(part)]
        raise InputError(
            f"format {name} cannot hold the {part.name}, a {named(part.extractor)}: {refusal}; "
            f"--format takes {', '.join(others[:-1])} or {others[-1]} for it."
        )
    return FORMATS[name]


def write_part(part: Part, name: str, folder: Path, metadata: dict[str, str]) -> float:
    """Writes a part and reads it back as users of the format do.

    Args:
        part: the networks.
        name: of the format.
        folder: an empty folder.
        metadata: for formats that have a place for it.

    Returns:
        Largest difference of what the files make of random images, relative to the largest value.

    Raises:
        InputError: the format cannot hold the part.
        MachineError: packages are missing, or what was written gives other features.
    """
    written = check_holds(part, name)
    written.write(part, folder, metadata)
    images = random_images(READ_BACK_IMAGES, part.image.size_px)
    expected, found = part.result(images), written.read_back(part, folder, images)
    difference = relative_difference(found, expected)
    if not difference <= written.tolerance:
        raise MachineError(
            f"the files of format {name}, read back, differ from the {part.name} by {difference:.1e} of the largest "
            f"value, more than {written.tolerance:g}: nothing was exported; take another format."
        )
    return difference


def random_images(count: int, size_px: int) -> Tensor:
    """Images N×3×S×S, uint8, of noise."""
    return torch.randint(
        0, 256, (count, 3, size_px, size_px), generator=torch_generator(0, "export"), dtype=torch.uint8
    )


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference of two tensors, relative to the largest value of the second."""
    return float((found - expected).abs().max() / expected.abs().max())
