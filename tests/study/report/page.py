"""A report's page, read as a browser reads it."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page would load, its text, and the cells of its table rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.open.append(tag)
        self.loads += [values[name] or "" for name in ("src", "srcset", "data", "poster") if name in values]
        self.loads += [values[name] or "" for name in ("href", "xlink:href") if name in values and tag != "a"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.rows and {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data if "small" not in self.open else f" {data}"

    def row(self, title: str) -> list[str]:
        """The first table row with this title."""
        return next(row for row in self.rows if row and row[0] == title)
