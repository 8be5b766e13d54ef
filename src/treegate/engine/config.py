"""The settings of one workspace: what they are, what each may be, and what it means.

`SETTINGS` is the one table of keys: the reader, the environment variables, the reference page and the default
file all come from it. Defaults stand in the structs (`Config`, and `Policy` in the model). To add a key, add its
field there and its row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from treegate.engine.netvalues import a_host, an_address, file, host, port, roles, text, url
from treegate.engine.rules import groups, rules
from treegate.engine.sandbox.configured import ROWS as SANDBOX_ROWS
from treegate.engine.sandbox.configured import Sandbox
from treegate.engine.telling import Alerts, Slack, Webhook, commands, people, safe_url, webhooks
from treegate.engine.values import Kind, among, choice, count, flag, folder, list_of, login, measure, pattern, share
from treegate.model.actors import Role
from treegate.model.measures import (
    DAY,
    HOUR,
    KIB,
    MIB,
    MINUTE,
    SECOND,
    parse_duration,
    parse_size,
    write_duration,
    write_size,
)
from treegate.model.names import RULES, visible
from treegate.model.policy import Policy


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """Where things lie in the workspace, relative to it."""

    projects: str = "projects"
    reports: str = "Reports"
    database: str = "Database"
    tools: str = "Tools"
    single: bool = False


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """How long (ms) and up to what size (bytes, in all and of one case) what went away is kept; None is no end."""

    keep: int | None = 90 * DAY
    max_size: int | None = None
    case_max_size: int | None = None


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """The agent, as the operating system knows it; "" where it has no user of its own, or none is named."""

    user: str = ""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """How dropped plans are taken, and whether their status files are believed; durations in ms, 0 for no limit."""

    trust_status: bool = False
    settle: int = 2 * SECOND
    poll: int = 5 * SECOND
    plans_per_minute: int = 0
    steps_per_second: int = 0
    batch: int = 20  # plans of one case that are carried out in a row


class Oidc(msgspec.Struct, frozen=True, kw_only=True):
    """Who says who people are (OpenID Connect), and what each may do; "" for an issuer is nobody."""

    issuer: str = ""
    title: str = ""  # of the button; "" is the issuer's host
    client_id: str = ""
    client_secret_file: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    name_claim: str = "email"
    groups_claim: str = "groups"
    people: Mapping[str, Role] = {}
    groups: Mapping[str, Role] = {}


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Where the service listens, whom it believes, and how much it takes from anybody; durations in ms."""

    host: str = "127.0.0.1"
    port: int = 8473
    public_url: str = ""
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    reads_per_minute: int = 300_000
    writes_per_minute: int = 6_000
    logins_per_minute: int = 30
    body: int = 256 * MIB
    upload_pace: int = 4 * KIB  # bytes a second
    session: int = 12 * HOUR
    session_idle: int = 2 * HOUR
    metrics: Literal["loopback", "token", "open"] = "loopback"
    shutdown_grace: int = MINUTE
    oidc: Oidc = Oidc()


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a workspace, and where each that is not a default came from."""

    workspace: Folders = Folders()
    vault: Vault = Vault()
    policy: Policy = Policy()
    agent: Agent = Agent()
    queue: Queue = Queue()
    sandbox: Sandbox = Sandbox()
    slack: Slack = Slack()
    webhooks: tuple[Webhook, ...] = ()
    alerts: Alerts = Alerts()
    service: Service = Service()
    lock_wait: int = 10 * SECOND  # ms
    origins: Mapping[str, str] = {}  # key -> "treegate.toml, line 12" or "TREEGATE_LOCK_WAIT"

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Groups of people; a part of policy, for they say who may approve."""
        return self.policy.groups


class Setting(NamedTuple):
    """One key: where it stands in the file and in `Config`, what it takes, what it means."""

    key: str
    kind: Kind
    meaning: str

    @property
    def variable(self) -> str:
        return variable_of(self.key)

    @property
    def section(self) -> str:
        return self.key.rpartition(".")[0]

    @property
    def default(self) -> object:
        return value_of(Config(), self.key)


def variable_of(key: str) -> str:
    """The variable of the environment that sets a key."""
    return "TREEGATE_" + key.upper().replace(".", "_")


def _word(item: str) -> None:
    """A check for `list_of`: each item is one word."""
    if not item or not item.isascii() or not item.isprintable() or " " in item:
        raise ValueError(f"holds '{visible(item)}', which is not one word")


_PATTERNS = list_of("a list of patterns", pattern)
_DURATION = measure('a duration such as "10s"', parse_duration, write_duration)

