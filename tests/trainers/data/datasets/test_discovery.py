"""What built-in and own descriptions find in a folder, and every finding on what does not belong there."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from trainers.data.datasets.description import Description, builtin, parse
from trainers.data.datasets.discovery import Discovery, discover
from trainers.data.datasets.recordings import Recording
from trainers.data.ingest.annotations import read_phases

CHOLEC80, M2CAI16 = builtin("cholec80"), builtin("m2cai16")
TRAIN, TEST = "train_dataset/workflow_video_", "test_dataset/test_workflow_video_"


def laid_out(root: Path, files: Sequence[str]) -> Path:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def pairs(numbers: Sequence[int]) -> list[str]:
    """Files of Cholec80's videos of some numbers."""
    return [file for n in numbers for file in (f"videos/video{n:02}.mp4", f"phase_annotations/video{n:02}-phase.txt")]


def found(description: Description, root: Path, files: Sequence[str]) -> tuple[Recording, ...]:
    discovery = discover(description, laid_out(root, files))
    assert discovery.findings == ()
    return discovery.recordings


def sentences(discovery: Discovery) -> list[str]:
    return [f"{finding.severity}: {finding.sentence}" for finding in discovery.findings]


def described(**tables: str) -> Description:
    """A description of an own data set, from the rows of its tables."""
    text = "\n".join(f"[{name}]\n{rows}" if name != "top" else rows for name, rows in tables.items())
    return parse(text, "/data/ours.toml")


OWN = 'phases = ["Access", "Closure"]\nvideos = "theatre-*/{name}.*"\nunlabelled = "more/**/{name}.mp4"'
LABELS = 'files = "labels/{name}.csv"\nformat = "intervals"\nunit = "seconds"'


def test_recordings_of_cholec80_are_found_in_order_with_their_annotations(tmp_path: Path):
    bystanders = ["videos/video01-timestamp.txt", "videos/._video01.mp4", "phase_annotations/._video01-phase.txt"]
    assert found(CHOLEC80, tmp_path, pairs([10, 2, 1]) + bystanders) == tuple(
        Recording(name, tmp_path / "videos" / f"{name}.mp4", tmp_path / "phase_annotations" / f"{name}-phase.txt")
        for name in ("video01", "video02", "video10")
    )


def test_an_incomplete_cholec80_keeps_the_published_sides(tmp_path: Path):
    numbers = [n for n in range(1, 81) if n not in (5, 17, 60)]
    sides = {recording.name: recording.subset for recording in found(CHOLEC80, tmp_path, pairs(numbers))}
    assert all(sides[f"video{n:02}"] == ("train" if n <= 40 else "test") for n in numbers)


def test_cholec80_without_the_numbers_of_the_test_videos_fixes_no_sides(tmp_path: Path):
    assert [each.subset for each in found(CHOLEC80, tmp_path, pairs([1, 2, 40]))] == [None, None, None]


def test_videos_of_cholec80_with_three_digits_are_tested(tmp_path: Path):
    assert [each.subset for each in found(CHOLEC80, tmp_path, pairs([40, 99, 100]))] == ["test", "train", "test"]


def test_training_videos_of_m2cai16_come_first_and_know_their_side(tmp_path: Path):
    files = [f"{start}{end}" for start in (TRAIN + "02", TRAIN + "01", TEST + "01") for end in (".mp4", ".txt")]
    recordings = found(M2CAI16, tmp_path, [*files, "train_dataset/readme.txt", "train_dataset/._workflow_video_01.mp4"])
    assert [(recording.name, recording.subset) for recording in recordings] == [
        ("workflow_video_01", "train"),
        ("workflow_video_02", "train"),
        ("test_workflow_video_01", "test"),
    ]
    assert recordings[2].video == tmp_path / f"{TEST}01.mp4"
    assert recordings[2].annotation == tmp_path / f"{TEST}01.txt"


def test_trocar_placement_comes_before_the_phases_of_cholec80(tmp_path: Path):
    path = tmp_path / "workflow_video_01.txt"
    path.write_text("Frame\tPhase\n0\tTrocarPlacement\n1\tPreparation\n2\tGallbladderRetraction\n")
    assert len(M2CAI16.phases) == 8
    assert read_phases(path, M2CAI16.phases).tolist() == [0, 1, 7]


