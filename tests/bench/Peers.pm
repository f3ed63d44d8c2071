# Peers.pm: the programs that are compared: how each is found, named, built and called. A peer is
# "lucene8", "lucene10" (variants of peers/lucene/lucene.sh) or "tantivy"; ours is "quidditch". All have
# the options and output lines of `qd bench`.
package Peers;
use strict;
use warnings;
use Cwd qw(abs_path);
use IO::Uncompress::Unzip;
use Parts qw(slurp run);

my $lucene = 'tests/bench/peers/lucene/lucene.sh';
my $crate = 'tests/bench/peers/tantivy';

# wanted: "8,10,tantivy". What the machine lacks goes to absent, and is told.
sub new {
    my ($class, $dir, $heap, $wanted) = @_;
    my $s = bless { dir => $dir, absent => [], there => [] }, $class;
    $ENV{PEERS} = abs_path($dir) . '/peers';
    $ENV{HEAP} = $heap;
    $ENV{LUCENE8_JAR} //= '/usr/share/java/lucene-core-8.7.0.jar';
    my @wanted = split /,/, $wanted;
    if (grep { $_ eq '10' } @wanted) {
        $s->newest_lucene;
        push @wanted, '9' if $s->{no10} && $s->lucene_of_java_17; # the next best
    }
    for my $w (@wanted) {
        my $why = $w eq 'tantivy' ? $s->without_cargo : $s->without_jar($w);
        if ($why) { push @{ $s->{absent} }, $why }
        else { push @{ $s->{there} }, $w eq 'tantivy' ? $w : "lucene$w" }
    }
    print STDERR "left out: $_\n" for @{ $s->{absent} };
    return $s;
}

sub there { my ($s) = @_; return @{ $s->{there} } }
sub absent { my ($s) = @_; return @{ $s->{absent} } }
sub is_java { my ($who) = @_; return $who =~ /^lucene/ }

# --- Lucene -------------------------------------------------------------------------------------------

# An artifact of Lucene's, put into a folder of the peers by Maven: did that work?
sub maven {
    my ($artifact, $to) = @_;
    return system(qw(mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy), "-Dartifact=org.apache.lucene:$artifact",
        "-DoutputDirectory=$to") == 0;
}

# The newest that Maven has, on the newest JDK of this machine, unless the caller named them.
sub newest_lucene {
    my ($s) = @_;
    return if $ENV{LUCENE10_JAR};
    my ($jdk) = map { $_->[1] } sort { $b->[0] <=> $a->[0] } map { m{(\d+)[^/]*$} && $1 >= 21 ? [$1, $_] : () }
        map { s{/bin/javac$}{}r } glob '/usr/lib/jvm/*/bin/javac';
    my $to = "$ENV{PEERS}/lucene10";
    if (!$jdk || !`sh -c 'command -v mvn'`) { $s->{no10} = 'no Maven or no JDK from 21 on'; return }
    if (!glob "$to/lucene-core-*.jar") {
        maven('lucene-core:LATEST', $to) or $s->{no10} = 'Maven did not give it';
    }
    my ($jar) = glob "$to/lucene-core-*.jar" or return;
    @ENV{qw(LUCENE10_JAR JAVA25 JAVAC25)} = ($jar, "$jdk/bin/java", "$jdk/bin/javac");
    my ($version) = $jar =~ /lucene-core-(.*)\.jar$/;
    my $misc = "$to/lucene-misc-$version.jar";
    maven("lucene-misc:$version", $to) unless -e $misc;
    if (-e $misc) { $ENV{LUCENE10_MISC_JAR} = $misc }
    else { print STDERR "left out: the newest Lucene's own order of documents: Maven did not give lucene-misc\n" }
}

