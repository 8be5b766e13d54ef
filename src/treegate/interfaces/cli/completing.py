"""Shell completion: the scripts for bash, zsh and fish, and the answers they ask for at the TAB key.

A script (`treegate completion SHELL`) calls the program with _TREEGATE_COMPLETE set and the words typed so far in
COMP_WORDS, as click has it. Nothing is written; whatever goes wrong only means that nothing is offered.
"""

from __future__ import annotations

import os
import re

import click
from click.shell_completion import CompletionItem, FishComplete, ShellComplete, ZshComplete, split_arg_string

from treegate.interfaces.cli import COMMANDS, COMPLETE, Overview, cli, offers

_BASH = r"""%(complete_func)s() {
    local IFS=$'\n' kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_FISH = r"""function %(complete_func)s
    set -l answer (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \
        COMP_CWORD=(commandline -ct | string collect) %(prog_name)s 2>/dev/null)
    for one in $answer
        set -l parts (string split --max 1 , -- $one)
        switch $parts[1]
            case plain
                printf '%%s\n' $parts[2]
            case file
                __fish_complete_path $parts[2]
            case dir
                __fish_complete_directories $parts[2]
        end
    end
end
complete --no-files --keep-order --command %(prog_name)s --arguments '(%(complete_func)s)'
"""


class _Aware(Overview):
    """The top-level command, as completion sees it: its commands are listed unloaded, and know the workspace."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=entry.says) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        return offers.prepare(command) if command else None


class _Whole(ShellComplete):
    """`--option=val` is one word for zsh and fish, so what is offered begins with the option too."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found = super().get_completions(args, incomplete)
        option, sign, _ = incomplete.partition("=")
        if sign and option.startswith("-"):
            return [CompletionItem(f"{option}={one.value}", one.type, one.help) for one in found]
        return found


class Bash(_Whole):
    """bash breaks words at `=` and `:` too, and takes what is offered literally: it is put together, and quoted."""

    name = "bash"
    source_template = _BASH
    _lead = ""  # of the word being typed, what bash takes for words of their own
    _quote = ""  # the quote in which it is being typed

    def get_completion_args(self) -> tuple[list[str], str]:
        text, at = os.environ["COMP_WORDS"], int(os.environ["COMP_CWORD"])
        given = text.split("\n") if "\n" in text else split_arg_string(text)
        typed = (given + [""])[: at + 1]
        words = _joined(typed)
        last = words[-1] if len(typed) > at else ""
        current = "" if typed[-1] in _BREAKS else typed[-1]
        self._lead, self._quote = _plain(last.removesuffix(current)), current[:1] if current[:1] in "\"'" else ""
        return [_plain(word) for word in words[1:-1]], _plain(last)

    def format_completion(self, item: CompletionItem[str]) -> str:
        value = item.value.removeprefix(self._lead)
        return f"{item.type},{_quoted(value, self._quote) if item.type == 'plain' else value}"


_BREAKS = ("=", ":")


def _joined(words: list[str]) -> list[str]:
    """Words as they were typed, from the pieces that bash makes of them."""
    whole: list[str] = []
    glue = False
    for word in words:
        sign = word in _BREAKS
        if whole and (sign or glue):
            whole[-1] += word
        else:
            whole.append(word)
        glue = sign
    return whole


def _plain(word: str) -> str:
    """A word without its quotes, which need not be closed yet."""
    return "".join(split_arg_string(word))


def _quoted(value: str, quote: str) -> str:
    """A value as it can stand in the shell, within the quote that was opened, if one was."""
    if quote == "'":
        return value.replace("'", "'\\''")
    return re.sub(r'["$`\\]' if quote else r"[^\w@%+=:,./-]", r"\\\g<0>", value)


class Zsh(_Whole, ZshComplete):
    """zsh quotes by itself."""


class Fish(_Whole, FishComplete):
    """fish quotes by itself."""

    source_template = _FISH


_SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def _of(shell: str) -> ShellComplete:
    aware = _Aware("treegate", params=cli.params, context_settings=cli.context_settings)
    return _SHELLS[shell](aware, {}, "treegate", COMPLETE)


def script(shell: str) -> str:
    """The script that a shell reads."""
    return _of(shell).source()


def answer(instruction: str) -> int:
    """Prints what a script asks for, such as "bash_complete"; the exit status."""
    shell, _, asked = instruction.partition("_")
    try:
        text = script(shell) if asked == "source" else _of(shell).complete()
    except Exception:
        return 1
    click.echo(text.encode("utf-8", "surrogateescape"))
    return 0
