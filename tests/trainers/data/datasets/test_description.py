"""Descriptions of data sets in TOML: what they say, and every fault by its file, line and key."""

from importlib import resources
from pathlib import Path

import pytest

from study.core.graph import describe
from trainers.data.datasets.description import BUILT_IN, Description, builtin, find, load, parse, root_of
from trainers.data.ingest.annotations import AnnotationFormat
from trainers.stage import InputError

OURS = """\
phases = ["Access", "Dissection", "Closure"]
videos = "theatre-*/{name}.*"

[annotations]
files = "labels/{name}.csv"
format = "intervals"
unit = "hh:mm:ss"

[split]
train = ["op0*"]
test = ["op1*"]
"""
WORDS = "[phase_names]\n"
MANY = ", ".join(f'"phase {number}"' for number in range(128))


def changed(old: str, new: str) -> Description:
    assert old in OURS
    return parse(OURS.replace(old, new), "/data/ours.toml")


def test_a_description_is_named_after_its_file_and_begins_in_its_folder(tmp_path: Path):
    (tmp_path / "ours.toml").write_text(OURS, encoding="utf-8-sig")
    described = load(tmp_path / "ours.toml")
    assert (described.name, root_of(described, None)) == ("ours", tmp_path)
    assert root_of(described, tmp_path / "other") == tmp_path / "other"
    assert described.annotation_format == AnnotationFormat(kind="intervals", unit="hh:mm:ss", rate=1)
    assert changed("phases", 'name = "lakeside"\nroot = "raw"\nphases').root == Path("/data/raw")


def test_built_in_descriptions_are_data_of_the_package_and_need_a_folder():
    files = resources.files("trainers.data.datasets").joinpath("builtin").iterdir()
    assert {file.name for file in files} == {f"{name}.toml" for name in BUILT_IN}
    for name in BUILT_IN:
        described = builtin(name)
        assert (described.name, described.is_builtin) == (name, True)
        with pytest.raises(InputError, match=f"the folder is missing: `freelunch ingest {name} FOLDER`"):
            root_of(described, None)


def test_what_was_built_in_is_read_as_it_was():
    assert [builtin(name).annotation_format for name in ("cholec80", "m2cai16", "frames")] == [None] * 3
    assert [builtin(name).timing for name in ("cholec80", "m2cai16", "frames")] == ["index"] * 3
    assert {name: len(builtin(name).phases) for name in ("autolaparo", "heichole", "cholect50")} == {
        "autolaparo": 7,
        "heichole": 7,
        "cholect50": 7,
    }


def test_words_of_annotations_are_part_of_their_format_and_of_the_key_where_there_are_any():
    described = changed("[split]", WORDS + '"closing up" = "Closure"\nentry = "Access"\n[split]')
    assert described.annotation_format is not None
    assert described.annotation_format.phase_names == (("closing up", "Closure"), ("entry", "Access"))
    assert "phase_names" not in describe(AnnotationFormat())
    assert describe(described.annotation_format)["phase_names"] == [["closing up", "Closure"], ["entry", "Access"]]