# The last one that an older JDK runs: is it there?
sub lucene_of_java_17 {
    my ($s) = @_;
    my $to = "$ENV{PEERS}/lucene9";
    $ENV{LUCENE9_JAR} //= "$to/lucene-core-9.12.3.jar";
    return 1 if -e $ENV{LUCENE9_JAR};
    return 0 if !`sh -c 'command -v mvn'` || !`sh -c 'command -v javac'`;
    return maven('lucene-core:9.12.3', $to);
}

# Has the newest Lucene its own order of documents here (lucene-misc)?
sub reorders { my ($s) = @_; return $ENV{LUCENE10_MISC_JAR} && grep { $_ eq 'lucene10' } $s->there }

sub jar_of { my ($v) = @_; return $ENV{ 'LUCENE' . ($v =~ /^(\d+)/)[0] . '_JAR' } // '' }
sub without_jar { # why, or nothing
    my ($s, $v) = @_;
    die "--peers: 8, 9, 9v, 10 or tantivy, not $v\n" unless $v =~ /^(?:8|9|9v|10)$/;
    return undef if -e jar_of($v) && ($v ne '8' || `sh -c 'command -v javac'`);
    return "Lucene $v" . ($v eq '10' && $s->{no10} ? ": $s->{no10}" : '');
}

sub lucene_name { # the version of the manifest, the Java it runs on
    my ($v) = @_;
    my $z = IO::Uncompress::Unzip->new(jar_of($v), Name => 'META-INF/MANIFEST.MF') or return "Lucene $v";
    my ($version) = do { local $/; <$z> } =~ /^Implementation-Version: (\S+)/m;
    my $java = $v eq '10' ? $ENV{JAVA25} : $v eq '9v' ? $ENV{JAVA21} : 'java';
    my ($java_version) = `$java -version 2>&1` =~ /"(.*?)"/;
    return 'Lucene ' . ($version // $v) . ", Java $java_version" . ($v =~ /^(9v|10)$/ ? ' with jdk.incubator.vector' : '');
}

# --- tantivy -------------------------------------------------------------------------------------------

sub cargo { my ($found) = grep { -x } ($ENV{CARGO} // ()), "$ENV{HOME}/.cargo/bin/cargo", map { "$_/cargo" } split /:/, $ENV{PATH}; return $found }
sub without_cargo { return cargo() ? undef : 'tantivy: no cargo' }
sub tantivy { my ($s) = @_; return "$s->{dir}/tantivy/release/bench-tantivy" }

# --- all ------------------------------------------------------------------------------------------------

sub name {
    my ($s, $who) = @_;
    return lucene_name($1) if $who =~ /^lucene(.*)/;
    my ($version) = slurp("$crate/Cargo.lock") =~ /name = "tantivy"\nversion = "(.*?)"/;
    return "tantivy $version, built with LTO for this CPU";
}

# What a peer's figures hang on.
sub identity {
    my ($s) = @_;
    return map { /^lucene(.*)/ ? jar_of($1) . ' ' . (-s jar_of($1)) : slurp("$crate/Cargo.lock") } $s->there;
}
sub sources { return glob("tests/bench/peers/lucene/*.java tests/bench/peers/lucene/*/Compat.java $crate/src/*.rs $crate/Cargo.toml") }

sub build {
    my ($s, $who) = @_;
    if ($who =~ /^lucene(.*)/) { run("sh $lucene $1 build 2>$s->{dir}/$who.err") }
    else {
        my $target = abs_path($s->{dir}) . '/tantivy';
        run("RUSTFLAGS='-C target-cpu=native' " . cargo() . " build --release --locked --quiet --manifest-path $crate/Cargo.toml"
          . " --target-dir $target 2>$s->{dir}/$who.err");
    }
    return {};
}

sub program { # "Indexer" or "Searcher"
    my ($s, $who, $what) = @_;
    return ($ENV{QD_OUT} // "build") . "/bin/qd bench " . ($what eq 'Indexer' ? 'index' : 'search') if $who eq 'quidditch';
    return $who =~ /^lucene(.*)/ ? "sh $lucene $1 $what" : $s->tantivy . " $what";
}

1;
