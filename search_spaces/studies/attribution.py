"""Beyond the paper: which parts of the authors' code move the result?"""

from search_spaces.protocol.differences import DIFFERENCES
from search_spaces.recipes import distilled_with_difference
from study import Row, Study

attribution = Study(
    name="attribution",
    title="Which parts of the authors' code move the result?",
    question=(
        f"The published code differs from what its paper evidently means in {len(DIFFERENCES)} respects. Each row "
        "takes one of them from preset official_code, the last row all of them, and is compared with none, video by "
        "video. D16 and D17 change the relaxed metrics and the ± alone. Nothing is published on any single one."
    ),
    recipe=distilled_with_difference,
    rows=(
        Row(name="none", title="corrected: none of the differences"),
        *(Row(name=each.name, title=each.title, parameters={"difference": each.name}) for each in DIFFERENCES),
        Row(name="all", title="official_code: all of them", parameters={"difference": "all"}),
    ),
    reference="none",
    second_protocol="relaxed_official",
    cost={"demo": "about 13 minutes on two CPU cores", "full": "13 students and 10 teachers of 200 epochs"},
)
"""From preset `corrected` to preset `official_code`, one difference at a time; docs/beyond-the-paper.md explains each.

Differences of fine-tuning, of the temporal model and of evaluation share their pre-training with the row of none.
"""
