"""Usage comes from this server's own cgroup, of either version, and never from somebody else's."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.kit.telemetry import usage
from functions.kit.telemetry.usage import Container, Meter, Reading, between

BUSY = [sys.executable, "-S", "-E", "-c", "while True: pass"]
V2_MOUNT = "30 20 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "3{n} 20 0:3{n} {root} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"


class Tree:
    """A file tree with /proc and /sys as a container would see it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def v2(self, path: str = "/", mounted: str = "/", **files: str) -> Tree:
        self.write("proc/self/cgroup", f"0::{path}\n")
        self.write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda rw\n" + V2_MOUNT.format(root=mounted))
        inside = path[len(mounted.rstrip("/")) :].strip("/")
        for name, text in {
            "cgroup.events": "populated 1\n",
            "cgroup.procs": f"{os.getpid()}\n",
            "cpu.stat": "usage_usec 1500000\nuser_usec 1\nnr_throttled 3\nthrottled_usec 250000\n",
            "cpu.max": "20000 100000\n",
            "memory.current": "104857600\n",
            "memory.stat": "anon 1\ninactive_file 4857600\n",
            "memory.max": "536870912\n",
            **{key.replace("_", ".", 1): value for key, value in files.items()},
        }.items():
            self.write(f"sys/fs/cgroup/{inside}/{name}", text)
        return self

    def v1(self, path: str, mounted: str, controllers: dict[str, dict[str, str]], members: str = "") -> Tree:
        lines = [f"{n}:{name}:{path}\n" for n, name in enumerate(controllers)]
        self.write("proc/self/cgroup", "".join(lines) + "0::/\n")
        mounts = [V1_MOUNT.format(n=n, name=name, root=mounted) for n, name in enumerate(controllers)]
        self.write("proc/self/mountinfo", "".join(mounts))
        inside = path[len(mounted.rstrip("/")) :].strip("/") if path.startswith(mounted) else ""
        for name, files in controllers.items():
            self.write(f"sys/fs/cgroup/{name}/{inside}/cgroup.procs", members or f"{os.getpid()}\n")
            for file, text in files.items():
                self.write(f"sys/fs/cgroup/{name}/{inside}/{file}", text)
        return self


