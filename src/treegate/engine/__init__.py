"""What touches the world: disks, clocks, processes."""
