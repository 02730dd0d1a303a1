"""Table 1: does distillation beat what else one can pre-train with?"""

from search_spaces.recipes import (
    distilled,
    moco,
    public_features,
    regioncl,
    scratch,
    simsiam,
    supervised_features,
    swav,
)
from search_spaces.studies.published import TABLE1, TABLE1_M2CAI16
from study import Row, Study

table1 = Study(
    name="table1",
    title="Does distillation beat what else one can pre-train with?",
    question=(
        "Features of public weights fall behind those of methods that train on surgical frames: MoCo v2, RegionCL, "
        "SwAV, SimSiam. A student of MoCo v2 that a teacher made of public weights also distils into should beat them "
        "all, and everything beats learning from labels alone."
    ),
    recipe=distilled,
    rows=(
        Row(name="scratch", title="Scratch: every layer from labels alone", recipe=scratch),
        Row(name="in-sup", title="IN-Sup: public weights, supervised", recipe=supervised_features),
        Row(name="in-moco", title="IN-MoCo v2: public weights, self-supervised", recipe=public_features),
        Row(name="moco", title="MoCo v2 on surgical frames", recipe=moco),
        Row(name="swav", title="SwAV on surgical frames", recipe=swav),
        Row(name="simsiam", title="SimSiam on surgical frames", recipe=simsiam),
        Row(name="regioncl", title="RegionCL-M on surgical frames", recipe=regioncl),
        Row(name="ours", title="Ours: distilled MoCo v2"),
    ),
    reference="ours",
    published=TABLE1,
    more_published=(TABLE1_M2CAI16,),
    cost={
        "demo": "about 6 minutes on two CPU cores",
        "full": "5 methods of 100 to 200 epochs, of which SwAV costs two, and a teacher",
    },
)
"""Table 1 of Ding et al., MICCAI 2022.

"Scratch" is read as what the word says: no pre-training, and every layer learns from the labels, where all other rows
fine-tune what the preset says. The backbone that learns nothing at all is the baseline `untrained` of `table3`.
"""
