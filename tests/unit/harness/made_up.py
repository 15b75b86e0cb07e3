"""Secrets of nobody, put together so that no scanner of repositories takes them for real ones."""

from __future__ import annotations

import base64
import json


def token(head: dict[str, str], *parts: str) -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(head).encode()).decode().rstrip("=")
    return ".".join((encoded, *parts))


MIXED = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
JWT = token({"alg": "HS256", "typ": "JWT"}, "eyJzdWIiOiIxIn0", "c2lnbmF0dXJl")

CODE = '''
"""A page of code that has everything but a secret in it."""

from dataclasses import dataclass

@app.route("/home")
@limiter.limit("5/minute")
async def task_1(session: Session, key: str = "", token="sk-...", password=None) -> None:
    session=get_session(user_id=1)
    headers = {"Authorization": f"Bearer {key}", "Cookie": cookie, "x-api-key": API_KEY}
    x = q@k.T + w@self.weight  # a risk-free task-1 on disk-encryption-at-rest
    return os.path.join("/home", user, ".ssh", "id_rsa")

def authenticate(basic: str) -> str:
    """Basic authentication, or a Bearer token; see https://datatracker.ietf.org/doc/html/rfc7617"""
    return "-----BEGIN PRIVATE KEY-----" in basic

# ssh deploy@host 'docker run -v /home:/home image@sha256:0123456789abcdef0123456789abcdef'
# git clone git@github.com:acme/desk-top.git && cd /usr/local/home && ls ~/projects
# curl -H "Authorization: Bearer $CEREBRAS_API_KEY" -b session=$SESSION https://acme.dev/@me
# psql postgres://user:password@localhost:5432/db; redis-cli -u redis://:pw@127.0.0.1
<a href="mailto:someone@example.com">icon@2x.png</a> .btn@media{} C:\\Windows\\System32 D:\\Users
id = "resp_00112233445566778899aabbccddeeff00112233445566778", "call_0a1b2c3d4"
uuid = "0a1b2c3d-4e5f-7a6b-8c9d-0a1b2c3d4e5f"; sha = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
'''
