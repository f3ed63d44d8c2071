# rules.t: the other lint tests fail when their rule is broken: each line is one file in a small tree of
# its own, the test that has to fail, and what it has to say.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp 'tempdir';
use File::Path 'make_path';
use Test::More;
use Lint;

my @rules = (
    ['layers', 'core/segment/a.c', '#include "engine/engine.h"',        qr/segment .* may not include engine/],
    ['layers', 'core/segment/a.c', '#include <engine/engine.h>',        qr/write "module/],
    ['layers', 'core/segment/a.c', '#include "../engine/engine.h"',     qr/write "module/],
    ['layers', 'core/segment/a.c', '#include ENGINE',                   qr/computed include/],
    ['layers', 'core/segment/a.c', '#include "json/reader.h"',          qr/may not include json/],
    ['layers', 'core/engine/a.c',  '#include "segment/segment_int.h"',  qr/private to segment/],
    ['layers', 'core/strange/a.c', 'int x;',                            qr/not in core\/LAYERS/],
    ['layers', 'plugins/p/a.c',    '#include "../../core/base/str.h"',  qr/quidditch/],
    ['env',    'core/engine/a.c',  'long f(void) { return time(NULL); }',     qr/time: use/],
    ['env',    'core/engine/a.c',  'long f(void) { return (time)(NULL); }',   qr/time: use/],
    ['env',    'core/engine/a.c',  'int (*f)() = clock_gettime;',             qr/clock_gettime: use/],
    ['env',    'core/engine/a.c',  'int f(void) { return rand(); }',          qr/rand: use/],
    ['env',    'core/engine/a.c',  '#include <pthread.h>',                    qr/belongs to runtime/],
    ['env',    'core/engine/a.c',  'int f(void) { return open("x", 0); }',    qr/open\(\)/],
    ['env',    'core/net/a.c',     'int f(void) { return open("x", 0); }',    qr/open\(\)/],
    ['env',    'core/net/a.c',     'int f(void) { return uv_now(0); }',       qr/uv_now/],
    ['env',    'core/rest/a.c',    'int f(void) { return socket(1, 2, 3); }', qr/socket\(\)/],
    ['env',    'core/rest/a.c',    'void f(void) { uv_tcp_init(0, 0); }',     qr/uv_tcp_init/],
    ['env',    'core/engine/a.c',  'void *f(void) { return fopen("x", "r"); }', qr/fopen: use/],
    ['env',    'plugins/coordination-common/machine.c', '#include <sqlite3.h>', qr/file of its own/],
    ['env',    'plugins/coordination-common/machine.c', 'long f(void) { return time(0); }', qr/pure/],
    ['env',    'plugins/p/a.c',    'void f(void) { uv_queue_work(0, 0, 0, 0); }', qr/thread pool/],
    ['env',    'lib/kube/watch.c', 'long f(void) { return time(0); }',        qr/time: handed in/],
    ['env',    'lib/kube/watch.c', 'void f(void *p) { uv_timer_stop(p); }',   qr/uv_timer_stop: handed in/],
    ['env',    'lib/kube/watch.c', '#include <curl/curl.h>',                  qr/curl.h>: handed in/],
    ['env',    'lib/kube/client.c', 'int f(void) { return open("x", 0); }',   qr/open\(\): handed in/],
    ['env',    'lib/kube/curl.c',  'void f(void) { uv_queue_work(0, 0, 0, 0); }', qr/thread pool/],
    ['layers', 'lib/kube/a.c',     '#include "base/str.h"',                   qr/its own folder/],
    ['banned', 'lib/kube/a.c',     'void *f(void) { return malloc(3); }',     qr/malloc: use/],
    ['docs',   'lib/kube/a.h',     "/* a.h: things. */\n#ifndef A\n#define A\nint kube_a(void);\n#endif", qr/kube_a has no doc/],
    ['blind',  'core/engine/a.c',  '#include "runtime/file.h"',               qr/through store/],
    ['blind',  'core/engine/a.c',  'int f(void) { return qd_file_in_open(); }', qr/through store/],
    ['blind',  'core/action/a.c',  'int f(char *p) { return strcmp(p, "coordination-raft"); }', qr/capability/],
    ['blind',  'core/store/a.c',   'int f(char *p) { return strcmp(p, "nvme"); }', qr/capability/],
    ['blind',  'core/main/a.c',    "int f(char *p) { return strcmp(p,\n \"storage-nvme\"); }", qr/capability/],
    ['blind',  'core/cluster/a.c', 'int f(int m) { return m == QD_MODE_K8S; }',    qr/capability/],
    ['blind',  'core/search/a.c',  'void f(void *h) { qd_plugin_info_get(h, 0, 0); }', qr/_cat/],
    ['docs',   'core/engine/a.h',  "/* a.h: things. */\n#ifndef A\n#define A\nint qd_a(void);\n#endif", qr/qd_a has no doc/],
    ['docs',   'core/engine/a.h',  "/* one */\nint qd_a(void);\nint qd_b(int x,\n int y);",   qr/qd_b has no doc/],
    ['format', 'core/engine/a.c',  'int  x;',                                 qr/a\.c:1: .*make format/],
    ['docs',   'core/engine/a.c',  'int x;',                                  qr/README\.md is missing/],
    ['banned', 'core/engine/a.c',  'void f(char *p) { strcpy(p, "x"); }',     qr/strcpy: use/],
    ['banned', 'core/engine/a.c',  'void *f(void) { return malloc(3); }',     qr/malloc: use/],
    ['banned', 'Makefile',         'CFLAGS += -Ofast',                        qr/-Ofast/],
    ['words',  'core/engine/a.c',  '/* TO' . 'DO: later */',                  qr/unfinished/],
    ['words',  'docs/a.md',        '<' x 7 . " HEAD\nx",                      qr/a\.md:1: .*mark of a merge/],
);
for my $r (@rules) {
    my ($test, $file, $text, $says) = @$r;
    my $dir = tempdir(CLEANUP => 1);
    for my $keep ('core/LAYERS', 'sdk/include/quidditch/errors.def') {
        make_path("$dir/$keep" =~ s{/[^/]*$}{}r);
        open my $h, '>', "$dir/$keep" or die $!;
        print $h slurp($keep);
    }
    make_path("$dir/$file" =~ s{/[^/]*$}{}r);
    open my $h, '>', "$dir/$file" or die $!;
    print $h "$text\n";
    close $h;
    my $out = do { local $ENV{LINT_TOP} = $dir; `$^X '$FindBin::Bin/$test.t' 2>&1` };
  SKIP: {
        skip "$test: its tool is not there", 1 if $out =~ /^SKIPPED: /m;
        ok($? != 0 && $out =~ $says, "$test: $file: " . $text =~ s/\n/ /gr) or diag $out;
    }
}
done_testing;
