"""Pages for people with a browser: where to go from here, and the OpenAPI document to try out."""

import html
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

_SWAGGER: Final = Path(str(files("fastapi_swagger.resources")))
_OURS: Final = Path(__file__).with_name("assets")
ASSETS: Final[Mapping[str, Path]] = {
    "swagger-ui.css": _SWAGGER / "swagger-ui.css",
    "docs.css": _OURS / "docs.css",
    "swagger-ui-bundle.js": _SWAGGER / "swagger-ui-bundle.js",
    "docs.js": _OURS / "docs.js",
    "favicon-32x32.png": _SWAGGER / "favicon-32x32.png",
}
"""What the documentation page is made of, by name under `/docs`."""
_KEPT: Final = {"Cache-Control": "private, max-age=3600"}
DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DOCS: Final = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{root}/docs/favicon-32x32.png">
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
<link rel="stylesheet" href="{root}/docs/docs.css">
<div id="documentation" data-openapi="{root}/openapi.json"></div>
<script src="{root}/docs/swagger-ui-bundle.js"></script>
<script src="{root}/docs/docs.js"></script>
</html>
"""
# Not `/metrics`, which a proxy keeps from the public.
_LINKS: Final = {
    "/docs": "Documentation, to read and to try out",
    "/openapi.json": "OpenAPI document",
    "/readyz": "Whether the service is ready, and why not",
}
_INDEX: Final = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<h1>{title}</h1>
<ul>
{items}
</ul>
</html>
"""


def add_pages(app: FastAPI) -> None:
    """Serve `/` and `/docs`, to anybody; under a prefix they lead to what is under that prefix."""

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        root = _root(request)
        # Browsers name this type; what fetches data accepts anything, or names its own.
        if "text/html" in request.headers.get("accept", "").lower():
            answer: Response = HTMLResponse(_index(app.title, root))
        else:
            links = {f"{root}{path}": text for path, text in _LINKS.items()}
            answer = JSONResponse({"title": app.title, "links": links})
        answer.headers["Vary"] = "Accept"
        return answer

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        page = _DOCS.format(title=html.escape(app.title), root=html.escape(_root(request)))
        return HTMLResponse(page, headers={"Content-Security-Policy": DOCS_POLICY})

    @app.get("/docs/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404)
        return FileResponse(ASSETS[name], headers=_KEPT)


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _index(title: str, root: str) -> str:
    items = "\n".join(
        f'<li><a href="{html.escape(root + path)}">{html.escape(path)}</a>: {html.escape(text)}'
        for path, text in _LINKS.items()
    )
    return _INDEX.format(title=html.escape(title), items=items)
