"""Translations of the one core; no rules live here."""
