# Bodies.pm: queries of gen_queries and gen_bodies.pl as search bodies. Texts are characters, not bytes.
package Bodies;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP ();
our @EXPORT_OK = qw(query_of body_of);

# The query that words, +words or a "phrase" of the field body mean.
sub query_of {
    my ($text) = @_;
    my $of = sub { my ($type, $words, %more) = @_; return {$type => {body => {query => $words, %more}}} };
    return $of->('match_phrase', $1) if $text =~ /^"(.*)"$/;
    my @must = $text =~ /\+(\S+)/g;
    my @should = grep { !/^\+/ } split ' ', $text;
    return $of->('match', "@should") unless @must;
    return $of->('match', "@must", operator => 'and') unless @should;
    return {bool => {must => [$of->('match', "@must")], should => [$of->('match', "@should")]}};
}

# The body of a query of either kind.
sub body_of {
    my ($text) = @_;
    return $text =~ /^\{/ ? JSON::PP->new->decode($text) : {query => query_of($text)};
}

1;