SETTINGS = (
    Setting("lock_wait", _DURATION, "How long a command waits for a case that another one is changing."),
    Setting("groups", groups(), "Groups of people, for `from` in rules: names of tokens, or users at the shell."),
    Setting("webhooks", webhooks(), "Addresses that are told what happens: see notifications.md."),
    Setting(
        "workspace.projects", folder("."), 'The folder whose folders are the cases; "." is the workspace itself.'
    ),
    Setting("workspace.reports", folder(), "The folder for reports on plans."),
    Setting("workspace.database", folder(), "The folder for the records of runs, and for the queue."),
    Setting("workspace.tools", folder(), "The folder for tools."),
    Setting("workspace.single", flag(), "Whether the projects folder is itself the one case."),
    Setting(
        "vault.keep",
        measure('a duration such as "90d"', parse_duration, write_duration, "forever"),
        "How long deleted and replaced files are kept, and so how long a run can be undone.",
    ),
    Setting(
        "vault.max_size",
        measure('a size such as "50 GiB"', parse_size, write_size, "unlimited"),
        "What the vault may come to: above it the oldest entries are let go first, even before their time.",
    ),
    Setting(
        "vault.case_max_size",
        measure('a size such as "5 GiB"', parse_size, write_size, "unlimited"),
        "The same for what is kept of any one case.",
    ),
    Setting("policy.weak_mounts", choice("refuse", "allow"), "What to do where a mount's fsync is not durable."),
    Setting(
        "policy.allow.paths", _PATTERNS, "What plans may touch. Paths start at the case, or at projects after a /."
    ),
    Setting(
        "policy.protect.paths", _PATTERNS, "What no plan may touch, with all that lies under it; wins over allow."
    ),
    Setting("policy.limits.operations", count(1), "Operations in one plan."),
    Setting("policy.limits.files", count(0), "Files that one plan touches, those in moved folders included."),
    Setting("policy.limits.deletes", count(0), "Files that one plan deletes, net: a rename is not a delete."),
    Setting(
        "policy.limits.delete_share", share(), "The share of a case's files that one plan deletes; 1 is no limit."
    ),
    Setting(
        "policy.limits.delete_bytes",
        measure('a size such as "5 GiB"', parse_size, write_size),
        "Bytes that one plan deletes.",
    ),
    Setting(
        "policy.limits.delete_share_from",
        count(1),
        "The share is looked at from this many deleted files of a case on, so that small cases stay usable.",
    ),
    Setting("policy.limits.replacements", count(0), "Files whose content one plan replaces."),
    Setting(
        "policy.limits.open_plans", count(1), "Plans of one author that wait; with so many, no other is taken in."
    ),
    Setting(
        "policy.limits.per_day.deletes",
        count(0),
        "Files that one author deletes in one case in 24 hours; what waits counts too, and what was undone does not.",
    ),
    Setting(
        "policy.limits.per_day.delete_bytes",
        measure('a size such as "10 GiB"', parse_size, write_size),
        "Bytes that one author deletes in one case in 24 hours.",
    ),
    Setting(
        "policy.limits.per_day.replacements",
        count(0),
        "Files whose content one author replaces in one case in 24 hours.",
    ),
    Setting(
        "policy.names.rules",
        list_of("a list of " + ", ".join(RULES), among(tuple(RULES)), alone="auto"),
        "What names that a plan makes must obey; auto asks the mount.",
    ),
    Setting(
        "policy.backup.before_moves",
        choice("off", "reflink", "copy"),
        "Whether every file that moves is first copied into the run's vault: sharing its blocks, or in full.",
    ),
    Setting("policy.approval.required", count(1), "How many people must approve a plan."),
    Setting("policy.approval.own", flag(), "Whether one may approve a plan of one's own."),
    Setting("policy.approval.expires", _DURATION, "How long an approval holds."),
    Setting(
        "policy.approval.typed_deletes",
        count(0),
        "Deleted files above which whoever approves on the pages has to type their number.",
    ),
    Setting("policy.approval.rule", rules(), "Who must approve plans that are so and so: see docs/policy.md."),
    Setting("policy.apply.on_approval", flag(), "Whether the last approval starts the run at once."),
    Setting(
        "policy.apply.by",
        list_of("a list of roles", among(("operator", "reviewer", "author", "admin"))),
        "The roles that may apply what is approved.",
    ),
    Setting(
        "agent.user",
        login(),
        "The user of the operating system that agents run as; doctor says what it could change behind the gate.",
    ),
    Setting(
        "queue.trust_status",
        flag(),
        "Whether status files count although authors may write them, as in a shared bucket: nobody knows who did.",
    ),
    Setting("queue.settle", _DURATION, "How long a dropped file that is no whole plan yet must stay unchanged."),
    Setting(
        "queue.poll",
        _DURATION,
        "How often the queue is looked through where nothing tells what changes; elsewhere, 36 times as seldom.",
    ),
    Setting("queue.plans_per_minute", count(0), "Dropped plans that are taken in a minute; 0 is no limit."),
    Setting(
        "queue.steps_per_second",
        count(0),
        "Steps in a second, of all runs together, at whatever door; 0 is no limit. A bucket may count requests.",
    ),
    Setting(
        "queue.batch",
        count(1),
        "Plans of one case that are carried out in a row before another case has its turn.",
    ),
    *(Setting(*row) for row in SANDBOX_ROWS),
    Setting("slack.channel", text(), 'The channel that is told, by its id (C024BE91L); "" is none. See slack.md.'),
    Setting(
        "slack.mode",
        choice("http", "socket"),
        "How Slack reaches us: the service's own address, or a connection that a worker or the service opens.",
    ),
    Setting("slack.people", people(), "Who each user of Slack is here. Anybody else is not allowed anything."),
    Setting("slack.commands", commands(), "Commands of one's own, besides /treegate, and what each stands for."),
    Setting(
        "slack.bot_token_file",
        file(),
        "The file that holds the bot's token (xoxb-…); or TREEGATE_SLACK_BOT_TOKEN does.",
    ),
    Setting(
        "slack.signing_secret_file",
        file(),
        "The file that holds the signing secret, for mode http; or TREEGATE_SLACK_SIGNING_SECRET does.",
    ),
    Setting(
        "slack.app_token_file",
        file(),
        "The file that holds the app's token (xapp-…), for mode socket; or TREEGATE_SLACK_APP_TOKEN does.",
    ),
    Setting("slack.api", safe_url("the bot's token"), "Where Slack's Web API is."),
    Setting("alerts.stuck", _DURATION, "How long something may stand still until somebody is told."),
    Setting("alerts.remind", _DURATION, "How long before an approval runs out somebody is reminded."),
    Setting("alerts.verify", _DURATION, "How often the whole audit log is verified, where anybody is told."),
    Setting("service.host", host(), "The address that the service listens at; `serve --host` wins."),
    Setting("service.port", port(), "The port that it listens at; `serve --port` wins."),
    Setting(
        "service.public_url",
        url(path=False),
        'How people reach it, behind a proxy say; with https, cookies go over https alone. "" is as it listens.',
    ),
    Setting(
        "service.hosts",
        list_of("a list of names and addresses", a_host),
        "What a request may call it by, besides localhost, service.host and public_url: anything else is refused.",
    ),
    Setting(
        "service.proxies",
        list_of("a list of addresses", an_address),
        "Proxies that are believed when they say whom they speak for (X-Forwarded-For, X-Forwarded-Proto).",
    ),
    Setting(
        "service.reads_per_minute",
        count(1),
        "Requests that only read, of one token or of one address that shows none that holds.",
    ),
    Setting("service.writes_per_minute", count(1), "All other requests, counted alike."),
    Setting("service.logins_per_minute", count(1), "Attempts to log in from one address."),
    Setting(
        "service.body",
        measure('a size such as "256 MiB"', parse_size, write_size),
        "The largest body of a plan; of anything else that is sent it is 4 MiB.",
    ),
    Setting(
        "service.upload_pace",
        measure('a size such as "4 KiB"', parse_size, write_size),
        "What must come in of a body each second, on average, once 30 seconds are over.",
    ),
    Setting("service.session", _DURATION, "How long somebody stays logged in to the pages at most."),
    Setting("service.session_idle", _DURATION, "How long somebody stays logged in who does nothing."),
    Setting(
        "service.metrics",
        choice("loopback", "token", "open"),
        "Who may read /metrics: this machine and operators' tokens, such tokens alone, or anybody.",
    ),
    Setting(
        "service.shutdown_grace",
        _DURATION,
        "How long a run may go on once the service is told to stop; then it is taken back.",
    ),
    Setting(
        "service.oidc.issuer",
        url(path=True),
        'Who says who people are (OpenID Connect); "" is nobody. See service.md.',
    ),
    Setting("service.oidc.title", text(), 'What the button says after "Log in with"; "" is the issuer\'s host.'),
    Setting("service.oidc.client_id", text(), "What the issuer calls this service."),
    Setting(
        "service.oidc.client_secret_file",
        file(),
        "The file that holds the secret shared with the issuer; or TREEGATE_SERVICE_OIDC_CLIENT_SECRET does.",
    ),
    Setting("service.oidc.scopes", list_of("a list of scopes", _word), "What is asked of the issuer."),
    Setting(
        "service.oidc.name_claim",
        text(),
        "The claim that is a person's name here; an `email` counts only if the issuer has verified it.",
    ),
    Setting("service.oidc.groups_claim", text(), "The claim that lists a person's groups."),
    Setting("service.oidc.people", roles(), "The role of each person. Whoever is in neither table is not let in."),
    Setting("service.oidc.groups", roles(), "The role of each group, for whoever `people` does not name."),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}


def value_of(config: Config, key: str) -> object:
    """What a configuration says for a key."""
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
