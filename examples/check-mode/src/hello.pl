#!/usr/bin/perl
# hello CONFIG: a small HTTP service. /healthz says how it is; every other path greets.
use strict;
use warnings;
use IO::Socket::INET;

my $version = "@VERSION@";
my %config;
open my $file, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
while (<$file>) { $config{$1} = $2 if /^(\w+)\s*=\s*(.*?)\s*$/ }
my $server = IO::Socket::INET->new(LocalAddr => $config{address}, LocalPort => $config{port}, Listen => 16, ReuseAddr => 1)
    or die "cannot listen on $config{address}:$config{port}: $!\n";
$SIG{TERM} = sub { exit 0 };
print STDERR "hello $version listens on $config{address}:$config{port}\n";
while (my $client = $server->accept) {
    my $request = <$client> // '';
    while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
    my ($status, $body) = ('200 OK', "$config{greeting} from hello $version\n");
    if ($request =~ m{^GET /healthz }) {
        ($status, $body) = "@BROKEN@" eq 'yes' ? ('500 Internal Server Error', "hello $version has lost its database\n") : ('200 OK', "hello $version is well\n");
    }
    print $client "HTTP/1.1 $status\r\nContent-Type: text/plain\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
