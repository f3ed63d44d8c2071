/*
 * relay.c: the network between the hosts of a test: carries packets between network namespaces, and
 * loses, doubles, delays and reorders them as a control file says, for each direction of each pair.
 *
 *   relay CONTROL SEED DEVICE:NAMESPACE...     namespace empty: the one in which it runs
 *
 * Each host gets a tun device; the n-th host has addresses that end in n, the host without a
 * namespace the one that ends in 254. Says "ready" when all devices are there, and ends with its
 * standard input.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define HOSTS 16
#define PACKET 2048
#define HELD (1 << 16) /* packets on their way; more are lost */

/* The same bytes as in integration/lib/QdNet.pm. */
struct way {
    _Atomic uint32_t lose, twice; /* of a million */
    _Atomic uint32_t delay_us,
        jitter_us; /* each packet: delay and up to jitter; so they overtake */
};
struct control {
    _Atomic uint64_t carried, lost, doubled, overtaken;
    struct way ways[HOSTS][HOSTS]; /* [from][to] */
};

struct packet {
    uint64_t due, number;
    uint32_t to, bytes;
    uint8_t data[PACKET];
};

static struct control *control;
static struct packet *heap[HELD];
static uint32_t held;
static int device[HOSTS];
static uint32_t outside = HOSTS; /* the host without a namespace */
static uint64_t newest[HOSTS][HOSTS], numbers, state;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint32_t draw(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % below);
}

static bool before(const struct packet *a, const struct packet *b)
{
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void hold(struct packet *p)
{
    uint32_t i = held++;
    for (; i && before(p, heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = p;
}

static struct packet *take(void)
{
    struct packet *first = heap[0], *last = heap[--held];
    uint32_t i = 0;
    for (;;) {
        uint32_t next = 2 * i + 1;
        if (next >= held) break;
        if (next + 1 < held && before(heap[next + 1], heap[next])) next++;
        if (!before(heap[next], last)) break;
        heap[i] = heap[next];
        i = next;
    }
    if (held) heap[i] = last;
    return first;
}

static void carry(uint32_t from, uint32_t to, const uint8_t *data, uint32_t n)
{
    struct way *w = &control->ways[from][to];
    uint32_t lose = atomic_load(&w->lose), twice = atomic_load(&w->twice);
    if ((lose && draw(1000000) < lose) || held + 2 > HELD) {
        atomic_fetch_add(&control->lost, 1);
        return;
    }
    uint32_t copies = twice && draw(1000000) < twice ? 2 : 1;
    if (copies == 2) atomic_fetch_add(&control->doubled, 1);
    for (; copies; copies--) {
        struct packet *p = malloc(sizeof *p);
        if (!p) fail("memory");
        uint32_t jitter = atomic_load(&w->jitter_us);
        p->due = now_us() + atomic_load(&w->delay_us) + (jitter ? draw(jitter) : 0);
        p->number = numbers++;
        p->to = to;
        p->bytes = n;
        memcpy(p->data, data, n);
        if (p->due < newest[from][to]) atomic_fetch_add(&control->overtaken, 1);
        if (p->due > newest[from][to]) newest[from][to] = p->due;
        hold(p);
    }
}

static void deliver(void)
{
    while (held && heap[0]->due <= now_us()) {
        struct packet *p = take();
        atomic_fetch_add(&control->carried, 1);
        (void)!write(device[p->to], p->data, p->bytes); /* a host that is down loses it */
        free(p);
    }
}

static int make_device(const char *name, const char *space)
{
    char path[300];
    struct ifreq request;
    if (*space) {
        snprintf(path, sizeof path, "/var/run/netns/%s", space);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) fail(path);
        close(fd);
    }
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) fail("/dev/net/tun");
    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &request) != 0) fail(name);
    return fd;
}

static void run(uint32_t n)
{
    struct pollfd p[HOSTS + 1];
    uint8_t data[PACKET];
    for (uint32_t i = 0; i < n; i++) p[i] = (struct pollfd){.fd = device[i], .events = POLLIN};
    p[n] = (struct pollfd){.fd = 0, .events = POLLIN};
    for (;;) {
        struct timespec wait = {1, 0};
        if (held) {
            uint64_t now = now_us(), due = heap[0]->due, us = due > now ? due - now : 0;
            wait = (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
        }
        (void)ppoll(p, n + 1, &wait, NULL);
        if (p[n].revents) {
            ssize_t got = read(0, data, sizeof data);
            if (got <= 0) return; /* whoever started it has ended */
        }
        for (uint32_t from = 0; from < n; from++) {
            for (int k = 0; k < 64; k++) {
                ssize_t got = read(device[from], data, sizeof data);
                if (got < 20) break;
                if (data[0] >> 4 != 4) continue;
                uint32_t to = data[19] == 254 ? outside : data[19] - 1u;
                if (to < n && to != from) carry(from, to, data, (uint32_t)got);
            }
        }
        deliver();
    }
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 3 ? (uint32_t)argc - 3 : 0;
    if (!n || n > HOSTS) {
        fprintf(stderr, "usage: relay CONTROL SEED DEVICE:NAMESPACE... (at most %d)\n", HOSTS);
        return 64;
    }
    int fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *control) != 0) fail(argv[1]);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) fail(argv[1]);
    state = strtoull(argv[2], NULL, 10) * 0x9E3779B97F4A7C15ull + 88172645463325252ull;
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    for (uint32_t i = 0; i < n; i++) {
        char *space = strchr(argv[i + 3], ':');
        if (!space) fail(argv[i + 3]);
        *space++ = 0;
        if (!*space) outside = i;
        device[i] = make_device(argv[i + 3], space);
        if (setns(own, CLONE_NEWNET) != 0) fail("the namespace of before");
    }
    puts("ready");
    fflush(stdout);
    run(n);
    return 0;
}
