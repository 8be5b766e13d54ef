"""A LangGraph agent that tidies a case: it looks, proposes, mends its plan, asks a person, revises, carries out.

    python examples/langgraph_agent.py WORKSPACE CASE                   # a clerk without a model's service
    python examples/langgraph_agent.py WORKSPACE CASE --model anthropic:claude-sonnet-4-5

You are the person who decides, at this terminal; or decide meanwhile with `treegate approve`, in a browser, in Slack.
Whatever you answer here, treegate knows what was decided: nothing that the agent is told approves anything.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

import treegate
from treegate.langgraph import decide, prompt, treegate_tools

WISH = "Tidy the case {case}: put the files that lie loose in it into folders, by what they are."
FOLDERS = {
    **dict.fromkeys((".pdf", ".tif"), "Papers"),
    **dict.fromkeys((".docx", ".odt", ".txt", ".md"), "Writings"),
    **dict.fromkeys((".png", ".jpg", ".jpeg"), "Pictures"),
    **dict.fromkeys((".csv", ".xlsx", ".ods"), "Tables"),
    ".eml": "Mail",
}


class Clerk(BaseChatModel):
    """A model that needs no service: it decides by rules, from the messages that it sees and from nothing else."""

    case: str

    @property
    def _llm_type(self) -> str:
        return "clerk"

    def bind_tools(self, tools: Sequence[Any], **more: Any) -> Clerk:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.next(calls_in(messages)))])

    def next(self, calls: list[Call]) -> AIMessage:
        """What to do after all that was asked of tools, and what they said."""
        if not calls:
            return call("find_files", case=self.case, match="**", limit=500)
        last = calls[-1]
        if last.name == "find_files":
            return self.found(calls)
        if last.name == "check_plan":
            return self.checked(last, plan_id=next((one.told["plan"] for one in calls if "revision" in one.told), ""))
        if last.name in ("submit_plan", "revise_plan") and "plan" in last.told:
            return call("wait_for_decision", id=last.told["plan"])
        if last.name == "wait_for_decision":
            return self.decided(
                last.told, next(one.arguments["plan"] for one in calls[::-1] if "plan" in one.arguments)
            )
        if last.name == "apply_plan" and "run" in last.told:
            return AIMessage(f"Done, in {last.told['run']}: {last.told['effects']} changes.")
        return AIMessage(f"I stop here: {json.dumps(last.told, ensure_ascii=False)}")

    def found(self, calls: list[Call]) -> AIMessage:
        """Moves all files that lie loose: into the folder that holds most of their kind, or into a new one."""
        if "next" in calls[-1].told:
            return call("find_files", case=self.case, match="**", limit=500, cursor=calls[-1].told["next"])
        entries = [entry for one in calls if one.name == "find_files" for entry in one.told["data"]["entries"]]
        paths = [entry["path"] for entry in entries if isinstance(entry["path"], str)]
        loose = [path for path in paths if "/" not in path and extension(path) in FOLDERS]
        # Written as the files lie on the disk, which is not how a plan is written: treegate says how it is.
        moves = [
            {"op": "move", "from": f"projects/{self.case}/{one}", "to": f"{home_of(one, paths)}/"} for one in loose
        ]
        return checking({"version": 1, "case": self.case, "title": "Tidy what lies loose", "operations": moves})

    def checked(self, last: Call, plan_id: str) -> AIMessage:
        """Takes each suggestion and checks again; hands in what is valid."""
        plan, problems = last.arguments["plan"], last.told.get("problems", ())
        if last.told.get("valid"):
            return call("revise_plan", id=plan_id, plan=plan) if plan_id else call("submit_plan", plan=plan)
        mended = {one["operation"]: one["suggestion"] for one in problems if "suggestion" in one}
        if not mended:
            return AIMessage(f"I cannot mend this: {json.dumps(last.told, ensure_ascii=False)}")
        operations = [mended.get(number, one) for number, one in enumerate(plan["operations"], 1)]
        return checking({**plan, "operations": [one for one in operations if one is not None]})

    def decided(self, told: dict[str, Any], plan: dict[str, Any]) -> AIMessage:
        """Goes by what a person decided."""
        if told["state"] == "changes-requested":
            return checking(changed(plan, told["decisions"][-1]))
        if told["state"] == "approved":
            return call("apply_plan", id=told["plan"])
        if told["state"] == "applied":
            return AIMessage(f"Done, in {told.get('run')}.")
        if told["state"] == "applying":  # the approval began it
            return call("wait_for_decision", id=told["plan"], until="applied")
        words = [one.get("comment", "") for one in told.get("decisions", ())]
        return AIMessage(f"The plan is {told['state']}: {' '.join(words) or told['next']}")


class Call(NamedTuple):
    """One call of a tool, and what that said."""

    name: str
    arguments: dict[str, Any]
    told: dict[str, Any]


def calls_in(messages: Sequence[BaseMessage]) -> list[Call]:
    """The calls among messages that were answered."""
    told = {one.tool_call_id: json.loads(str(one.content)) for one in messages if isinstance(one, ToolMessage)}
    made = [one for message in messages if isinstance(message, AIMessage) for one in message.tool_calls]
    return [Call(one["name"], one["args"], told[one["id"]]) for one in made if one["id"] in told]


def checking(plan: dict[str, Any]) -> AIMessage:
    """A message that checks a plan, if it does anything."""
    return call("check_plan", plan=plan) if plan["operations"] else AIMessage("Nothing lies loose in this case.")


def call(name: str, **arguments: Any) -> AIMessage:
    """A message that calls one tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": uuid.uuid4().hex}])


