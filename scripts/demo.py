# SPDX-License-Identifier: Apache-2.0
"""make demo: Berth in action, all of it on this machine's loopback.

    demo.py           shows it, then stops what it started
    demo.py --keep    leaves it running and says how to use and how to stop it
    demo.py --stop    stops what --keep left running
"""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import sys
import tempfile
import time

import demo_admission
from berth_test import examples, images, paths
from berth_test.control_plane import ControlPlane
from berth_test.emulator import CREDENTIALS, Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.operator import Operator
from berth_test.process import Process
from berth_test.wait import wait_for

DRIFT_INTERVAL = "10s"
MEND_S = 45
BASE_LAYER_BYTES = 8 << 20
OWN_LAYER_BYTES = 256 << 10
PROGRAMS = ("ecr-emulator", "berth-operator")
FIRST = "team-a/hello"

_IS_COLOURED = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if _IS_COLOURED else text


def title(text: str) -> None:
    print("\n" + paint("1", text), flush=True)


@contextlib.contextmanager
def step(text: str):
    """One line: what is done, then how long it took. The yielded list takes what to add to it."""
    began = time.monotonic()
    notes: list[str] = []
    print(f"  {text:<40}", end="", flush=True)
    try:
        yield notes
    except BaseException:
        print(paint("31", " failed"), flush=True)
        raise
    print(f" {time.monotonic() - began:5.1f} s  {' '.join(notes)}".rstrip(), flush=True)


def size(number: int) -> str:
    return f"{number / (1 << 20):.1f} MiB" if number >= 1 << 20 else f"{number / 1024:.0f} KiB"


def table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    for i, row in enumerate([head, *rows]):
        line = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        print("  " + (paint("2", line) if i == 0 else line))
    sys.stdout.flush()


# --- what runs -----------------------------------------------------------------------------------


class Demo:
    """The three programs and where their state is."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.stack = contextlib.ExitStack()
        self.running: dict[int, str] = {}
        if keep:
            self.directory = kept_directory()
            self.directory.mkdir(parents=True)
        else:
            self.directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-demo."))
        self.stack.callback(shutil.rmtree, self.directory, ignore_errors=True)

    def start(self) -> None:
        options = {"detached": self.keep}
        with step("etcd and kube-apiserver") as note:
            self.cluster = ControlPlane(
                directory=self.directory / "cluster", record=False, **options
            )
            self.stack.callback(self.cluster.stop)
            self._record(self.cluster.processes)
            note.append(f"https://127.0.0.1:{self.cluster.port}")
        with step("ecr-emulator") as note:
            self.emulator = Emulator(directory=self._made("emulator"), **options)
            self.stack.callback(self.emulator.stop)
            self._record([self.emulator.process])
            note.append(f"{self.emulator.endpoint}, account {self.emulator.account}")
        with step("custom resource definitions"):
            self.cluster.install_crds()
        with step("berth-operator") as note:
            kubeconfig = self.cluster.kubeconfig()
            self.operator = Operator(
                kubeconfig, demo_admission.config(), directory=self._made("operator"), **options
            )
            self.stack.push(self.operator)
            self._record([self.operator.process])
            note.append(f"http://{self.operator.address('metrics')}/metrics")
        with step("ValidatingWebhookConfiguration") as note:
            demo_admission.install(self.cluster, self.emulator, self.operator)
            note.append(f"https://{self.operator.address('webhook')}/validate")

    def _made(self, name: str) -> pathlib.Path:
        directory = self.directory / name
        directory.mkdir()
        return directory

    def _record(self, processes: list[Process]) -> None:
        """What --stop needs: the last one started is the first that is stopped."""
        self.running = {p.pid: p.argv[0] for p in reversed(processes)} | self.running
        (self.directory / "processes.json").write_text(json.dumps(self.running))

    def stop(self) -> None:
        self.stack.close()

    def leave_running(self) -> None:
        self.stack.pop_all()


def kept_directory() -> pathlib.Path:
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "berth" / "demo"


def stop_kept() -> int:
    """By process id, and only where the process is still the program that was started."""
    directory = kept_directory()
    if not directory.exists():
        print("no demo was left running")
        return 0
    file = directory / "processes.json"
    processes = json.loads(file.read_text()) if file.exists() else {}
    for pid, program in processes.items():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            started = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
            if started == program:
                os.kill(int(pid), signal.SIGTERM)
                wait_for(lambda p=pid: not is_running(p), 70, f"{program} ends")
                print(f"stopped {pathlib.Path(program).name} ({pid})")
    shutil.rmtree(directory)
    return 0


def is_running(pid: str) -> bool:
    try:
        return ") Z" not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


# --- what it shows -------------------------------------------------------------------------------


def covering(repository: str, templates: list[dict]) -> dict | None:
    """The template that ECR takes for a push: the longest prefix by whole segments, ROOT last."""
    best = None
    for t in templates:
        prefix = t["spec"]["prefix"].rstrip("/")
        is_covering = prefix == "ROOT" or repository.startswith(prefix + "/")
        length = 0 if prefix == "ROOT" else len(prefix)
        if is_covering and "CREATE_ON_PUSH" in t["spec"]["appliedFor"]:
            if best is None or length > best[0]:
                best = (length, t)
    return best[1] if best else None


def second_repository(templates: list[dict]) -> str:
    """Of another template than the first one's, where there is one with the same encryption."""
    first = covering(FIRST, templates)
    for candidate in ("team-b/greeter", "greeter"):
        t = covering(candidate, templates)
        keys = "encryptionConfiguration"
        if t and t is not first and t["spec"].get(keys) == first["spec"].get(keys):
            return candidate
    return "team-a/greeter"


