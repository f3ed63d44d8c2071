#!/usr/bin/perl
# 071_tutorial.t: docs/tutorial.md as a reader follows it: every block of commands is run in one shell and prints what the
# page shows, every block of C replaces the function that it names. "..." of the page stands for anything: alone in a line
# for any lines, else for any text within the line.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use IPC::Open2;
use QdNode;
use Test::More;

my $top = QdNode::top();
plan skip_all => 'there is no pkg-config' if system('pkg-config --version >/dev/null 2>&1');

# The blocks in order: [console => [command, output] ...] and [c => file, function, text].
my (@steps, $block, $head);
for my $line (split /\n/, QdNode::slurp("$top/docs/tutorial.md")) {
    if (defined $block && $line eq '```') {
        push @steps, $head->[0] eq 'c' ? ['c', @$head[1, 2], $block] : ['console', commands($block)];
        undef $block;
    }
    elsif (defined $block)            { $block .= "$line\n" }
    elsif ($line =~ /^```(.+)/)       { $head = [split ' ', $1]; $block = '' }
}
sub commands {
    my ($text) = @_;
    my @found;
    for my $line ($text =~ /^(.*)\n/mg) {
        if ($line =~ /^\$ (.*)/)                              { push @found, [$1, ''] }
        elsif ($line =~ /^> (.*)/ && $found[-1][1] eq '')     { $found[-1][0] .= "\n$1" }
        else                                                  { $found[-1][1] .= "$line\n" }
    }
    return @found;
}
is_deeply([sort grep { !/^(c|console)$/ } map { $_->[0] } @steps], [], 'the page has blocks of commands and of C');

# A home, a port and a shell of the reader's own.
my $home = tempdir('qd-tutorial-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $port = QdNode::free_port();
@ENV{qw(HOME REST_PORT)} = ($home, $port);
$ENV{XDG_CACHE_HOME} = "$home/.cache";
delete @ENV{qw(CFLAGS MAKEFLAGS MAKELEVEL MFLAGS)};
my $shell = open2(my $from, my $to, 'bash', '--norc', '-s') or die;
print $to "exec 2>&1; cd '$top'\n";
END { # whatever happens, no node stays
    local $?;
    if ($home && -s "$home/node.pid") { kill 'KILL', QdNode::slurp("$home/node.pid") =~ /(\d+)/ }
}

sub run {
    my ($command) = @_;
    $command =~ s/localhost:9200/localhost:$port/g;
    print $to "$command\nprintf '\\n=== %s\\n' \$?\n";
    $to->flush;
    my $out = '';
    while (my $line = <$from>) {
        if ($line =~ /^=== (\d+)$/) { my $rc = $1; $out =~ s/\n\z//; return ($rc, $out) }
        $out .= $line;
    }
    return ('ended', $out);
}
sub matches {
    my ($out, $want) = @_;
    my $pattern = join '', map { $_ eq '...' ? '(?:.*\n)*?' : join('.*', map { quotemeta } split /\.\.\./, $_, -1) . '\n' }
        map { s/\n//r } split /(?<=\n)/, $want;
    return $out =~ /\A$pattern\z/;
}

for my $step (@steps) {
    if ($step->[0] eq 'c') {
        my (undef, $name, $function, $text) = @$step;
        my $file = "$home/plugins/$name";
        my $code = -f $file ? QdNode::slurp($file) : '';
        # with the comment before it
        my $there = $code =~ s~^(?:/\*(?:(?!\*/).)*\*/\n)?static [^\n;]*\b\Q$function\E\([^;{]*\)\n\{\n.*?^\}\n~$text~ms;
        ok($there, "$name has a function $function");
        open my $f, '>', $file or die "$file: $!";
        print $f $code;
        close $f;
        next;
    }
    for my $c (@$step[1 .. $#$step]) {
        my ($command, $want) = @$c;
        my ($rc, $out) = run($command);
        my $name = (split /\n/, $command)[0];
        is($rc, 0, $name) or diag $out;
        ok(matches($out, $want), '... prints what the page shows') or diag "wanted:\n$want\ngot:\n$out";
    }
}
close $to;
waitpid $shell, 0;
done_testing;
