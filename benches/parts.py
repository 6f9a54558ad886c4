#!/usr/bin/env python3
"""parts.py: what the parts of a run cost: connecting, a step that looks, one that changes, sending a file, a record on disk, memory.

  parts.py [--windlass PROGRAM] [-n REPS] WORKDIR        needs root, openssh-server, iproute2

Each figure is the difference of two runs of the tool as users have it, so that starting it does not count.
"""
import argparse, os, resource, statistics, subprocess, time

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = "/run/windlass-bench"

def main():
    a = argparse.ArgumentParser()
    a.add_argument("--windlass", default=f"{HERE}/../target/release/windlass")
    a.add_argument("-n", type=int, default=5)
    a.add_argument("workdir")
    a = a.parse_args()
    tool, home = os.path.abspath(a.windlass), f"{LAB}/parts"

    def lab(*words):
        subprocess.run([f"{HERE}/lab.sh", *words], env=dict(os.environ, LAB=LAB), check=True, stdout=subprocess.DEVNULL)

    def project(hosts):
        os.makedirs(f"{home}/.ssh", exist_ok=True)
        os.makedirs(f"{home}/environments", exist_ok=True)
        os.makedirs(f"{home}/files", exist_ok=True)
        with open(f"{home}/windlass.toml", "w") as f:
            f.write('name = "parts"\n')
        subprocess.run(["cp", f"{LAB}/known_hosts", f"{home}/.ssh/"], check=True)
        with open(f"{home}/environments/e.toml", "w") as f:
            f.write('class = "lab"\n')
            for line in open(f"{LAB}/hosts").read().splitlines()[:hosts]:
                name, address = line.split()
                f.write(f'[hosts.{name}]\naddress = "{address}"\nport = 2222\nuser = "root"\nidentity_file = "{LAB}/id_ed25519"\n')
            f.write('[hosts.here]\naddress = "localhost"\ntransport = "local"\n')
        if not os.path.exists(f"{home}/files/large"):
            with open(f"{home}/files/large", "wb") as f:
                for _ in range(100):
                    f.write(os.urandom(1 << 20))

    def run(script):
        """Seconds of wall, and KiB of memory at most."""
        with open(f"{home}/s.rhai", "w") as f:
            f.write(script)
        subprocess.run(["rm", "-rf", f"{home}/.windlass"], check=True)
        start = time.perf_counter()
        process = subprocess.Popen([tool, "run", "-q", "-e", "e", "s.rhai"], cwd=home, env=dict(os.environ, HOME=home))
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0, script
        return time.perf_counter() - start, used.ru_maxrss

    def median(script):
        runs = [run(script.replace("NEW", f"{time.time_ns()}")) for _ in range(a.n)]
        return statistics.median(r[0] for r in runs), statistics.median(r[1] for r in runs)

    lab("down")
    lab("up", "100")
    try:
        project(100)
        nothing, _ = median("log(1);")
        one, one_memory = median('host("h1").exists("/x");')
        all_hosts, all_memory = median('parallel(hosts("h*"), |h| { h.exists("/x"); });')
        looks, _ = median('let h = host("h1"); for i in 0..500 { h.exists("/x"); }')
        changes, _ = median('let h = host("h1"); for i in 0..200 { h.write("/tmp/f", `${i}`); }')
        records, _ = median('for i in 0..500 { on_undo(`n${i}`, || log(1)); }')
        large, _ = median('host("h1").upload("files/large", "/tmp/largeNEW");')
    finally:
        lab("down")
    rows = [
        ("start, check and end of a run", f"{nothing * 1e3:.0f} ms"),
        ("connect to a host and look once", f"{(one - nothing) * 1e3:.0f} ms"),
        ("the same for 100 hosts at once", f"{(all_hosts - nothing) * 1e3:.0f} ms"),
        ("a step that looks (`exists`)", f"{(looks - one) / 499 * 1e3:.2f} ms"),
        ("a step that changes a file (`write`), with its undo on record", f"{(changes - one) / 199 * 1e3:.2f} ms"),
        ("a record on disk", f"{(records - nothing) / 500 * 1e3:.2f} ms"),
        ("send a file of 100 MiB, checked and on disk", f"{100 / (large - one):.0f} MiB/s"),
        ("memory for each connected host", f"{(all_memory - one_memory) / 99:.0f} KiB"),
        ("memory with one host", f"{one_memory / 1024:.0f} MiB"),
    ]
    print("| | |\n|---|---|")
    for name, figure in rows:
        print(f"| {name} | {figure} |")

main()
