"""A real SLURM, controller and two nodes on the loopback interface: `make test-cluster`, skipped where it is not
installed.

Debian and Ubuntu: ``apt-get install slurmctld slurmd slurm-client munge``; as root, since a node starts its users'
processes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from .conftest import GATE, Project
from .test_run import gone, wait_for

NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue", "munged")
MISSING = [name for name in NEEDED if shutil.which(name) is None and not Path("/usr/sbin", name).exists()]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason=f"no SLURM here ({', '.join(MISSING)})"),
    pytest.mark.skipif(os.geteuid() != 0, reason="SLURM's nodes must be started by root"),
]
CONFIGURATION = """\
ClusterName=bench
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,defer_batch=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
KillWait=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Slurm:
    """A running cluster."""

    environment: dict[str, str]

    def __call__(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    def jobs(self, state: str = "RUNNING") -> list[str]:
        return self("squeue", "--noheader", "--format=%i", f"--states={state}").split()


def free_ports() -> tuple[int, int, int]:
    """Three ports, the last two beside each other."""
    for first in range(26821, 27821, 3):
        try:
            for port in range(first, first + 3):
                with socket.socket() as candidate:
                    candidate.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first, first + 1, first + 2
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    controller, first, second = free_ports()
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    configuration = folder / "slurm.conf"
    values = {
        "folder": folder,
        "host": socket.gethostname(),
        "controller": controller,
        "first": first,
        "second": second,
    }
    configuration.write_text(CONFIGURATION.format(**values))
    queue = {
        "jobqueue": {
            "slurm": {
                "interface": "lo",
                "memory": "1GB",
                "job-cpu": 1,
                "local-directory": str(folder),
                "death-timeout": 30,
            }
        }
    }
    (folder / "dask.yaml").write_text(yaml.safe_dump(queue))
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    environment = {
        **os.environ,
        "PATH": path,
        "SLURM_CONF": str(configuration),
        "DASK_CONFIG": str(folder / "dask.yaml"),
    }
    munge = [
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munge.pid",
    ]
    daemons = [[*munge, f"--seed-file={folder}/munge.seed", f"--log-file={folder}/munge.log"], ["slurmctld", "-D"]]
    daemons += [["slurmd", "-D", "-N", node] for node in ("n1", "n2")]
    running = []
    try:
        for number, daemon in enumerate(daemons):
            log = (folder / f"daemon-{number}.log").open("wb")
            running.append(
                subprocess.Popen(daemon, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            )
            time.sleep(1.0 if number < 2 else 0.0)
        cluster = Slurm(environment)
        wait_for(lambda: cluster("sinfo", "--noheader", "--states=idle", "--format=%D") == "2")
        yield cluster
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, check=False, capture_output=True)
        for process in reversed(running):
            process.terminate()
            process.wait(timeout=30)


class ClusterProject(Project):
    """A project whose commands see the cluster."""

    extra: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        found = super().environment
        return {
            **found,
            **{name: self.extra[name] for name in ("SLURM_CONF", "DASK_CONFIG")},
            "PATH": f"{found['PATH']}:/usr/sbin",
        }


@pytest.fixture
def project(fresh: Project, slurm: Slurm) -> ClusterProject:
    found = ClusterProject(fresh.root)
    found.extra = slurm.environment
    return found


def test_a_cluster_leaves_what_a_serial_run_leaves(serial: Project, project: ClusterProject, slurm: Slurm) -> None:
    said = project.bench("run", "--on", "slurm", "--workers", "2")
    assert "14 run" in said
    assert (project.results(), project.lock()) == (serial.results(), serial.lock())
    assert project.repro() == []
    wait_for(lambda: not slurm.jobs("PENDING,RUNNING,COMPLETING"))


def test_a_killed_job_is_replaced_and_a_killed_coordinator_leaves_no_stage(
    serial: Project, project: ClusterProject, slurm: Slurm
) -> None:
    gate = project.root / GATE
    gate.unlink()
    run = project.start("run", "--on", "slurm", "--workers", "2")
    try:
        wait_for(lambda: "page:" in project.lock_text(), 120)
        before = wait_for(lambda: len(found := slurm.jobs()) == 2 and found)
        stages = wait_for(lambda: at_the_gate(project))
        slurm("scancel", "--signal=KILL", "--full", *before)
        wait_for(lambda: all(gone(stage) for stage in stages))
        wait_for(lambda: set(slurm.jobs()) - set(before), 120)
        stages = wait_for(lambda: at_the_gate(project), 120)
        run.kill()
        run.wait()
        wait_for(lambda: all(gone(stage) for stage in stages))
        wait_for(lambda: not slurm.jobs("PENDING,RUNNING,COMPLETING"), 120)
    finally:
        run.kill()
        run.communicate()
        gate.touch()
    assert "12 unchanged, 0 from the run cache, 2 run" in project.bench("run", "--on", "slurm", "--workers", "1")
    assert (project.results(), project.lock()) == (serial.results(), serial.lock())


def at_the_gate(project: Project) -> list[object]:
    """The shells of the stage ``slow`` of a project, on all nodes."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = process.info["cmdline"] or [""]
        if command[0].endswith("bash") and GATE in command[-1] and process.info["cwd"] == str(project.root):
            found.append(process)
    return found
