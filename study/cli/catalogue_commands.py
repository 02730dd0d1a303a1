"""Command for what can be asked: list.

Everything but click is imported inside the command, so that `freelunch --help` answers at once.
"""

import json

import click

from study.cli.group import main
from study.cli.options import json_option


@main.command("list")
@json_option
def list_studies(as_json: bool) -> None:
    """List every study with its question and rows, and every search with its hyperparameters.

    \b
    Example:
        freelunch list
    """
    from search_spaces.searches.distilled import SEARCHES
    from search_spaces.studies.catalogue import STUDIES, SUITES
    from study.cli.catalogue_records import search_record, study_record, suite_record
    from study.console.catalogue_tables import searches_table, settings_line, studies_table, suites_table
    from study.console.terminal import new_console

    searches = [search_record(search) for search in SEARCHES.values()]
    if as_json:
        studies = [study_record(study) for study in STUDIES.values()]
        suites = [suite_record(each) for each in SUITES.values()]
        click.echo(json.dumps({"studies": studies, "collections": suites, "searches": searches}, indent=1))
        return
    console = new_console()
    for table in (studies_table(STUDIES.values()), suites_table(SUITES.values()), searches_table(searches)):
        console.print(table)
    console.print(settings_line(STUDIES.values()), highlight=False)
