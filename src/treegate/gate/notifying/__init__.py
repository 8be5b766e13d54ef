"""Notifying: what somebody elsewhere is told, whatever the door at which it happened."""
