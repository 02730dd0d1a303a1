"""Public checkpoints as encoders: the network of a file, under whatever prefix, checked tensor by tensor."""

import copy
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from trainers.fields import Channels, added
from trainers.networks.architectures import AnyBackbone
from trainers.pretrained.checkpoint_file import check_readable, read_tensors
from trainers.pretrained.contents import EMBEDDING_SIZE, PREFIXES, Layout, encoder_state
from trainers.runtime.randomness import derived_seed
from trainers.ssl.encoders import EncoderStage, random_encoder, write_weights
from trainers.ssl.pairs import SharedBackbonePair
from trainers.stage import InputError, Work

SHIPPED = Path(__file__).parent / "shipped"
"""Files that come with the package."""
DIGEST = "sha256"
CHUNK_BYTES = 2**22


@dataclass(frozen=True, kw_only=True)
class PublicWeights(EncoderStage):
    """A downloaded checkpoint in the roles that later stages know, as `Release` leaves them.

    Query and key encoder are both the checkpoint's network, on one frozen backbone: parameters, running statistics, and
    the public projection head where there is one that ours can take over. MoCo's own key encoder and queue are left
    out: training from the weights starts with a copy of the query encoder and an empty queue. Where there is no such
    head, it is drawn from a fixed seed; a classifier is left out.

    Attributes:
        digest: SHA-256 of the file, in hex: it identifies the weights, independently of the path.
        layout: how the checkpoint is laid out.
        prefix: of the backbone's tensors in a file of another layout than MoCo's and torchvision's own.
        backbone: the architecture it holds.
        embedding_size: length of the embeddings.
        path: the file.
    """

    digest: str
    layout: Layout
    backbone: AnyBackbone
    embedding_size: Channels = EMBEDDING_SIZE
    prefix: str = added("")
    path: Path = field(compare=False)

    @property
    def shared_backbone(self) -> EncoderStage:
        return self

    @property
    def output_size(self) -> int:
        return self.embedding_size

    @property
    def title(self) -> str:
        return f"{self.kind} {self.path.name}"

    @property
    def _here(self) -> Path:
        """The file on this machine, which may have the package, with its own files, in another folder."""
        own = SHIPPED / self.path.name
        return own if self.path.parent.name == SHIPPED.name and own.exists() else self.path

    def expected_seconds(self) -> float:
        return 5.0

    def run(self, work: Work) -> None:
        path = self._here
        check_readable(path)
        if digests_of(path, (DIGEST,))[DIGEST] != self.digest:
            raise InputError(
                f"{path} is not the file that was registered: `freelunch weights add` it again under its name."
            )
        prefix, is_mocos = PREFIXES.get(self.layout, self.prefix), self.layout == "moco"
        tensors = read_tensors(path)
        state = encoder_state(tensors, path, self.backbone, prefix, needs_head=is_mocos)
        query = random_encoder(self.backbone, self.embedding_size, derived_seed(0, "public weights"))
        query.load_state_dict({**query.state_dict(), **state})
        pair = SharedBackbonePair(query, copy.deepcopy(query), trains="none")
        write_weights(work.output, pair)


def digests_of(path: Path, kinds: tuple[str, ...]) -> dict[str, str]:
    """Digests of a file in hex, by the names of their algorithms; it is read once, a piece at a time."""
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            for digest in digests.values():
                digest.update(piece)
    return {kind: digest.hexdigest() for kind, digest in digests.items()}
