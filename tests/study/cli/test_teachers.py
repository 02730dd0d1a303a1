"""Study `teachers` on the command line: rows by the weights that are named, and weights that no trial uses."""

import json
from pathlib import Path

import pytest

from study.cli.planning import PlannedStudy
from study.home.request import latest_request
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, LOCAL, copy_of, done, refused
from tests.trainers.public_files import moco_file, torchvision_file
from trainers.networks.backbones import Backbone

RESNET18 = Backbone(architecture="resnet18")
pytestmark = pytest.mark.usefixtures("tiny_scale", "no_pictures")


@pytest.fixture(scope="module")
def home(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three free models, two of them of one kind."""
    folder = tmp_path_factory.mktemp("teachers")
    home = copy_of(tiny_home, folder)
    for name, seed in (("sup", 5), ("other", 6)):
        file, _ = torchvision_file(folder / f"{name}.pth", RESNET18, seed=seed)
        done(called(home, "weights", "add", str(file), "--name", name))
    file, _ = moco_file(folder / "moco.pth.tar", RESNET18)
    done(called(home, "weights", "add", str(file), "--name", "ssl"))
    return home


def test_every_named_model_is_a_row_and_its_student_is_reported_beside_it(home: Path):
    named = ("--weights", "sup", "--weights", "other", "--weights", "ssl")
    rows = ("--row", "teacher-sup", "--row", "features-sup")
    done(called(home, "run", "teachers", *LOCAL, *named, *rows))
    planned = PlannedStudy(home, latest_request("teachers", home))
    (part,) = planned.parts
    assert [row.name for row in part.study.all_rows()][:4] == ["moco", "teacher-sup", "teacher-other", "teacher-ssl"]
    folder = part.request.folder(home)
    found = {row["name"]: row for row in json.loads((folder / "results.json").read_text())["rows"]}
    assert found["teacher-sup"]["teacher"]["title"] == "sup"
    assert "supervised: of unknown origin (resnet18, SHA-256 " in (folder / "report.md").read_text()
    assert "other, ssl are used by no trial here" in " ".join(planned.notes(planned.parts))


def test_two_models_of_one_kind_are_refused_elsewhere_unless_one_is_chosen(home: Path):
    table1 = ("plan", "table1", *ASKED, "--weights", "sup", "--weights", "other")
    refused(called(home, *table1), 2, "'sup' and 'other' are both supervised: name one of them")
    table3 = ("plan", "table3", *ASKED, "--weights", "sup", "--weights", "other", "--set", "free_model=sup")
    assert "--weights other is used by no trial here" in done(called(home, *table3)).output


def test_weights_that_no_trial_uses_are_refused_where_they_are_all(home: Path):
    said = "uses --weights sup (sup is supervised): leave it out, or name weights that its rows start from."
    refused(called(home, "plan", "table3", *ASKED, "--weights", "sup"), 2, f"no trial of table3 {said}")
    refused(called(home, "run", "table3", *LOCAL, "--weights", "sup"), 2, f"no trial of table3 {said}")
    search = ("search", "distilled", *ASKED, "--trials", "1", "--weights", "sup")
    refused(called(home, *search), 2, f"no trial of search distilled {said}")
    both = done(called(home, "plan", "table3", *ASKED, "--weights", "sup", "--weights", "ssl")).output
    assert "--weights sup is used by no trial here: that changes nothing." in both
