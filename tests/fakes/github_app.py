"""A GitHub App in front of a hub: its installation, tokens of an hour, and an account without `/user`.

Only a word that the app's private key signed gets a token, and each token ends by the clock of the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp, Receive, Scope, Send

LOGIN = "paceline[bot]"
INSTALLATION = 7


class FakeApp:
    """`id` and `key` are what GitHub gives out; `asked` counts tokens. `make` makes one on the hub."""

    def __init__(self, clock: Callable[[], datetime], repository: str) -> None:
        self.id = "Iv23exampleclient"
        self.asked = 0
        self.make: Callable[[], str] = str
        self._clock = clock
        self._repository = repository
        self._ends: dict[str, datetime] = {}
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.key = made.private_bytes(*form).decode()
        self._public = made.public_key()

    def around(self, app: ASGIApp) -> ASGIApp:
        async def fronted(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "").removeprefix("/api/v3")
            word = dict(scope.get("headers", ())).get(b"authorization", b"").decode().partition(" ")[2]
            told = self._answer(scope.get("method", ""), path, word)
            if told is None:
                await app(scope, receive, send)
                return
            body = json.dumps(told[1]).encode()
            head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": told[0], "headers": head})
            await send({"type": "http.response.body", "body": body})

        return fronted

    def _answer(self, method: str, path: str, word: str) -> tuple[int, Mapping[str, object]] | None:
        """None for what the hub answers itself."""
        asks = f"{method} {path}"
        if asks == f"GET /repos/{self._repository}/installation":
            return (200, {"id": INSTALLATION}) if self._is_signed(word) else (401, {"message": "no"})
        if asks == f"POST /app/installations/{INSTALLATION}/access_tokens":
            return self._token() if self._is_signed(word) else (401, {"message": "no"})
        if word in self._ends and self._clock() >= self._ends[word]:
            return 401, {"message": "Bad credentials"}
        if asks == "GET /user" and word in self._ends:
            return 403, {"message": "Resource not accessible by integration"}
        return None

    def _is_signed(self, word: str) -> bool:
        try:
            told = jwt.decode(word, self._public, algorithms=["RS256"], issuer=self.id)
        except jwt.PyJWTError:
            return False
        return bool(told["exp"] - told["iat"] <= 660)  # GitHub takes ten minutes, and a clock a minute off

    def _token(self) -> tuple[int, Mapping[str, object]]:
        token = self.make()
        self.asked += 1
        self._ends[token] = self._clock() + timedelta(hours=1)
        return 201, {"token": token, "expires_at": self._ends[token].strftime("%Y-%m-%dT%H:%M:%SZ")}
