"""LangChain and LangGraph: the tools of an agent, a person's decision as an interrupt, a guard over other tools."""
