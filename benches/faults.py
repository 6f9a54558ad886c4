#!/usr/bin/env python3
"""faults.py: how many scenarios `windlass test` plays in a second, for a rolling deploy to 4, 12 and 24 hosts in memory.

  faults.py [--windlass PROGRAM] [--hosts 4,12,24] [--undoing] WORKDIR

The project is the one that `init --template rolling` makes: two forks over all hosts, std/release in both, batches of one host and
then of halves. All single faults, from hosts on which 1.0 is live; with --undoing, the second ones as well. Needs no root and no host.
"""
import argparse, json, os, shutil, subprocess, time

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
    a.add_argument("--hosts", default="4,12,24")
    a.add_argument("--undoing", action="store_true")
    a.add_argument("workdir")
    a = a.parse_args()
    tool, project = os.path.abspath(a.windlass), f"{a.workdir}/faults"
    shutil.rmtree(project, ignore_errors=True)
    os.makedirs(a.workdir, exist_ok=True)
    subprocess.run([tool, "init", "--template", "rolling", "faults"], cwd=a.workdir, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["sh", "build.sh"], cwd=project, check=True, stdout=subprocess.DEVNULL)
    for version in "1.0", "1.1":
        subprocess.run([tool, "artifact", "add", "hello", version, f"build/{version}"], cwd=project, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("| hosts | effects | scenarios | left out, alike | seconds | of CPU | scenarios a second | MiB |\n|---|---|---|---|---|---|---|---|")
    for n in map(int, a.hosts.split(",")):
        with open(f"{project}/environments/e{n}.toml", "w") as f:
            f.write(ENVIRONMENT.format(n=n))
        words = ["test", "-e", f"e{n}", "--artifact", "hello=1.1", "--live-artifact", "hello=1.0", "--from", "live", "--format", "json"]
        words += [] if a.undoing else ["--single"]
        start = time.perf_counter()
        process = subprocess.Popen([tool, *words], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        assert status == 0, out.decode()[-2000:] + process.stderr.read().decode()
        ended = json.loads(out.decode().splitlines()[-1])
        c = ended["coverage"]
        cpu = used.ru_utime + used.ru_stime
        print(f"| {n} | {c['effects']} | {c['scenarios']} | {c['folded']} | {wall:.1f} | {cpu:.1f} | {c['scenarios'] / wall:.0f} | {used.ru_maxrss / 1024:.0f} |", flush=True)

main()
