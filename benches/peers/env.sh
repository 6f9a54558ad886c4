# shellcheck shell=bash
# sourced by the shell peers; compare.py sets LAB H S PAR VER ART VENV PORT
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TEMPLATE=$HERE/../deploy/templates/app.conf
ARTIFACT=$ART/app-$S.tar.gz
SUM=$(cut -d' ' -f1 "$ARTIFACT.sha256")
export HERE TEMPLATE ARTIFACT SUM
hosts() { head -n "$H" "$LAB/hosts" | cut -d' ' -f1; }
render() { sed -e "s/{{ host }}/$1/g" -e "s/{{ version }}/$VER/g" "$TEMPLATE"; }
export -f hosts render
