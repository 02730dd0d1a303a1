import pytest

from search_spaces.recipes import compress_distilled, disco_distilled, distilled, seed_distilled
from search_spaces.studies.catalogue import STUDIES
from study.core.graph import walk
from study.core.plan import make_plan
from study.core.store import Store
from tests.search_spaces.fake_dataset import conditions
from trainers.ssl.compress import CompRess
from trainers.ssl.disco import DisCo
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.pretrain import Pretrain
from trainers.ssl.seed import SEED
from trainers.stage import Stage

TERMS = (seed_distilled, compress_distilled, disco_distilled)


def student(trial: Stage) -> Pretrain:
    return [stage for stage in walk(trial).values() if isinstance(stage, Pretrain)][-1]


@pytest.mark.parametrize("recipe", TERMS)
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.1, "queue_batches": 4, "teacher_epochs": 2}])
@pytest.mark.parametrize("preset", ["corrected", "official_code"])
def test_a_term_changes_nothing_but_the_method_of_the_student(recipe, settings, preset):
    here = conditions(preset=preset)
    ours, other = student(distilled(here, seed=0, **settings)), student(recipe(here, seed=0, **settings))
    assert other.method.teacher == ours.method.teacher, "one teacher for all"
    same = ("frames", "left_out", "sample_every", "backbone", "augmentation", "optimisation", "probe", "seed")
    assert all(getattr(other, name) == getattr(ours, name) for name in same)
    assert other.method.queue_size == ours.method.queue_size


def test_terms_keep_the_temperatures_and_weights_of_their_papers():
    of_seed, of_compress, of_disco = (student(recipe(conditions("full"), seed=0)).method for recipe in TERMS)
    assert isinstance(of_seed, SEED)
    assert (of_seed.student_temperature, of_seed.teacher_temperature) == (0.2, 0.01)
    assert isinstance(of_compress, CompRess)
    assert (of_compress.temperature, of_compress.momentum) == (0.04, 0.999)
    assert isinstance(of_disco, DisCo)
    assert (of_disco.distillation_weight, of_disco.contrastive_weight) == (1.0, 1.0)


def test_terms_take_values_of_their_own():
    here = conditions()
    of_seed = student(seed_distilled(here, seed=0, seed_temperature=0.3, seed_teacher_temperature=0.02)).method
    assert (of_seed.student_temperature, of_seed.teacher_temperature) == (0.3, 0.02)
    assert student(compress_distilled(here, seed=0, anchor_temperature=0.1)).method.temperature == 0.1
    of_disco = student(disco_distilled(here, seed=0, distillation_weight=2.0, temperature=0.1)).method
    assert (of_disco.distillation_weight, of_disco.temperature) == (2.0, 0.1)


def test_rows_of_the_study_of_losses_share_one_teacher(tmp_path):
    plan = make_plan(STUDIES["losses"].trials(conditions()), Store(tmp_path))
    kinds = [stage.kind for stage in plan.stages.values() if isinstance(stage, Pretrain)]
    assert sorted(kind for kind in kinds if kind != "Pretrain MoCo") == [
        "Pretrain CompRess",
        "Pretrain DisCo",
        "Pretrain DistilledMoCo",
        "Pretrain DistilledMoCo",
        "Pretrain DistilledMoCo",
        "Pretrain SEED",
    ]
    assert kinds.count("Pretrain MoCo") == 3, "the free weights, the teacher, and the student without a teacher"


def test_the_rows_of_ours_differ_in_what_they_say():
    methods = {t.row.name: student(t.stage).method for t in STUDIES["losses"].trials(conditions())}
    ours, sharp, alone = (methods[name] for name in ("kl", "sharp", "kl-alone"))
    assert all(isinstance(method, DistilledMoCo) for method in (ours, sharp, alone))
    assert sharp.teacher_temperature == 0.04 < ours.temperature
    assert (alone.contrastive_weight, alone.distillation_weight) == (0, ours.distillation_weight)
