import copy
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import avg_pool2d, normalize

from tests.trainers.tiny import (
    BACKBONE,
    BATCH,
    EMBEDDING,
    REGIONS_PX,
    Recording,
    take_steps,
    training_embeddings,
    views,
)
from trainers.data.augmentation import MoCoAugmentation
from trainers.networks.backbones import STRIDE_PX, Backbone
from trainers.ssl.loop import Optimisation
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import shuffle_order
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.regioncl import RegionCL, draw_regions, mean_inside, partners, swap_regions
from trainers.stage import InputError

SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}
CONFIG = RegionCL(**SIZES, smallest_region=1, largest_region=2)


def rectangle(mask):
    """Top, left, height and width of a mask that is one."""
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    top, left, height, width = int(rows[0]), int(columns[0]), len(rows), len(columns)
    assert mask[top : top + height, left : left + width].all()
    assert mask.sum() == height * width
    return top, left, height, width


def test_regions_are_rectangles_of_every_side_and_place_asked_for():
    drawn = [rectangle(mask) for step in range(400) for mask in draw_regions(0, step, 4, 7, (3, 5))]
    assert {(height, width) for _, _, height, width in drawn} == {(h, w) for h in (3, 4, 5) for w in (3, 4, 5)}
    for place, side in ((0, 2), (1, 3)):
        for length in (3, 4, 5):
            counts = Counter(each[place] for each in drawn if each[side] == length)
            assert counts.keys() == set(range(7 - length + 1))
            assert min(counts.values()) > 0.6 * max(counts.values())


def test_regions_depend_on_seed_step_and_split_alone():
    first, same = draw_regions(0, 3, 4, 7, (3, 5)), draw_regions(0, 3, 4, 7, (3, 5))
    assert torch.equal(first, same)
    assert not torch.equal(first, draw_regions(0, 4, 4, 7, (3, 5)))
    assert not torch.equal(first, draw_regions(1, 3, 4, 7, (3, 5)))
    assert len({tuple(mask.flatten().tolist()) for mask in first}) > 1


def test_partners_are_the_images_of_every_split_reversed():
    assert partners(8, 2).tolist() == [3, 2, 1, 0, 7, 6, 5, 4]
    assert partners(8, 2)[partners(8, 2)].tolist() == list(range(8))


def test_the_pixels_that_are_swapped_are_those_under_the_regions_cells():
    masks = draw_regions(0, 0, 4, 7, (3, 5))
    images = torch.zeros(4, 3, 7 * STRIDE_PX, 7 * STRIDE_PX)
    composites = swap_regions(images, images + 1, masks)
    share_of_other = avg_pool2d(composites, STRIDE_PX)  # per cell
    assert torch.equal(share_of_other, masks[:, None].float().expand(-1, 3, -1, -1))


