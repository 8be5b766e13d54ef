"""The Docker daemon, by its SDK: the one module that imports it.

Everything that the daemon or the way to it refuses comes out as an error of treegate that says what to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import docker
import docker.errors
import docker.types
import docker.utils
import requests

from treegate.engine.sandbox import bounds
from treegate.engine.sandbox.docker import BUILD, Mount, Spec
from treegate.errors import TreegateError, UsageError

_GONE_WITHIN = 5.0  # seconds in which a daemon that does not answer is asked again to remove something
_OOM_SCORE = 500  # a command is killed before anything that matters
_SHARED_MEMORY = 64 << 20


def connect(seconds: float = 60.0) -> Daemon:
    """The daemon that DOCKER_HOST names, or the one at the usual socket; one that is silent for so long is given up.

    Raises UsageError: docker-absent, docker-denied.
    """
    with _refusals():
        given = docker.utils.kwargs_from_env()
        return Daemon(docker.APIClient(version="auto", timeout=seconds, **given))


class Daemon:
    """A daemon that answers."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def image(self, name: str) -> str:
        """The id of an image, as good as a digest of all in it; raises UsageError image-missing, image-volumes."""
        try:
            with _refusals():
                found = self._api.inspect_image(name)
        except _Missing:
            text = f"Docker has no image {name!r}"
            hint = f"`{BUILD} --tag {name}` makes one from this machine's Python, without any registry"
            raise UsageError(text, code="image-missing", hint=hint, next=BUILD) from None
        if found["Config"].get("Volumes"):
            text = f"the image {name!r} has volumes of its own, which a command could fill without a limit"
            raise UsageError(text, code="image-volumes", hint="build it without VOLUME")
        return str(found["Id"])

    def known(self, name: str) -> str:
        """The id of an image; "" where there is none."""
        try:
            with _refusals():
                return str(self._api.inspect_image(name)["Id"])
        except _Missing:
            return ""

    def remove_image(self, id: str) -> None:
        """Removes an image that has no other name; one that some container uses stays."""
        with contextlib.suppress(TreegateError), _refusals():
            self._api.remove_image(id)

    def create(self, spec: Spec, image: str) -> str:
        """A container, not yet started; its id."""
        if spec.user.partition(":")[0] in ("", "0", "root") and not spec.capabilities:
            raise UsageError("a command is never run as root", code="sandbox-root")
        with _refusals():
            made = self._api.create_container(
                image,
                entrypoint=list(spec.command),
                name=spec.name,
                user=spec.user,
                working_dir=spec.folder,
                environment=spec.environment,
                labels=spec.labels,
                hostname="sandbox",
                network_disabled=True,
                stdin_open=spec.asked,
                healthcheck={"Test": ["NONE"]},
                host_config=self._bounds(spec),
            )
        return str(made["Id"])

    def _bounds(self, spec: Spec) -> Any:
        limits = spec.limits
        return self._api.create_host_config(
            mounts=[_mount(one) for one in spec.mounts],
            mem_limit=limits.memory,
            memswap_limit=limits.memory,
            nano_cpus=round(limits.processors * 1e9),
            pids_limit=limits.processes,
            ulimits=[_ulimit(name, most) for name, most in bounds.everywhere(limits).items()],
            shm_size=min(limits.temporary, _SHARED_MEMORY),
            tmpfs={"/tmp": f"rw,exec,nosuid,nodev,size={limits.temporary},mode=1777"},
            log_config=docker.types.LogConfig(type="none"),
            cap_drop=["ALL"],
            cap_add=list(spec.capabilities),
            security_opt=["no-new-privileges", *([f"seccomp={spec.seccomp}"] if spec.seccomp else [])],
            read_only=True,
            network_mode="none",
            ipc_mode="private",
            init=True,
            oom_score_adj=_OOM_SCORE,
        )

    def attach(self, name: str, *, asked: bool = False) -> Any:
        """A raw socket of what a container writes from its start on, and, `asked`, of what it reads."""
        with _refusals():
            found = self._api.attach_socket(name, {"stdin": int(asked), "stdout": 1, "stderr": 1, "stream": 1})
        held = getattr(found, "_sock", found)
        held.settimeout(None)  # a command may be silent for as long as it likes
        return held

    def start(self, name: str) -> None:
        """Starts what was created."""
        with _refusals():
            self._api.start(name)

    def wait(self, name: str) -> int:
        """Until a container has ended, and all in it; its status. 137 where somebody removed it meanwhile."""
        try:
            with _refusals():
                return int(self._api.wait(name, timeout=None)["StatusCode"])
        except _Missing:
            return 137

    def out_of_memory(self, name: str) -> bool:
        """Whether something in a container was killed because it had no more memory."""
        try:
            with _refusals():
                return bool(self._api.inspect_container(name)["State"]["OOMKilled"])
        except _Missing:
            return False

    def kill(self, name: str) -> None:
        """Ends a container; fine if it does not run."""
        with contextlib.suppress(TreegateError), _refusals():
            self._api.kill(name)

    def remove(self, name: str) -> None:
        """Removes a container, running or not, with its volumes that have no names; fine if there is none."""
        self._away(lambda: self._api.remove_container(name, v=True, force=True))

    def make_volume(self, name: str, labels: Mapping[str, str], options: Mapping[str, str] | None = None) -> str:
        """A volume of the driver `local`; where it lies on the daemon's machine."""
        with _refusals():
            made = self._api.create_volume(name, driver="local", driver_opts=options, labels=dict(labels))
        return str(made["Mountpoint"])

    def remove_volume(self, name: str) -> None:
        """Removes a volume that no container uses any more; fine if there is none."""
        self._away(lambda: self._api.remove_volume(name, force=True))

    def clear(self, labels: Mapping[str, str]) -> list[str]:
        """Removes all containers and volumes that have these labels; what it removed, in words."""
        filters = {"label": [f"{name}={value}" for name, value in labels.items()]}
        with _refusals():
            containers = [one["Id"] for one in self._api.containers(all=True, filters=filters)]
            volumes = [one["Name"] for one in self._api.volumes(filters=filters)["Volumes"] or []]
        for one in containers:
            self.remove(one)
        for one in volumes:
            self.remove_volume(one)
        return [*(f"container {one[:12]}" for one in containers), *(f"volume {one}" for one in volumes)]

    def put(self, name: str, folder: str, archive: bytes) -> None:
        """Lays what is in a tar archive into a folder of a container that need not run."""
        with _refusals():
            self._api.put_archive(name, folder, archive)

    def import_image(self, archive: BinaryIO, tag: str, changes: list[str]) -> str:
        """An image from the archive of a whole tree; its id."""
        name, _, version = tag.partition(":")
        with _refusals():
            said = self._api.import_image(archive, repository=name, tag=version or "latest", changes=changes)
        told = [json.loads(line) for line in said.splitlines()]
        if error := next((one["error"] for one in told if "error" in one), ""):
            raise UsageError(f"Docker did not take the image: {error}", code="docker-refused")
        return str(told[-1]["status"])

    def about(self) -> dict[str, Any]:
        """What the daemon says of itself."""
        with _refusals():
            return dict(self._api.info())

    def _away(self, removal: Callable[[], object]) -> None:
        """Removes something, also where another is just doing it, or the daemon is being started anew."""
        deadline = time.monotonic() + _GONE_WITHIN
        while True:
            try:
                with _refusals():
                    removal()
                return
            except _Missing:
                return
            except TreegateError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)


