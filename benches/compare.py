#!/usr/bin/env python3
"""compare.py: the standard deploy in Windlass and in other tools, side by side. Needs root, openssh-server, iproute2, rustc.

  compare.py [--hosts 1,24,100] [--sizes 1,20] [--rtt 0,20] [--peers NAME,...] [-n REPS] [--venv DIR] WORKDIR

For each column (hosts, MiB, round trip in ms) the peers take turns, A B C A B C, each with a first deploy on empty hosts and a second
one at once after it. Prints the medians as two tables: seconds of wall, in brackets seconds of CPU of the tool and all that it starts.
Peers that are not installed are left out: ansible, pyinfra and fabric are looked for in the venv.
"""
import argparse, ctypes, os, signal, statistics, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
CGROUP = "/sys/fs/cgroup/cpuacct"
X25519 = "SSH_OPTS=-oKexAlgorithms=curve25519-sha256"
# name: (command, command of the second run, program that it needs)
PEERS = {
    "lower-x25519": (f"env {X25519} ./lower.sh first", f"env {X25519} ./lower.sh noop", None),
    "windlass": ("./windlass.sh", "./windlass.sh", None),
    "fabric": ("./py.sh fabric_deploy.py", "./py.sh fabric_deploy.py", "fab"),
    "pyinfra": ("./pyinfra.sh", "./pyinfra.sh", "pyinfra"),
    "ansible-pipelining": ("./ansible.sh pipe", "./ansible.sh pipe", "ansible-playbook"),
}

def usage():
    try:
        with open(f"{CGROUP}/windlass-bench/cpuacct.usage") as f:
            return int(f.read()) / 1e9
    except OSError:
        return resource_usage()

def resource_usage():
    t = os.times()
    return t.children_user + t.children_system

def enter():
    try:
        os.makedirs(f"{CGROUP}/windlass-bench", exist_ok=True)
        with open(f"{CGROUP}/windlass-bench/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))
    except OSError:
        pass

def timed(command, env, log, limit):
    before, start = usage(), time.perf_counter()
    process = subprocess.Popen(["bash", "-c", command], cwd=f"{HERE}/peers", env=env, stdin=subprocess.DEVNULL,
                               stdout=log, stderr=subprocess.STDOUT, preexec_fn=enter, start_new_session=True)
    timer = threading.Timer(limit, lambda: os.killpg(process.pid, signal.SIGTERM))
    timer.start()
    code = process.wait()
    wall = time.perf_counter() - start
    timer.cancel()
    while True:  # what a tool leaves behind is reaped here
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
    if code != 0:
        sys.exit(f"{command} ended with exit status {code}; see {log.name}")
    return wall, usage() - before

def lab(*words, env):
    subprocess.run([f"{HERE}/lab.sh", *words], env=env, check=True, stdout=subprocess.DEVNULL)

def table(title, columns, names, cells):
    print(f"\n{title}\n\n| | " + " | ".join(f"{h} host{'s' * (h > 1)}, {s} MiB, {r} ms" for h, s, r in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name in names:
        row = [cells.get((name, column)) for column in columns]
        print(f"| {name} | " + " | ".join("" if not c else f"{c[0]:.2f} ({c[1]:.2f})" for c in row) + " |")

def main():
    numbers = lambda text: [int(n) for n in text.split(",")]
    a = argparse.ArgumentParser()
    a.add_argument("--hosts", type=numbers, default=[1, 24, 100])
    a.add_argument("--sizes", type=numbers, default=[1, 20])
    a.add_argument("--rtt", type=numbers, default=[0, 20])
    a.add_argument("--peers", default=",".join(PEERS))
    a.add_argument("-n", type=int, default=3)
    a.add_argument("--venv", default="/var/tmp/windlass-bench/venv")
    a.add_argument("--windlass", default=f"{HERE}/../target/release/windlass")
    a.add_argument("workdir")
    a = a.parse_args()
    try:
        os.makedirs(f"{CGROUP}/windlass-bench", exist_ok=True)
    except OSError:
        pass
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # be the subreaper: left-behind connections do not pile up
    a.workdir = os.path.abspath(a.workdir)
    os.makedirs(a.workdir, exist_ok=True)
    art = f"{a.workdir}/artifacts"
    if not os.path.exists(f"{art}/app-20.tar.gz.sha256"):
        subprocess.run([f"{HERE}/artifacts.sh", art], check=True, stdout=subprocess.DEVNULL)
    names = [n for n in a.peers.split(",") if not PEERS[n][2] or os.path.exists(f"{a.venv}/bin/{PEERS[n][2]}")]
    left_out = [n for n in a.peers.split(",") if n not in names]
    first, again, columns = {}, {}, []
    log = open(f"{a.workdir}/log", "a")
    for rtt in a.rtt:
        for hosts in a.hosts:
            base = dict(os.environ, LAB=f"/run/windlass-bench", ART=art, VENV=a.venv, VER="v1", H=str(hosts),
                        PAR=str(min(hosts, 50)), WINDLASS=os.path.abspath(a.windlass))
            lab("down", env=base)
            lab(*(["up-rtt", str(hosts), str(rtt)] if rtt else ["up", str(hosts)]), env=base)
            try:
                for size in a.sizes:
                    column, env = (hosts, size, rtt), dict(base, S=str(size))
                    columns.append(column)
                    got = {(name, k): [] for name in names for k in (0, 1)}
                    for rep in range(a.n):
                        for name in names:
                            if rep > 0 and name.startswith("ansible") and hosts >= 24:
                                continue  # once is enough to see where it stands
                            lab("reset", env=env)
                            subprocess.run(["rm", "-rf", "/run/windlass-bench/windlass/.windlass"], check=True)
                            for k in (0, 1):
                                command = PEERS[name][k]
                                print(f"{column} {name} {k} {rep}", file=sys.stderr)
                                got[name, k].append(timed(f"{HERE}/lab.sh exec {command}", env, log, 900))
                    for (name, k), runs in got.items():
                        if runs:
                            median = tuple(statistics.median(r[i] for r in runs) for i in (0, 1))
                            (again if k else first)[name, column] = median
            finally:
                lab("down", env=base)
    table(f"First deploy: wall s (CPU s), medians of {a.n}", columns, names, first)
    table("Second deploy, at once after it", columns, names, again)
    if left_out:
        print("\nNot installed, so left out: " + ", ".join(left_out))

main()
