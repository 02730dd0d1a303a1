"""Audit of a folder of images: each is decoded once, so that a fault is found at ingest and names its file."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile

from trainers.stage import InputError

Size = tuple[int, int]
"""Width and height in pixels."""

FORMATS: Mapping[str, str] = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG"}
"""Pillow's names of the formats that are read, and their usual names."""
SUFFIXES: Mapping[str, str] = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
UPRIGHT, FIRST_TRANSPOSED = 1, 5
"""EXIF orientations: from 5 on, width and height are exchanged."""
DRAFT_PX = (1, 1)
"""Pillow decodes a JPEG at an eighth of its size where so little is asked for: all of its data is read nevertheless."""
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
"""Options of FFmpeg's decoders that make an error of every fault that they would otherwise conceal."""
BIT_DEPTH_BYTE, DEEP_BITS = 24, 16
"""Place of the bit depth in a PNG, and the depth that is reduced to 8."""
MOST_NAMED = 3

COPY, EXTRACT = "copy it again from its source", "extract it again as an RGB image, JPEG or PNG"


@dataclass(frozen=True, kw_only=True)
class ImageAudit:
    """Properties that the images of a folder have in common, and remarks on those that are unusual."""

    width_px: int
    height_px: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Fault:
    """Reason why an image cannot be used, and what to do."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class _Checked:
    """An image that can be used: its size as it is shown, and what is unusual about it."""

    size: Size
    remarks: tuple[str, ...]


def audit_images(paths: Sequence[Path], *, threads: int) -> ImageAudit:
    """Decodes all images of a folder.

    Args:
        paths: the images, in order; at least one.
        threads: how many threads may decode.

    Raises:
        InputError: an image is empty, damaged, animated, CMYK, neither JPEG nor PNG, or of another size than most; the
            sentence names the first ones.
    """
    with ThreadPoolExecutor(threads) as pool:
        found = dict(zip(paths, pool.map(_check, paths), strict=True))
    sizes = Counter(each.size for each in found.values() if isinstance(each, _Checked))
    usual = max(sizes, key=lambda size: sizes[size], default=(0, 0))
    faults = {path: fault for path, each in found.items() if (fault := _fault(each, usual))}
    if faults:
        raise _refusal(faults)
    width, height = usual
    return ImageAudit(width_px=width, height_px=height, warnings=tuple(_warnings(found)))


def _fault(found: _Checked | _Fault, usual: Size) -> _Fault | None:
    if isinstance(found, _Fault):
        return found
    if found.size == usual:
        return None
    (width, height), most = found.size, f"{usual[0]}×{usual[1]} px"
    return _Fault(f"is {width}×{height} px, unlike the {most} of most images of its folder", "extract it again")


def _refusal(faults: Mapping[Path, _Fault]) -> InputError:
    (path, fault), *others = faults.items()
    more = "; ".join(f"{other.name} {each.reason}" for other, each in others[:MOST_NAMED])
    if len(others) > MOST_NAMED:
        more += f"; and {len(others) - MOST_NAMED} more"
    return InputError(f"{path} {fault.reason}: {fault.remedy}{f' (likewise {more})' if more else ''}.")


def _warnings(found: Mapping[Path, _Checked | _Fault]) -> Iterator[str]:
    """A sentence for every remark: on how many images, and the name of the first."""
    by_remark: dict[str, list[Path]] = {}
    for path, each in found.items():
        for remark in each.remarks if isinstance(each, _Checked) else ():
            by_remark.setdefault(remark, []).append(path)
    for remark, paths in by_remark.items():
        yield f"{len(paths)} of {len(found)} images {remark} (first {paths[0].name})"


def _check(path: Path) -> _Checked | _Fault:
    """Decodes an image, and says what is wrong with it or unusual about it."""
    data = path.read_bytes()
    if not data:
        return _Fault("is empty", COPY)
    try:
        with Image.open(io.BytesIO(data)) as image:
            fault = _fault_of_kind(image)
            if fault is not None:
                return fault
            checked = _Checked(_shown_size(image), tuple(_remarks(path, image, data)))
            _decode(image)
    except Exception as error:  # Pillow's decoders raise many kinds
        said = "it is no image" if isinstance(error, UnidentifiedImageError) else str(error)
        return _Fault(f"is damaged ({said})", COPY)
    return checked


def _fault_of_kind(image: Image.Image) -> _Fault | None:
    if image.format not in FORMATS:
        return _Fault(f"is a {image.format} by its content", EXTRACT)
    if isinstance(image, PngImageFile) and image.n_frames > 1:
        return _Fault("is animated", EXTRACT)
    return _Fault("is CMYK", EXTRACT) if image.mode == "CMYK" else None


def _decode(image: Image.Image) -> None:
    """Reads all of an image: of a PNG every checksum, of a JPEG every coefficient."""
    if image.format == "PNG":
        image.verify()
        return
    image.draft(None, DRAFT_PX)
    image.load()


def _shown_size(image: Image.Image) -> Size:
    width, height = image.size
    return (height, width) if _orientation(image) >= FIRST_TRANSPOSED else (width, height)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, which OpenCV follows in a JPEG alone."""
    given = UPRIGHT if image.format == "PNG" else image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    return given if isinstance(given, int) else UPRIGHT


def _remarks(path: Path, image: Image.Image, data: bytes) -> Iterator[str]:
    kind = FORMATS[str(image.format)]
    if SUFFIXES[path.suffix.lower()] != kind:
        yield f"are {kind} by their content, not by their name"
    if _orientation(image) != UPRIGHT:
        yield "were turned as their EXIF orientation says"
    if image.format == "PNG" and data[BIT_DEPTH_BYTE] == DEEP_BITS:
        yield "have 16 bits per value, reduced to 8"
    if image.has_transparency_data:
        yield "have transparency, left out"
    if image.mode in ("1", "L", "LA", "I;16"):
        yield "are grey"
    if kind == "JPEG" and not _is_sound(data):
        yield "may be damaged: not all of their data can be decoded"


def _is_sound(data: bytes) -> bool:
    """Whether a JPEG can be decoded without concealing anything."""
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = STRICT
    try:
        return bool(decoder.decode(av.Packet(data)))
    except av.FFmpegError:
        return False