@pytest.mark.parametrize(
    ("description", "files", "complaints"),
    [
        (CHOLEC80, ["other/a.mp4"], ["has no folder videos/: Cholec80 is laid out as videos/video01.mp4"]),
        (CHOLEC80, ["videos/a.txt"], ["videos holds no mp4 like 'video[0-9][0-9]*.mp4': Cholec80 is"]),
        (CHOLEC80, [*pairs([1]), "videos/video02.mp4"], ["video02.mp4 has no annotation: add the one of video02"]),
        (
            CHOLEC80,
            [*pairs([1]), "phase_annotations/video03-phase.txt"],
            ["video03-phase.txt annotates video03, which has no video: add the video"],
        ),
        (CHOLEC80, [*pairs([1]), "videos/Video 1.mp4"], ["Video 1.mp4 is not named like 'video"]),
        (CHOLEC80, ["videos/video01.mp4"], ["has no folder phase_annotations/: Cholec80 is laid out as"]),
        (M2CAI16, [TRAIN + "01.mp4", TRAIN + "01.txt"], ["has no folder test_dataset/: M2CAI16 is laid out as"]),
        (
            M2CAI16,
            [TRAIN + "01.mp4", TRAIN + "01.txt", "test_dataset/workflow_video_02.mp4"],
            ["test_dataset holds no mp4"],
        ),
        (
            described(top=OWN, annotations=LABELS),
            ["theatre-a/op1.mkv", "theatre-b/op1.MOV", "theatre-b/op2.ts", "labels/op1.csv"],
            [
                "theatre-b/op1.MOV has the name 'op1', as",
                "has no folder more/: correct the pattern 'more/**/{name}.mp4' in /data/ours.toml",
                "theatre-b/op2.ts has no annotation: add the one of op2",
            ],
        ),
    ],
)  # fmt: skip
def test_everything_that_does_not_belong_there_is_found(
    tmp_path: Path, description: Description, files: list[str], complaints: list[str]
):
    findings = sentences(discover(description, laid_out(tmp_path, files)))
    assert len(findings) == len(complaints)
    for finding, complaint in zip(findings, complaints, strict=True):
        assert finding.startswith("error: ")
        assert complaint in finding


def test_a_folder_that_is_missing_is_named(tmp_path: Path):
    (finding,) = sentences(discover(CHOLEC80, tmp_path / "nowhere"))
    assert finding.endswith("nowhere is not a folder: name the folder that holds videos.")


def test_own_patterns_find_every_container_in_any_case_at_any_depth(tmp_path: Path):
    files = ["theatre-a/op1.MKV", "theatre-b/Öp 2.ts", "theatre-b/notes.txt", "labels/op1.csv", "labels/Öp 2.CSV"]
    recordings = found(described(top=OWN, annotations=LABELS), tmp_path, [*files, "more/2024/05/extra.MP4"])
    assert [(each.name, each.annotation is None) for each in recordings] == [
        ("op1", False),
        ("Öp 2", False),
        ("extra", True),
    ]


def test_an_unlabelled_video_may_have_an_annotation_and_be_found_twice_but_not_share_a_name(tmp_path: Path):
    own = described(top='phases = ["A"]\nvideos = "a/*.{name}.mp4"\nunlabelled = "**/*.{name}.mp4"', annotations=LABELS)
    files = ["a/x.op1.mp4", "b/x.op2.mp4", "labels/op1.csv", "labels/op2.csv"]
    assert [(each.name, each.annotation is None) for each in found(own, tmp_path, files)] == [
        ("op1", False),
        ("op2", True),
    ]
    (finding,) = sentences(discover(own, laid_out(tmp_path, ["b/y.op1.mp4"])))
    assert "b/y.op1.mp4 has the name 'op1', as " in finding
    (tmp_path / "b" / "y.op1.mp4").unlink()
    laid_out(tmp_path / "more", ["op1.mov"])
    (finding,) = sentences(discover(own, tmp_path, tmp_path / "more"))
    assert "more/op1.mov has the name 'op1', as " in finding


def test_a_video_with_another_ending_is_told_of(tmp_path: Path):
    own = described(top='phases = ["Access"]\nvideos = "{name}.mp4"', annotations=LABELS)
    (finding,) = sentences(discover(own, laid_out(tmp_path, ["op1.mp4", "op2.avi", "labels/op1.csv"])))
    assert finding.startswith("warning: ")
    assert "op2.avi is not named like '{name}.mp4'" in finding


