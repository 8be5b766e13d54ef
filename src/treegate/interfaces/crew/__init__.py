"""Who does the work of doors that stay open: worker processes, and the runner that has jobs carried out by them."""
