#!/usr/bin/env bash
# windlass.sh: the same deploy as a Windlass script, in a copy of ../deploy
# shellcheck disable=SC2086,SC2231 # names and paths here have no blanks, and lists of them are split on purpose
# shellcheck source=benches/peers/env.sh
. "$(dirname "$0")/env.sh"
P=$LAB/windlass
if [ ! -e "$P/environments/h$H.toml" ]; then
  mkdir -p "$P/home/.ssh" "$P/environments" "$P/files"
  cp -R "$HERE/../deploy/." "$P"; cp "$LAB/known_hosts" "$P/home/.ssh/"
  ln -sf "$ART"/app-*.tar.gz "$P/files/"
  { echo 'class = "lab"'
    awk -v key="$LAB/id_ed25519" '{printf "[hosts.%s]\naddress = \"%s\"\nport = 2222\nuser = \"root\"\nidentity_file = \"%s\"\n", $1, $2, key}' <(head -n "$H" "$LAB/hosts")
  } >"$P/environments/h$H.toml"
fi
cd "$P" && HOME=$P/home exec "$WINDLASS" run -q -e "h$H" --set "version=$VER" --set "size=$S" "$@"
