"""Beyond the paper: which term should carry the teacher's knowledge?"""

from search_spaces.recipes import compress_distilled, disco_distilled, distilled, moco, seed_distilled
from study import Row, Study

SHARP = 0.04
"""Temperature of a sharper teacher, below the paper's τ of 0.07 and its code's of 0.2."""

losses = Study(
    name="losses",
    title="Which term should carry the teacher's knowledge?",
    question=(
        "The paper distils by the KL between similarities to one dictionary, beside the contrastive loss. The same "
        "teacher teaches by other terms here: a sharper softmax, the KL alone, SEED's cross-entropy on one queue of "
        "the teacher's, CompRess's KL over other frames only, DisCo's distance between embeddings. Nothing is "
        "published on surgical videos for any of them."
    ),
    recipe=distilled,
    rows=(
        Row(name="kl", title="ours: L_con + λ KL"),
        Row(name="sharp", title=f"sharper teacher: its τ = {SHARP:g}", parameters={"teacher_temperature": SHARP}),
        Row(name="kl-alone", title="KL without L_con (λ → ∞)", parameters={"contrastive_weight": 0.0}),
        Row(name="seed", title="SEED: soft CE, teacher's queue", recipe=seed_distilled),
        Row(name="compress", title="CompRess: KL without a positive", recipe=compress_distilled),
        Row(name="disco", title="DisCo: L_con + distance", recipe=disco_distilled),
        Row(name="moco", title="MoCo v2, no teacher", recipe=moco, baseline=True),
    ),
    reference="kl",
    cost={"demo": "about 5 minutes on two CPU cores", "full": "7 students and a teacher of 200 epochs"},
)
"""Ding et al., MICCAI 2022, eq. 6; SEED, arXiv 2101.04731; CompRess, arXiv 2010.14713; DisCo, arXiv 2104.09124.

All rows share one teacher, and every student has the same budget. The softmaxes of SEED and CompRess have the
temperatures of their papers, and DisCo's distance its weight; docs/beyond-the-paper.md has the formulas.
"""
