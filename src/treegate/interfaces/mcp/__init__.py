"""MCP: agents' tools as a server of the Model Context Protocol, over stdio and HTTP; nothing here approves."""
