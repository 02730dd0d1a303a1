"""Sections with paired comparisons: rows against the reference row, or lines against the reference line."""

from collections.abc import Mapping

from study.analysis.comparisons import compare_rows, conclusion_sentences, references, remarks
from study.analysis.line_margins import margin_sentences
from study.analysis.paired_tests import Comparison
from study.analysis.results import Results
from study.core.rows import Curve
from study.report import tables
from study.report.document import Block, Paragraph, Section
from trainers.artifacts.evaluation import PROTOCOL_TITLES

VERDICT = (
    "The verdict needs both a p-value below 0.05 after Holm's correction over the {family} and an interval on one side "
    "of zero."
)


def comparison_section(
    results: Results, comparisons: Mapping[str, Comparison], margins: Mapping[str, Comparison]
) -> Section:
    """Paired comparisons with the reference row or, where the study declares one, with the reference line."""
    if results.study.curve and results.study.curve.reference:
        return _line_section(results, comparisons, margins, results.study.curve)
    title = "Against the reference row"
    if results.study.reference is None:
        return Section(title, [Paragraph("This study declares no reference row.")])
    if not comparisons:
        return Section(title, [Paragraph("Nothing to compare yet: the reference row or all others are missing.")])
    reference = next(r.row.title for r in results.rows if r.row.name == results.study.reference)
    family = VERDICT.format(family=f"{len(references(results.study))} comparisons of this table")
    intro = (
        f"Strict accuracy of each row minus that of “{reference}”, in points, paired by test video (a video's "
        f"difference is its mean over the seeds that both rows have). {family}"
    )
    known = [Paragraph(remark) for remark in remarks(results, comparisons)]
    table = tables.comparison_table(results, comparisons)
    return Section(title, [Paragraph(intro), table, *known, *_second_comparisons(results)])


def _second_comparisons(results: Results) -> list[Block]:
    """The same comparisons by another protocol, where the study declares one."""
    protocol = results.study.second_protocol
    if protocol is None:
        return []
    comparisons = compare_rows(results, protocol)
    found = " ".join(conclusion_sentences(results, comparisons))
    intro = (
        f"The same by the accuracy of the protocol “{PROTOCOL_TITLES[protocol]}”, as a family of comparisons of "
        f"its own. {found}"
    )
    return [Paragraph(intro), tables.comparison_table(results, comparisons)]


def _line_section(
    results: Results, comparisons: Mapping[str, Comparison], margins: Mapping[str, Comparison], curve: Curve
) -> Section:
    """Comparisons with the reference line at every value, then the changes of its margins along the axis."""
    title = f"Against {curve.reference}, value by value"
    if not comparisons:
        return Section(title, [Paragraph("Nothing to compare yet: the reference line or all others are missing.")])
    family = VERDICT.format(family=f"{len(references(results.study))} comparisons that the whole figure declares")
    intro = (
        f"Strict accuracy of each row minus that of “{curve.reference}” at the same value of “{curve.title}”, in "
        f"points, paired by test video (a video's difference is its mean over the seeds that both rows have). {family}"
    )
    found = " ".join(margin_sentences(results, comparisons, margins))
    known = [Paragraph(remark) for remark in remarks(results, comparisons)]
    blocks: list[Block] = [*([Paragraph(found)] if found else []), Paragraph(intro)]
    blocks += [tables.comparison_table(results, comparisons), *known]
    return Section(title, [*blocks, *_margin_blocks(results, margins, curve)])


def _margin_blocks(results: Results, margins: Mapping[str, Comparison], curve: Curve) -> list[Block]:
    if not margins:
        return []
    lines = {row.series for row in results.study.all_rows() if row.name in references(results.study)}
    family = VERDICT.format(family=f"{len(lines)} comparisons of this table, a family of its own,")
    intro = (
        f"Does the margin of “{curve.reference}” differ between the two ends of the axis? Its margin over each other "
        "line at the smallest value minus that at the largest, in points, paired by test video: above zero, the margin "
        f"is larger at the smallest value. {family}"
    )
    said = dict.fromkeys(remark for comparison in margins.values() for remark in comparison.remarks)
    return [Paragraph(intro), tables.margin_table(margins), *map(Paragraph, said)]
