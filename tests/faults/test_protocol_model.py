"""The protocol holds on every disk that crashes and power cuts can leave, and every broken rule is found."""

import pytest
from protocol_model import PLANS, Protocol, Violation, explore


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: p.name)
def test_every_crash_and_power_cut_ends_before_or_after(plan):
    """1, 2, 3, 4, 5, 13, 15, 16: any number of crashes, any subset of unsynced writes; one story, told alike."""
    assert explore(plan) > 10


@pytest.mark.parametrize("rule", Protocol._fields)
def test_a_protocol_without_this_rule_is_caught(rule):
    """The model is sharp: it finds what goes wrong when a single rule is left out."""
    broken = Protocol()._replace(**{rule: False})

    def caught(plan):
        try:
            explore(plan, broken)
        except Violation:
            return True
        return False

    assert any(caught(plan) for plan in PLANS), f"nothing went wrong without {rule}"
