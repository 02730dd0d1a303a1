"""Synthetic hospitals: the phases that are annotated, the recorder, the camera and the instruments of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from trainers.data.datasets.cholec80 import PHASES
from trainers.data.datasets.synthetic_mark import FIRST_HOSPITAL
from trainers.data.synthetic.instruments import Colour
from trainers.data.synthetic.operation import TROCAR
from trainers.runtime.randomness import derived_seed

SECOND_DESCRIPTION = f"""# Operations of the second synthetic hospital: eight phases, recorded at 29.97 fps.
name = "second-hospital"
phases = [{", ".join(f'"{phase}"' for phase in (TROCAR, *PHASES))}]
videos = "operations/{{name}}.mp4"

[annotations]
files = "phases/{{name}}.csv"
format = "intervals"
unit = "seconds"
"""

PLANTED_PHASES = ("First", "Second", "Third", "Fourth", "Fifth")
PLANTED_DESCRIPTION = f"""# Operations of the {{hospital}} hospital: five phases that come in any order.
name = "{{hospital}}-hospital"
phases = [{", ".join(f'"{phase}"' for phase in PLANTED_PHASES)}]
videos = "operations/{{{{name}}}}.mp4"

[annotations]
files = "phases/{{{{name}}}}.csv"
format = "intervals"
unit = "seconds"
"""
Cue = Literal["pattern", "hue"]
"""What of the sheet over the organs tells the phases of a planted hospital."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What the images of a hospital have in common.

    Attributes:
        gamma: lowest and highest exponent of the tone curve.
        round_share: share of videos with a round field of view.
        bars_share: share of videos with black bars beside the image.
        tint: factors of red, green and blue.
    """

    gamma: tuple[float, float] = (0.72, 1.25)
    round_share: float = 0.3
    bars_share: float = 0.4
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """One source of synthetic videos.

    Attributes:
        name: its name on the command line.
        fps: frames per second.
        width: of its frames, in pixels.
        height: of its frames, in pixels.
        annotates_trocars: whether operations begin with the placement of trocars.
        cue: what tells the phases of a planted hospital; None of a hospital whose phases are those of an operation.
        patients: whose they are, for hospitals that show the same ones; its own where empty.
        description: text of the file that describes its folder; empty where a built-in description does.
        camera: its camera.
        shafts: colours of the instruments' shafts.
        metals: colours of their metal.
        accents: colours of their coloured parts.
        collars: colours of their insulation.
    """

    name: str
    fps: Fraction
    width: int
    height: int
    annotates_trocars: bool = False
    cue: Cue | None = None
    patients: str = ""
    description: str = ""
    camera: Camera = Camera()
    shafts: tuple[Colour, ...]
    metals: tuple[Colour, ...]
    accents: tuple[Colour, ...]
    collars: tuple[Colour, ...]

    @property
    def frames_per_second(self) -> int:
        """Whole frames per second, the unit of everything that lasts."""
        return round(self.fps)

    @property
    def description_file(self) -> str:
        """Name of the file that describes a folder of its operations."""
        return f"{self.name}-hospital.toml"

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases of its annotations, in index order."""
        if self.cue is not None:
            return PLANTED_PHASES
        return (TROCAR, *PHASES) if self.annotates_trocars else PHASES

    def seed_of(self, seed: int) -> int:
        """The seed of its operations: hospitals have no patient in common, but for those that show the same ones."""
        return seed if self.name == FIRST_HOSPITAL else derived_seed(seed, "hospital", self.patients or self.name)

    def files(self, root: Path, number: int) -> Mapping[str, Path]:
        """The files of an operation by what they hold, in the order in which they are written."""
        if self.description:
            name = f"operation{number:02d}"
            return {"video": root / "operations" / f"{name}.mp4", "intervals": root / "phases" / f"{name}.csv"}
        name = f"video{number:02d}"
        return {
            "video": root / "videos" / f"{name}.mp4",
            "tools": root / "tool_annotations" / f"{name}-tool.txt",
            "timestamps": root / "videos" / f"{name}-timestamp.txt",
            "phases": root / "phase_annotations" / f"{name}-phase.txt",
        }


FIRST = Hospital(
    name=FIRST_HOSPITAL,
    fps=Fraction(25),
    width=426,
    height=240,
    shafts=((46, 46, 50), (30, 32, 40), (110, 114, 120), (140, 146, 155), (58, 62, 78)),
    metals=((176, 182, 190), (190, 186, 176), (160, 170, 188), (196, 182, 150)),
    accents=((52, 92, 190), (40, 130, 170), (190, 160, 60), (60, 70, 160), (70, 150, 120)),
    collars=((236, 232, 220), (214, 196, 150), (70, 66, 66)),
)
"""Laid out like Cholec80: its phases, a row per frame, 25 frames per second."""

SECOND = Hospital(
    name="second",
    fps=Fraction(30_000, 1001),
    width=320,
    height=240,
    annotates_trocars=True,
    description=SECOND_DESCRIPTION,
    camera=Camera(gamma=(0.95, 1.6), round_share=0.85, bars_share=0.0, tint=(0.86, 1.02, 1.16)),
    shafts=((196, 204, 210), (224, 222, 214), (40, 78, 132), (28, 96, 104)),
    metals=((206, 176, 92), (92, 96, 104), (150, 120, 84)),
    accents=((196, 52, 120), (224, 120, 30), (120, 44, 150), (206, 40, 44)),
    collars=((30, 120, 60), (180, 40, 40), (24, 26, 30)),
)
"""M2CAI16's phases, intervals in seconds, 29.97 frames per second, another camera and other instruments."""

PLANTED = replace(
    FIRST,
    name="planted",
    fps=Fraction(5),
    width=160,
    height=120,
    cue="pattern",
    description=PLANTED_DESCRIPTION.format(hospital="planted"),
    camera=Camera(round_share=0.0, bars_share=0.0),
)
"""Five phases, told by the pattern of a sheet and by nothing else."""

NULL = replace(
    PLANTED, name="null", cue="hue", patients=PLANTED.name, description=PLANTED_DESCRIPTION.format(hospital="null")
)
"""The same videos, with phases that the pattern does not tell: the sheet's hue does, for half of the frames at best."""

HOSPITALS = {hospital.name: hospital for hospital in (FIRST, SECOND, PLANTED, NULL)}
