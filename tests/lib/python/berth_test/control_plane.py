# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver on loopback, with certificates and tokens of their own."""

import json
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
import urllib.request

import yaml

from berth_test import paths
from berth_test.kube import ApiError, Kube
from berth_test.process import Process, free_port
from berth_test.recorder import Recorder
from berth_test.wait import wait_for

ADMIN = "admin"
OPERATOR = "berth-operator"
START_ATTEMPTS = 3
_PORT_TAKEN = "address already in use"


class PortTaken(Exception):
    pass


class ControlPlane:
    """Starts in a few seconds; nothing is written to disk for good (etcd does not sync).

    authorization: "AlwaysAllow", or "RBAC", where everybody but the admin has what roles say.
    audit: every request of a ServiceAccount is a line of JSON in audit.log; "writes": every create,
    update and patch of the admin is.
    record: install_crds() starts a recorder, and leaving the with statement fails where something
    that it saw breaks a rule.
    """

    def __init__(
        self,
        authorization: str = "AlwaysAllow",
        directory: pathlib.Path | None = None,
        detached: bool = False,
        audit: bool | str = False,
        flags: tuple[str, ...] = (),
        record: bool = True,
    ) -> None:
        self._records = record
        self.recorder: Recorder | None = None
        self._bin = paths.control_plane_dir()
        self._owns_directory = directory is None
        self.directory = directory or pathlib.Path(tempfile.mkdtemp(prefix="berth-cluster."))
        self.directory.mkdir(parents=True, exist_ok=True)
        self._authorization = authorization
        self._flags = (*flags, *(self._audit_flags(audit) if audit else ()))
        self._detached = detached
        self._tokens = {ADMIN: secrets.token_hex(16), OPERATOR: secrets.token_hex(16)}
        self.processes: list[Process] = []
        try:
            self._make_credentials()
            for attempt in range(START_ATTEMPTS):
                try:
                    self._start()
                    break
                except PortTaken:
                    self._stop_processes()
                    if attempt == START_ATTEMPTS - 1:
                        raise
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "ControlPlane":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if self.recorder is not None and kind is None:
                self.recorder.check()
                self.recorder.check_sent()
        finally:
            self.stop()

    # --- what tests use --------------------------------------------------------------------------

    def kubeconfig(self, user: str = ADMIN) -> pathlib.Path:
        path = self.directory / f"{user}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "berth",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.port}",
                        "certificate-authority": str(self.directory / "ca.crt"),
                    },
                }
            ],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "berth", "context": {"cluster": "berth", "user": user}}],
            "current-context": "berth",
        }
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Its stdout. Nothing of the user's own configuration is read."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "KUBECONFIG": str(self.kubeconfig()),
        }
        done = subprocess.run(
            [self._bin / "kubectl", *args], input=stdin, env=env, text=True, capture_output=True
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)} failed: {done.stderr}{done.stdout}")
        return done.stdout if check else done.stdout + done.stderr

    @property
    def kubectl_path(self) -> pathlib.Path:
        return self._bin / "kubectl"

    def token(self, user: str = ADMIN) -> str:
        return self._tokens[user]

    def client(self, user: str = ADMIN) -> Kube:
        return Kube("127.0.0.1", self.port, str(self.directory / "ca.crt"), self._tokens[user])

    def install_crds(self) -> None:
        self.kube.install_crds([d for d in yaml.safe_load_all(paths.CRDS.read_text()) if d])
        if self._records and self.recorder is None:
            self.recorder = Recorder(self.kube, list(self._tokens.values()))

    @property
    def apiserver(self) -> Process:
        (found,) = [p for p in self.processes if p.name == "kube-apiserver"]
        return found

    def kill_apiserver(self) -> None:
        """SIGKILL, as where a node loses power. etcd goes on."""
        self.apiserver.kill()

    def start_apiserver_again(self, *options: str) -> None:
        """After its process was killed: on the same port, with what etcd has. options: for this
        time, beyond the usual ones."""
        at = self.processes.index(self.apiserver)
        argv = [self._bin / "kube-apiserver", *self._apiserver_options(), *options]
        for attempt in range(START_ATTEMPTS):
            self.processes[at] = Process(
                "kube-apiserver", argv, self.directory, detached=self._detached
            )
            try:
                return self._wait_ready()
            except PortTaken:  # by a connection of somebody else's, for a moment
                if attempt == START_ATTEMPTS - 1:
                    raise

    def compact(self) -> int:
        """etcd forgets what was before its present revision, which is the result: a watch from an
        older one is told 410."""
        revision = self._etcd("kv/range", {"key": "AA=="})["header"]["revision"]
        self._etcd("kv/compaction", {"revision": revision, "physical": True})
        return int(revision)

    def _etcd(self, call: str, body: dict) -> dict:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.etcd_port}/v3/{call}", json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def excuse(self, kind: str, name: str, why: str) -> None:
        """The running test writes the status of that object itself: Recorder.excuse()."""
        if self.recorder is not None:
            self.recorder.excuse(kind, name, why)

    def stop(self) -> None:
        if self.recorder is not None:
            self.recorder.stop()
        self._stop_processes()
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # --- how it is started -----------------------------------------------------------------------

    def _make_credentials(self) -> None:
        d = self.directory
        _openssl(
            d,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"
            " -subj /CN=berth-test-ca -keyout ca.key -out ca.crt"
            " -addext keyUsage=critical,keyCertSign,cRLSign",
        )
        _openssl(
            d,
            "req -x509 -CA ca.crt -CAkey ca.key -newkey ec"
            " -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=kube-apiserver"
            " -keyout server.key -out server.crt"
            " -addext basicConstraints=critical,CA:FALSE"
            " -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth"
            " -addext subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc",
        )
        _openssl(d, "ecparam -name prime256v1 -genkey -noout -out service-account.key")
        (d / "tokens.csv").write_text(
            f'{self._tokens[ADMIN]},{ADMIN},{ADMIN},"system:masters"\n'
            f"{self._tokens[OPERATOR]},{OPERATOR},{OPERATOR}\n"
        )

    def _audit_flags(self, audit: bool | str) -> tuple[str, ...]:
        who: dict = {"userGroups": ["system:serviceaccounts"]}
        if audit == "writes":
            who = {"users": [ADMIN], "verbs": ["create", "update", "patch"]}
        policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", **who}, {"level": "None"}],
        }
        path = self.directory / "audit-policy.yaml"
        path.write_text(yaml.safe_dump(policy))
        return f"--audit-policy-file={path}", f"--audit-log-path={self.directory}/audit.log"

    def _start(self) -> None:
        self.etcd_port, self.port = free_port(), free_port()
        d = self.directory
        shutil.rmtree(d / "etcd", ignore_errors=True)
        self._spawn(
            "etcd",
            f"--data-dir={d}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{self.etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{self.etcd_port}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        self._spawn("kube-apiserver", *self._apiserver_options())
        self.kube = self.client()
        self._wait_ready()

    def _wait_ready(self) -> None:
        wait_for(
            self._is_ready, 60, lambda: f"kube-apiserver is ready\n{self.apiserver.log()}"
        )

    def _apiserver_options(self) -> list[str]:
        d = self.directory
        return [
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={d}/server.crt",
            f"--tls-private-key-file={d}/server.key",
            f"--token-auth-file={d}/tokens.csv",
            f"--client-ca-file={d}/ca.crt",
            f"--service-account-key-file={d}/service-account.key",
            f"--service-account-signing-key-file={d}/service-account.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--authorization-mode={self._authorization}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
            # there is no controller that would make the account "default"
            "--disable-admission-plugins=ServiceAccount",
            *self._flags,
        ]

    def _spawn(self, name: str, *args: str) -> Process:
        for old in self.directory.glob(f"{name}.*"):
            old.unlink()
        process = Process(name, [self._bin / name, *args], self.directory, detached=self._detached)
        self.processes.append(process)
        return process

    def _is_ready(self) -> bool:
        for process in self.processes:
            if process.exit_code() is not None:
                if _PORT_TAKEN in process.log(100000):
                    raise PortTaken(f"{process.name} found its port taken")
                process.assert_running()
        try:
            self.kube.request("GET", "/readyz")
            # events of cluster-scoped objects go here; it is made shortly after the start
            return self.kube.get("Namespace", "default") is not None
        except (OSError, ApiError, json.JSONDecodeError):
            return False

    def _stop_processes(self) -> None:
        # the API server would wait a minute for its watches; nothing of it is kept
        for process in reversed(self.processes):
            process.kill()
        self.processes = []


def _openssl(directory: pathlib.Path, arguments: str) -> None:
    """File names are relative to the directory, whose own name may have blanks."""
    done = subprocess.run(
        ["openssl", *arguments.split()], cwd=directory, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments} failed: {done.stderr}")