def apply_example(demo: Demo) -> list[dict]:
    documents = examples.load(paths.EXAMPLES / "quickstart", demo.emulator)
    for document in documents:
        if document["kind"] == SETTINGS:
            document["spec"]["driftInterval"] = DRIFT_INTERVAL
            document["spec"]["repositoryScanInterval"] = DRIFT_INTERVAL
    directory = demo.directory / "quickstart"
    directory.mkdir()
    examples.write(documents, directory)
    with step("kubectl apply -f examples/quickstart") as note:
        demo.cluster.kubectl("apply", "-f", str(directory))
        # the example as it is stands for what was applied: whoever applies it again (KEEP=1) keeps
        # the emulator's endpoint, and the operator stays away from AWS
        demo.cluster.kubectl(
            "apply", "set-last-applied", "--create-annotation", "-f",
            str(paths.EXAMPLES / "quickstart"),
        )  # fmt: skip
        note.append("with the emulator's endpoint, and short intervals")
    with step("all are Ready") as note:
        for document in documents:
            demo.cluster.kube.wait_ready(document["kind"], document["metadata"]["name"], 60)
        note.append(f"{len(documents)} objects")
    return [d for d in documents if d["kind"] == TEMPLATE]


def push_images(demo: Demo, templates: list[dict]) -> list[str]:
    base = images.random_layer(BASE_LAYER_BYTES, "usr/lib/base", is_gzipped=False)
    repositories = [FIRST, second_repository(templates)]
    state = demo.directory / "skopeo"
    state.mkdir()
    for i, repository in enumerate(repositories):
        layout = demo.directory / f"image-{i}"
        own = images.random_layer(OWN_LAYER_BYTES, "srv/app", is_gzipped=False)
        images.write_layout(layout, [base, own])
        with step(f"skopeo copy … {repository}") as note:
            images.push(demo.emulator, layout, repository, state)
            note.append(f"{size(len(base.blob) + len(own.blob))}, the repository did not exist")
    return repositories


def edit_behind(demo: Demo, templates: list[dict]) -> tuple[str, str, float]:
    """Changes one template in ECR itself; prefix, the value that is wanted back, when."""
    t = covering(FIRST, templates) or templates[0]
    prefix = t["spec"]["prefix"]
    wanted = t["spec"].get("imageTagMutability", "MUTABLE")
    wrong = "MUTABLE" if wanted != "MUTABLE" else "IMMUTABLE"
    with step("edit a template in ECR itself") as note:
        # as somebody with the console would
        demo.emulator.ecr.update_repository_creation_template(
            prefix=demo.emulator.templates()[prefix.rstrip("/")]["prefix"],
            imageTagMutability=wrong,
        )
        note.append(f"{prefix}: imageTagMutability {wanted} -> {wrong}")
    return prefix.rstrip("/"), wanted, time.monotonic()


def show_mended(demo: Demo, prefix: str, wanted: str, edited: float) -> None:
    with step("the operator mends it") as note:
        wait_for(
            lambda: demo.emulator.template(prefix)["imageTagMutability"] == wanted,
            MEND_S,
            f"imageTagMutability of {prefix} is {wanted} again",
        )
        after = time.monotonic() - edited
        note.append(f"{prefix}: {wanted} again, {after:.0f} s after the edit")


