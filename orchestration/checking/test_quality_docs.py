"""Every check stands in the table of docs/quality.md, as it is."""

import pytest

from deploy.local.environment import ROOT
from orchestration.checking.ingest_checks import ingest_flow
from orchestration.checking.quality_checks import RAW_RULES, ledger_quality

TEXT = (ROOT / "docs" / "quality.md").read_text()
HOLDS_BACK = {rule.name for rule in RAW_RULES if rule.holds_back}


@pytest.mark.parametrize("checks", [ingest_flow, ledger_quality])
def test_every_check_is_documented_with_severity_and_what_it_blocks(checks: object) -> None:
    missing = []
    for spec in checks.check_specs:  # type: ignore[attr-defined]
        blocks = "the event" if spec.name in HOLDS_BACK else "nothing"
        row = (
            f"| `{spec.name}` | {spec.asset_key.to_user_string()} | "
            f"{spec.metadata['severity']} | {blocks} | {spec.description} |"
        )
        missing += [] if row in TEXT else [row]
    assert missing == []
