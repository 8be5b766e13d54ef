"""The pages, rendered here, readable without script."""