def show_repositories(
    demo: Demo, repositories: list[str], templates: list[dict], only: list[str] | None = None
) -> None:
    ecr, rows = demo.emulator.ecr, []
    found = demo.emulator.repositories()
    missing = [r for r in repositories if r not in found]
    if missing:
        raise AssertionError(f"not created by the push: {missing}")
    for name, repository in sorted(found.items()):
        if only is not None and name not in only:
            continue
        t = covering(name, templates)
        tags = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        rows.append(
            [
                name,
                t["metadata"]["name"] if t else "-",
                repository["imageTagMutability"],
                repository["encryptionConfiguration"]["encryptionType"],
                "yes" if has_policy(ecr.get_lifecycle_policy, name) else "no",
                "yes" if has_policy(ecr.get_repository_policy, name) else "no",
                ",".join(f"{x['Key']}={x['Value']}" for x in tags) or "-",
            ]
        )
    head = ["REPOSITORY", "TEMPLATE", "MUTABILITY", "ENCRYPTION", "LIFECYCLE", "POLICY", "TAGS"]
    table(head, rows)


def has_policy(get, repository: str) -> bool:
    try:
        get(repositoryName=repository)
    except Exception as e:  # botocore makes its exception types at run time
        if "PolicyNotFound" in type(e).__name__:
            return False
        raise
    return True


def show_bytes(demo: Demo) -> None:
    stats = demo.emulator.control("GET", "stats")
    mounted, uploaded = stats["bytesMounted"], stats["bytesUploaded"]
    share = 100 * mounted / (mounted + uploaded)
    print(
        "  "
        + paint("32", f"{mounted:,} bytes ({size(mounted)}) were mounted instead of uploaded")
        + f"; {uploaded:,} bytes ({size(uploaded)}) were uploaded: {share:.0f} % saved"
    )
    if mounted == 0:
        raise AssertionError("nothing was mounted")


def show_kept(demo: Demo) -> None:
    environment = {
        "KUBECONFIG": demo.cluster.kubeconfig(),
        "AWS_ENDPOINT_URL": demo.emulator.endpoint,
        "AWS_DEFAULT_REGION": demo.emulator.region,
        **CREDENTIALS,
    }
    title("It goes on running")
    for name, value in environment.items():
        print(f"  export {name}={shlex.quote(str(value))}")
    print(
        f"\n  kubectl   {demo.cluster.kubectl_path}\n"
        f"  aws       {pathlib.Path(sys.executable).parent / 'aws'}\n"
        f"  registry  {demo.emulator.registry} (user AWS; password: aws ecr get-login-password)\n"
        f"  metrics   http://{demo.operator.address('metrics')}/metrics\n"
        f"  logs      {demo.directory}/*/*.err\n"
        f"\n  stop it   make demo-stop"
    )


def show(demo: Demo) -> None:
    title("Starting, on loopback only")
    demo.start()
    title("Declaring")
    templates = apply_example(demo)
    title("Pushing to repositories that do not exist")
    repositories = push_images(demo, templates)
    title("Drift")
    show_mended(demo, *edit_behind(demo, templates))
    title("$ kubectl get ecr")
    print("  " + demo.cluster.kubectl("get", "ecr").rstrip().replace("\n", "\n  "))
    title("Repositories in ECR, and what each got from its template")
    show_repositories(demo, repositories, templates)
    title("Blob mounting")
    show_bytes(demo)
    title("Workloads, and their repositories before they are admitted")
    made = demo_admission.show(demo.cluster, demo.emulator, step, paint)
    covered = [t for t in templates if t["spec"]["prefix"] != "ROOT"]
    show_repositories(demo, made, covered, only=made)


def check_programs() -> None:
    missing = [p for p in PROGRAMS if not (paths.BIN / p).exists()]
    if not paths.CRDS.exists():
        missing.append(str(paths.CRDS.relative_to(paths.SOURCE)))
    if not shutil.which("skopeo"):
        missing.append("skopeo (make deps)")
    if missing:
        sys.exit(f"error: missing: {', '.join(missing)}; run make build")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--stop", action="store_true")
    options = parser.parse_args()
    if options.stop:
        return stop_kept()
    check_programs()
    if options.keep and kept_directory().exists():
        sys.exit("error: a demo was left running: make demo-stop")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    demo = Demo(options.keep)
    try:
        show(demo)
        if options.keep:
            demo.leave_running()
            show_kept(demo)
            return 0
    except KeyboardInterrupt:
        print("\ninterrupted: stopping", file=sys.stderr)
        return 130
    except Exception as e:  # the message has the end of the log of the program that failed
        print(f"error: {e}", file=sys.stderr)
        return 1
    finally:
        demo.stop()
    print(f"\nEverything is stopped again. {time.monotonic() - began:.0f} s in all;"
          " make demo KEEP=1 leaves it running.")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
