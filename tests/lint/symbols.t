# symbols.t: the same rules as env.t and layers.t, over what was built: no module calls a function of the
# system that is not pure, or of a module that it may not include, however the call is written; and
# what must link without other modules does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my $build = top() . '/build';
plan skip_all => 'nothing is built' unless glob "$build/lib/libqd-base.a";

# object -> {u => {symbol}, d => {symbol}}, named by its path below core: "module/object", "module/folder/object"
my (%obj, %definer, %member);
sub learn {
    my ($module) = @_;
    for (`nm -A $build/obj/core/$module/*.o $build/obj/core/$module/*/*.o 2>/dev/null`) {
        my ($id, $type, $s) = m{/core/([\w./-]+\.o):\s*[0-9a-f]*\s+([A-Za-z])\s+(\S+)$} or next;
        next unless -f top() . '/core/' . ($id =~ s/o$/c/r); # of a file that was moved or removed
        $member{$module}{$id} = 1;
        if    ($type eq 'U')        { $obj{$id}{u}{$s} = 1 }
        elsif ($type =~ /[TDBRVWC]/) { $obj{$id}{d}{$s} = 1; $definer{$s} //= $id }
    }
}
my %level;
my (%beside, %forbidden);
for (split /\n/, slurp('core/LAYERS')) {
    next if /^\s*(#|$)/;
    my ($n, $module, @rest) = split ' ';
    $level{$module} = $n;
    for (@rest) { s/^-// ? $forbidden{$module}{$_} = 1 : ($beside{$module}{$_} = 1) }
}
for my $m (sort keys %level) {
    learn($m);
}

# What may be called by everybody: it reads no clock, file or socket and starts no thread.
my $pure = qr/^(?:_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__tls_get_addr|__errno_location|__ctype_\w+_loc|__fix\w+
    |__float\w+|__[a-z]*(?:ti|tf|df|sf)\d|__popcountdi2|__cpu_\w+|_?_?sanitizer\w*|__asan\w*|__ubsan\w*|__tsan\w*
    |__(?:mem|st|str|v?s?n?print|f)\w*_chk|__isoc99_sscanf
    |mem\w+|bcmp|str(?!error$|tok|cpy|cat|dup|ftime|toul|tol|tod|tof)\w+|v?snprintf|qsort|qsort_r|bsearch|abs|labs
    |(?:f?(?:abs|min|max|mod|dim|ma)|ceil|floor|round|ll?round|trunc|rint|ll?rint|nearbyint|sqrt|cbrt|pow|exp|exp2|expm1
       |log|log2|log10|log1p|sincos|sin|cos|tan|sinh|cosh|tanh|asin|acos|atan|atan2|asinh|acosh|atanh|hypot|ldexp|frexp|modf|nextafter|scalbn|copysign)f?
    |pthread_(?:mutex|rwlock)_(?:try\w+|unlock)|gmtime_r|timegm|gnu_get_libc_version
    |ZSTD_\w+|ZDICT_\w+|XXH\w+|SHA256\w*|EVP_\w+|deflate\w*|inflate\w*|crc32\w*|adler32\w*|http_\w+|yaml_\w+|json_\w+
    |u(?:_|cal|regex|text|brk|norm2|char|case|loc|scnv)\w*_72|sb_stemmer_\w+|pcre2_\w+|psl_\w+|gcov_\w+|__gcov\w*
    |llvm_\w+|__llvm\w*)$/x;
my %home = (
    'base/assert' => qr/^(?:abort|fprintf|stderr)$/,
    'base/log'    => qr/^(?:fprintf|stderr)$/,
    'base/mem'    => qr/^(?:malloc|calloc|realloc|free|posix_memalign|aligned_alloc|abort|fprintf|stderr)$/,
    'ingest/net/geoip' => qr/^MMDB_\w+$/, # the administrator's databases
    'net/'        => qr/^(?:setsockopt|getsockopt|uv_(?:accept|buf_init|close|fileno|ip[46]_\w+|is_closing|listen|read_\w+|shutdown
                        |stream_\w+|strerror|tcp_\w+|translate_sys_error|try_write|write))$/x,
    'net/client/' => qr/^(?:curl_\w+|SSL_CTX_load_verify_locations)$/,
    'net/wire_tls' => qr/^(?:BIO|ERR|SSL|TLS|X509)_\w+$/,
    'plugin/file' => qr/^(?:close|closedir|dirfd|fstat|geteuid|lstat|mmap|munmap|open|opendir|read|readdir|stat)$/,
    'plugin/conform' => qr/^qd_conform_\w+$/, # the suites of sdk/conformance
    'plugin/'     => qr/^(?:dlopen|dlsym|dlerror|BIO_\w+|PEM_read_bio_PUBKEY)$/,
    'store/sigbus' => qr/^(?:mmap|raise|sigaction|sigemptyset|sysconf)$/,
);
sub home_of { my $id = shift; return grep { index($id, $_) == 0 } keys %home }

my (@system, @layer);
for my $id (sort keys %obj) {
    my ($m) = $id =~ m{^([^/]+)/};
    next if $m eq 'runtime' || $m eq 'main';
    for my $s (sort keys %{$obj{$id}{u} // {}}) {
        if (my $d = $definer{$s}) {
            my ($to) = $d =~ m{^([^/]+)/};
            next if $to eq $m || ($level{$to} < $level{$m} && !$forbidden{$m}{$to}) || $beside{$m}{$to};
            # what a header of another module brings along by its inline functions
            push @layer, "$id: $s of $to: $m (level $level{$m}) may not use $to (level $level{$to})";
            next;
        }
        next if $s =~ $pure || grep { $s =~ $home{$_} } home_of($id);
        push @system, "$id: $s: the system is reached through runtime, store or net";
    }
}
report('no module reaches the system past runtime', @system);
report('modules use what core/LAYERS lets them include', @layer);

# The pure part of coordination-raft, which a simulation runs without SQLite and libuv.
my @pure;
for my $part (qw(bytes keys entry check machine machine_run machine_rows snapshot wire discover policy)) {
    my ($o) = grep { -f } "$build/obj/parts/coordination-raft/plugins/coordination-common/$part.pic.o",
        "$build/obj/plugins/coordination-raft/$part.pic.o" or next;
    for (`nm -u '$o'`) {
        my ($s) = /(\S+)$/;
        push @pure, "coordination-raft/$part: $s" unless $s =~ /^crm?_/ || $s =~ /^ZSTD_/ || $s =~ $pure || $s eq 'abort' || $s eq 'qd_invariant_fail';
    }
}
report('the state machine of coordination-raft is pure', @pure);

# Modules that the objects pull in, as a linker takes members out of archives.
sub closure {
    my (@todo) = @_;
    my (%seen, %modules);
    while (defined(my $id = shift @todo)) {
        next if $seen{$id}++;
        $modules{(split m{/}, $id)[0]} = 1;
        push @todo, grep { defined && !$seen{$_} } map { $definer{$_} } keys %{$obj{$id}{u} // {}};
    }
    return sort keys %modules;
}
sub links_without {
    my ($what, $objects, @without) = @_;
    my %m = map { $_ => 1 } closure(@$objects);
    is(join(' ', grep { $m{$_} } @without), '', "$what links without @without");
}
links_without('query', [sort keys %{$member{query}}], qw(net store segment engine search cluster action));
links_without('search', [sort keys %{$member{search}}], qw(net rpc cluster shard action));
links_without('qd segment', ['main/qd/segment.o'], grep { !/^(?:base|json|config|automaton|runtime|plugin|store|segment|main)$/ } sort keys %level);
done_testing;
