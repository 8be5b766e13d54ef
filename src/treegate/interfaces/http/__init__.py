"""The service: the HTTP API and the pages. Translates; every rule is in the gate."""
