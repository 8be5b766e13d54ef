"""Commands in sandboxes: what each sees, what it may use, who starts it, and what it did to a view of its cases."""
