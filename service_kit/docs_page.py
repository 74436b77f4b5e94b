"""Owns the page that shows the OpenAPI document, with the one content policy that lets it run."""

import base64
import hashlib
import re
from typing import Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import Response

_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_FROM: Final = "https://cdn.jsdelivr.net"
"""Where FastAPI's page loads Swagger UI from."""


def content_policy(page: bytes) -> str:
    """Return the policy for a page: its own inline scripts, by their hashes, and Swagger UI's files."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in _INLINE.findall(page)
    )
    return (
        f"default-src 'none'; script-src {hashes} {_FROM}; style-src 'unsafe-inline' {_FROM}; "
        "img-src data: https://fastapi.tiangolo.com; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def add_docs_page(app: FastAPI) -> None:
    """Serve `/docs`; under a prefix it shows the document under that prefix."""

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        page = get_swagger_ui_html(openapi_url=f"{root}{app.openapi_url}", title=app.title)
        page.headers["Content-Security-Policy"] = content_policy(bytes(page.body))
        return page
