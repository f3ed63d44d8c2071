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
    'sys/times.h'   => [],
    'sys/timeb.h'   => [],
    'sys/timerfd.h' => [],
    'sys/eventfd.h' => [],
    'sys/inotify.h' => [],
    'sys/utsname.h' => [],
    'sys/sysinfo.h' => [],
    'sys/prctl.h'   => [],
    'aio.h'         => [],
    'ftw.h'         => [],
    'glob.h'        => [],
    'mqueue.h'      => [],
    'ucontext.h'    => [],
    'uuid/uuid.h'   => [],
    'sqlite3.h'     => ['core/main/libs.c'],
    'raft.h'        => [],
    'liburing.h'    => [],
    'openssl/rand.h' => [],
    'openssl/ssl.h' => ['core/net/'],
    'curl/curl.h'   => ['core/main/qd/client.c', 'core/main/libs.c', 'core/net/client/'],
    'uv.h'          => ['core/net/', 'core/main/', 'core/plugin/'],
    'dlfcn.h'       => ['core/plugin/'],
);
# Functions of headers that everybody needs, and what to use. Names that nothing else bears are not even
# mentioned, so that no pointer to one is taken; the others are not called.
my %call = (
    (map { $_ => 'qd_env_mono_ns or qd_env_wall_ms of runtime/env.h' }
        qw(time clock clock_gettime clock_getres gettimeofday timespec_get times ftime uv_hrtime uv_now
        __builtin_ia32_rdtsc __builtin_ia32_rdtscp __rdtsc __rdtscp _rdtsc __builtin_readcyclecounter
        __DATE__ __TIME__ __TIMESTAMP__)),
    (map { $_ => 'qd_env_sleep_ns, or a timer' } qw(nanosleep usleep sleep clock_nanosleep alarm setitimer)),
    (map { $_ => 'qd_env_random or qd_prng of runtime/env.h' }
        qw(rand random srand srandom drand48 erand48 lrand48 mrand48 rand_r random_r getrandom getentropy
        arc4random arc4random_uniform arc4random_buf RAND_bytes RAND_priv_bytes uuid_generate
        __builtin_ia32_rdrand16_step __builtin_ia32_rdrand32_step __builtin_ia32_rdrand64_step
        __builtin_ia32_rdseed_di_step _rdrand32_step _rdrand64_step _rdseed64_step)),
    (map { $_ => 'runtime/file.h (files of a shard: store)' }
        qw(fopen fopen64 freopen fdopen tmpfile mkstemp mkostemp mkdtemp tmpnam opendir fdopendir scandir nftw)),
    (map { $_ => 'qd_proc_run of runtime/proc.h' }
        qw(popen system fork vfork clone execv execve execvp execvpe execl execlp execle fexecve posix_spawn
        posix_spawnp waitpid)),
    (map { $_ => 'qd_proc_env of runtime/proc.h' } qw(getenv secure_getenv setenv putenv unsetenv)),
    (map { $_ => 'a struct tm of gmtime_r: the zone of the process must not matter' }
        qw(localtime localtime_r mktime tzset)),
    (map { $_ => 'runtime/env.h and sync.h' } qw(thrd_create mtx_lock cnd_wait sem_wait)),
);
my %word = map { $_ => 1 } qw(time clock times sleep random rand clone system alarm);
my $mention = join '|', sort grep { !$word{$_} } keys %call;
my $words = join '|', sort keys %word;
# System calls by name, as a header of ours may bring their declaration along. A function of the same
# name that the file itself defines is not meant. core/net has the calls of sockets, and no others.
my @socket = qw(socket socketpair bind listen accept accept4 connect send sendto sendmsg sendmmsg recv recvfrom
    recvmsg getsockopt setsockopt getsockname getpeername shutdown);
