# docs.t: every public function has a doc comment; every module has a short README; pages are linked and
# decisions listed; generated files equal what their tables print.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

# A declaration is documented when a comment of its own stands before it, or behind it in its line; a
# comment at the head of a file, or of the function before, is not its own.
my @bare;
for my $file (files(qr{^(core|lib|sdk/include)/.*\.h$})) {
    next if $file =~ /_int\.h$/;
    my @code = split /\n/, code_of($file), -1;
    my @raw  = split /\n/, slurp($file),   -1;
    my ($depth, $documented, $pending) = (0, 0, '');
    my %told; # an inline body may follow its documented declaration
    for my $i (0 .. $#code) {
        my ($c, $r) = ($code[$i], $raw[$i]);
        if ($depth == 0 && $r =~ /^\s*$/) { $documented = 0; $pending = ''; next }
        $documented = 1 if $depth == 0 && $r =~ m{\*/\s*$|^\s*//} && $c =~ /^\s*$/;
        if ($c =~ /^\s*#/ && $depth == 0) { $documented = 0; $pending = '' unless $pending =~ /\S/; next }
        if ($c =~ /^\s*#/ || $r =~ /\\$/) { next }
        if ($depth == 0) {
            $pending .= " $c";
            if ($pending =~ /^\s*(?!typedef|struct\s+\w+\s*;|extern\s+"C"|enum\b|_Static_assert|union\b)
                             (?:[\w\s*]|__attribute__\(\(.*?\)\))*?\b(\w+)\s*\([^{;]*\)[^{;]*[;{]/x) {
                my $name = $1;
                if ($name !~ /^(QD_\w+|__attribute__|_Alignas|_Static_assert|defined)$/
                    && $pending !~ /^\s*(typedef|struct\s+\w+\s*\{|QD_VEC)/) {
                    $told{$name} = 1 if $documented || $r =~ m{/\*|//};
                    push @bare, "$file:" . ($i + 1) . ": $name has no doc comment" if !$told{$name};
                    $documented = 0;
                }
            }
            $pending = '' if $c =~ /[;}]\s*$/ || $c =~ /\{/;
        }
        $depth += ($c =~ tr/{//) - ($c =~ tr/}//);
        $depth = 0 if $depth < 0;
        $pending = '' if $depth > 0;
        # extern "C" { opens no scope of interest
        $depth = 0 if $c =~ /extern\s+"[^"]*"\s*\{/;
    }
}
report('public functions have a doc comment', @bare);

my @readme;
my %module = map { m{^((?:core|lib)/[^/]+)/.*\.c$} ? ($1 => 1) : () } files(qr{^(?:core|lib)/});
for my $m (sort keys %module) {
    my $file = "$m/README.md";
    if (!-f top() . "/$file") {
        push @readme, "$file is missing";
        next;
    }
    my $lines = () = slurp($file) =~ /\n/g;
    push @readme, "$file has $lines lines, 60 at most" if $lines > 60;
}
report('every module has a README of at most 60 lines', @readme);

# A newcomer finds every folder and every page from one place, and what it names is there.
my $map = -f top() . '/docs/ARCHITECTURE.md' ? slurp('docs/ARCHITECTURE.md') : '';
my @lost;
my %folder = map { m{^((?:core|plugins|lib|sdk|conf|deploy|tests|docs)(?:/[^/]+)?)/} ? ($1 => 1) : () } files(qr{/});
for my $f (sort keys %folder) {
    my ($name) = $f =~ m{([^/]+)$};
    push @lost, "$f is not in docs/ARCHITECTURE.md" unless $map =~ /\b\Q$name\E\b/;
}
for my $f (files(qr{^docs/[^/]+\.md$})) {
    my ($name) = $f =~ m{([^/]+)$};
    push @lost, "$f is not linked from docs/ARCHITECTURE.md" unless $name eq 'ARCHITECTURE.md' || $map =~ /\]\(\Q$name\E\)/;
}
for my $file (files(qr{^(?:README|docs/[^/]+|docs/decisions/[^/]+|core/README|(?:core|lib)/[^/]+/README)\.md$})) {
    my $here = $file =~ m{^(.*/)} ? $1 : '';
    each_match(slurp($file), qr{\]\(([^)#:]+)(?:#[^)]*)?\)}, sub {
        push @lost, "$file:$_[0]: $_[1] is not there" unless -e top() . "/$here$_[1]";
    });
}
for my $page (grep { -f top() . "/$_" } qw(docs/ARCHITECTURE.md docs/extending.md docs/glossary.md docs/tutorial.md core/README.md)) {
    for my $path (slurp($page) =~ m{`((?:core|plugins|lib|sdk|conf|tests|deploy|docs)/[\w./-]+)`}g) {
        push @lost, "$page: $path is not there" unless -e top() . "/$path";
    }
}
report('every folder and page is found from docs/ARCHITECTURE.md, and links lead somewhere', @lost);

# A decision says in its title what was chosen, instead of what, for what, and the list has that title.
my @odd;
my $list = -f top() . '/docs/decisions/README.md' ? slurp('docs/decisions/README.md') : '';
for my $file (files(qr{^docs/decisions/\d{4}-[^/]+\.md$})) {
    my ($name, $number) = $file =~ m{/((\d{4})-[^/]+)$};
    my $text = slurp($file);
    my ($title) = $text =~ /\A# \Q$number\E: (Use .+ instead of .+ for .+)\n/;
    if (!defined $title) { push @odd, "$file: the title is not '# $number: Use X instead of Y for Z'"; next }
    push @odd, "$file: docs/decisions/README.md does not list it by its title" unless index($list, "- [$number]($name): $title\n") >= 0;
    my @sections = $text =~ /^## (.+)$/mg;
    push @odd, "$file: the sections are not Context, Decision, Consequences" unless "@sections" eq 'Context Decision Consequences';
}
report('decisions have titles, sections and a list', @odd);

my $qd = top() . '/build/bin/qd';
SKIP: {
    skip 'build/bin/qd is not built', 4 unless -x $qd;
    my %printed = ('conf/quidditch.yml' => 'config list --yaml', 'docs/settings.md' => 'config list --markdown',
        'docs/features.md' => 'features --markdown', 'docs/metrics.md' => 'metrics --markdown');
    for my $file (sort keys %printed) {
        my $want = `'$qd' $printed{$file}`;
        ok($want eq (-f top() . "/$file" ? slurp($file) : ''),
            "$file is what the table prints (else: qd $printed{$file} > $file)");
    }
}
done_testing;
