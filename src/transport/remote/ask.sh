# shellcheck shell=sh
# Makes a connection from this host with what it has, for hosts whose sshd forbids forwarding. A text of its own, sent when needed.
# Arguments: http|tcp ADDRESS PORT SECONDS METHOD URL REQUEST HEADER...; prints the program's name, a newline, and what it was answered.
ask=$1 a=$2 p=$3 s=$4 m=$5 u=$6 q=$7
shift 7
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
most=262144
tool() { command -v "$1" >/dev/null 2>&1 && echo "$1"; }
if [ "$ask" = http ] && tool curl; then
  for h; do set -- "$@" -H "$h"; shift; done
  curl -sS -i --raw --http1.1 -g --noproxy '*' --max-time "$s" -X "$m" "$@" "$u" | head -c "$most"
elif python3 -c '' >/dev/null 2>&1 && tool python3; then
  python3 -c '
import os, socket, sys
ask, a, p, s, q = sys.argv[1:6]
try:
    c = socket.create_connection((a, int(p)), float(s))
    if ask == "http":
        c.sendall(os.fsencode(q))
        while True:
            d = c.recv(65536)
            if not d: break
            sys.stdout.buffer.write(d)
except OSError as e:
    sys.exit("python3 cannot ask %s:%s: %s" % (a, p, e))
' "$ask" "$a" "$p" "$s" "$q" | head -c "$most"
elif perl -MSocket -e 1 >/dev/null 2>&1 && tool perl; then
  perl -e '
use strict; use IO::Socket;
my ($ask, $a, $p, $s, $q) = @ARGV;
my $class = eval { require IO::Socket::IP; 1 } ? "IO::Socket::IP" : "IO::Socket::INET";
my $c = $class->new(PeerHost => $a, PeerAddr => $a, PeerPort => $p, Proto => "tcp", Timeout => $s) or do { print STDERR "perl cannot connect to $a:$p: $@\n"; exit 1 };
exit 0 if $ask eq "tcp";
binmode STDOUT; $| = 1; syswrite $c, $q;
while (sysread $c, my $d, 65536) { syswrite STDOUT, $d }
' "$ask" "$a" "$p" "$s" "$q" | head -c "$most"
elif tool bash; then
  bash -c 'exec 3<>"/dev/tcp/$2/$3" || exit 1; [ "$1" = http ] || exit 0; printf %s "$4" >&3; cat <&3' bash "$ask" "$a" "$p" "$q" | head -c "$most"
elif tool nc; then
  if [ "$ask" = tcp ]; then nc -z -w "$s" "$a" "$p" </dev/null >/dev/null || { echo "nc cannot connect to $a:$p" >&2; exit 1; }; exit 0; fi
  printf %s "$q" | nc -w "$s" "$a" "$p" | head -c "$most"
elif [ "$ask" = http ] && tool wget; then
  # It tells the status on its other stream, and of some errors no body.
  t=$(mktemp) || exit 1
  for h; do case $h in Host:*|Connection:*) ;; *) set -- "$@" --header "$h" ;; esac; shift; done
  more=; wget --version >/dev/null 2>&1 && more="--tries=1 --max-redirect=0 --content-on-error"
  # shellcheck disable=SC2086 # several words, or none
  b=$(wget $more -S -O - -T "$s" "$@" "$u" 2>"$t" | head -c "$most"; echo .)
  l=$(sed -n 's/.*\(HTTP\/1\.[01] [0-9][0-9][0-9]\).*/\1/p' "$t" | tail -n 1)
  [ -n "$l" ] || { tail -n 1 "$t" >&2; rm -f "$t"; exit 1; }
  rm -f "$t"
  printf '%s \r\nConnection: close\r\n\r\n%s' "$l" "${b%.}"
elif [ "$ask" = tcp ] && tool curl; then
  # The last choice: it stays connected until its time is over.
  case $a in *:*) at="[$a]" ;; *) at=$a ;; esac
  w=$(curl -s --noproxy '*' --connect-timeout "$s" --max-time 1 -w '%{time_connect}' "telnet://$at:$p" </dev/null)
  case $w in *[1-9]*) ;; *) echo "curl cannot connect to $a:$p" >&2; exit 1 ;; esac
else
  echo "none of curl, python3, perl, bash, nc and wget is on this host" >&2; exit 1
fi