V1 = {
    "cpu": {
        "cpu.cfs_quota_us": "50000\n",
        "cpu.cfs_period_us": "100000\n",
        "cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 300000000\n",
    },
    "cpuacct": {"cpuacct.usage": "2500000000\n"},
    "memory": {
        "memory.usage_in_bytes": "83886080\n",
        "memory.stat": "cache 9\ntotal_inactive_file 3886080\n",
        "memory.limit_in_bytes": "268435456\n",
    },
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_v2_in_a_namespace_of_its_own(tree: Tree) -> None:
    container = Container(tree.v2().root)
    reading = container.read()
    assert (container.source, container.memory_source) == ("cgroup v2", "cgroup v2")
    assert (reading.cpu, reading.throttled, reading.memory) == (1.5, 0.25, 100_000_000)
    assert container.quota() == pytest.approx(0.2)
    assert container.memory_limit() == 512 * 2**20
    assert container.memory_total() == 512 * 2**20
    assert container.memory_free() == 512 * 2**20 - 100_000_000


def test_v2_seen_from_the_host_walks_up_to_the_tightest_quota(tree: Tree) -> None:
    tree.v2("/kubepods/pod1/c1", cpu_max="max 100000\n", memory_max="max\n")
    tree.write("sys/fs/cgroup/kubepods/pod1/cpu.max", "30000 100000\n")
    tree.write("sys/fs/cgroup/kubepods/cpu.max", "80000 100000\n")
    tree.write("sys/fs/cgroup/kubepods/pod1/memory.max", "1048576000\n")
    container = Container(tree.root)
    assert container.source == "cgroup v2"
    assert container.quota() == pytest.approx(0.3)
    assert container.memory_limit() == 1_048_576_000


def test_v2_bind_mounted_below_its_own_path(tree: Tree) -> None:
    assert Container(tree.v2("/docker/abc", mounted="/docker/abc").root).read().cpu == 1.5


def test_v2_path_outside_the_namespace_takes_what_is_mounted(tree: Tree) -> None:
    tree.v2("/")
    tree.write("proc/self/cgroup", "0::/../../elsewhere\n")
    assert Container(tree.root).read().cpu == 1.5


@pytest.mark.parametrize("path", ["/docker/abc", "/../x"])
def test_v1_each_controller_found_by_itself(tree: Tree, path: str) -> None:
    container = Container(tree.v1(path, "/docker/abc", V1).root)
    reading = container.read()
    assert (container.source, container.memory_source) == ("cgroup v1", "cgroup v1")
    assert (reading.cpu, reading.throttled, reading.memory) == (2.5, 0.3, 80_000_000)
    assert container.quota() == pytest.approx(0.5)
    assert container.memory_limit() == 256 * 2**20


def test_v1_without_limits(tree: Tree) -> None:
    controllers = {
        **V1,
        "cpu": {**V1["cpu"], "cpu.cfs_quota_us": "-1\n"},
        "memory": {**V1["memory"], "memory.limit_in_bytes": "9223372036854771712\n"},
    }
    container = Container(tree.v1("/a", "/a", controllers).root)
    assert container.quota() == len(os.sched_getaffinity(0))
    assert container.memory_limit() is None
    assert container.memory_total() == 16_000_000 * 1024
    assert container.memory_free() == 8_000_000 * 1024


def test_hybrid_takes_memory_from_v2_and_cpu_from_v1(tree: Tree) -> None:
    tree.v1("/a", "/a", {name: V1[name] for name in ("cpu", "cpuacct")})
    tree.v2()
    tree.write("proc/self/cgroup", "1:cpu:/a\n2:cpuacct:/a\n0::/\n")
    mounts = "".join(V1_MOUNT.format(n=n, name=name, root="/a") for n, name in enumerate(("cpu", "cpuacct")))
    tree.write("proc/self/mountinfo", mounts + V2_MOUNT.format(root="/"))
    container = Container(tree.root)
    assert (container.source, container.memory_source) == ("cgroup v1", "cgroup v2")
    assert (container.read().cpu, container.read().memory) == (2.5, 100_000_000)


def test_the_machines_own_load_is_not_the_pods(tree: Tree) -> None:
    tree.v2()
    (tree.root / "sys/fs/cgroup/cgroup.events").unlink()  # only the root has none
    container = Container(tree.root)
    assert container.source == container.memory_source == "processes"
    assert container.quota() == len(os.sched_getaffinity(0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert container.read().cpu >= used.ru_utime + used.ru_stime
    assert container.read().throttled is None


def test_the_root_of_v1_is_not_the_pods_either(tree: Tree) -> None:
    tree.v1("/", "/", V1)
    for name in V1:
        tree.write(f"sys/fs/cgroup/{name}/release_agent", "\n")
    assert Container(tree.root).source == "processes"


@pytest.mark.parametrize("member", ["0", "1"], ids=["outside our namespace", "another session's"])
def test_a_cgroup_shared_with_others_is_not_the_pods(tree: Tree, member: str) -> None:
    if os.getsid(0) == os.getsid(1):
        pytest.skip("init is in our session")
    tree.v2(cgroup_procs=f"{os.getpid()}\n{member}\n")
    container = Container(tree.root)
    assert container.source == container.memory_source == "processes"
    assert container.quota() == pytest.approx(0.2), "its limits hold all the same"


def test_nothing_mounted_at_all(tmp_path: Path) -> None:
    container = Container(tmp_path)
    assert container.source == "processes"
    assert container.memory_limit() is None
    assert container.memory_free() == 0
    assert container.read().cpu > 0


def test_a_cgroup_that_goes_away_falls_back(tree: Tree) -> None:
    container = Container(tree.v2().root)
    (tree.root / "sys/fs/cgroup/cpu.stat").unlink()
    (tree.root / "sys/fs/cgroup/memory.current").unlink()
    assert container.read().cpu > 0


counters = st.floats(0, 1e9)


@given(counters, counters, counters, counters, st.floats(0.01, 512))
def test_between_is_never_negative_and_never_fails(t0: float, t1: float, c0: float, c1: float, quota: float) -> None:
    used = between(Reading(t0, c0, None, 1), Reading(t1, c1, 0.5, 2), quota)
    assert used.cores >= 0
    assert used.cpu_percent == pytest.approx(100 * used.cores / quota)
    assert used.throttled is None
    assert used.memory == 2


def test_between_is_the_formula() -> None:
    used = between(Reading(10, 5, 1, 0), Reading(12, 5.3, 1.5, 7), 0.2)
    assert (used.seconds, used.throttled, used.memory) == (2, 0.5, 7)
    assert used.cores == pytest.approx(0.15)
    assert used.cpu_percent == pytest.approx(75)


@pytest.fixture
def own_group() -> str:
    """A program that measures itself in a process group of its own, as a pod's server is."""
    return (
        f"import sys; sys.path.insert(0, {str(Path(usage.__file__).parents[3])!r})\n"
        "import subprocess, time\n"
        "from pathlib import Path\n"
        "from functions.kit.telemetry.usage import Container, between\n"
        "container = Container(Path('/nowhere'))\n"
        "container._tree._proc = Path('/proc')\n"
    )


def run_alone(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, start_new_session=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_children_and_theirs_are_counted_and_others_are_not(own_group: str) -> None:
    other = subprocess.Popen(BUSY, start_new_session=True)
    try:
        out = run_alone(
            own_group
            + f"child = subprocess.Popen(['sh', '-c', 'true; \"$@\"; true', 'sh', *{BUSY!r}])\n"
            + "from functions.kit.telemetry.processes import process_cpu\n"
            "while len(container._tree.living()) < 3: time.sleep(0.01)\n"
            "grandchild = container._tree.living()[-1]\n"
            "def used(): return process_cpu(grandchild) + process_cpu(child.pid) + time.process_time()\n"
            # Each reading lies between what was used just before and just after it.
            "a, first, b = used(), container.read(), used()\n"
            "while used() < b + 0.2: time.sleep(0.01)\n"
            "c, last, d = used(), container.read(), used()\n"
            "import os; os.kill(grandchild, 9); child.wait()\n"
            "print(c - b, last.cpu - first.cpu, d - a, container.read().cpu >= last.cpu)\n"
        )
        least, ours, most, monotonic = out.split()
        assert float(least) <= float(ours) <= float(most)
        assert monotonic == "True", "what a dead child used stays counted"
    finally:
        other.kill()
        other.wait()


class Clocked(Container):
    """A container whose readings are at the time of a clock that only a test and a sleep move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.reads = 100.0, 0
        monkeypatch.setattr(usage.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    def read(self) -> Reading:
        self.reads += 1
        return Reading(self.at, 0.0, None, 0)

    def quota(self) -> float:
        return 1.0


def test_meter_answers_the_second_question_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    container = Clocked(monkeypatch)
    meter = Meter(container)
    assert meter.sample().seconds >= usage.WINDOW
    container.sleep(usage.WINDOW)
    before = container.reads
    assert meter.sample().seconds >= usage.WINDOW
    assert container.reads == before + 1, "no wait when an earlier reading is old enough"


def test_meter_with_many_askers_keeps_a_reading_old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    container = Clocked(monkeypatch)
    meter = Meter(container)
    for _ in range(1000):
        container.sleep(0.013)
        assert usage.WINDOW <= meter.sample().seconds <= usage.LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("quota", [0.2, 0.5])
def test_a_real_cgroup_v1_agrees_with_the_kernel(tmp_path: Path, quota: float, own_group: str) -> None:
    groups = [Path("/sys/fs/cgroup") / name / f"pixelamp-test-{os.getpid()}" for name in ("cpu", "cpuacct")]
    try:
        for group in groups:
            group.mkdir()
        (groups[0] / "cpu.cfs_quota_us").write_text(str(int(quota * 100_000)))
    except OSError:
        pytest.skip("cgroups cannot be made here")
    try:
        program = (
            own_group.replace("Path('/nowhere')", "")
            + "child = subprocess.Popen(['sh', '-c', 'while :; do :; done'])\n"
            "from pathlib import Path\n"
            "def kernel():\n"
            "    stat = dict(line.split() for line in Path(sys.argv[2]).read_text().splitlines())\n"
            "    return int(Path(sys.argv[1]).read_text()) / 1e9, time.monotonic(), int(stat['throttled_time']) / 1e9\n"
            "a, first, b = kernel(), container.read(), kernel()\n"
            # Beside other load the quota may be reached late, or not at all.
            "while kernel()[2] - b[2] < 0.5 and time.monotonic() - b[1] < 20: time.sleep(0.1)\n"
            "c, last, d = kernel(), container.read(), kernel()\n"
            "child.kill(); child.wait()\n"
            "use, share = between(first, last, container.quota()), 100 / container.quota()\n"
            # This process is throttled too, between any two readings: ours lie between the kernel's on either side.
            "print(container.source.replace(' ', '_'), container.quota(), use.cpu_percent, use.throttled,"
            " share * (c[0] - b[0]) / (d[1] - a[1]), share * (d[0] - a[0]) / (c[1] - b[1]), c[2] - b[2], d[2] - a[2])\n"
        )
        kernel = (str(groups[1] / "cpuacct.usage"), str(groups[0] / "cpu.stat"))
        enter = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
        done = subprocess.run(
            ["sh", "-c", f'{enter} exec "$@"', "sh", sys.executable, "-c", program, *kernel],
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        assert done.returncode == 0, done.stderr
        source, *measured = done.stdout.split()
        measured_quota, ours, throttled, least, most, least_throttled, most_throttled = map(float, measured)
        assert source == "cgroup_v1"
        assert measured_quota == pytest.approx(quota)
        assert least - 0.1 <= ours <= most + 0.1
        assert least_throttled - 1e-6 <= throttled <= most_throttled + 1e-6
    finally:
        for group in groups:
            group.rmdir()
