"""Recordings that a description finds in a folder, and everything that is wrong with what lies there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainers.data.datasets.description import Description
from trainers.data.datasets.image_folders import find_image_folders
from trainers.data.datasets.patterns import Found, Pattern, regex_of
from trainers.data.datasets.recordings import VIDEO_SUFFIXES, Recording, visible_entries
from trainers.data.ingest.findings import Finding, findings_of
from trainers.stage import InputError


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What was found in the folder of a data set: its recordings in order, and findings."""

    recordings: tuple[Recording, ...] = ()
    findings: tuple[Finding, ...] = ()


def discover(description: Description, root: Path, further: Path | None = None) -> Discovery:
    """Finds the recordings of a data set, the annotated ones first, each pattern's by name.

    Nothing but names is looked at. All findings are given, so that they can be shown together.

    Args:
        description: of the data set.
        root: the folder that its patterns begin at.
        further: a folder of further recordings without annotations, where there is one.
    """
    try:
        found = _discovered(description, root)
        more = _discovered(_further(description, further), further) if further else Discovery()
    except InputError as error:
        return Discovery(recordings=(), findings=findings_of(error, root))
    recordings, findings = (*found.recordings, *more.recordings), (*found.findings, *more.findings)
    return Discovery(recordings=recordings, findings=(*findings, *_same_names(found.recordings, more.recordings)))


def _discovered(description: Description, root: Path) -> Discovery:
    if not root.is_dir():
        what = "the folder that holds " + (description.videos[0].parts[0] if description.videos else "the videos")
        return Discovery(recordings=(), findings=(_finding(root, "is not a folder", f"name {what}"),))
    search = _Search(description, root)
    videos = search.videos(description.videos)
    annotations = search.annotations()
    unlabelled = search.unlabelled(videos)
    recordings = search.match(videos, annotations, {each.name for each in unlabelled})
    return Discovery(recordings=(*search.placed(recordings), *unlabelled), findings=tuple(search.findings))


def _further(description: Description, folder: Path) -> Description:
    """A description of a folder with nothing but recordings without annotations, however they are named."""
    frames = description.are_frames
    *folders, images = description.videos[0].parts
    pattern = "{name}.*"
    if frames:
        pattern = f"{{name}}/{images}" if Pattern("/".join(folders)).has("name") else images
    return replace(
        description,
        layout=f"name the folder that holds the unlabelled {'folders of frames' if frames else 'videos'}",
        videos=(Pattern(pattern),),
        annotations=(),
        unlabelled=(),
        split=None,
    )


def _same_names(known: Sequence[Recording], more: Sequence[Recording]) -> Iterator[Finding]:
    """Findings on further recordings that have the name of another."""
    names = {each.name: each.video for each in known}
    for each in more:
        if each.name in names:
            message = f"has the name {each.name!r}, as {names[each.name]} has"
            yield _finding(each.video, message, "rename one of them")


