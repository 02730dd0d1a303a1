"""Every named study."""

from search_spaces.teacher import table3

STUDIES = {study.name: study for study in (table3,)}
