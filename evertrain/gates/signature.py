"""Owns the gate ``signature``: callers must be able to go on sending what they send."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from evertrain.records import Feature, GateEvidence, GateResult, Signature, Verdict


class SignatureGate(BaseModel):
    """Fails if a feature is added, removed or narrowed, unless ``promotion.allow_signature_change``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: Literal["signature"]

    def check(self, evidence: GateEvidence) -> GateResult:
        """Compare what the two models want to be sent."""
        if evidence.champion_signature is None:
            return self._result("not_shown", "there is no champion to compare with")
        changes = signature_changes(evidence.champion_signature, evidence.signature)
        if not changes:
            return self._result("pass", "callers can go on sending what they send")
        if evidence.allow_signature_change:
            return self._result("pass", f"allowed by promotion.allow_signature_change: {'; '.join(changes)}")
        return self._result(
            "fail", f"{'; '.join(changes)}; promotion.allow_signature_change would let it pass"
        )

    def _result(self, verdict: Verdict, reason: str) -> GateResult:
        return GateResult(type=self.type, verdict=verdict, reason=reason)


def signature_changes(old: Signature, new: Signature) -> tuple[str, ...]:
    """Name each change for which a request that suits *old* could be refused by *new*."""
    before = {feature.name: feature for feature in old.features}
    after = {feature.name: feature for feature in new.features}
    added = [f"feature {name!r} is added" for name in after if name not in before]
    removed = [f"feature {name!r} is removed" for name in before if name not in after]
    narrowed = [
        f"feature {name!r} changes from {_spell(before[name])} to {_spell(after[name])}"
        for name in after
        if name in before and _narrows(before[name], after[name])
    ]
    return tuple(added + removed + narrowed)


def _narrows(old: Feature, new: Feature) -> bool:
    # A change of kind changes what a value means, whatever the column layer would still take.
    if old.kind != new.kind:
        return True
    if new.kind == "numeric":
        # Whole numbers are numbers; only booleans take true and false, and of the numbers only 0 and 1.
        return (old.type == "boolean") != (new.type == "boolean")
    if new.kind == "categorical":
        return new.type in ("date", "timestamp") and old.type not in ("date", "timestamp")
    return False


def _spell(feature: Feature) -> str:
    return f"{feature.kind} ({feature.type})"
