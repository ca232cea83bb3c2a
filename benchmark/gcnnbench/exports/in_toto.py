"""A record's checks as an in-toto statement: a test result over the record's file and its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gcnnbench.explain.explanation import Explanation
from gcnnbench.record_checks.rows import RecordRow
from gcnnbench.strict_json import json_document

STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"


def statement(found: Explanation, rows: Sequence[RecordRow]) -> str:
    """The statement over the records of an entry and their weights; signing it is the business of its reader's tools.

    Args:
        found: the explanation of one number of the entry, which names the files.
        rows: what `verify records` says of all files of the entry; a refused one fails, though no number counts it.
    """
    good = [row for row in rows if row.grade in ("recomputed", "re-scored", "re-trained")]
    bad = [row for row in rows if row.findings]
    names = {
        "passedTests": [f"{row.id}: {row.grade}" for row in good],
        "warnedTests": [f"{row.id}: {row.grade}" for row in rows if row not in good and row not in bad],
        "failedTests": [f"{row.id}: {row.grade}: {row.findings[0]}" for row in bad],
    }
    subjects = [
        {"name": name, "digest": {"sha256": sha256}}
        for value in found.values
        for name, sha256 in ((value.record, value.sha256), (value.weights.path, value.weights.sha256))
    ]
    document: dict[str, Any] = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": "FAILED" if bad or not good else "PASSED",
            "configuration": [
                {"name": f"{found.benchmark} {found.entry}", "digest": {"sha256": found.spec_digest}},
                *({"name": f"{found.dataset}, {part}", "digest": {"sha256": sha}} for part, sha in found.data.items()),
            ],
            **names,
        },
    }
    return json_document(document)
