# 321_async_power_loss.t with `index.translog.durability` changed before the power goes. A history is renewed by what was promised
# when operations were acknowledged, not by the present setting: copies agree, and what request acknowledged is there.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;

plan skip_all => 'LOUD: tools of the tests are not built' unless -e "$QdNode::OUT/tests/librecorder.so";
for my $change ('to-request', 'to-async') {
    local $ENV{CHANGE} = $change;
    my $out = `$^X $FindBin::Bin/321_async_power_loss.t 2>&1`;
    is($?, 0, "changed $change: as it must be") or diag($out);
    note(join "\n", grep { /lost/ } split /\n/, $out);
}
done_testing;
