"""Renderer of a synthetic operation: a moving camera over the patient, instruments, the bag and smoke."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from trainers.data.synthetic.anatomy import Anatomy
from trainers.data.synthetic.handling import Handling, camera_path
from trainers.data.synthetic.hospitals import FIRST, Hospital
from trainers.data.synthetic.instruments import Palette, Pose, draw_instrument, shaft_outline
from trainers.data.synthetic.lens import Lens
from trainers.data.synthetic.operation import (
    ASSISTANT,
    CALOT,
    CLEANING,
    CLIPPING,
    DISSECTION,
    LEFT_HAND,
    PACKAGING,
    PREPARATION,
    RETRACTION,
    RIGHT_HAND,
    TROCAR,
    Segment,
    ToolUse,
)
from trainers.data.synthetic.paint import Point, fractal_noise
from trainers.runtime.randomness import numpy_generator

REPAINT_FRAMES = 12
"""Number of frames between changes of the tissue under the instruments."""
SMOKE_GREY = 205

PORTS: dict[int, Point] = {RIGHT_HAND: (1.15, 0.25), LEFT_HAND: (-1.2, 0.45), ASSISTANT: (0.75, -1.0)}
"""Origins of the instruments, in heights of the frame from its centre, before mirroring."""
WORKPLACES: dict[str, dict[int, Point]] = {
    TROCAR: {RIGHT_HAND: (0.08, 0.02), LEFT_HAND: (-0.35, 0.25), ASSISTANT: (0.4, -0.2)},
    PREPARATION: {RIGHT_HAND: (0.3, 0.22), LEFT_HAND: (-0.2, 0.12), ASSISTANT: (0.2, -0.1)},
    CALOT: {RIGHT_HAND: (-0.2, 0.08), LEFT_HAND: (0.16, 0.02), ASSISTANT: (0.5, -0.28)},
    CLIPPING: {RIGHT_HAND: (-0.28, 0.14), LEFT_HAND: (0.18, 0.06), ASSISTANT: (0.5, -0.28)},
    DISSECTION: {RIGHT_HAND: (0.02, 0.02), LEFT_HAND: (0.16, -0.3), ASSISTANT: (0.5, -0.4)},
    PACKAGING: {RIGHT_HAND: (0.2, -0.05), LEFT_HAND: (-0.3, 0.02), ASSISTANT: (0.1, -0.3)},
    CLEANING: {RIGHT_HAND: (0.05, 0.1), LEFT_HAND: (-0.3, 0.3), ASSISTANT: (0.4, -0.3)},
    RETRACTION: {RIGHT_HAND: (0.1, 0.15), LEFT_HAND: (-0.2, 0.15), ASSISTANT: (0.4, -0.2)},
}
"""Places where they work, in anatomical coordinates."""
BURNING = ("Hook", "Bipolar")


class Scene:
    """All frames of one operation; a frame depends on nothing but its index.

    Args:
        seed: the data set's seed.
        video: the video's number.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        segments: the operation's phases.
        uses: its instruments.
        hospital: its camera and the colours of its instruments.
    """

    def __init__(
        self,
        seed: int,
        video: int,
        width: int,
        height: int,
        segments: Sequence[Segment],
        uses: Sequence[ToolUse],
        hospital: Hospital = FIRST,
    ) -> None:
        frames_per_second = hospital.frames_per_second
        generator = numpy_generator(seed, "scene", video)
        self._ids, self._size = (seed, video), (width, height)
        self._anatomy = Anatomy(seed, video, height)
        self._segments, self._num_frames = segments, segments[-1].stop
        self._camera = camera_path(generator, self._num_frames, frames_per_second)
        self._palette = _draw_palette(generator, hospital)
        self._thickness = float(generator.uniform(0.10, 0.135)) * height
        self._lens = Lens(seed, video, width, height, self._num_frames, hospital)
        self._handling = [
            Handling(numpy_generator(seed, "handling", video, i), use, frames_per_second) for i, use in enumerate(uses)
        ]
        self._smoke = self._smoke_density()
        tile = fractal_noise(generator, 96, 96, 24, 3)
        self._smoke_tile = np.clip(128 + 60 * tile, 0, 255).astype(np.uint8)
        self._canvas: np.ndarray = np.zeros(0)
        self._painted_at = -1
        self._views: dict[str, np.ndarray] = {}
        self._bags: dict[bool, np.ndarray] = {}

    def frame(self, index: int) -> np.ndarray:
        """The RGB image of a frame (H×W×3, uint8)."""
        segment = next(segment for segment in self._segments if index < segment.stop)
        camera = self._camera_matrix(index)
        tissue = self._tissue(segment, index)
        warped = cv2.warpAffine(tissue, camera, self._size, borderMode=cv2.BORDER_REFLECT_101)
        image = cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)
        present = [handling for handling in self._handling if handling.use.start <= index < handling.use.stop]
        poses = [(handling, self._pose(handling, index, camera)) for handling in present if not handling.is_bag]
        if poses:
            image = self._shadowed(image, [pose for _, pose in poses])
        for handling in present:
            if handling.is_bag:
                image = self._with_bag(image, handling, index, camera)
        for handling, pose in poses:
            draw_instrument(image, handling.use.tool, pose, self._palette)
        if self._smoke[index] > 0.03:
            image = self._smoky(image, index)
        return self._lens.seen_through(image, index)

    def _tissue(self, segment: Segment, index: int) -> np.ndarray:
        """The canvas under the instruments, which changes in steps as the phase goes on."""
        first = segment.start + (index - segment.start) // REPAINT_FRAMES * REPAINT_FRAMES
        if first != self._painted_at:
            painted = self._painted(segment, (first - segment.start) / (segment.stop - segment.start))
            self._canvas = cv2.cvtColor(painted, cv2.COLOR_RGB2RGBA)  # four channels warp twice as fast as three
            self._painted_at = first
        return self._canvas

    def _painted(self, segment: Segment, progress: float) -> np.ndarray:
        anatomy = self._anatomy
        match segment.phase:
            case "TrocarPlacement":
                return self._view("intact wall")
            case "Preparation":
                return self._view("overview")
            case "CalotTriangleDissection":
                return self._revealed("veiled", "dissected", _noise_order(anatomy.grain), 1.15 * progress)
            case "ClippingCutting":
                return self._revealed("dissected", "clipped", anatomy.clip_order(), 1.2 * progress)
            case "GallbladderDissection":
                stages = ("attached", "half", "peeled")
                place = min(progress * (len(stages) - 1), len(stages) - 1.001)
                early, late = stages[int(place)], stages[int(place) + 1]
                return self._revealed(early, late, _noise_order(anatomy.grain), place - int(place))
            case "GallbladderPackaging":
                return self._view("distant")
            case "CleaningCoagulation":
                return self._revealed("bloody", "cleaned", _noise_order(anatomy.grain), progress)
            case _:
                return self._view("wall")

    def _view(self, name: str) -> np.ndarray:
        if name not in self._views:
            self._views[name] = self._paint(name)
        return self._views[name]

    def _paint(self, name: str) -> np.ndarray:
        anatomy = self._anatomy
        painters: dict[str, Callable[[], np.ndarray]] = {
            "overview": anatomy.overview,
            "veiled": lambda: anatomy.calot(dissected=False),
            "dissected": lambda: anatomy.calot(dissected=True),
            "clipped": lambda: anatomy.calot(dissected=True, clipped=True),
            "attached": lambda: anatomy.bed(progress=0.05, gallbladder=True, blood=0.0),
            "half": lambda: anatomy.bed(progress=0.5, gallbladder=True, blood=0.0),
            "peeled": lambda: anatomy.bed(progress=0.95, gallbladder=True, blood=0.2),
            "distant": lambda: anatomy.bed(progress=1.0, gallbladder=False, blood=0.0, closeness=0.72),
            "bloody": lambda: anatomy.bed(progress=1.0, gallbladder=False, blood=1.0),
            "cleaned": lambda: anatomy.bed(progress=1.0, gallbladder=False, blood=0.4),
            "wall": lambda: anatomy.wall(trocar=True),
            "intact wall": lambda: anatomy.wall(trocar=False),
        }
        return painters[name]()

    def _revealed(self, before: str, after: str, order: np.ndarray, progress: float) -> np.ndarray:
        """The later view where `order` (0–1) has been passed by `progress`, the earlier one elsewhere."""
        share = np.clip((progress - order) / 0.12 + 0.5, 0, 1).astype(np.float32)
        return cv2.blendLinear(self._view(before), self._view(after), 1 - share, share)

    def _camera_matrix(self, index: int) -> np.ndarray:
        """The 2×3 matrix from the canvas's pixels to the frame's."""
        width, height = self._size
        pan_x, pan_y, turn, zoom = self._camera[index]
        cosine, sine = np.cos(turn) * zoom, np.sin(turn) * zoom
        matrix = np.array([[cosine, -sine], [sine, cosine]])
        centre = np.array([self._anatomy.width_px / 2, self._anatomy.height_px / 2])
        shift = np.array([width / 2, height / 2]) - matrix @ centre + np.array([pan_x, pan_y]) * height
        return np.column_stack([matrix, shift])

    def _pose(self, handling: Handling, index: int, camera: np.ndarray) -> Pose:
        width, height = self._size
        use, patient = handling.use, self._anatomy.patient
        anatomical = np.array(WORKPLACES[use.phase][use.port]) + handling.wander[index - use.start]
        on_canvas = self._anatomy.placement() @ [*anatomical, 1]
        target = camera @ [*on_canvas, 1]
        port = np.array(PORTS[use.port]) * ([-1, 1] if patient.mirrored else [1, 1]) + handling.port_shift
        away = port * height + np.array([width / 2, height / 2])
        tip = away + handling.reach(index) * (target - away)
        angle = float(np.arctan2(tip[1] - away[1], tip[0] - away[0]))
        return Pose(
            (float(tip[0]), float(tip[1])),
            angle,
            self._thickness * handling.size,
            float(handling.opening[index - use.start]),
            flipped=patient.mirrored != handling.flipped,
        )

    def _shadowed(self, image: np.ndarray, poses: Sequence[Pose]) -> np.ndarray:
        width, height = self._size
        small: np.ndarray = np.full((height // 4, width // 4, 3), 255, np.uint8)
        for pose in poses:
            outline = (shaft_outline(pose) + np.array([0.02, 0.06]) * height) / 4
            cv2.fillConvexPoly(small, np.rint(outline).astype(np.int32), (150, 140, 140))
        small = cv2.blur(small, (5, 5))
        return cv2.multiply(image, cv2.resize(small, self._size), scale=1 / 255)

    def _with_bag(self, image: np.ndarray, handling: Handling, index: int, camera: np.ndarray) -> np.ndarray:
        closed = handling.use.phase == RETRACTION
        if closed not in self._bags:
            self._bags[closed] = self._anatomy.bag(closed=closed)
        drift = handling.wander[index - handling.use.start] + (1 - handling.reach(index)) * np.array([0.0, 0.9])
        drift += (0.0, 0.26) if closed else (0.0, 0.1)
        moved = np.eye(3)
        moved[:2, 2] = self._anatomy.placement()[:, :2] @ drift
        matrix = camera @ moved
        bag = cv2.warpAffine(self._bags[closed], matrix, self._size)
        clear = cv2.merge([cv2.bitwise_not(bag[..., 3])] * 3)
        return cv2.add(cv2.multiply(image, clear, scale=1 / 255), cv2.cvtColor(bag, cv2.COLOR_RGBA2RGB))

    def _smoky(self, image: np.ndarray, index: int) -> np.ndarray:
        tile = np.roll(self._smoke_tile, (-index // 2, index // 3), (0, 1))[:48, :64]
        veil = cv2.resize(cv2.convertScaleAbs(tile, alpha=float(self._smoke[index])), self._size)
        veil = cv2.cvtColor(veil, cv2.COLOR_GRAY2RGB)
        clear = cv2.multiply(image, cv2.bitwise_not(veil), scale=1 / 255)
        return cv2.scaleAdd(veil, SMOKE_GREY / 255, clear)

    def _smoke_density(self) -> np.ndarray:
        source = np.zeros(self._num_frames)
        for handling in self._handling:
            if handling.use.tool in BURNING:
                source[handling.use.start : handling.use.stop] += handling.opening > 0.75
        density, level = np.zeros(self._num_frames), 0.0
        for index, burning in enumerate(source):
            level += 0.03 * (0.9 * min(burning, 1.0) - level)
            density[index] = level
        return density


def _noise_order(grain: np.ndarray) -> np.ndarray:
    """An order from 0 to 1 in which places of a canvas change, patch by patch."""
    order: np.ndarray = np.clip(0.5 + 0.22 * cv2.GaussianBlur(grain, (0, 0), 3), 0.05, 0.95)
    return order


def _draw_palette(generator: np.random.Generator, hospital: Hospital) -> Palette:
    groups = (hospital.shafts, hospital.metals, hospital.accents, hospital.collars)
    choices = [group[generator.integers(len(group))] for group in groups]
    return Palette(*choices)
