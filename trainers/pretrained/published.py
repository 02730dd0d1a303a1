"""Checkpoints that are known by their content."""

from dataclasses import dataclass
from pathlib import Path

from trainers.pretrained.contents import Kind
from trainers.pretrained.public_weights import DIGEST, digests_of
from trainers.stage import InputError


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """A checkpoint as its authors publish it.

    Attributes:
        file_name: its name there.
        title: its content.
        kind: whether it was trained with labels.
        digest: the content digest that its publisher names.
        prefix: the hexadecimal digits of it that are published.
    """

    file_name: str
    title: str
    kind: Kind
    digest: str
    prefix: str


OFFICIAL = (
    OfficialFile(
        file_name="moco_v2_200ep_pretrain.pth.tar",
        title="MoCo v2, 200 epochs on ImageNet",
        kind="self-supervised",
        digest="md5",
        prefix="59fd9945",
    ),
    OfficialFile(
        file_name="moco_v2_800ep_pretrain.pth.tar",
        title="MoCo v2, 800 epochs on ImageNet",
        kind="self-supervised",
        digest="md5",
        prefix="a04e12f8",
    ),
    OfficialFile(
        file_name="resnet50-0676ba61.pth",
        title="ResNet-50, supervised on ImageNet (torchvision, V1)",
        kind="supervised",
        digest=DIGEST,
        prefix="0676ba61",
    ),
    OfficialFile(
        file_name="resnet50-11ad3fa6.pth",
        title="ResNet-50, supervised on ImageNet (torchvision, V2)",
        kind="supervised",
        digest=DIGEST,
        prefix="11ad3fa6",
    ),
    OfficialFile(
        file_name="resnet18-f37072fd.pth",
        title="ResNet-18, supervised on ImageNet (torchvision, V1)",
        kind="supervised",
        digest=DIGEST,
        prefix="f37072fd",
    ),
)
"""Known files. MoCo's authors publish the beginning of an MD5 digest (README of facebookresearch/moco, at a commit
of 2020), torchvision that of a SHA-256 digest, in the file's name."""

DIGESTS = tuple(sorted({DIGEST, *(official.digest for official in OFFICIAL)}))
LARGEST_BYTES = 2**30
"""More than any of these files has: of larger ones only the SHA-256 is computed."""


def recognised(path: Path) -> tuple[str, OfficialFile | None]:
    """SHA-256 of a file, and the published one that it is, if it is one that is known.

    Raises:
        InputError: the file has the name of a published one, but another content.
    """
    if path.stat().st_size > LARGEST_BYTES:
        return digests_of(path, (DIGEST,))[DIGEST], None
    digests = digests_of(path, DIGESTS)
    for official in OFFICIAL:
        if digests[official.digest].startswith(official.prefix):
            return digests[DIGEST], official
    for official in OFFICIAL:
        if path.name == official.file_name:
            raise InputError(
                f"{path} is not {official.title}: its {official.digest} begins with "
                f"{digests[official.digest][: len(official.prefix)]}, not {official.prefix}; "
                "download it again, or rename it if it is another model."
            )
    return digests[DIGEST], None
