"""Model card of an export: a README in Markdown with what the files are, how to load them, and how good they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from study.report.tables import METRIC_TITLES
from trainers.artifacts.evaluation import FRAMEWISE, PROTOCOL_TITLES, PROTOCOLS, Scores, SummaryEntry

CITATION = """\
@inproceedings{ding2022free,
  title     = {Free Lunch for Surgical Video Understanding by Distilling Self-Supervisions},
  author    = {Ding, Xinpeng and Liu, Ziwei and Li, Xiaomeng},
  booktitle = {Medical Image Computing and Computer Assisted Intervention (MICCAI)},
  year      = {2022}
}"""
TITLES = {**PROTOCOL_TITLES, FRAMEWISE: "strict, frame classifier alone"}


@dataclass(frozen=True, kw_only=True)
class DataUse:
    """Videos or images that one of the stages reads.

    Attributes:
        stage: the stage, and what it reads them for.
        number: of videos, or of sets of images.
        digest: SHA-256 over their digests.
        names: of them.
    """

    stage: str
    number: int
    digest: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Content of a model card.

    Attributes:
        title: its heading.
        summary: what the files hold, in sentences.
        files: what each file is.
        image: sentences on the images that go in.
        results: sentences on what comes out.
        usage: Python code that loads the files.
        phases: names of the phases, in index order; empty where there is no classifier.
        facts: preset, scale, dataset and the like.
        parameters: hyperparameters of the trial.
        config: of the stages that lead to the files, as JSON.
        scores: of the trial on its test videos; None where it was not tested.
        scored: sentences on what the scores are of.
        data: the videos and images that the networks have learned from.
        origin: sentences on the weights that they started from or were taught by, with their licences.
        command: that computes the trial again.
        versions: of freelunch and of the libraries that numbers depend on.
    """

    title: str
    summary: tuple[str, ...]
    files: Mapping[str, str]
    image: tuple[str, ...]
    results: tuple[str, ...]
    usage: str
    phases: tuple[str, ...]
    facts: Mapping[str, str]
    parameters: Mapping[str, str]
    config: str
    scores: Scores | None
    scored: tuple[str, ...]
    data: Sequence[DataUse]
    origin: tuple[str, ...]
    command: str
    versions: Mapping[str, str]


def render_card(card: ModelCard) -> str:
    """The card as one file in Markdown."""
    sections = (
        f"# {card.title}",
        " ".join(card.summary),
        _table(("File", "Content"), [(f"`{name}`", content) for name, content in card.files.items()]),
        "## Load",
        _code(card.usage, "python"),
        "## Input and output",
        _list(card.image),
        _list(card.results),
        _phases(card.phases),
        "## Results",
        _list(card.scored),
        _scores(card.scores) if card.scores else "",
        "## Training",
        _list(f"**{name}**: {text}" for name, text in card.facts.items()),
        _table(("Hyperparameter", "Value"), list(card.parameters.items())),
        _table(
            ("Data", "Number", "SHA-256", "Names"),
            [(each.stage, str(each.number), f"`{each.digest}`", ", ".join(each.names)) for each in card.data],
        ),
        "A digest is over those of the videos and of the annotations beside them, sorted.",
        f"Computed by\n\n{_code(card.command, 'sh')}",
        f"with {', '.join(f'{name} {version}' for name, version in card.versions.items())}.",
        f"<details><summary>Config of every stage</summary>\n\n{_code(card.config, 'json')}\n\n</details>",
        "## Origin and licences",
        _list(card.origin),
        "## Citation",
        _code(CITATION, "bibtex"),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def _scores(scores: Scores) -> str:
    rows = [
        (TITLES[protocol], METRIC_TITLES.get(metric, metric.capitalize()), _number(entry["mean"]), _spread(entry))
        for protocol in (*PROTOCOLS, FRAMEWISE)
        for metric, entry in scores.summary.get(protocol, {}).items()
    ]
    said = (
        f"In percent, of {scores.num_videos} test videos ({scores.num_frames} frames at {scores.fps:g} fps). ± is the "
        "standard deviation (n−1) over videos or over phases, as the column says; it is not that of several trainings."
    )
    return f"{said}\n\n{_table(('Protocol', 'Metric', 'Mean', '±'), rows)}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1f}"


def _spread(entry: SummaryEntry) -> str:
    return f"{_number(entry['std'])} over {entry['over']}"


def _phases(phases: Sequence[str]) -> str:
    return _table(("Index", "Phase"), [(str(index), name) for index, name in enumerate(phases)]) if phases else ""


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [headers, [":--"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {each}" for each in sentences)


def _code(text: str, language: str) -> str:
    return f"```{language}\n{text}\n```"
