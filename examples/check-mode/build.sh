#!/bin/sh
# Builds the release 1.0 of hello into files/: the program, and a file that says which version it is.
set -eu
cd "$(dirname "$0")"
mkdir -p files
tree=$(mktemp -d)
mkdir "$tree/bin"
sed -e 's/@VERSION@/1.0/' -e 's/@BROKEN@/no/' src/hello.pl >"$tree/bin/hello"
echo 1.0 >"$tree/VERSION"
chmod 755 "$tree" "$tree/bin" "$tree/bin/hello"
tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -czf files/hello-1.0.tar.gz bin VERSION
rm -r "$tree"
