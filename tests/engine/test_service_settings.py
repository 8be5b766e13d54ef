"""Claims about the `[service]` part of treegate.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from treegate.engine.config import Config, Service
from treegate.engine.configfile import FILE, load
from treegate.errors import UsageError
from treegate.model.measures import HOUR, MIB


def given(folder: Path, text: str, **environ: str) -> Service:
    (folder / FILE).write_text(text)
    return load(folder, environ).service


def test_values_arrive_in_their_units(tmp_path: Path) -> None:
    """Sizes in bytes, durations in ms, people with their roles."""
    text = """
[service]
public_url = "https://gate.example/"
hosts = ["gate.local", "[fd00::1]"]
proxies = ["10.0.0.0/8"]
body = "1 MiB"
session_idle = "1h"
[service.oidc]
issuer = "https://accounts.example/realms/firm"
[service.oidc.people]
"rita@example.org" = "reviewer"
"""
    service = given(tmp_path, text)
    assert (service.public_url, service.body, service.session_idle) == ("https://gate.example", MIB, HOUR)
    assert (service.hosts, service.proxies) == (("gate.local", "[fd00::1]"), ("10.0.0.0/8",))
    assert service.oidc.people == {"rita@example.org": "reviewer"}


def test_variables_win_and_the_secret_is_no_setting(tmp_path: Path) -> None:
    """The issuer's secret may stand in a variable, which nothing that is shown holds."""
    found = given(tmp_path, "", TREEGATE_SERVICE_PORT="9000", TREEGATE_SERVICE_OIDC_CLIENT_SECRET="hush")
    assert found.port == 9000
    assert "hush" not in repr(found)
    assert given(tmp_path, "") == Config().service


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[service]\nport = 70000", "line 2: service.port: must be a port"),
        ('[service]\npublic_url = "gate.example"', "must be an address such as"),
        ('[service]\npublic_url = "https://gate.example/under"', "without a path"),
        ('[service]\npublic_url = "https://u:p@gate.example"', "must be an address such as"),
        ('[service]\nhosts = ["a b"]', "neither the name of a machine nor an address"),
        ('[service]\nproxies = ["proxy"]', "write an address, or a range"),
        ('[service]\nmetrics = "all"', 'must be one of "loopback", "token", "open"'),
        ('[service.oidc]\nclient_secret = "x"', "secrets come from variables or files of their own"),
        ('[service.oidc]\nclient_secret_file = "x"', "must be the absolute path of a file"),
        ('[service.oidc.people]\n"rita" = "king"', "line 2: service.oidc.people.rita: must be one of"),
        ('[service]\nhots = []', "did you mean service.hosts?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    """A sentence, the key and where it stands."""
    with pytest.raises(UsageError) as caught:
        given(tmp_path, text)
    assert says in caught.value.message


def test_an_unknown_variable_of_the_service_is_refused(tmp_path: Path) -> None:
    """A typing error in a variable is not passed over."""
    with pytest.raises(UsageError) as caught:
        given(tmp_path, "", TREEGATE_SERVICE_PROT="1")
    assert "TREEGATE_SERVICE_PROT" in caught.value.message
