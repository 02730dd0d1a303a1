"""Legends of figures: how many columns their titles fit in, and the height that they take."""

from collections.abc import Collection

MOST_COLUMNS = 3
FONT_SIZE, LINE_PX, LINE_POINTS = 8, 17, 12
"""Size of the titles, and the height of a line of them, in pixels and in typographic points."""
LETTER_PX, MARK_PX = 6.2, 46
"""Width of a letter, on average, and of what stands beside a title."""


def num_columns(titles: Collection[str], width_px: int) -> int:
    """The number of columns in which titles fit into a width."""
    longest = max(map(len, titles), default=0)
    return max(1, min(MOST_COLUMNS, int(width_px / (MARK_PX + LETTER_PX * longest))))


def num_lines(titles: Collection[str], width_px: int) -> int:
    """The number of lines that titles then take."""
    return -(-len(titles) // num_columns(titles, width_px))