def test_images_of_another_rate_are_told_from_the_ones_described():
    frames = builtin("frames")
    assert (frames.at_rate(1).fps, frames.at_rate(1).timing) == (1, "seconds")
    assert (frames.at_rate(25).fps, frames.at_rate(25).timing) == (25, "index")
    with pytest.raises(InputError, match="--fps 5 is the rate of images, and cholec80 describes video files"):
        builtin("cholec80").at_rate(5)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (
            "colec80",
            r"'colec80' is not one of 'cholec80', 'm2cai16', .* in \.toml \(did you mean 'cholec80'\?\): name one",
        ),
        ("/data/cholec80", r"'/data/cholec80' is not one of .*, nor a file that ends in \.toml \(did you"),
        ("nowhere.toml", r"nowhere\.toml does not exist: name the file itself"),
    ],
)
def test_a_source_that_is_no_description_is_refused(source: str, complaint: str):
    with pytest.raises(InputError, match=complaint):
        find(source)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"Closure"]', '"Closure"', ":2 is no TOML (Unclosed array): correct the line"),
        ("phases =", "phase =", ":1, field 'phase', is no key of a description: did you mean 'phases'?"),
        (', "Closure"]', "]\nphases = 1", ":2 is no TOML (Cannot overwrite a value): correct the line"),
        ('["Access", "Dissection", "Closure"]', "[]", ":1, field 'phases', is missing or empty: give the names of the"),
        ("videos", 'rot = "raw"\nvideos', ":2, field 'rot', is no key of a description: did you mean 'root'?"),
        ("unit =", "units =", ":7, field 'annotations.units', is no key of a description: did you mean 'unit'?"),
        ("train =", "training =", ":10, field 'split.training', is no key of a description: did you mean 'train'?"),
        ("[split]", "[splits]", ":9, field 'splits', is no key of a description: did you mean 'split'?"),
        ('"Closure"]', "3]", ":1, field 'phases', holds 3, which is no text: put every entry into quotation marks"),
        ('"Closure"]', '"Access"]', ":1, field 'phases', names 'Access' twice: name it once"),
        ('"Closure"]', '" Closure"]', ":1, field 'phases', has the name ' Closure': leave out spaces around it"),
        ('"Closure"]', f'"Closure", {MANY}]', ":1, field 'phases', has 131 names, and labels are stored in a byte"),
        ('"theatre-*/{name}.*"', "7", ":2, field 'videos', is 7, a number: give a list"),
        ("{name}.*", "*.mp4", ":2, field 'videos', is 'theatre-*/*.mp4', without {name}: put it where a path has"),
        ("{name}.*", "{names}.mp4", ":2, field 'videos', is 'theatre-*/{names}.mp4': the placeholders are {name}"),
        ("theatre-*/", "/data/", ":2, field 'videos', is '/data/{name}.*': give a path below the folder"),
        ("theatre-*/", "../", ":2, field 'videos', is '../{name}.*': give a path below the folder"),
        (
            "{name}.*",
            "{name}/{frame}.png",
            ":2, field 'videos', is 'theatre-*/{name}/{frame}.png', with {frame}: leave",
        ),
        ("videos =", "frames =", ":1, field 'fps', is missing: give the rate at which the numbers of the images count"),
        ("videos =", "fps = 1\nframes =", ":3, field 'frames', is 'theatre-*/{name}.*', without {frame}: put it where"),
        ("videos =", "fps = 1\nvideos =", ":2, field 'fps', is the rate of images, but videos are files: leave it out"),
        ('videos = "theatre-*/{name}.*"', "", ":1, field 'videos', is needed, or frames, and not both"),
        ('files = "labels/{name}.csv"', "", ":4, field 'annotations.files', is missing: give the pattern of the files"),
        ('"intervals"', '"interval"', ":6, field 'annotations.format', is 'interval': did you mean 'intervals'?"),
        ('format = "intervals"', "", ":4, field 'annotations.format', is missing: it is one of frame-rows, csv"),
        ('"intervals"', '"csv"', ":4, field 'annotations.rate', is missing: give the rows per second, or \"video\""),
        ('unit = "hh:mm:ss"', "", ":4, field 'annotations.rate', is missing: give the frames per second"),
        ("unit =", "rate = 0\nunit =", ":7, field 'annotations.rate', is 0: give a number from 0.001 to 10000"),
        ("unit =", 'rate = "fast"\nunit =', ":7, field 'annotations.rate', is 'fast', a text: give a number"),
        ("unit =", "holes = 1\nunit =", ":7, field 'annotations.holes', is 1, a number: give true or false"),
        ("unit =", "first = 0.5\nunit =", ":7, field 'annotations.first', is 0.5: give a whole number"),
        ("unit =", 'separator = ""\nunit =', ":7, field 'annotations.separator', is empty: give a text, or leave"),
        ("[annotations]", "timing = 'index'\n[annotations]", ":4, field 'timing', is 'index', which is for frame-rows"),
        ("[annotations]", "timing = 'frames'\n[annotations]", ":4, field 'timing', is 'frames': it has to be one of"),
        (
            "[split]",
            WORDS + '"fin" = "Closing"\n[split]',
            ":10, field 'phase_names.fin', is 'Closing', which is no phase",
        ),
        ("[split]", WORDS + "'the end' = 3\n[split]", ":10, field 'phase_names.the end', is 3, a number: give a text"),
        ("[split]", WORDS + 'Access = "Closure"\n[split]', ":10, field 'phase_names.Access', says what 'Access' is,"),
        (
            "[split]",
            WORDS + 'unlabelled = "Closure"\n[split]',
            ":10, field 'phase_names.unlabelled', says what 'unlabelled' is, which is what a row without a phase says",
        ),
        (
            OURS[OURS.index("[annotations]") :],
            WORDS,
            ":4, field 'phase_names', names words of annotations, which the description lacks: add a table",
        ),
        ('test = ["op1*"]', "", ":10, field 'split.train', is beside no test: name the videos of train and of test"),
        ('test = ["op1*"]', "folds = 5", ":11, field 'split.folds', is one of several splits, or none: give train"),
        ('train = ["op0*"]\ntest = ["op1*"]', "folds = 1", ":10, field 'split.folds', is 1: give a number from 2"),
        ('train = ["op0*"]\ntest = ["op1*"]', "folds = [['a']]", ":10, field 'split.folds', holds one list: give two"),
        ('train = ["op0*"]\ntest = ["op1*"]', "folds = ['a']", ":10, field 'split.folds', holds 'a', which is no list"),
        ('train = ["op0*"]\ntest = ["op1*"]', "", ":9, field 'split.train', is one of several splits, or none"),
    ],
)
def test_a_fault_is_named_with_its_line_and_key(old: str, new: str, complaint: str):
    with pytest.raises(InputError) as refused:
        changed(old, new)
    assert str(refused.value).startswith("/data/ours.toml" + complaint)


def test_what_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "ours.toml"
    path.write_bytes(OURS.encode("utf-16"))
    with pytest.raises(InputError, match=r"ours\.toml is not a text file in UTF-8 \(byte 0\): save it as UTF-8"):
        load(path)
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(InputError, match="is larger than 1 MiB"):
        load(path)
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
