#!/usr/bin/perl
# 168_start_sequences.t: what programs ask a node when they start, and read in its answers: each recording of tests/clients/recordings
# is replayed against a node of its own. Its lines are JSON. The first one names the program and the identity; the others are requests:
# method, path, body (or lines, of _bulk and _msearch), status (200 where none is given), header, and of the answer: has (paths with the
# value that must be there, null: any value; "*" is every member), lacks (paths), is (the whole answer), keep (what later lines call ${name}).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdNode;
use Test::More;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# The value at a path: the longest run of dotted names that a member has comes first, as names may have dots.
sub at {
    my ($v, @names) = @_;
    return ($v) unless @names;
    if (ref $v eq 'ARRAY') { return $names[0] =~ /^\d+$/ && $names[0] < @$v ? at($v->[ $names[0] ], @names[1 .. $#names]) : () }
    return () unless ref $v eq 'HASH';
    if ($names[0] eq '*') { my @all = values %$v; return @all ? map { at($_, @names[1 .. $#names]) } @all : () }
    for my $n (reverse 1 .. @names) {
        my $name = join '.', @names[0 .. $n - 1];
        return at($v->{$name}, @names[$n .. $#names]) if exists $v->{$name};
    }
    return ();
}
sub found { my ($v, $path) = @_; return at($v, split /\./, $path) }
sub shown { return $json->encode($_[0]) }

sub check_line {
    my ($node, $line, $kept) = @_;
    my $fill = sub { $_[0] =~ s/\$\{(\w+)\}/$kept->{$1} \/\/ "\${$1}"/gre };
    my $path = $fill->($line->{path});
    my $body = exists $line->{lines} ? join('', map { shown($_) . "\n" } @{ $line->{lines} }) : exists $line->{body} ? $fill->(shown($line->{body})) : undef;
    my $type = exists $line->{lines} ? 'application/x-ndjson' : 'application/json';
    my $r = $node->request($line->{method}, $path, $body, defined $body ? ('content-type' => $type) : ());
    my $want = $line->{status} // 200;
    my @wrong = $r->{status} == $want || grep({ $_ == $r->{status} } @{ $line->{may} // [] }) ? () : "status $r->{status}, not $want";
    if (!@wrong && $r->{status} == $want) {
        for my $p (sort keys %{ $line->{has} // {} }) {
            my @there = found($r->{json}, $p);
            my $value = $line->{has}{$p};
            push @wrong, "no $p" unless @there;
            push @wrong, map { "$p is " . shown($_) } grep { defined $value && shown($_) ne shown($value) } @there;
        }
        push @wrong, map { "there is $_" } grep { found($r->{json}, $_) } @{ $line->{lacks} // [] };
        push @wrong, 'another answer' if exists $line->{is} && shown($r->{json}) ne shown($line->{is});
        push @wrong, map { "header $_" } grep { ($r->{headers}{$_} // '') ne $line->{header}{$_} } keys %{ $line->{header} // {} };
    }
    ok(!@wrong, "$line->{method} " . substr $path, 0, 100) or diag("@wrong\n" . substr($r->{content} // '', 0, 1500));
    ($kept->{$_}) = found($r->{json}, $line->{keep}{$_}) for keys %{ $line->{keep} // {} };
}

for my $file (sort glob QdNode::top() . '/tests/clients/recordings/*.jsonl') {
    my ($head, @lines) = map { $json->decode($_) } grep { /\S/ } split /\n/, QdNode::slurp($file);
    my $node = QdNode->new('start', settings => { 'compatibility.identity' => $head->{identity} });
    $node->start;
    subtest $head->{program} => sub {
        my %kept;
        check_line($node, $_, \%kept) for @lines;
        ok($node->alive, 'the node lives');
    };
    is($node->stop, 0, 'the node ends cleanly');
}
done_testing;
