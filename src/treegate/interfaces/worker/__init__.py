"""The worker: beside the workspace, without a port. Takes dropped plans, heeds status files, has runs carried out."""