class _Search:
    """Search of a folder, which collects what is wrong."""

    def __init__(self, description: Description, root: Path) -> None:
        self._description = description
        self._root = root
        self.findings: list[Finding] = []

    def videos(self, patterns: Sequence[Pattern]) -> list[Recording]:
        """The recordings that match, without annotations; each name once."""
        found: list[Recording] = []
        for pattern in patterns:
            matching = self._matching(pattern)
            if not matching:
                self.findings.append(self._nothing(pattern))
            found += matching
        return list(self._each_name_once(found))

    def annotations(self) -> dict[str, Path]:
        """The annotation of every name that has one."""
        found: dict[str, Path] = {}
        for pattern in self._description.annotations:
            for each in pattern.find(self._root):
                if each.name in found:
                    message = f"annotates {each.name}, as {found[each.name]} does"
                    self.findings.append(_finding(each.path, message, "move one of them away"))
                found.setdefault(each.name, each.path)
        return found

    def match(self, videos: Sequence[Recording], annotations: dict[str, Path], unlabelled: set[str]) -> list[Recording]:
        """The recordings with their annotations, where the description has any; unlabelled ones may have one, too."""
        names = {video.name for video in videos}
        for name in sorted(annotations.keys() - names - unlabelled):
            message = f"annotates {name}, which has no video"
            self.findings.append(_finding(annotations[name], message, "add the video or move the file away"))
        if self._description.annotations and videos and not names & annotations.keys():
            self.findings += [self._nothing(pattern, "annotation") for pattern in self._description.annotations]
            return list(videos)
        for video in videos if self._description.annotations else ():
            if video.name not in annotations:
                remedy = f"add the one of {video.name} or move the video away"
                self.findings.append(_finding(video.video, "has no annotation", remedy))
        return [replace(video, annotation=annotations.get(video.name)) for video in videos]

    def unlabelled(self, taken: Sequence[Recording]) -> list[Recording]:
        """Further recordings, which need no annotation; those that are recordings already are left out."""
        patterns = self._description.unlabelled
        known = {(each.video, each.name) for each in taken}
        found = [each for each in self.videos(patterns) if (each.video, each.name) not in known] if patterns else []
        return list(self._each_name_once((*taken, *found)))[len(taken) :]

    def placed(self, recordings: Sequence[Recording]) -> list[Recording]:
        """The recordings with the sides and folds that the description declares."""
        split = self._description.split
        if split is None or self.findings_stop:
            return list(recordings)
        names = [each.name for each in recordings if each.annotation]
        others = [each.name for each in recordings if not each.annotation]
        try:
            places = split.places(names, others)
        except InputError as error:
            self.findings += findings_of(error, Path(self._description.source))
            return list(recordings)
        return [
            replace(each, subset=places[each.name].subset, fold=places[each.name].fold) if each.name in places else each
            for each in recordings
        ]

    @property
    def findings_stop(self) -> bool:
        """Whether an error was found, so that names may be missing."""
        return any(finding.severity == "error" for finding in self.findings)

    def _matching(self, pattern: Pattern) -> list[Recording]:
        if self._description.are_frames:
            folders = find_image_folders(self._root, pattern, self._description.annotations)
            self.findings += folders.findings
            return list(folders.recordings)
        found = pattern.find(self._root, VIDEO_SUFFIXES)
        self.findings += _strays(self._root, pattern, found, self._all_videos())
        return [Recording(each.name, each.path, None) for each in found]

    def _all_videos(self) -> set[Path]:
        patterns = (*self._description.videos, *self._description.unlabelled)
        return {each.path for pattern in patterns for each in pattern.find(self._root, VIDEO_SUFFIXES)}

    def _each_name_once(self, recordings: Iterable[Recording]) -> Iterator[Recording]:
        seen: dict[str, Recording] = {}
        for each in recordings:
            twin = seen.setdefault(each.name, each)
            if twin is each:
                yield each
            elif twin.video != each.video or twin.images != each.images:
                message = f"has the name {each.name!r}, as {twin.video} has"
                self.findings.append(_finding(each.video, message, "rename one of them, or narrow the pattern"))

    def _nothing(self, pattern: Pattern, what: str = "") -> Finding:
        """The finding on a pattern that nothing matches: the first folder that is missing, or that holds nothing."""
        remedy = self._description.layout or f"correct the pattern {pattern.text!r} in {self._description.source}"
        missing = pattern.missing_part(self._root)
        if missing:
            return _finding(self._root, f"has no folder {missing}", remedy)
        what = what or ("folder of frames" if self._description.are_frames else "video")
        folders = pattern.folders(self._root)
        place = folders[0] if len(folders) == 1 else self._root
        kind = "mp4" if what == "video" and pattern.text.endswith(".mp4") else what
        return _finding(place, f"holds no {kind} like {pattern.last!r}", remedy)


def _strays(root: Path, pattern: Pattern, found: Sequence[Found], known: set[Path]) -> Iterator[Finding]:
    """Findings on videos beside those that match, which would be left out without a word."""
    if "**" in pattern.parts or not found:
        return
    like = regex_of(pattern.parts[-1].rpartition(".")[0] + ".*")
    for path in (path for folder in pattern.folders(root) for path in visible_entries(folder)):
        if path.suffix.lower() not in VIDEO_SUFFIXES or path in known or path.is_dir():
            continue
        message, remedy = f"is not named like {pattern.last!r}", "rename it or move it away"
        found_as = _finding(path, message, remedy)
        yield replace(found_as, severity="warning") if like.fullmatch(path.name) else found_as


def _finding(path: Path, message: str, remedy: str) -> Finding:
    return Finding(path=str(path), message=message, remedy=remedy)
