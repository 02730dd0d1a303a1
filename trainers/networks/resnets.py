"""ResNets: torchvision's, and small ones of its blocks."""

from functools import partial
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from trainers.networks.backbones import TORCHVISIONS_WIDTH, Architecture, FeatureMaps, SplitBatchNorm2d

Norm = partial[SplitBatchNorm2d]


def build(architecture: Architecture, width: int, norm: Norm) -> nn.Module:
    """A network at torch's own random start: images N×3×H×W to features N×C."""
    if architecture == "resnet10":
        return SmallResNet(width, norm)
    if architecture == "resnet18" and width != TORCHVISIONS_WIDTH:
        return SmallResNet(width, norm, blocks=2, stem_px=7)
    block, layers = (Narrowing, [3, 4, 6, 3]) if architecture == "resnet50" else (Basic, [2, 2, 2, 2])
    network = LargeResNet(block, layers, norm_layer=norm)
    network.fc = nn.Identity()
    return cast(nn.Module, network)


class Basic(BasicBlock):  # type: ignore[misc]
    """torchvision's block of two 3×3 convolutions, with additions and ReLUs left to the normalisation before them."""

    def forward(self, x: Tensor) -> Tensor:
        net = cast(Any, self)
        identity = x if net.downsample is None else net.downsample(x)
        out = net.bn1(net.conv1(x), relu=True)
        return cast(Tensor, net.bn2(net.conv2(out), residual=identity, relu=True))


class Narrowing(Bottleneck):  # type: ignore[misc]
    """torchvision's bottleneck block, with additions and ReLUs left to the normalisation before them."""

    def forward(self, x: Tensor) -> Tensor:
        net = cast(Any, self)
        identity = x if net.downsample is None else net.downsample(x)
        out = net.bn1(net.conv1(x), relu=True)
        out = net.bn2(net.conv2(out), relu=True)
        return cast(Tensor, net.bn3(net.conv3(out), residual=identity, relu=True))


class ResidualMaps(FeatureMaps):
    """Feature maps of residual blocks."""

    def zero_last_norms(self) -> None:
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)
            elif isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)


class LargeResNet(ResNet, ResidualMaps):  # type: ignore[misc]
    """torchvision's ResNet, which also shows its last feature maps."""

    def forward(self, images: Tensor) -> Tensor:
        net = cast(Any, self)  # torchvision has no types
        return cast(Tensor, net.fc(net.avgpool(self.feature_maps(images)).flatten(1)))

    def feature_maps(self, images: Tensor) -> Tensor:
        net = cast(Any, self)
        x = net.maxpool(net.bn1(net.conv1(images), relu=True))
        return cast(Tensor, net.layer4(net.layer3(net.layer2(net.layer1(x)))))


class SmallResNet(ResidualMaps):
    """Basic blocks in four stages behind a strided stem; parameters are named as torchvision's are.

    Args:
        width: channels of the first stage.
        norm: makes the normalisation of so many channels.
        blocks: in each stage.
        stem_px: side of the first convolution.
    """

    def __init__(self, width: int, norm: Norm, *, blocks: int = 1, stem_px: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, stem_px, stride=2, padding=stem_px // 2, bias=False)
        self.bn1 = norm(width)
        self.layer1 = _stage(width, width, 1, norm, blocks)
        self.layer2 = _stage(width, 2 * width, 2, norm, blocks)
        self.layer3 = _stage(2 * width, 4 * width, 2, norm, blocks)
        self.layer4 = _stage(4 * width, 8 * width, 2, norm, blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        return self.feature_maps(images).mean((2, 3))

    def feature_maps(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(self.bn1(self.conv1(images), relu=True), 3, stride=2, padding=1)
        maps: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return maps


def _stage(inputs: int, outputs: int, stride: int, norm: Norm, blocks: int) -> nn.Module:
    shortcut = None
    if stride != 1:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), norm(outputs))
    first = Basic(inputs, outputs, stride, shortcut, norm_layer=norm)
    return nn.Sequential(first, *(Basic(outputs, outputs, norm_layer=norm) for _ in range(blocks - 1)))
