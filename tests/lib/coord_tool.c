/*
 * coord_tool.c: a seeded load on coordination-raft as a program, for power losses and kills.
 *
 *   coord_tool PLUGINS run DIR HISTORY SEED COUNT [SEQ]   goes on behind what the store holds; SEQ:
 *                                                         the recorder's counter
 *   coord_tool PLUGINS check DIR HISTORY SEED CUT         exit 1 and a line when something is lost
 *
 * Operation i is a transaction that follows from (seed, i) alone, and puts i under the key "last":
 * whatever the store holds must be what operations 1 to "last" made. The history has a line when an
 * operation begins and one when it is acknowledged, each with the recorder's number.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/coord/coord.h"
#include "plugin/host.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEYS 24u
#define BIG_MAX (3u << 20)
#define TIMEOUT_MS 20000

static uint64_t seed;

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a + 1) * 0x9E3779B97F4A7C15ull ^ (b + 7) * 0xD1B54A32D192ED03ull ^ seed;
    x ^= x >> 31;
    x *= 0x94D049BB133111EBull;
    return x ^ x >> 29;
}

/* The value that operation i puts under key k. */
static size_t value_of(uint64_t i, uint32_t k, char *out)
{
    uint64_t r = mix(i, k);
    size_t n = r % 50 == 0 ? 900000 + r % (BIG_MAX - 900000) : r % 400;
    for (size_t at = 0; at < n; at += 8) {
        uint64_t word = mix(r, at);
        memcpy(out + at, &word, n - at < 8 ? n - at : 8);
    }
    return n;
}

/* What operation i does to key k: 0 nothing, 1 put, 2 delete. */
static int action_of(uint64_t i, uint32_t k)
{
    uint64_t r = mix(i ^ 0x5555, k) % 16;
    return r == 0 ? 1 : r == 1 ? 2 : 0;
}

static int fail(const char *what, qd_err *err)
{
    printf("%s: %s\n", what, qd_err_reason(err));
    return 1;
}

static uint64_t number_of(qd_str s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) v = v * 10 + (uint64_t)(s.p[i] - '0');
    return v;
}

/* The number under "last"; 0: none. */
static int read_last(qd_coord_store *s, uint64_t *last, qd_err *err)
{
    qd_arena a;
    qd_coord_list l;
    qd_arena_init(&a, NULL, (size_t)1 << 26);
    int rc = qd_coord_read(s, QD_STR("last"), false, TIMEOUT_MS, &a, &l, err);
    *last =
        rc == 0 && l.n ? number_of((qd_str){(const char *)l.at[0].value, l.at[0].value_len}) : 0;
    qd_arena_fini(&a);
    return rc;
}

static int operate(qd_coord_store *s, uint64_t i, char *room, qd_err *err)
{
    static char names[KEYS][16];
    qd_coord_change c[KEYS + 1];
    char number[24];
    uint32_t n = 0;
    size_t at = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        int action = action_of(i, k);
        if (!action) continue;
        int len = snprintf(names[k], sizeof names[k], "k/%02u", k);
        c[n] = (qd_coord_change){
            action == 1 ? QD_COORD_PUT : QD_COORD_DELETE, 0, {names[k], (size_t)len}, {"", 0}, 0};
        if (action == 1) {
            c[n].value = (qd_str){room + at, value_of(i, k, room + at)};
            at += BIG_MAX + 8;
        }
        n++;
    }
    int len = snprintf(number, sizeof number, "%" PRIu64, i);
    c[n++] = (qd_coord_change){QD_COORD_PUT, 0, QD_STR("last"), {number, (size_t)len}, 0};
    return qd_coord_commit(s, NULL, 0, c, n, TIMEOUT_MS, NULL, NULL, err);
}

static void note(int fd, char what, uint64_t i, const _Atomic uint64_t *seq)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%c %" PRIu64 " %" PRIu64 "\n", what, i, seq ? *seq : 0);
    if (write(fd, line, (size_t)n) != n) exit(3);
}

static int run(qd_coord_store *s, char **argv, int argc, char *room, qd_err *err)
{
    const _Atomic uint64_t *seq = NULL;
    uint64_t last;
    if (argc > 7) {
        int fd = open(argv[7], O_RDONLY | O_CLOEXEC);
        void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) return 2;
        seq = p;
    }
    int history = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (history < 0 || read_last(s, &last, err)) return fail("start", err);
    uint64_t until = last + strtoull(argv[6], NULL, 10);
    for (uint64_t i = last + 1; i <= until; i++) {
        note(history, 'b', i, seq);
        if (operate(s, i, room, err)) return fail("commit", err);
        note(history, 'a', i, seq);
    }
    close(history);
    return 0;
}

