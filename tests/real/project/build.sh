#!/bin/sh
# Builds the releases 1.0, 1.1 and 1.2 of hello into files/.
set -eu
cd "$(dirname "$0")"
mkdir -p files
for version in 1.0 1.1 1.2; do
    tree=$(mktemp -d)
    mkdir "$tree/bin"
    sed "s/@VERSION@/$version/" src/hello.pl >"$tree/bin/hello"
    chmod 755 "$tree" "$tree/bin" "$tree/bin/hello"
    tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -czf "files/hello-$version.tar.gz" bin
    rm -r "$tree"
done
