# layers.t: includes follow core/LAYERS; private headers stay in their module; plugins see the SDK only.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my (%level, %beside, %forbidden);
for (split /\n/, slurp('core/LAYERS')) {
    next if /^\s*(#|$)/;
    my ($n, $module, @rest) = split ' ';
    $level{$module} = $n;
    for (@rest) {
        if (s/^-//) { $forbidden{$module}{$_} = 1 }
        else        { $beside{$module}{$_}    = 1 }
    }
}

my (@unknown, @layer, @private, @style);
for my $file (files(qr{^core/.*\.[ch]$})) {
    my ($m) = $file =~ m{^core/([^/]+)/};
    if (!exists $level{$m}) { push @unknown, "$file: module $m is not in core/LAYERS"; next }
    my $n = 0;
    for (split /\n/, slurp($file)) {
        $n++;
        push @style, "$file:$n: a computed include hides what it includes" if /^\s*#\s*include\s+[^"<\s]/;
        push @style, "$file:$n: include <$1>: write \"module/header.h\""
            if /^\s*#\s*include\s*<(([^\/>]+)\/[^>]*)>/ && (exists $level{$2} || $1 =~ m{\.\.}) && $1 ne 'net/if.h'; # the system's
        next unless /^\s*#\s*include\s*"([^"]+)"/;
        my $inc = $1;
        my ($to) = $inc =~ m{^([^/]+)/};
        if (!defined $to || !exists $level{$to}) {
            push @style, "$file:$n: include \"$inc\": write \"module/header.h\"";
            next;
        }
        next if $to eq $m;
        push @private, "$file:$n: $inc is private to $to" if $inc =~ /_int\.h$/;
        push @layer, "$file:$n: $m (level $level{$m}) may not include $to (level $level{$to})"
            if $forbidden{$m}{$to} || ($level{$to} >= $level{$m} && !$beside{$m}{$to});
    }
}
report('every folder of core stands in core/LAYERS', @unknown);
report('includes follow core/LAYERS',                @layer);
report('private headers stay in their module',       @private);
report('core includes "module/header.h"',            @style);

# Folders inside of a module: core/<module>/LAYERS has the same for them.
my (@folders, @full);
my %files;
$files{s{/[^/]+$}{}r}++ for files(qr{^core/.*\.(?:[ch]|def)$});
for my $d (sort keys %files) {
    push @full, "$d: $files{$d} files in one folder" if $files{$d} > 45;
    push @folders, "$d is not in core/$1/LAYERS" if $d =~ m{^core/([^/]+)/([^/]+)$} && -f top() . "/core/$1/LAYERS" && slurp("core/$1/LAYERS") !~ /^\d+\s+$2$/m;
}
for my $layers (files(qr{^core/[^/]+/LAYERS$})) {
    my ($m) = $layers =~ m{^core/([^/]+)/};
    my %of = map { /^(\d+)\s+(\S+)$/ ? ($2 => $1) : () } split /\n/, slurp($layers);
    for my $file (files(qr{^core/$m/[^/]+/[^/]+\.[ch]$})) {
        my ($from) = $file =~ m{^core/$m/([^/]+)/};
        each_match(slurp($file), qr/^\s*#\s*include\s*"$m\/([^\/"]+)\/([^"]+)"/m, sub {
            my ($line, $to, $header) = @_;
            push @folders, "$file:$line: $from (level $of{$from}) may not include $to/$header (level $of{$to})"
                if $to ne $from && ($of{$to} // 99) >= ($of{$from} // 0);
        });
    }
}
report('folders of a module follow its LAYERS', @folders);
report('no folder of core is a hall',           @full);

my @sdk;
for my $file (files(qr{^(plugins|lib|sdk/examples)/.*\.[ch]$}), files(qr{^sdk/include/})) {
    my $n = 0;
    for (split /\n/, slurp($file)) {
        $n++;
        push @sdk, "$file:$n: a computed include hides what it includes" if /^\s*#\s*include\s+[^"<\s]/;
        next unless /^\s*#\s*include\s*["<]([^">]+)[">]/;
        my ($inc, $to) = ($1, $1);
        # a folder inside a plugin may name its plugin's own headers
        next if $inc =~ m{^\.\./(\w+\.h)$} && $file =~ m{^(plugins/[^/]+)/[^/]+/} && -f top() . "/$1/" . ($inc =~ s{^\.\./}{}r);
        # a plugin may name headers of its own folders, from its own folder on
        next if $inc =~ m{^\w+/\w+\.h$} && $file =~ m{^(plugins/[^/]+)/} && -f top() . "/$1/$inc";
        $to =~ s{/.*}{};
        push @sdk, "$file:$n: include \"$inc\": plugins and the SDK know <quidditch/...> only"
            if (exists $level{$to} && $inc =~ m{/}) || $inc =~ m{\.\./|\bcore/};
    }
}
report('plugins, lib and the SDK include nothing of core', @sdk);

# lib/: the SDK, Debian's libraries and the folder's own headers; no plugin's.
my @lib;
for my $file (files(qr{^lib/[^/]+/.*\.[ch]$})) {
    my ($own) = $file =~ m{^(lib/[^/]+)/};
    each_match(slurp($file), qr/^\s*#\s*include\s*"([^"]+)"/m, sub {
        my ($line, $inc) = @_;
        push @lib, "$file:$line: include \"$inc\": lib knows <quidditch/...> and its own folder" unless $inc =~ m{^\w+\.h$} && -f top() . "/$own/$inc";
    });
    each_match(slurp($file), qr/^\s*#\s*include\s*<(quidditch\/[^>]+|coordination-[^>]+)>/m, sub {
        my ($line, $inc) = @_;
        push @lib, "$file:$line: include <$inc>: lib knows <quidditch/...> and its own folder" unless $inc =~ m{^quidditch/\w+\.h$} && -f top() . "/sdk/include/$inc";
    });
}
report('lib includes the SDK, libraries and its own folder', @lib);
done_testing;
