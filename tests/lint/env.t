# env.t: clocks, random numbers, files, sockets, threads and the environment are reached through
# runtime alone; libuv is used in runtime and net alone, and its thread pool nowhere.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

# A system header, and the places besides runtime that may include it. store/sigbus.c is the handler
# for damaged mapped files; plugin/file.c opens a plugin's file once, so that what was checked is what
# is mapped.
my %header = (
    'pthread.h'     => [],
    'threads.h'     => [],
    'semaphore.h'   => [],
    'sched.h'       => [],
    'signal.h'      => ['core/store/sigbus.c'],
    'setjmp.h'      => [],
    'unistd.h'      => ['core/plugin/file.c', 'core/store/sigbus.c'],
    'fcntl.h'       => ['core/plugin/file.c'],
    'dirent.h'      => ['core/plugin/file.c'],
    'spawn.h'       => [],
    'sys/stat.h'    => ['core/plugin/file.c'],
    'sys/statvfs.h' => [],
    'sys/mman.h'    => ['core/store/sigbus.c', 'core/plugin/file.c'],
    'sys/uio.h'     => [],
    'sys/file.h'    => [],
    'sys/wait.h'    => [],
    'sys/random.h'  => [],
    'sys/time.h'    => [],
    'sys/resource.h' => [],
    'sys/syscall.h' => [],
    'linux/aio_abi.h' => [],
    'sys/socket.h'  => ['core/net/'],
    'sys/un.h'      => ['core/net/'],
    'netinet/in.h'  => ['core/net/'],
    'netinet/tcp.h' => ['core/net/'],
    'arpa/inet.h'   => ['core/net/'],
    'netdb.h'       => [],
    'poll.h'        => [],
    'sys/epoll.h'   => [],
    'sys/select.h'  => [],
    'uv.h'          => ['core/net/', 'core/main/', 'core/plugin/'],
    'dlfcn.h'       => ['core/plugin/'],
);
# Functions of headers that everybody needs, and what to use.
my %call = (
    (map { $_ => 'qd_env_mono_ns or qd_env_wall_ms of runtime/env.h' }
        qw(time clock clock_gettime gettimeofday timespec_get)),
    (map { $_ => 'qd_env_sleep_ns, or a timer' } qw(nanosleep usleep sleep clock_nanosleep)),
    (map { $_ => 'qd_env_random or qd_prng of runtime/env.h' }
        qw(rand random srand srandom drand48 lrand48 mrand48 rand_r getrandom getentropy arc4random)),
    (map { $_ => 'runtime/file.h (files of a shard: store)' }
        qw(fopen freopen fdopen tmpfile mkstemp mkdtemp tmpnam opendir)),
    (map { $_ => 'qd_proc_run of runtime/proc.h' } qw(popen system fork execvp execv)),
    (map { $_ => 'qd_proc_env of runtime/proc.h' } qw(getenv secure_getenv setenv putenv)),
    (map { $_ => 'a struct tm of gmtime_r: the zone of the process must not matter' }
        qw(localtime localtime_r mktime tzset)),
    (map { $_ => 'runtime/env.h and sync.h' } qw(thrd_create mtx_lock)),
);
my $calls = join '|', sort keys %call;
# System calls by name, as a header of ours may bring their declaration along. A function of the same
# name that the file itself defines is not meant.
my %sys = map { $_ => 1 } qw(open openat creat read write pread pwrite preadv pwritev readv writev lseek
    fsync fdatasync sync_file_range ftruncate fallocate posix_fallocate rename renameat unlink unlinkat
    mkdir mkdirat rmdir stat fstat lstat fstatat statvfs mmap munmap mremap msync madvise flock fcntl ioctl
    socket socketpair bind listen accept accept4 connect send sendto sendmsg recv recvfrom recvmsg
    getaddrinfo getnameinfo gethostbyname poll ppoll select epoll_create1 epoll_ctl epoll_wait pipe pipe2
    eventfd timerfd_create syscall kill signal sigaction raise);
my $sys = join '|', sort keys %sys;
my %sys_home = ('core/store/sigbus.c' => 1, 'core/plugin/file.c' => 1);

my (@headers, @calls, @uv, @uvpool);
my @pool = qw(uv_queue_work uv_getaddrinfo uv_getnameinfo uv_random);
for my $file (files(qr{^core/.*\.[ch]$})) {
    my $runtime = $file =~ m{^core/runtime/};
    if (!$runtime) {
        my $n = 0;
        for (split /\n/, slurp($file)) {
            $n++;
            next unless /^\s*#\s*include\s+<([^>]+)>/ && $header{$1};
            my $h = $1;
            next if grep { index($file, $_) == 0 } @{$header{$h}};
            push @headers, "$file:$n: <$h> belongs to runtime (env.h, sync.h, file.h, proc.h)";
        }
        each_match(code_of($file), qr/(?<![\w.>])(?:$calls)\s*\(/, sub {
            my ($line, $hit) = @_;
            $hit =~ s/\s*\($//;
            return if $hit eq 'opendir' && $file eq 'core/plugin/file.c';
            push @calls, "$file:$line: $hit(): use $call{$hit}";
        });
        my $code = code_of($file);
        each_match($code, qr/\bpthread_\w+\s*\(/, sub {
            push @calls, "$file:$_[0]: $_[1]): use runtime/sync.h, qd_thread_start of runtime/env.h";
        });
        each_match($code, qr/(?<![\w.>*])(?:$sys)\s*\((?!\s*\*)/, sub {
            my ($line, $hit) = @_;
            $hit =~ s/\s*\($//;
            return if $sys_home{$file} || $file =~ m{^core/net/};
            return if $code =~ /^[\w\s*]*\b$hit\s*\([^;{]*\)\s*[{;]/m && $code =~ /^static\b[^;{}=]*\b$hit\s*\(/m;
            return if (split /\n/, $code)[$line - 1] =~ /^\s*(?:static|struct|const|u?int\w*|bool|void|size_t|ssize_t|qd_\w+)\b[^=(]*\b$hit\s*\(/;
            push @calls, "$file:$line: $hit(): the system is reached through runtime, store or net";
        });
        if ($file !~ m{^core/net/}) {
            each_match(code_of($file), qr/\buv_\w+/, sub {
                push @uv, "$file:$_[0]: $_[1]: libuv is used in runtime and net only"
                    unless $_[1] eq 'uv_version' || $_[1] eq 'uv_loop_s' || $_[1] eq 'uv_loop';
            });
        }
    }
}
for my $file (files(qr{^(core|plugins)/.*\.[ch]$})) {
    my $names = join '|', @pool;
    each_match(code_of($file), qr/\b(?:uv_fs_(?!t\b|event|poll)\w+|$names)\s*\(/, sub {
        push @uvpool, "$file:$_[0]: $_[1]: libuv's thread pool belongs to libraft";
    });
}
for my $so (glob(top() . '/build/lib/quidditch/plugins/*.so')) {
    for (`nm -D --undefined-only '$so' 2>/dev/null`) {
        push @uvpool, "$so: $1 is called: libuv's thread pool belongs to libraft"
            if /\b(uv_fs_(?!event|poll)\w+|uv_queue_work|uv_getaddrinfo|uv_getnameinfo)\b/;
    }
}
report('system headers are runtime\'s',                              @headers);
report('no clock, random number, file, process past runtime',        @calls);
report('libuv in runtime and net only',                              @uv);
report('nobody but libraft uses libuv\'s thread pool',               @uvpool);
done_testing;