/* Is every key as operations 1 to last left it? */
static int compare(const qd_coord_list *l, uint64_t last, char *room)
{
    for (uint32_t k = 0; k < KEYS; k++) {
        char name[16];
        uint64_t by = 0;
        const qd_coord_kv *kv = NULL;
        for (uint64_t i = last; i > 0 && !by; i--)
            if (action_of(i, k)) by = i;
        snprintf(name, sizeof name, "k/%02u", k);
        for (uint32_t i = 0; i < l->n; i++)
            if (qd_str_is(l->at[i].key, name)) kv = &l->at[i];
        if (!by || action_of(by, k) == 2) {
            if (!kv) continue;
        } else {
            size_t n = value_of(by, k, room);
            if (kv && kv->value_len == n && memcmp(kv->value, room, n) == 0) continue;
        }
        printf("key %s is not as operation %" PRIu64 " left it (last is %" PRIu64 ")\n", name, by,
               last);
        return 1;
    }
    return 0;
}

static int check(qd_coord_store *s, char **argv, char *room, qd_err *err)
{
    uint64_t cut = strtoull(argv[6], NULL, 10), acked = 0, begun = 0, last = 0, i, seq;
    char what;
    FILE *f = fopen(argv[4], "r");
    while (f && fscanf(f, " %c %" SCNu64 " %" SCNu64, &what, &i, &seq) == 3) {
        if (seq > cut) continue;
        if (what == 'a') acked = i;
        if (what == 'b') begun = i;
    }
    if (f) fclose(f);
    qd_arena a;
    qd_coord_list l;
    qd_arena_init(&a, NULL, (size_t)1 << 30);
    int rc = read_last(s, &last, err);
    if (!rc) rc = qd_coord_read(s, QD_STR(""), true, TIMEOUT_MS, &a, &l, err);
    if (rc) {
        rc = fail("read", err);
    } else if (last < acked || last > begun) {
        printf("last is %" PRIu64 ", acknowledged %" PRIu64 ", begun %" PRIu64 "\n", last, acked,
               begun);
        rc = 1;
    } else {
        rc = compare(&l, last, room);
    }
    if (!rc && operate(s, last + 1, room, err)) rc = fail("commit afterwards", err);
    qd_arena_fini(&a);
    return rc;
}

int main(int argc, char **argv)
{
    bool runs = argc >= 7 && strcmp(argv[2], "run") == 0;
    if (!runs && !(argc == 7 && strcmp(argv[2], "check") == 0)) {
        fprintf(stderr, "usage: coord_tool PLUGINS run|check DIR HISTORY SEED COUNT|CUT [SEQ]\n");
        return 2;
    }
    qd_err err;
    qd_err_init(&err);
    qd_log_level_set(NULL, getenv("COORD_TOOL_LOG") ? QD_LOG_INFO : QD_LOG_OFF);
    seed = strtoull(argv[5], NULL, 10);
    qd_str allow = QD_STR("coordination-raft"), folder = qd_str_c(argv[1]);
    qd_plugin_host_config c = {.env = qd_env_system(),
                               .paths = &folder,
                               .npaths = 1,
                               .build_tree = true,
                               .allow = &allow,
                               .nallow = 1,
                               .allow_unstable = true};
    const qd_pair options[] = {{QD_STR("snapshot_threshold"), QD_STR("24")}};
    qd_coord_config config = {.struct_size = sizeof config,
                              .flags = QD_COORD_OPEN_BOOTSTRAP,
                              .cluster = QD_STR("test"),
                              .node_id = QD_STR("node"),
                              .node_name = QD_STR("node"),
                              .path = qd_str_c(argv[3]),
                              .options = options,
                              .noptions = 1};
    qd_plugin_host *host;
    qd_coord_store *s;
    qd_self *self;
    const void *vt;
    c.uv_version = qd_loop_uv_version();
    if (qd_plugin_host_open(&c, &host, &err) || qd_plugin_host_load(host, &err) ||
        qd_plugin_host_start(host, &err) ||
        qd_plugin_need(host, QD_KIND_COORDINATION, allow, "test", &vt, &self, &err))
        return fail("plugins", &err);
    if (qd_coord_open(qd_env_system(), vt, self, &config, &s, &err)) return fail("open", &err);
    char *room = malloc((size_t)KEYS * (BIG_MAX + 8));
    int rc = runs ? run(s, argv, argc, room, &err) : check(s, argv, room, &err);
    free(room);
    qd_coord_close(s);
    qd_plugin_host_stop(host);
    qd_plugin_host_close(host);
    qd_err_fini(&err);
    return rc;
}
