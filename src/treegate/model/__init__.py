"""Pure values: no disk, clock, network, randomness or environment."""