@pytest.mark.parametrize("architecture", ["resnet10", "resnet18", "resnet50"])
def test_feature_maps_have_a_cell_for_every_32_pixels_and_the_features_are_their_mean(architecture):
    network = Backbone(architecture=architecture, width=4 if architecture == "resnet10" else 64).build(seed=0).eval()
    images = torch.randn(1, 3, REGIONS_PX, 2 * REGIONS_PX)
    with torch.no_grad():
        maps = network.feature_maps(images)
        assert maps.shape[2:] == (REGIONS_PX // STRIDE_PX, 2 * REGIONS_PX // STRIDE_PX)
        assert torch.allclose(network(images), maps.mean((2, 3)), atol=1e-6)


def test_features_are_pooled_over_the_cells_of_a_mask():
    maps = torch.randn(2, 5, 4, 4, dtype=torch.float64)
    masks = draw_regions(0, 0, 2, 4, (1, 3))
    for pooled, features, mask in zip(mean_inside(maps, masks), maps, masks, strict=True):
        cells = [features[:, y, x] for y in range(4) for x in range(4) if mask[y, x]]
        assert torch.allclose(pooled, sum(cells) / len(cells), atol=1e-12)


def expected_terms(encoders, queue, batch):
    """The losses as the paper says them, image by image; both splits have four images."""
    f_q, k = encoders.query, encoders.key(batch.key)
    q = f_q(batch.query)
    composites, masks = batch.query.clone(), draw_regions(7, batch.step, 2, 3, (1, 2))
    source = [3, 2, 1, 0, 7, 6, 5, 4]
    for i in range(BATCH):
        top, left, height, width = (32 * each for each in rectangle(masks[i // 4]))
        window = (slice(None), slice(top, top + height), slice(left, left + width))
        composites[i][window] = batch.query[source[i]][window]
    maps = f_q.backbone.feature_maps(composites)
    total = {"contrastive": 0.0, "canvas": 0.0, "paste": 0.0}
    for i in range(BATCH):
        mask = masks[i // 4]
        inside, outside = maps[i][:, mask].mean(1), maps[i][:, ~mask].mean(1)
        paste, canvas = (normalize(f_q.head(each), dim=0) for each in (inside, outside))
        rows = {
            "contrastive": (q[i], [k[i]]),
            "canvas": (canvas, [k[i], paste]),
            "paste": (paste, [k[source[i]], canvas]),
        }
        for name, (embedding, others) in rows.items():
            similarities = torch.stack([embedding @ other for other in [*others, *queue.T]])
            total[name] -= torch.log_softmax(similarities / 0.2, 0)[0].item() / BATCH
    return total


def test_terms_are_the_losses_of_whole_images_canvases_and_pastes():
    method = replace(CONFIG, region_weight=3.0).build(BACKBONE, {}, seed=7).double()
    take_steps(method, range(3), dtype=torch.float64)
    method.config = replace(method.config, momentum=math.nextafter(1, 0))  # keys of the encoder as it is now
    for encoder in (method.encoders.query, method.encoders.key):
        encoder.eval()  # alone, an image has no batch statistics
    before = copy.deepcopy(method)
    batch = views(3, dtype=torch.float64, size_px=REGIONS_PX)
    with torch.no_grad():
        expected = expected_terms(before.encoders, before.queue.bank("student"), batch)
        terms = method(batch)
    weights = {"contrastive": 1.0, "canvas": 1.5, "paste": 1.5}
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: weights[name] * value for name, value in expected.items()}, rel=0, abs=1e-9
    )


def test_queries_and_keys_are_those_of_the_unmixed_images_and_the_queue_holds_whole_images():
    method = CONFIG.build(BACKBONE, {}, seed=7)
    take_steps(method, range(2))
    encoders = copy.deepcopy(method.encoders)
    batch = views(2, size_px=REGIONS_PX)
    method(batch)
    _, k = training_embeddings(encoders, batch, shuffle_order(7, 2, batch.key))
    assert torch.equal(method.queue.bank("student")[:, :BATCH], k.T)


def test_without_weight_the_regions_leave_moco_v2_step_for_step():
    regions = replace(CONFIG, region_weight=0.0).build(BACKBONE, {}, seed=7)
    moco = MoCo(**SIZES).build(BACKBONE, {}, seed=7)
    batches = [views(step, size_px=REGIONS_PX) for step in range(3)]
    optimisers = [torch.optim.SGD(each.encoders.query.parameters(), lr=0.05) for each in (regions, moco)]
    for batch in batches:
        contrastive = []
        for method, optimiser in zip((regions, moco), optimisers, strict=True):
            terms = method(batch)
            optimiser.zero_grad()
            sum(terms.values()).backward()
            optimiser.step()
            contrastive.append(terms["contrastive"])
        assert torch.equal(*contrastive)
    for ours, theirs in zip(regions.encoders.parameters(), moco.encoders.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
        ({"queue_size": 20}, "queue_size is 20: K must be a multiple of the batch size 8, such as 16"),
        ({"region_weight": -1.0}, "region_weight is -1.0: it must be at least 0"),
        ({"smallest_region": 0}, "smallest_region is 0: it must be at least 1"),
        ({"smallest_region": 3}, "regions from 3 to 2 cells were asked for: smallest_region must be at most"),
    ],
)
def test_values_that_cannot_work_are_refused(change, match):
    CONFIG.check(BACKBONE, BATCH)
    with pytest.raises(InputError, match=match):
        replace(CONFIG, **change).check(BACKBONE, BATCH)


def test_an_image_without_a_partner_is_refused():
    with pytest.raises(InputError, match=r"batch_size is 8: in each of the 8 parts .* choose a multiple of 16"):
        CONFIG.check(replace(BACKBONE, batch_norm_splits=8), BATCH)


@pytest.mark.parametrize(("size_px", "largest_region"), [(80, 2), (64, 2), (224, 7)])
def test_views_whose_cells_cannot_hold_the_regions_are_refused_with_the_stage(size_px, largest_region):
    def stage(size_px, largest_region):
        return Pretrain(
            frames=(Recording(),),
            method=replace(CONFIG, largest_region=largest_region),
            backbone=BACKBONE,
            augmentation=MoCoAugmentation(size_px=size_px),
            optimisation=Optimisation(batch_size=BATCH),
        )

    stage(96, 2)
    stage(224, 5)
    with pytest.raises(InputError, match=f"size_px is {size_px}: regions of up to {largest_region} cells of 32 pixels"):
        stage(size_px, largest_region)
