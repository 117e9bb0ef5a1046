"""The operator API asked what nobody would: schemathesis makes requests from its document, right and wrong ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from tests.client import ADMIN, TABLES, Operator
from tests.support import Rehearsal, Start

EXAMPLES = 12
"""Requests for each operation, of the right kind and of the wrong kind each."""


@pytest.fixture
def door() -> str:
    """The API is the same through whichever door the media streams come."""
    return "plain"


def ask(url: str, document: dict[str, Any], mode: schemathesis.GenerationMode) -> Counter[int]:
    """Ask every operation what the document allows, or forbids, and hold the answers against it; count these."""
    del document["security"]  # or it would leave the token out now and then, until nothing else is looked at
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    answers: Counter[int] = Counter()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @seed(20261128)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: schemathesis.Case[Any]) -> None:
            answer = case.call_and_validate(
                headers={"Authorization": f"Bearer {ADMIN}"},
                checks=[
                    checks.not_a_server_error,
                    openapi_checks.status_code_conformance,
                    openapi_checks.content_type_conformance,
                    openapi_checks.response_headers_conformance,
                    openapi_checks.response_schema_conformance,
                    openapi_checks.negative_data_rejection,
                ],
                timeout=20,
            )
            answers[answer.status_code] += 1

        with suppress(Unsatisfiable):  # nothing can be wrong with a request that has no parameters
            one()
    return answers


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
async def test_every_answer_is_one_that_the_document_promises(
    rehearsal: Start, database: str, mode: schemathesis.GenerationMode
) -> None:
    """No fault, no answer of another form, and nothing wrong is done."""
    run: Rehearsal = await rehearsal(storage={"url": database}, **TABLES)
    document = (await Operator(run).get("/api/openapi.json")).json()

    answers = await asyncio.to_thread(ask, run.bridge.url, document, mode)

    assert sum(answers.values()) > 4 * EXAMPLES
    assert answers[400 if mode is schemathesis.GenerationMode.NEGATIVE else 200]
    assert {401, 429}.isdisjoint(answers)
    assert 200 == (await Operator(run).get("/api/calls")).status_code
