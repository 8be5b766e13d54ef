"""The face of the gate, by subject; `Gate` is all of it."""
