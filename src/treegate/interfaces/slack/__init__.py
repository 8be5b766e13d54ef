"""Slack: a message for each plan that waits, commands and buttons, and the end of every run."""
