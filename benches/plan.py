#!/usr/bin/env python3
"""plan.py: how long `windlass plan` takes, and how much memory, for a rolling deploy to 10, 100 and 1,000 hosts in memory.

  plan.py [--windlass PROGRAM] [-n REPS] [--hosts 10,100,1000] WORKDIR

The project is the one that `init --template rolling` makes: two forks over all hosts, std/release in both, batches of one host and
then of halves. The hosts are empty at first. Needs no root and no host.
"""
import argparse, os, shutil, statistics, subprocess, time

HERE = os.path.dirname(os.path.abspath(__file__))

ENVIRONMENT = """class = "lab"
[defaults]
transport = "local"
[hosts."web[1:{n}]"]
roles = ["web"]
[vars]
scope = "system"
port = 8080
"""

def main():
    a = argparse.ArgumentParser()
    a.add_argument("--windlass", default=f"{HERE}/../target/release/windlass")
    a.add_argument("-n", type=int, default=3)
    a.add_argument("--hosts", default="10,100,1000")
    a.add_argument("workdir")
    a = a.parse_args()
    tool, project = os.path.abspath(a.windlass), f"{a.workdir}/plan"
    shutil.rmtree(project, ignore_errors=True)
    os.makedirs(a.workdir, exist_ok=True)

    def run(*words, cwd=project):
        """Seconds of wall, of CPU, and MiB of memory at most."""
        start = time.perf_counter()
        process = subprocess.Popen([tool, *words], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0, said.decode()
        return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    run("init", "--template", "rolling", "plan", cwd=a.workdir)
    subprocess.run(["sh", "build.sh"], cwd=project, check=True, stdout=subprocess.DEVNULL)
    run("artifact", "add", "hello", "1.0", "build/1.0")
    print("| hosts | steps | seconds | of CPU | MiB | KiB a host more |\n|---|---|---|---|---|---|")
    before = None
    for n in map(int, a.hosts.split(",")):
        with open(f"{project}/environments/e{n}.toml", "w") as f:
            f.write(ENVIRONMENT.format(n=n))
        runs = [run("plan", "-q", "-e", f"e{n}", "--artifact", "hello=1.0", "--out", "plan.json") for _ in range(a.n)]
        wall, cpu, memory = (statistics.median(r[i] for r in runs) for i in range(3))
        with open(f"{project}/plan.json") as f:
            steps = f.read().count('"task":')
        more = f"{(memory - before[1]) * 1024 / (n - before[0]):.0f}" if before else ""
        print(f"| {n} | {steps} | {wall:.2f} | {cpu:.2f} | {memory:.0f} | {more} |", flush=True)
        before = n, memory

main()
