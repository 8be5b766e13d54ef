"""Notifications on their way: the port that whoever is told stands behind, and who carries them there."""
