"""Writes the operator API as an OpenAPI document: `python docs/make_openapi.py`."""  # noqa: INP001, a script

from __future__ import annotations

import json
from pathlib import Path

from bridge.api_document import document

if __name__ == "__main__":
    Path(__file__).with_name("openapi.json").write_text(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
