"""Definitions that a report ends with: its metrics, and the treatment of phases that a video lacks."""

ABSENT_PHASES = {
    "undefined_if_empty": "A phase that a video's ground truth lacks is left out where the metric divides by nothing.",
    "undefined_if_absent": "A phase that a video's ground truth lacks is left out of that video, predicted or not.",
    "scored": "A phase that a video's ground truth lacks counts 100 if it was not predicted either, and 0 if it was.",
}
METRICS = {
    "Accuracy": "share of a test video's labelled frames whose phase is right; the mean over videos.",
    "Precision, recall, Jaccard, F1": (
        "of one phase in one video: TP/|predicted|, TP/|true|, TP/|predicted or true|, "
        "2 TP/(|predicted| + |true|). First the mean over the videos that define it, then the mean over phases."
    ),
    "Edit": "how alike the sequences of segments are, whatever their lengths (100 is the same order of phases).",
    "F1@50": "F1 of segments; a segment is found if it overlaps a true one of its phase by half of their union.",
    "±": (
        "a standard deviation (n-1). Over test videos for accuracy, edit and F1@50; over phases for precision, recall, "
        "Jaccard and F1, as the column says. It is the spread of videos or phases, not an error of the mean. Over a "
        "single video or phase it is undefined and left out; under preset official_code it is 0, as in the authors' "
        "script."
    ),
    "Strict protocol": "every frame counts as it is.",
    "Relaxed, fixed": (
        "intention of the script with which results on these datasets are usually published: near a "
        "transition, within 10 s (counted at the rows' frame rate unless the preset names another), a confusion with "
        "the neighbouring phase is forgiven."
    ),
    "Relaxed, official": "what that script really computes, with its indexing slip.",
    "Frames": "accuracy of the frame classifier alone, before the temporal model.",
    "kNN": "accuracy of nearest neighbours in feature space on validation videos after the last epoch of pre-training.",
}

SYNTHETIC_SCALES = {
    "demo": "Scale demo: these numbers show that everything runs, not what the method is worth",
    "small": "Scale small: what these numbers say holds for synthetic videos, not for surgery",
}
"""Sentences above the numbers of scales whose videos are synthetic."""
