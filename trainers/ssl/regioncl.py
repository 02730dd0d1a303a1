"""RegionCL-M: MoCo v2 that also distinguishes the two images that a region swap combines.

Xu et al., arXiv 2111.12309, Sec. 3.2: L = L_image + w (L_canvas + L_paste) / 2, each an InfoNCE loss; a composite's
canvas and paste are each other's additional negative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainers.fields import Channels, Count, Momentum, Temperature, Weight
from trainers.networks.architectures import AnyBackbone
from trainers.networks.backbones import STRIDE_PX, FeatureMaps
from trainers.runtime import distributed, randomness
from trainers.ssl.encoders import embed
from trainers.ssl.losses import dictionary_logits, info_nce, region_logits
from trainers.ssl.method import ContrastiveConfig, Method, Views, check_queue
from trainers.ssl.pairs import EncoderPair, random_pair, shuffle_order
from trainers.ssl.queue import KEYS, Queue
from trainers.stage import InputError


class RegionCLMethod(Method):
    """RegionCL's step (Xu et al., Sec. 3.2): MoCo's, and a second pass of the query encoder on composites."""

    encoders: EncoderPair

    def __init__(self, config: "RegionCL", encoders: EncoderPair, *, num_splits: int, seed: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = encoders
        self.queue = Queue(config.queue_size, {KEYS: config.embedding_size}, seed)
        self.num_splits = num_splits
        self.seed = seed

    def forward(self, views: Views) -> Mapping[str, Tensor]:
        x_q, x_k = self.encoders.inputs(views.query, views.key)
        q = self.encoders.embed_queries(x_q)  # N×C
        self.encoders.update_key_encoder(self.config.momentum)
        k = self.encoders.embed_keys(x_k, shuffle_order(self.seed, views.step, x_k))  # N×C
        self.note_embeddings(q)
        source, masks = self._draw(views)  # N of all workers, and N×h×w
        composites = swap_regions(views.query, distributed.reordered(views.query, source), masks)
        canvas, paste = self._embed_regions(composites, masks)  # N×C
        k_paste = distributed.reordered(k, source)  # keys of the images that the pastes were cut from
        queue, temperature = self.queue.bank(KEYS), self.config.temperature
        half = self.config.region_weight / 2  # one mean over the 2N regions
        losses = {
            "contrastive": info_nce(dictionary_logits(q, k, queue), temperature),
            "canvas": half * info_nce(region_logits(canvas, k, paste, queue), temperature),
            "paste": half * info_nce(region_logits(paste, k_paste, canvas, queue), temperature),
        }
        self.queue.enqueue({KEYS: k}, views.frame_ids)
        return losses

    def _draw(self, views: Views) -> tuple[Tensor, Tensor]:
        """The image that the region of each image of all workers comes from, and the masks of this worker's regions."""
        num_images = distributed.global_batch(len(views.query))
        num_cells = views.query.shape[-1] // STRIDE_PX
        sides = self.config.smallest_region, self.config.largest_region
        masks = draw_regions(self.seed, views.step, self.num_splits, num_cells, sides)
        of_images = masks.repeat_interleave(num_images // self.num_splits, dim=0)
        return partners(num_images, self.num_splits), distributed.local_rows(of_images).to(views.query.device)

    def _embed_regions(self, composites: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of the composites' canvases and pastes, N×C each, through the one head of the query encoder."""
        query = self.encoders.query
        assert isinstance(query.backbone, FeatureMaps)
        maps = query.backbone.feature_maps(composites)  # N×F×h×w
        features = query.backbone.from_means(torch.cat([mean_inside(maps, ~masks), mean_inside(maps, masks)]))
        canvas, paste = embed(query.head, features).chunk(2)
        return canvas, paste


@dataclass(frozen=True, kw_only=True)
class RegionCL(ContrastiveConfig):
    """Hyperparameters of RegionCL on MoCo v2 (Xu et al., arXiv 2111.12309).

    A region of every query image is replaced by the same region of its partner. In the composite, the pasted region
    ("paste") must match the key of the image it was cut from, the rest ("canvas") the key of the image it belongs to;
    each is a negative of the other. Regions are drawn in cells of the last feature maps, 32 pixels each way, so that
    the pixels that are swapped and the features that are pooled are the same part of the image.

    Attributes:
        temperature: τ of the InfoNCE losses.
        queue_size: K, the number of keys in the dictionary besides the positive.
        momentum: m of the key encoder.
        embedding_size: length of the embeddings.
        region_weight: weight of the canvases' and the pastes' mean loss beside that of the whole images.
        smallest_region: shortest side of a region, in cells.
        largest_region: longest side of a region, in cells; shorter than the image.
    """

    temperature: Temperature = 0.2
    queue_size: Count = 65536
    momentum: Momentum = 0.999
    embedding_size: Channels = 128
    region_weight: Weight = 1.0
    smallest_region: Count = 3
    largest_region: Count = 5

    def build(self, backbone: AnyBackbone, inputs: Mapping[str, Path], seed: int) -> Method:
        pair = random_pair(backbone, self.embedding_size, seed=seed)
        return RegionCLMethod(self, pair, num_splits=backbone.batch_norm_splits, seed=seed)

    def check(self, backbone: AnyBackbone, batch_size: int) -> None:
        check_queue(self.queue_size, batch_size)
        if backbone.cell_px != STRIDE_PX:
            raise InputError(
                f"RegionCL swaps regions in cells of {STRIDE_PX} pixels, which are those of the last feature maps: "
                f"{backbone.described} has no such maps; take a ResNet or a ConvNeXt that takes images as they come."
            )
        if self.smallest_region > self.largest_region:
            raise InputError(
                f"regions from {self.smallest_region} to {self.largest_region} cells were asked for: "
                "smallest_region must be at most largest_region."
            )
        if batch_size % (2 * backbone.batch_norm_splits):
            raise InputError(
                f"batch_size is {batch_size}: in each of the {backbone.batch_norm_splits} parts of a batch "
                "(batch_norm_splits), images swap regions two by two; choose a multiple of "
                f"{2 * backbone.batch_norm_splits}."
            )

    def check_size(self, size_px: int) -> None:
        smallest = (self.largest_region + 1) * STRIDE_PX
        if size_px % STRIDE_PX or size_px < smallest:
            raise InputError(
                f"size_px is {size_px}: regions of up to {self.largest_region} cells of {STRIDE_PX} pixels need views "
                f"whose side is a multiple of {STRIDE_PX} and at least {smallest}; change it, or largest_region."
            )

    @property
    def forward_equivalents(self) -> float:
        return 7


def draw_regions(seed: int, step: int, num_splits: int, num_cells: int, sides: tuple[int, int]) -> Tensor:
    """One rectangle of cells per split, its sides and its place uniform: boolean masks, splits×h×w.

    Args:
        seed: the trial's seed.
        step: optimisation steps before this one.
        num_splits: of the whole batch.
        num_cells: side of the feature maps, h = w.
        sides: shortest and longest side of a region, in cells.
    """
    generator = randomness.numpy_generator(seed, "region", step)
    masks = torch.zeros(num_splits, num_cells, num_cells, dtype=torch.bool)
    for mask in masks:
        height, width = generator.integers(sides[0], sides[1], size=2, endpoint=True).tolist()
        top, left = (int(generator.integers(0, num_cells - side, endpoint=True)) for side in (height, width))
        mask[top : top + height, left : left + width] = True
    return masks


def partners(num_images: int, num_splits: int) -> Tensor:
    """The image that each image's region comes from, N: every split of the batch reversed."""
    return torch.arange(num_images).view(num_splits, -1).flip(1).reshape(-1)


def swap_regions(images: Tensor, others: Tensor, masks: Tensor) -> Tensor:
    """Composites: every image, with its region taken from another.

    Args:
        images: N×3×H×W.
        others: the image that each one's region is cut from, N×3×H×W.
        masks: where the region is, in cells, N×h×w.
    """
    pixels = masks.repeat_interleave(STRIDE_PX, dim=1).repeat_interleave(STRIDE_PX, dim=2)
    return torch.where(pixels[:, None], others, images)


def mean_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """The mean of feature maps N×F×h×w over the cells inside masks N×h×w: N×F."""
    inside = masks[:, None].to(maps.dtype)
    return (maps * inside).sum((2, 3)) / inside.sum((2, 3))
