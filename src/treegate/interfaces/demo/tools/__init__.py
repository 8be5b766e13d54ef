"""The tools of the sample office: programs that stand alone, for commands in sandboxes."""
