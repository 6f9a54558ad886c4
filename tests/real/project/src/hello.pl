#!/usr/bin/perl
# hello CONFIG: a small HTTP service, ill where the configuration says that this version breaks.
use strict;
use warnings;
use IO::Socket::INET;

my $version = "@VERSION@";
my %config;
open my $file, '<', $ARGV[0] or die "$ARGV[0]: $!\n";
while (<$file>) { $config{$1} = $2 if /^(\w+)\s*=\s*(.*?)\s*$/ }
die "hello $version refuses to start\n" if $config{breaks} eq "$version start";
my $server = IO::Socket::INET->new(LocalAddr => $config{address}, LocalPort => $config{port}, Listen => 16, ReuseAddr => 1)
    or die "cannot listen on $config{address}:$config{port}: $!\n";
my ($status, $body) = $config{breaks} eq $version ? ('500 Internal Server Error', "hello $version is ill\n") : ('200 OK', "hello $version is well\n");
while (my $client = $server->accept) {
    while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
    print $client "HTTP/1.1 $status\r\nContent-Type: text/plain\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
