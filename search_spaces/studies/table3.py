"""Table 3: what of the teacher should be trained on surgical frames?"""

from search_spaces.recipes import distilled, majority_class, moco, public_features, untrained
from search_spaces.studies.published import TABLE3
from study import Choice, Row, Study

table3 = Study(
    name="table3",
    title="What of the teacher should be trained on surgical frames?",
    question=(
        "The teacher starts from freely available weights. Training its head alone on surgical frames keeps their "
        "semantics and still tells surgical frames apart; training nothing, the backbone alone or everything should "
        "teach worse."
    ),
    recipe=distilled,
    axes={
        "teacher_trains": Choice(
            ("none", "head", "backbone", "all"),
            (
                "backbone frozen, head frozen",
                "backbone frozen, head trained",
                "backbone trained, head frozen",
                "backbone trained, head trained",
            ),
        )
    },
    rows=(
        Row(name="moco", title="MoCo v2, no teacher", recipe=moco, baseline=True),
        Row(name="public", title="free weights alone", recipe=public_features, baseline=True),
        Row(name="untrained", title="untrained backbone", recipe=untrained, baseline=True),
        Row(name="majority", title="majority class", recipe=majority_class, baseline=True),
    ),
    reference="head",
    published=TABLE3,
    cost={"demo": "about 5 minutes on two CPU cores", "full": "5 students and 3 teachers of 200 epochs"},
)
"""Table 3 of Ding et al., MICCAI 2022.

`freelunch plan table3` says what its cost is on the machine at hand.
"""