class _Missing(UsageError):
    """The daemon has no such thing."""


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What Docker, the SDK and the way to the daemon raise, as errors of ours."""
    try:
        yield
    except docker.errors.NotFound as error:
        raise _Missing(_said(error), code="docker-missing") from None
    except docker.errors.APIError as error:
        raise UsageError(f"Docker refused: {_said(error)}", code="docker-refused", next="treegate doctor") from None
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise _unreachable(error) from None


def _said(error: docker.errors.APIError) -> str:
    return str(error.explanation or error)


def _unreachable(error: BaseException) -> UsageError:
    where = os.environ.get("DOCKER_HOST", "its usual socket")
    causes = " ".join(repr(one) for one in _causes(error))
    if "PermissionError" in causes:
        text, hint = (
            f"this user may not talk to Docker at {where}",
            "add it to the group docker, or run as root",
        )
        return UsageError(text, code="docker-denied", hint=hint, next="treegate doctor")
    if "FileNotFoundError" in causes or "ConnectionRefusedError" in causes:
        text, hint = f"no Docker daemon answers at {where}", "start it, set DOCKER_HOST, or use the engine bwrap"
        return UsageError(text, code="docker-absent", hint=hint, next="treegate doctor")
    text = f"the Docker daemon at {where} stopped answering: {error}"
    return UsageError(text, code="docker-lost", hint="see whether it runs, and try again", next="treegate doctor")


def _causes(error: BaseException | None) -> Iterator[object]:
    """An error, what it holds, and what led to it: libraries wrap what the system said in several layers."""
    while error is not None:
        yield error
        yield from error.args
        error = error.__cause__ or error.__context__


def _mount(one: Mount) -> Any:
    """A mount as the daemon takes it; nothing that is mounted below it comes along."""
    if one.volume:
        return docker.types.Mount(one.inside, one.source, type="volume", read_only=one.read_only, no_copy=True)
    spread = "rslave" if one.inner else "rprivate"  # the daemon insists on it for what is its own
    made = docker.types.Mount(one.inside, one.source, type="bind", read_only=one.read_only, propagation=spread)
    made["BindOptions"]["NonRecursive"] = True
    return made


def _ulimit(name: str, most: int) -> Any:
    return docker.types.Ulimit(name=name, soft=most, hard=most)
