"""Description of a data set: where its videos and annotations lie, how they are to be read, and how they are split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

from trainers.data.datasets.annotation_tables import read_annotations, with_phase_names
from trainers.data.datasets.declared_split import DeclaredSplit, read_split
from trainers.data.datasets.patterns import Pattern
from trainers.data.datasets.toml_table import TomlTable, read_text
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.data.ingest.annotations.cells import MOST_PHASES, exact_rate
from trainers.data.ingest.annotations.table import suggestion
from trainers.data.ingest.timeline import NOMINAL_FPS
from trainers.data.ingest.video import Timing
from trainers.stage import InputError

BUILT_IN = ("cholec80", "m2cai16", "autolaparo", "heichole", "cholect50", "frames")
"""Names of the descriptions that come with this package, in `builtin/`."""
ENDING = ".toml"
KEYS = (
    *("name", "root", "layout", "phases", "videos", "frames", "fps", "timing", "unlabelled"),
    *("annotations", "phase_names", "split"),
)
HIGHEST_FPS = 1000


@dataclass(frozen=True, kw_only=True)
class Description:
    """Description of a data set.

    Attributes:
        name: of the data set, where it is registered under no other.
        source: the name of the built-in description, or the path of the file.
        text: of the file.
        layout: a sentence on how the files lie, for messages; empty where there is none.
        root: the folder that the patterns begin at; None where it has to be given.
        phases: names of the phases, in index order; empty for videos without annotations.
        videos: patterns of video files, or, where `fps` is not None, of images.
        fps: the rate of the images: their numbers count them; None for video files.
        timing: whether row k is the frame of an index at 25 fps, or the one that is shown at k / fps seconds.
        annotations: patterns of annotation files.
        annotation_format: their format; None for Cholec80's.
        unlabelled: patterns of further videos, which have no annotations.
        split: the split that is declared; None where none is.
    """

    name: str
    source: str
    text: str
    layout: str = ""
    root: Path | None = None
    phases: tuple[str, ...] = ()
    videos: tuple[Pattern, ...]
    fps: float | None = None
    timing: Timing = "seconds"
    annotations: tuple[Pattern, ...] = ()
    annotation_format: AnnotationFormat | None = None
    unlabelled: tuple[Pattern, ...] = ()
    split: DeclaredSplit | None = None
    given_fps: float | None = None
    """The rate of the images, where it was given beside the description."""

    @property
    def are_frames(self) -> bool:
        """Whether videos are folders of images."""
        return self.fps is not None

    @property
    def is_builtin(self) -> bool:
        """Whether it is one of those that come with this package."""
        return self.source in BUILT_IN

    def at_rate(self, fps: float) -> "Description":
        """The same for images of another rate.

        Raises:
            InputError: videos are no images.
        """
        if self.fps is None:
            raise InputError(
                f"--fps {fps:g} is the rate of images, and {self.source} describes video files: leave it out."
            )
        is_other = fps != self.fps
        return replace(self, fps=exact_rate(fps), given_fps=float(fps), timing="seconds" if is_other else self.timing)


@cache
def builtin(name: str) -> Description:
    """A description that comes with this package."""
    file = resources.files("trainers.data.datasets").joinpath("builtin", name + ENDING)
    return parse(file.read_text(encoding="utf-8"), name)


def find(source: str) -> Description:
    """The built-in description of a name, or the one in a file.

    Raises:
        InputError: there is neither, or the file is malformed.
    """
    if source in BUILT_IN:
        return builtin(source)
    if not source.endswith(ENDING):
        known = ", ".join(map(repr, BUILT_IN))
        raise InputError(
            f"{source!r} is not one of {known}, nor a file that ends in {ENDING}{_meant(source)}: name one of these."
        )
    return load(Path(source))


def root_of(description: Description, given: Path | None) -> Path:
    """The folder of a data set: the one that was given, or the description's own.

    Raises:
        InputError: there is neither.
    """
    root = given or description.root
    if root is None:
        raise InputError(
            f"the folder is missing: `freelunch ingest {description.source} FOLDER`; {description.layout}."
        )
    return root


def load(path: Path) -> Description:
    """The description in a file.

    Raises:
        InputError: the file cannot be read, or is malformed: the sentence names its line and key.
    """
    path = path.absolute()
    return parse(read_text(path), str(path))


def parse(text: str, source: str) -> Description:
    """The description that a file's text is.

    Args:
        text: of the file.
        source: the path of the file, or the name of a built-in description.

    Raises:
        InputError: it is malformed.
    """
    table = TomlTable.parse(text, source)
    table.refuse_unknown(KEYS)
    folder = Path(source).parent
    root = table.string("root")
    fps = _fps(table)
    annotations = table.table("annotations")
    phases = _phases(table, is_labelled=annotations is not None)
    patterns, layout = read_annotations(annotations) if annotations else ((), None)
    _refuse_words_of_no_phase(table, phases, layout)
    words = table.table("phase_names")
    if words:
        layout = with_phase_names(layout, words, phases)
    timing = _timing(table, layout)
    split = table.table("split")
    return Description(
        name=table.string("name", Path(source).stem),
        source=source,
        text=text,
        layout=table.string("layout"),
        root=None if source == Path(source).stem else folder / root,
        phases=phases,
        videos=_patterns(table, "videos" if fps is None else "frames", frames=fps is not None),
        fps=fps,
        timing=timing,
        annotations=patterns,
        annotation_format=None if timing == "index" else layout,
        unlabelled=_patterns(table, "unlabelled", frames=fps is not None),
        split=read_split(split, folder) if split else None,
    )


def _fps(table: TomlTable) -> float | None:
    """The rate of images; None where videos are files."""
    has_videos, has_frames = bool(table.strings("videos")), bool(table.strings("frames"))
    if has_videos == has_frames:
        raise table.fault(
            "videos", "is needed, or frames, and not both: give the pattern of the files, such as `videos/{name}.mp4`"
        )
    fps = table.number("fps", lowest=0.001, highest=HIGHEST_FPS)
    if has_frames and fps is None:
        raise table.fault("fps", "is missing: give the rate at which the numbers of the images count, such as 1")
    if has_videos and fps is not None:
        raise table.fault("fps", "is the rate of images, but videos are files: leave it out, or give frames")
    return None if fps is None else exact_rate(fps)


def _timing(table: TomlTable, layout: AnnotationFormat | None) -> Timing:
    timing = table.choice("timing", ("index", "seconds"), "seconds")
    if timing == "seconds":
        return "seconds"
    plain = ("frame-rows", NOMINAL_FPS, False, ())
    if layout is not None and (layout.kind, layout.rate, layout.holes, layout.phase_names) != plain:
        raise table.fault(
            "timing",
            f"is 'index', which is for frame-rows at {NOMINAL_FPS} fps without holes, and with the names of phases: "
            "leave it out",
        )
    return "index"


def _phases(table: TomlTable, *, is_labelled: bool) -> tuple[str, ...]:
    phases = table.strings("phases")
    if is_labelled and not phases:
        raise table.fault("phases", "is missing or empty: give the names of the phases in order, as a list")
    if len(phases) > MOST_PHASES:
        raise table.fault(
            "phases", f"has {len(phases)} names, and labels are stored in a byte: give at most {MOST_PHASES}"
        )
    for name in phases:
        if name != name.strip() or not name.isprintable():
            raise table.fault("phases", f"has the name {name!r}: leave out spaces around it and control characters")
    return phases


def _refuse_words_of_no_phase(table: TomlTable, phases: Sequence[str], layout: AnnotationFormat | None) -> None:
    for name in phases:
        if layout is not None and name in layout.unlabelled:
            raise table.fault(
                "phases",
                f"names {name!r}, which says in annotations that a row has no phase: leave it out of phases, or give "
                "another word as `unlabelled` of annotations",
            )


def _patterns(table: TomlTable, key: str, *, frames: bool) -> tuple[Pattern, ...]:
    patterns = tuple(Pattern(text) for text in table.strings(key))
    for pattern in patterns:
        try:
            pattern.check(frames=frames)
        except InputError as error:
            raise table.fault(key, str(error)) from None
    return patterns


def _meant(source: str) -> str:
    said = suggestion(source, BUILT_IN)
    return f" ({said})" if said.endswith("?") else ""
