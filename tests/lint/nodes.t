# nodes.t: a query and a node are rows: nothing else tells them apart by kind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

# A boost of nothing is nothing, and the statistics of terms blend: these builders look at what they have just built.
my %may_ask = map { ("core/query/$_.c" => 1) } qw(node build build_match);
my (@switches, @asks, @rows);
for my $file (files(qr{^core/.*\.[ch]$})) {
    my $code = code_of($file);
    each_match($code, qr/\bcase\s+((?:QD_NATIVE|QDI_NODE|QDI_Q|QDI_L)_\w+)/, sub {
        push @switches, "$file:$_[0]: case $_[1]: call the node's row (core/search/node_type_int.h)" if $_[1] ne 'QDI_NODE_HOST';
    });
    each_match($code, qr/\bkind\s*[=!]=\s*(QD_NATIVE_\w+)/, sub {
        push @asks, "$file:$_[0]: $_[1]: ask for what the node can do"
            unless $may_ask{$file} || $file =~ m{^core/search/nodes/};
    });
    each_match($code, qr/[=!]=\s*&(qdi_(?:node|query)_\w+)/, sub {
        push @rows, "$file:$_[0]: $_[1] is recognised" unless $file =~ m{^core/(?:query/types|search/nodes)/};
    });
}
report('no switch over kinds of nodes or queries',      @switches);
report('nothing else asks for a kind of node',   @asks);
report('nothing outside of a row\'s folder compares it', @rows);

# One row a line, one file a node; several queries may share one.
my (%file, @homeless);
$file{$_} = 1 for map { m{^core/search/nodes/(\w+)\.c$} } files(qr{^core/search/nodes/});
my $types = join '', map { slurp($_) } files(qr{^core/query/types/.*\.c$});
push @homeless, "core/query/nodes.def: no core/search/nodes/$_.c"
    for grep { !$file{$_} } slurp('core/query/nodes.def') =~ /^QD_NODE\(\w+, (\w+), \w+\)/mg;
push @homeless, "core/query/types/types.def: no file of the folder has qdi_query_$_"
    for grep { $types !~ /^const qd_query_type qdi_query_$_ = /m } slurp('core/query/types/types.def') =~ /^QDI_QUERY_TYPE\((\w+)\)/mg;
report('each row has its file', @homeless);
done_testing;