my %socket = map { $_ => 1 } @socket;
my $sys = join '|', sort @socket, qw(open open64 openat openat64 creat read write pread pwrite pread64 pwrite64
    preadv pwritev readv writev lseek fsync fdatasync sync_file_range ftruncate truncate fallocate
    posix_fallocate rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir stat stat64 fstat lstat fstatat
    statx statvfs access faccessat chmod fchmod chown link linkat symlink readlink remove mmap mmap64 munmap
    mremap msync madvise flock fcntl ioctl dup dup2 dup3 getaddrinfo getnameinfo gethostbyname poll ppoll select
    epoll_create1 epoll_ctl epoll_wait pipe pipe2 eventfd timerfd_create inotify_init1 syscall kill signal
    sigaction raise);
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
        my $code = code_of($file);
        each_match($code, qr/(?<![\w.>])(?:(?:$mention)\b|\(?\s*\b(?:$words)\s*\)?\s*\()/, sub {
            my ($line, $hit) = @_;
            $hit =~ s/[\s()]//g;
            return if $hit =~ /^(?:fd)?opendir$/ && $file eq 'core/plugin/file.c';
            push @calls, "$file:$line: $hit: use $call{$hit}";
        });
        for my $l (literals_of($file)) {
            push @calls, "$file:$l->[0]: \"$l->[1]\": use qd_env_random of runtime/env.h" if $l->[1] =~ m{^/dev/u?random};
        }
        each_match($code, qr/\bpthread_\w+\s*\(/, sub {
            push @calls, "$file:$_[0]: $_[1]): use runtime/sync.h, qd_thread_start of runtime/env.h";
        });
        each_match($code, qr/(?<![\w.>*])(?:(?:$sys)|\(\s*(?:$sys)\s*\))\s*\((?!\s*\*)/, sub {
            my ($line, $hit) = @_;
            $hit =~ s/[\s()]//g;
            return if $sys_home{$file} || ($socket{$hit} && $file =~ m{^core/net/});
            return if $code =~ /^[\w\s*]*\b$hit\s*\([^;{]*\)\s*[{;]/m && $code =~ /^static\b[^;{}=]*\b$hit\s*\(/m;
            return if (split /\n/, $code)[$line - 1] =~ /^\s*(?:static|struct|const|u?int\w*|bool|void|size_t|ssize_t|qd_\w+)\b[^=(]*\b$hit\s*\(/;
            push @calls, "$file:$line: $hit(): the system is reached through runtime, store or net";
        });
        if ($file !~ m{^core/net/}) {
            each_match(code_of($file), qr/\buv_\w+/, sub {
                push @uv, "$file:$_[0]: $_[1]: libuv is used in runtime and net only"
                    unless $_[1] eq 'uv_version' || $_[1] eq 'uv_loop_s' || $_[1] eq 'uv_loop';
            });
        } else {
            each_match($code, qr/\buv_(?:timer|thread|mutex|cond|sem|os|loop|run|async|signal|spawn|random|fs)\w*\s*\(/, sub {
                push @uv, "$file:$_[0]: $_[1]): net uses libuv for sockets only";
            });
        }
    }
}
# coordination-raft: its machine is pure, so that a simulation runs it without SQLite and libuv; libraft
# and SQLite have one file each.
my @shell;
my $pure = qr{^plugins/coordination-(?:common|raft)/(?:bytes|keys|entry|check|machine|machine_int|machine_run|machine_rows|snapshot|wire|discover|policy)\.[ch]$};
my %only = ('raft.h' => qr/consensus(?:_raft)?\.[ch]$/, 'raft/uv.h' => qr/consensus_raft\.c$/, 'sqlite3.h' => qr/rows\.c$/);
for my $file (files(qr{^plugins/coordination-(?:common|raft)/.*\.[ch]$})) {
    my $code = code_of($file);
    each_match(slurp($file), qr/^\s*#\s*include\s*["<]([^">]+)[">]/m, sub {
        my ($line, $inc) = @_;
        push @shell, "$file:$line: $inc has a file of its own" if $only{$inc} && $file !~ $only{$inc};
        push @shell, "$file:$line: $inc: the machine is pure, the shell does this"
            if $file =~ $pure && $inc !~ m{^(?:quidditch/\w+\.h|(?:bytes|keys|entry|machine|machine_int|snapshot|wire|discover|policy)\.h
                |std(?:int|def|bool|lib|atomic)\.h|string\.h|limits\.h|openssl/sha\.h|xxhash\.h|zstd\.h|check/(?:invariant|mutant)\.h)$}x;
    });
    next unless $file =~ $pure;
    each_match($code, qr/(?<![\w.>])(?:(?:$mention|pthread_\w+|uv_\w+|sqlite3_\w+|raft_\w+)\b|\(?\s*\b(?:$words)\s*\)?\s*\()/, sub {
        my ($line, $hit) = @_;
        $hit =~ s/[\s()]//g;
        push @shell, "$file:$line: $hit: the machine is pure, the shell does this";
    });
    each_match($code, qr/(?<![\w.>*])(?:$sys)\s*\(/, sub { push @shell, "$file:$_[0]: $_[1]): the machine is pure" });
}
report('the machine of coordination-raft is pure', @shell);

# lib/kube runs in a simulation: time, random numbers and timers are handed in; the machine's files and
# variables are in sources.c, libcurl and libuv in the transport and the loop.
my @kube;
my %kube_home = (
    'sources.c'      => qr/^(?:fcntl\.h|unistd\.h|getenv|open|read|close)$/,
    'curl_request.c' => qr/^(?:sys\/socket\.h|netinet\/(?:in|tcp)\.h|setsockopt)$/,
);
for my $file (files(qr{^lib/kube/.*\.[ch]$})) {
    my ($name) = $file =~ m{([^/]+)$};
    my $real = $name =~ /^(?:curl\w*|loop)\.[ch]$/;
    my $home = $kube_home{$name} // qr/^$/;
    my $code = code_of($file);
    each_match(slurp($file), qr/^\s*#\s*include\s*["<]([^">]+)[">]/m, sub {
        my ($line, $inc) = @_;
        return unless exists $header{$inc} || $inc =~ /^(?:time|curl\.h)/;
        return if $inc =~ $home || ($real && $inc =~ /^(?:uv|curl\/curl|curl)\.h$/);
        push @kube, "$file:$line: <$inc>: handed in by kube_env and kube_sources, or in curl*.c";
    });
    each_match($code, qr/(?<![\w.>*])(?:(?:$mention|pthread_\w+|uv_\w+|curl_(?!int\b)\w+)\b|\(?\s*\b(?:$words)\s*\)?\s*\()/, sub {
        my ($line, $hit) = @_;
        $hit =~ s/[\s()]//g;
        return if $hit =~ $home || ($real && $hit =~ /^(?:uv_(?!hrtime|now|queue|fs_|getaddr)|curl_)/);
        push @kube, "$file:$line: $hit: handed in by kube_env and kube_sources, or in curl*.c";
    });
    each_match($code, qr/(?<![\w.>*])(?:$sys)\s*\(/, sub {
        my ($line, $hit) = @_;
        $hit =~ s/[\s()]//g;
        return if $hit =~ $home || $code =~ /^static\b[^;{}=]*\b$hit\s*\(/m;
        push @kube, "$file:$line: $hit(): handed in by kube_env and kube_sources";
    });
}
report('lib/kube reaches the machine through its owner', @kube);

for my $file (files(qr{^(core|plugins|lib)/.*\.[ch]$})) {
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
