# What is read of the cluster's formats, and sequence numbers that no operation can have: a condition on
# one is a conflict, what is no number at all a bad request.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;

my $n = QdNode->new('level');
$n->start;

# --- the level of formats
my $r = $n->get('/_cluster/upgrade');
is($r->{status}, 200, 'the level of formats is shown');
my $j = $r->{json};
my ($node) = values %{ $j->{nodes} };
is($j->{features}, $j->{features_known_by_all}, 'a new cluster has the highest one');
ok($j->{finalized}, '... and is told to be finalized');
is("$node->{name} $node->{features_known}", "$n->{name} $j->{features}", 'each node is named with what it knows');
is($n->post('/_cluster/upgrade/finalize')->{json}{features}, $j->{features}, 'to finalize changes nothing then');
is_deeply($n->get('/_cluster/upgrade')->{json}, $j, 'nor does to look');
is($n->get('/_cluster/upgrade?local=true')->{status}, 400, 'a parameter without effect is refused');

# --- conditions on sequence numbers
is($n->put('/x/_doc/1', { v => 1 })->{status}, 201, 'a document');
for my $seq_no (1, '9007199254740992', '9223372036854775807') {
    $r = $n->put("/x/_doc/1?if_seq_no=$seq_no&if_primary_term=1", { v => 2 });
    is("$r->{status} $r->{json}{error}{type}", '409 version_conflict_engine_exception', "if_seq_no $seq_no conflicts");
    like($r->{json}{error}{reason}, qr/required seqNo \[$seq_no\]/, '... and is named');
}
for my $seq_no ('9223372036854775808', -1, 'x') {
    is($n->put("/x/_doc/1?if_seq_no=$seq_no&if_primary_term=1", { v => 2 })->{status}, 400, "if_seq_no $seq_no is a bad request");
}
$r = $n->post('/_bulk', qq({"index":{"_index":"x","_id":"1","if_seq_no":9223372036854775807,"if_primary_term":1}}\n{"v":3}\n{"index":{"_index":"x","_id":"2"}}\n{"v":3}\n));
is(join(' ', map { $_->{index}{status} } @{ $r->{json}{items} }), '409 201', 'in a bulk the item conflicts, and no other');
is($n->get('/x/_doc/1')->{json}{_source}{v}, 1, 'nothing of it was written');
is($n->stop, 0, 'a clean stop');
done_testing;
