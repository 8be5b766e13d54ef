"""One file per step; `revision` and `down_revision` chain them, engine.schema.HEAD names the last."""