def extension(path: str) -> str:
    dot = path.rfind(".")
    return path[dot:].lower() if dot > 0 else ""


def home_of(path: str, paths: Sequence[str]) -> str:
    """The folder directly in the case that holds most files of this kind; else one by the name of the kind."""
    kind = extension(path)
    known = Counter(one.partition("/")[0] for one in paths if one.count("/") == 1 and extension(one) == kind)
    return known.most_common(1)[0][0] if known else FOLDERS[kind]


def changed(plan: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """The plan as a reviewer wants it: what the comment is about goes into the folder that it names."""
    wanted = re.search(r"\binto (?:the folder )?[\"'“]?([\w -]+?)[\"'”]?(?:[,.;]|$| please)", said["comment"])
    about = {number for one in said.get("about", ()) for number in one["operations"]}
    folder = wanted[1].strip() if wanted else "For review"
    operations = [
        {**one, "to": f"{folder}/"} if not about or number in about else one
        for number, one in enumerate(plan["operations"], 1)
    ]
    return {**plan, "operations": operations}


# -- running it

Ask = Callable[[dict[str, Any]], Any]  # what an interrupt asks -> what the graph is resumed with


def steps(door: Any, case: str, model: Any, ask: Ask) -> Iterator[BaseMessage]:
    """The messages of an agent that tidies a case; `ask` puts its questions to a person."""
    tools = treegate_tools(door, ask="interrupt")
    graph = create_agent(model or Clerk(case=case), tools, system_prompt=prompt(), checkpointer=InMemorySaver())
    given: Any = {"messages": [HumanMessage(WISH.format(case=case))]}
    thread: Any = {"configurable": {"thread_id": case}, "recursion_limit": 100}
    while given is not None:
        resumed, given = given, None
        for update in graph.stream(resumed, thread, stream_mode="updates"):
            for node, told in update.items():
                if node == "__interrupt__":
                    given = ask(told[0].value)
                else:
                    yield from told.get("messages", ())


VERDICTS = {"approve": "approve", "reject": "reject", "changes": "request-changes"}


def at_the_terminal(reviewer: Any) -> Ask:
    """Shows what is to be decided, and decides as whoever sits here."""

    def ask(asked: dict[str, Any]) -> Any:
        print(f"\n{asked['preview']}\n{asked.get('note', '')}", file=sys.stderr)
        while True:
            print("approve, reject WHY, or changes WHAT? ", end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
            if not line:
                raise SystemExit(f"the plan waits: treegate show {asked['plan']}")
            word, _, comment = line.strip().partition(" ")
            if word in VERDICTS and (comment or word == "approve"):
                return decide(reviewer, asked, VERDICTS[word], comment)

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description="an agent that tidies a case")
    parser.add_argument("workspace")
    parser.add_argument("case")
    parser.add_argument("--model", help="a real one, as init_chat_model takes it; without it, a clerk by rules")
    options = parser.parse_args()
    model = None
    if options.model:
        from langchain.chat_models import init_chat_model

        model = init_chat_model(options.model)
    with treegate.open(options.workspace) as gate:
        gate.list_outcome(options.case, limit=1)  # a case that there is not ends this here, with the nearest name
        for message in steps(gate, options.case, model, at_the_terminal(gate)):
            print(message.pretty_repr()[:1500])


if __name__ == "__main__":
    try:
        main()
    except treegate.TreegateError as error:
        sys.exit(f"error[{error.code}]: {error.message}\n  {error.hint}")
