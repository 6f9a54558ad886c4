# shared by the Python peers
import os
LAB, H, S = os.environ["LAB"], int(os.environ["H"]), os.environ["S"]
VER, PAR = os.environ["VER"], int(os.environ["PAR"])
ARTIFACT = f"{os.environ['ART']}/app-{S}.tar.gz"
SUM = open(ARTIFACT + ".sha256").read().split()[0]
HOSTS = dict(l.split() for l in open(f"{LAB}/hosts").read().splitlines()[:H])  # name -> ip
KEY, KNOWN, PORT = f"{LAB}/id_ed25519", f"{LAB}/known_hosts", 2222
TMPL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "deploy", "templates", "app.conf")
A = "/srv/app"
REL = f"{A}/releases/{VER}"

def render(host):
    return open(TMPL).read().replace("{{ host }}", host).replace("{{ version }}", VER)

BEFORE = [f"mkdir -p {REL}"]
AFTER_UPLOAD = [f"echo '{SUM}  {A}/app.tar.gz' | sha256sum -c --quiet", f"tar -xzf {A}/app.tar.gz -C {REL}"]
AFTER_CONF = [f"ln -sfn releases/{VER} {A}/.cur && mv -T {A}/.cur {A}/current", f"date +%s%N > {A}/restarted",
              f"test -f {A}/current/bin/app", f"ls -1dt {A}/releases/*/ | tail -n +6 | xargs -r rm -rf"]
