"""Frozen networks that methods ask about every batch, whose answers can be recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainers.ssl.encoders import EncoderStage

Asked = Literal["pair", "query", "queries", "features"]
"""What a step asks of a frozen network: the embeddings of a pair's two encoders, each of its view; those of the query
encoder, of the first view or of each; or the features of both views of the backbone that a pair's encoders share."""


@dataclass(frozen=True)
class Frozen:
    """A frozen network that a method asks about every batch, whose answers can be recorded.

    Attributes:
        network: the stage whose encoders they are.
        asked: what is asked.
        module: name of the method's module that asks.
    """

    network: EncoderStage
    asked: Asked
    module: str = "teacher"

    @property
    def needs_no_images(self) -> bool:
        """Whether a method that replays the answers needs no images: nothing else of it looks at them."""
        return self.module == "encoders"


def features_of(network: EncoderStage, module: str = "teacher") -> Mapping[str, Frozen]:
    """The features of the backbone that a network's encoders share, to be recorded; nothing where each has its own."""
    shared = network.shared_backbone
    return {} if shared is None else {"features": Frozen(shared, "features", module)}
