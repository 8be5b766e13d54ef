"""Faces: one preview or receipt as terminal text, Markdown or JSON; values in, text out."""
