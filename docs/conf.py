"""Builds this folder with Sphinx: `./run docs` runs it, and warnings are errors there."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The packages, which the reference is generated from, and the extension that generates it.
sys.path[:0] = [str(HERE.parent), str(HERE)]

from service_kit.version import VERSION  # noqa: E402 - found by the path above

project = "Rollcall"
version = release = VERSION
extensions = ["myst_parser", "generated_reference"]
root_doc = "index"
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Files of the repository that a page links to are copied beside the pages, so such a link works offline, too.
myst_all_links_external = False
suppress_warnings: list[str] = []
nitpicky = True
highlight_language = "none"

html_theme = "furo"
html_title = f"Rollcall {VERSION}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": False}
