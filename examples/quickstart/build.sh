#!/bin/sh
# Builds the releases 1.0 and 1.1 of hello, and 1.2, which is broken, into files/.
set -eu
cd "$(dirname "$0")"
mkdir -p files
for version in 1.0 1.1 1.2; do
    broken=no
    [ "$version" != 1.2 ] || broken=yes
    tree=$(mktemp -d)
    mkdir "$tree/bin"
    sed -e "s/@VERSION@/$version/" -e "s/@BROKEN@/$broken/" src/hello.pl >"$tree/bin/hello"
    chmod 755 "$tree" "$tree/bin" "$tree/bin/hello"
    tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -czf "files/hello-$version.tar.gz" bin
    rm -r "$tree"
done
ls files