@pytest.mark.parametrize(
    "pattern", ["frames/{name}/{frame}.png", "frames/{video}/{video}_{frame}.*", "all/{name}-{frame}.jpg"]
)
def test_images_are_found_in_a_folder_per_video_or_in_one(tmp_path: Path, pattern: str):
    own = described(top=f'phases = ["Access"]\nframes = "{pattern}"\nfps = 1', annotations=LABELS)
    files = [
        pattern.replace("{name}", name).replace("{video}", name).replace("{frame}", f"{k:06}").replace("*", "JPG")
        for name in ("op-1", "op-2")
        for k in range(3)
    ]
    recordings = found(own, tmp_path, [*files, "labels/op-1.csv", "labels/op-2.csv"])
    assert [each.name for each in recordings] == ["op-1", "op-2"]
    assert recordings[1].video == (tmp_path / files[-1]).parent


def test_an_image_that_is_not_named_by_the_pattern_is_named(tmp_path: Path):
    own = described(top='phases = ["Access"]\nframes = "{name}/{frame}.png"\nfps = 1', annotations=LABELS)
    files = ["op1/000000.png", "op1/first.png", "op2/readme.txt", "labels/op1.csv", "labels/op2.csv"]
    findings = sentences(discover(own, laid_out(tmp_path, files)))
    assert ["op1/first.png is not named by its index" in findings[0], "op2 holds no images" in findings[1]] == [
        True
    ] * 2


SPLIT = [f"op{n}.mp4" for n in range(1, 7)] + [f"labels/op{n}.csv" for n in range(1, 7)]


def split_of(tmp_path: Path, rows: str) -> Discovery:
    own = parse(
        f'phases = ["Access"]\nvideos = "{{name}}.mp4"\n[annotations]\n{LABELS}\n[split]\n{rows}',
        str(tmp_path / "ours.toml"),
    )
    return discover(own, laid_out(tmp_path, SPLIT))


@pytest.mark.parametrize(
    ("rows", "subsets", "folds"),
    [
        ('train = ["op[1-4]"]\ntest = ["op5", "op6"]', ["train"] * 4 + ["test"] * 2, [None] * 6),
        (
            'train = ["op1", "op3"]\nvalidation = "op2"\ntest = "op[4-6]"',
            ["train", "validation", "train", "test", "test", "test"],
            [None] * 6,
        ),
        (
            'folds = [["op1", "op4"], ["op2", "op5"], ["op3", "op6"]]',
            ["test", "train", "train", "test", "train", "train"],
            [1, 2, 3, 1, 2, 3],
        ),
        ('file = "split.csv"', ["train", "train", "validation", "train", "test", "test"], [None] * 6),
    ],
)
def test_a_declared_split_says_where_every_video_belongs(
    tmp_path: Path, rows: str, subsets: list[str], folds: list[int | None]
):
    rows_of_file = ["video,side", "op1,train", "op2,train", "op3,val", "op4,train", "op5,test", "op6,TEST"]
    (tmp_path / "split.csv").write_text("\n".join(rows_of_file))
    discovery = split_of(tmp_path, rows)
    assert discovery.findings == ()
    assert [each.subset for each in discovery.recordings] == subsets
    assert [each.fold for each in discovery.recordings] == folds


def test_a_number_of_folds_tests_the_first_one(tmp_path: Path):
    subsets = [each.subset for each in split_of(tmp_path, "folds = 3").recordings]
    assert sorted(map(str, subsets)) == ["test"] * 2 + ["train"] * 4


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ('train = ["op1"]\ntest = ["op7"]', ":9, field 'split.test', names 'op7', which is no video of the data set"),
        ('train = ["op[1-5]"]\ntest = ["op5", "op6"]', ":9, field 'split.test', puts 'op5' on test and on train"),
        ('train = ["op1"]\ntest = ["op2"]', ":8, field 'split.train', does not say where 'op3', 'op4', 'op5', 'op6'"),
        ('folds = [["op[1-3]"], ["op[3-6]"]]', ":8, field 'split.folds', puts 'op3' on fold 2 and on fold 1"),
        ('file = "split.csv"', "split.csv:3 reads 'op2,best': give a row `name,train`"),
        ('file = "one_cell.csv"', "one_cell.csv:1 reads 'val': give a row `name,train`"),
        ('file = "none.csv"', "none.csv does not exist"),
    ],
)
def test_a_split_that_does_not_fit_the_videos_is_refused_with_its_key(tmp_path: Path, rows: str, complaint: str):
    (tmp_path / "split.csv").write_text("op1;train\n\nop2;best\n")
    (tmp_path / "one_cell.csv").write_text("val\n")
    (finding,) = sentences(split_of(tmp_path, rows))
    assert complaint in finding
