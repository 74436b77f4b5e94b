"""What an export says of itself: a file to keep, under a name of ours, in an encoding that is named."""

import re

import pytest

from query_api.exports.event_lines import CSV, NDJSON
from query_api.exports.people_lines import WORKBOOK
from query_api.exports.responses import head_of
from query_api.history.routes import _FILES
from query_api.imports.routes import _ERRORS_FILES, _PEOPLE_FILES

TYPES = {CSV: "text/csv; charset=utf-8", NDJSON: NDJSON, WORKBOOK: WORKBOOK}


@pytest.mark.parametrize("files", [_FILES, _ERRORS_FILES, _PEOPLE_FILES])
def test_an_export_is_a_file_to_keep_whose_name_nobody_chooses(files):
    assert {CSV, NDJSON} <= set(files)
    for media_type, name in files.items():
        headers = head_of(media_type, name).headers
        assert headers["content-type"] == TYPES[media_type]
        assert re.fullmatch(r"[a-z-]+\.(csv|ndjson|xlsx)", name)
        assert headers["content-disposition"] == f'attachment; filename="{name}"'
        assert headers["cache-control"].startswith("private")
