"""The queue: plans that are dropped as files, and decided on in files beside them."""
