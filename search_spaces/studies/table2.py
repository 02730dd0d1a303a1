"""Table 2: how should the teacher's knowledge reach the student?"""

from search_spaces.recipes import combined, distilled, initialised, moco
from search_spaces.studies.published import TABLE2
from study import Row, Study

table2 = Study(
    name="table2",
    title="How should the teacher's knowledge reach the student?",
    question=(
        "The teacher's feature maps can be added to the student's or set beside them, its weights can be where the "
        "student starts, or the student is taught its similarities. Only the last two need no teacher at inference."
    ),
    recipe=distilled,
    rows=(
        Row(name="addition", title="Addition", recipe=combined, parameters={"combination": "sum"}),
        Row(name="concatenation", title="Concatenation", recipe=combined, parameters={"combination": "concatenation"}),
        Row(name="initialization", title="Initialization", recipe=initialised),
        Row(name="distillation", title="Distillation"),
        Row(name="moco", title="MoCo v2, no teacher", recipe=moco, baseline=True),
    ),
    reference="distillation",
    published=TABLE2,
    cost={"demo": "about 4 minutes on two CPU cores", "full": "5 students and a teacher of 200 epochs"},
)
"""Table 2 of Ding et al., MICCAI 2022."""
