"""Owns what the OpenAPI document says of the routes under /auth: bodies, answers, examples."""

from typing import Any, Final

from pydantic import BaseModel

from command_api.accounts.requests import LoginInput, RefreshInput, SignupInput
from service_kit.openapi import TEXT, json_answer, problems

_OPEN: Final[dict[str, Any]] = {"security": []}
_TOKENS: Final = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in", "refresh_token", "scope"],
    "properties": {
        "access_token": {**TEXT, "description": "JWT (RFC 9068); good for `expires_in` seconds"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer"},
        "refresh_token": {**TEXT, "description": "Good for one `/auth/refresh`"},
        "scope": TEXT,
    },
}
_ACCOUNT: Final = {
    "type": "object",
    "required": ["name", "roles"],
    "properties": {"name": TEXT, "roles": {"type": "array", "items": TEXT}},
}
_JWKS: Final = {
    "type": "object",
    "required": ["keys"],
    "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
}
_NO_STORE: Final = {"Cache-Control": {"schema": {"const": "no-store"}}}


def _body(form: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": form.model_json_schema()}}
    return {**_OPEN, "requestBody": {"required": True, "content": content}}


SIGNUP: Final[dict[str, Any]] = {
    "summary": "Make an account",
    "description": "`ROLLCALL_SIGNUP` says who may: nobody, the invited, or everybody.",
    "responses": {
        201: json_answer("Made; log in with it", _ACCOUNT, "account", **_NO_STORE),
        **problems(400, 403, 409, 413, 415, 422, 429, 501, 503),
    },
    "openapi_extra": _body(SignupInput),
}
LOGIN: Final[dict[str, Any]] = {
    "summary": "Get tokens for a name and its password",
    "description": (
        "401 (`invalid-credentials`) does not tell which of them is wrong. 403 (`password-change-required`): "
        "the password is good for once; send `new_password` with it. 429: the account or the address failed "
        "too often, of late."
    ),
    "responses": {
        200: json_answer("Tokens", _TOKENS, "tokens", **_NO_STORE),
        **problems(400, 401, 403, 413, 415, 422, 429, 501, 503),
    },
    "openapi_extra": _body(LoginInput),
}
REFRESH: Final[dict[str, Any]] = {
    "summary": "Get tokens for a refresh token",
    "description": (
        "The token is good for once; within 10 seconds the same one gets the same answer, for a client that "
        "lost it. One that comes later ends all tokens of its login."
    ),
    "responses": {
        200: json_answer("Tokens", _TOKENS, "tokens", **_NO_STORE),
        **problems(400, 401, 413, 415, 422, 501, 503),
    },
    "openapi_extra": _body(RefreshInput),
}
LOGOUT: Final[dict[str, Any]] = {
    "summary": "End all tokens of a login",
    "description": "Access tokens that were given out last until they expire. A bad token is no error.",
    "responses": {204: {"description": "They are over"}, **problems(400, 413, 415, 422, 501, 503)},
    "openapi_extra": _body(RefreshInput),
}
JWKS: Final[dict[str, Any]] = {
    "summary": "The keys that verify access tokens",
    "description": "RFC 7517. A new key stands here for a minute or more before it signs.",
    "responses": {200: json_answer("The keys", _JWKS, "jwks"), **problems(501)},
    "openapi_extra": _OPEN,
}
