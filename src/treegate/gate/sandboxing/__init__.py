"""Commands in sandboxes: asked for, allowed, run, told of; and what they did handed in as plans."""
