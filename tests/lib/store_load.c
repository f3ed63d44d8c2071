/* store_load.c: see store_load.h. */
#include "lib/store_load.h"
#include "base/hash.h"
#include "base/str.h"
#include "runtime/env.h"
#include "store/file.h"
#include <inttypes.h>
#include <stdlib.h>

#define POINTS 4u
#define LAZY_MAX 4u

typedef enum op_kind {
    MADE,
    LAZY,
    SYNCED,
    DELETED,
    ASIDE,
    POINT,
    LOG_MADE,
    LOG_SYNCED,
    TREE_GONE
} op_kind;

/* One operation on one name. n: of POINT its value, of LOG_SYNCED the bytes durable. */
typedef struct op {
    uint64_t begin, end; /* end 0: never acknowledged */
    uint64_t n;
    uint32_t kind;
    char name[28];
} op;

struct store_load {
    uint64_t seed, (*stamp)(void *), nops, cap, serial;
    void *arg;
    op *ops;
    qd_prng rnd;
    qd_store_log *log;
    char log_name[28];
    uint64_t log_end;
    char lazy[LAZY_MAX][28];
    uint32_t nlazy;
    bool tolerant;
    uint64_t refused;
};

static const qd_file_format format = {{"load", 4}, 1, 1};

store_load *store_load_make(uint64_t seed, uint64_t (*stamp)(void *arg), void *arg)
{
    store_load *l = calloc(1, sizeof *l);
    if (!l) abort();
    l->seed = seed;
    l->stamp = stamp;
    l->arg = arg;
    qd_prng_init(&l->rnd, seed);
    return l;
}

void store_load_free(store_load *l)
{
    free(l->ops);
    free(l);
}

static op *begin(store_load *l, op_kind kind, const char *name, uint64_t n)
{
    if (l->nops == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 256;
        l->ops = realloc(l->ops, l->cap * sizeof *l->ops);
        if (!l->ops) abort();
    }
    op *o = &l->ops[l->nops++];
    *o = (op){.begin = l->stamp ? l->stamp(l->arg) : 0, .n = n, .kind = kind};
    snprintf(o->name, sizeof o->name, "%s", name);
    return o;
}

static int end(store_load *l, size_t from, int rc)
{
    if (rc) return rc;
    for (size_t i = from; i < l->nops; i++) l->ops[i].end = l->stamp(l->arg);
    return 0;
}

/* A copy is named "c/<number>/" and its source. */
static const char *source_of(const char *name)
{
    return strncmp(name, "c/", 2) == 0 ? strchr(name + 2, '/') + 1 : name;
}

/* Bytes of a name: as many as its hash says. */
static uint64_t length_of(const char *name)
{
    name = source_of(name);
    return qd_xxh3(name, strlen(name)) % 70000;
}
static uint8_t byte_of(const char *name, uint64_t i)
{
    return (uint8_t)((qd_xxh3(name, strlen(name)) + i * 2654435761u) >> 11);
}

static int make_file(qd_store *s, const char *name, bool sync)
{
    uint8_t id[16] = {1}, piece[1024];
    qd_file_writer *w;
    uint64_t len = length_of(name);
    int rc = qd_file_create(s, qd_str_c(name), &format, id, NULL, &w, NULL);
    if (rc) return rc;
    uint8_t salt = byte_of(name, 0);
    rc = qd_file_section_begin(w, 0, false, NULL);
    for (uint64_t at = 0; !rc && at < len; at += sizeof piece) {
        size_t k = len - at < sizeof piece ? (size_t)(len - at) : sizeof piece;
        for (size_t i = 0; i < k; i++)
            piece[i] = (uint8_t)(salt + (at + i) * 131 + ((at + i) >> 8));
        rc = qd_file_write(w, piece, k, NULL);
    }
    if (!rc) rc = qd_file_section_end(w, NULL, NULL);
    if (rc) {
        qd_file_abort(w);
        return rc;
    }
    return qd_file_commit(w, sync, NULL, NULL);
}

static int do_file(store_load *l, qd_store *s)
{
    char name[28];
    bool lazy = qd_prng_below(&l->rnd, 3) == 0 && l->nlazy < LAZY_MAX;
    snprintf(name, sizeof name, "f/%" PRIu64 "/%" PRIu64, l->serial % 3, l->serial);
    l->serial++;
    size_t from = l->nops;
    begin(l, lazy ? LAZY : MADE, name, 0);
    int rc = end(l, from, make_file(s, name, !lazy));
    if (!rc && lazy) memcpy(l->lazy[l->nlazy++], name, sizeof name);
    return rc;
}

static int do_sync(store_load *l, qd_store *s)
{
    qd_str names[LAZY_MAX];
    size_t from = l->nops;
    for (uint32_t i = 0; i < l->nlazy; i++) {
        names[i] = qd_str_c(l->lazy[i]);
        begin(l, SYNCED, l->lazy[i], 0);
    }
    int rc = end(l, from, qd_store_sync(s, names, l->nlazy, NULL));
    l->nlazy = 0;
    return rc;
}

/* A file made, durable and still there, chosen at random; NULL when the dice find none. */
static const char *a_file(store_load *l)
{
    for (int i = 0; i < 8 && l->nops; i++) {
        const op *o = &l->ops[qd_prng_below(&l->rnd, l->nops)];
        if ((o->kind != MADE && o->kind != SYNCED) || o->end == 0) continue;
        bool gone = false;
        for (const op *p = o + 1; p < l->ops + l->nops; p++) {
            if (strcmp(p->name, o->name) == 0) gone = true;
        }
        if (!gone) return o->name;
    }
    return NULL;
}

static int do_remove(store_load *l, qd_store *s, bool aside)
{
    char name[28];
    const char *found = a_file(l);
    if (!found) return 0;
    memcpy(name, found, sizeof name);
    size_t from = l->nops;
    begin(l, aside ? ASIDE : DELETED, name, 0);
    return end(l, from,
               aside ? qd_store_set_aside(s, qd_str_c(name), NULL)
                     : qd_store_delete(s, qd_str_c(name), NULL));
}

/* Of a file that is synced already, or not yet: the copy is durable either way. */
static int do_copy(store_load *l, qd_store *s)
{
    char name[28];
    bool lazy = l->nlazy && qd_prng_below(&l->rnd, 2) == 0;
    const char *from = lazy ? l->lazy[qd_prng_below(&l->rnd, l->nlazy)] : a_file(l);
    if (!from) return 0;
    char source[28];
    snprintf(source, sizeof source, "%s", from);
    snprintf(name, sizeof name, "c/%u/%.18s", (unsigned)(l->serial++ % 100000), source_of(source));
    size_t at = l->nops;
    begin(l, MADE, name, 0);
    return end(l, at, qd_store_copy(s, qd_str_c(source), qd_str_c(name), NULL));
}

static int do_point(store_load *l, qd_store *s)
{
    char name[28], value[40];
    snprintf(name, sizeof name, "p/%u", (unsigned)qd_prng_below(&l->rnd, POINTS));
    uint64_t n = l->nops + 1;
    int k = snprintf(value, sizeof value, "%" PRIu64, n);
    size_t from = l->nops;
    begin(l, POINT, name, n);
    return end(
        l, from,
        qd_store_publish(s, qd_str_c(name), QD_STR("point"), 1, (qd_str){value, (size_t)k}, NULL));
}

static int do_log(store_load *l, qd_store *s)
{
    size_t from = l->nops;
    int rc;
    if (!l->log || l->log_end > 20000) {
        qd_store_log_close(l->log);
        l->log = NULL;
        if (l->log_end) {
            begin(l, DELETED, l->log_name, 0);
            rc = end(l, from, qd_store_delete(s, qd_str_c(l->log_name), NULL));
            if (rc) return rc;
        }
        snprintf(l->log_name, sizeof l->log_name, "l/%" PRIu64, l->serial++);
        from = l->nops;
        l->log_end = 0;
        begin(l, LOG_MADE, l->log_name, 0);
        rc = end(l, from, qd_store_log_open(s, qd_str_c(l->log_name), true, &l->log, NULL));
        if (rc) return rc;
    }
    uint8_t bytes[1500];
    for (uint64_t k = 1 + qd_prng_below(&l->rnd, 4); k > 0; k--) {
        size_t n = 1 + (size_t)qd_prng_below(&l->rnd, sizeof bytes);
        uint64_t at;
        uint8_t salt = byte_of(l->log_name, 0);
        for (size_t i = 0; i < n; i++) {
            uint64_t x = l->log_end + i;
            bytes[i] = (uint8_t)(salt + x * 131 + (x >> 8));
        }
        qd_iovec v[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};
        rc = qd_store_log_append(l->log, v, 2, &at, NULL);
        if (rc) return rc;
        qd_assert(at == l->log_end);
        l->log_end += n;
    }
    from = l->nops;
    begin(l, LOG_SYNCED, l->log_name, l->log_end);
    return end(l, from, qd_store_log_sync(l->log, NULL));
}

static int do_tree(store_load *l, qd_store *s)
{
    char folder[28], name[28];
    snprintf(folder, sizeof folder, "t/%" PRIu64, l->serial++);
    size_t from = l->nops;
    int rc = 0;
    for (unsigned i = 0; !rc && i < 3; i++) {
        snprintf(name, sizeof name, "%.20s/%u", folder, i);
        from = l->nops;
        begin(l, MADE, name, 0);
        rc = end(l, from, make_file(s, name, true));
    }
    from = l->nops;
    for (unsigned i = 0; !rc && i < 3; i++) {
        snprintf(name, sizeof name, "%.20s/%u", folder, i);
        begin(l, TREE_GONE, name, 0);
    }
    return rc ? rc : end(l, from, qd_store_delete_all(s, qd_str_c(folder), NULL));
}

int store_load_run(store_load *l, qd_store *s, uint64_t count)
{
    int rc = 0;
    for (uint64_t i = 0; !rc && i < count; i++) {
        uint64_t dice = qd_prng_below(&l->rnd, 22);
        if (dice < 8) {
            rc = do_log(l, s);
        } else if (dice < 12) {
            rc = do_file(l, s);
        } else if (dice < 15) {
            rc = do_point(l, s);
        } else if (dice < 17) {
            rc = do_sync(l, s);
        } else if (dice < 19) {
            rc = do_remove(l, s, dice == 18);
        } else if (dice < 21) {
            rc = do_copy(l, s);
        } else {
            rc = do_tree(l, s);
        }
        if (rc == QD_E_NOSPACE && l->tolerant) {
            l->refused++;
            rc = 0;
        }
    }
    qd_store_log_close(l->log);
    l->log = NULL;
    return rc;
}

uint64_t store_load_tolerate(store_load *l, bool full)
{
    uint64_t n = l->refused;
    l->tolerant = full;
    l->refused = 0;
    return n;
}

uint64_t store_load_end(const store_load *l)
{
    uint64_t last = 0;
    for (uint64_t i = 0; i < l->nops; i++) {
        if (l->ops[i].end > last) last = l->ops[i].end;
    }
    return last;
}

int store_load_save(const store_load *l, FILE *to)
{
    for (uint64_t i = 0; i < l->nops; i++) {
        const op *o = &l->ops[i];
        fprintf(to, "%" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu64 " %s\n", o->begin, o->end,
                o->kind, o->n, o->name);
    }
    return ferror(to) ? -1 : 0;
}

int store_load_read(store_load *l, FILE *from)
{
    uint64_t b, e, n;
    uint32_t kind;
    char name[28];
    while (fscanf(from, "%" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu64 " %27s", &b, &e, &kind, &n,
                  name) == 5) {
        op *o = begin(l, (op_kind)kind, name, n);
        o->begin = b;
        o->end = e;
    }
    return 0;
}

/* ---- the check ------------------------------------------------------------------------------- */

/* What must be true of one name at the cut. */
typedef struct verdict {
    bool must_be, must_not_be, torn; /* torn: there, but perhaps damaged */
    uint64_t acked, highest; /* of points: last acknowledged value; of logs: durable bytes */
} verdict;

static verdict judge(const store_load *l, const char *name, uint64_t cut)
{
    verdict v = {0};
    for (uint64_t i = 0; i < l->nops; i++) {
        const op *o = &l->ops[i];
        if (o->begin > cut || strcmp(o->name, name) != 0) continue;
        bool acked = o->end != 0 && o->end <= cut;
        switch ((op_kind)o->kind) {
        case MADE:
        case LOG_MADE:
        case SYNCED:
            v.must_be = acked;
            v.must_not_be = false;
            if (acked) v.torn = false;
            break;
        case LAZY:
            v.torn = true;
            break;
        case DELETED:
        case ASIDE:
        case TREE_GONE:
            v.must_be = false;
            v.must_not_be = acked;
            break;
        case POINT:
            if (acked) v.acked = o->n;
            if (acked) v.must_be = true;
            v.highest = o->n;
            break;
        case LOG_SYNCED:
            if (acked) v.acked = o->n;
            break;
        }
    }
    return v;
}

static int check_file(qd_store *s, const char *name, const verdict *v, char *why, size_t size)
{
    qd_file *f;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_file_open(s, qd_str_c(name), &format, NULL, &f, &err), bad = 0;
    if (!rc) {
        uint64_t bytes = 0;
        rc = qd_file_verify(f, &err);
        if (!rc && (!qd_file_section(f, 0, &bytes) || bytes != length_of(name))) rc = QD_E_CORRUPT;
        qd_file_unref(f);
        if (!rc && v->must_not_be) {
            snprintf(why, size, "%s was removed, and is there", name);
            bad = -1;
        }
    }
    if (!bad && rc && (v->must_be || (rc != QD_E_NOTFOUND && !v->torn))) {
        snprintf(why, size, "%s: %s", name, qd_err_reason(&err));
        bad = -1;
    }
    qd_err_fini(&err);
    return bad;
}

static int check_point(qd_store *s, const char *name, const verdict *v, char *why, size_t size)
{
    char *text = NULL;
    size_t n = 0;
    uint64_t found = 0;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_store_fetch(s, qd_str_c(name), QD_STR("point"), 1, NULL, &text, &n, NULL, &err),
        bad = 0;
    if (rc == QD_E_NOTFOUND && !v->must_be) {
        bad = 0;
    } else if (rc) {
        snprintf(why, size, "%s: %s", name, qd_err_reason(&err));
        bad = -1;
    } else if (!qd_str_u64((qd_str){text, n}, &found) || found < v->acked || found > v->highest) {
        snprintf(why, size, "%s is %" PRIu64 ", acknowledged was %" PRIu64, name, found, v->acked);
        bad = -1;
    }
    qd_free(text);
    qd_err_fini(&err);
    return bad;
}

static int check_log(qd_store *s, const char *name, const verdict *v, char *why, size_t size)
{
    qd_store_log *log;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_store_log_open(s, qd_str_c(name), false, &log, &err), bad = 0;
    if (rc) {
        if (v->must_be || rc != QD_E_NOTFOUND) {
            snprintf(why, size, "%s: %s", name, qd_err_reason(&err));
            bad = -1;
        }
        qd_err_fini(&err);
        return bad;
    }
    if (v->must_not_be) {
        snprintf(why, size, "%s was removed, and is there", name);
        bad = -1;
    }
    uint8_t salt = byte_of(name, 0), bytes[4096];
    for (uint64_t at = 0; !bad && v->must_be && at < v->acked;) {
        size_t got = 0,
               want = v->acked - at < sizeof bytes ? (size_t)(v->acked - at) : sizeof bytes;
        rc = qd_store_log_read(log, at, bytes, want, &got, &err);
        for (size_t i = 0; !rc && i < got; i++) {
            uint64_t x = at + i;
            if (bytes[i] == (uint8_t)(salt + x * 131 + (x >> 8))) continue;
            snprintf(why, size, "%s: byte %" PRIu64 " of %" PRIu64 " acknowledged is another", name,
                     x, v->acked);
            bad = -1;
            break;
        }
        if (!bad && (rc || got < want)) {
            snprintf(why, size, "%s ends at %" PRIu64 ", acknowledged were %" PRIu64, name,
                     at + got, v->acked);
            bad = -1;
        }
        at += want;
    }
    qd_store_log_close(log);
    qd_err_fini(&err);
    return bad;
}

int store_load_check(const store_load *l, qd_store *s, uint64_t cut, char *why, size_t size)
{
    for (uint64_t i = 0; i < l->nops; i++) {
        const op *o = &l->ops[i];
        if (o->begin > cut) continue;
        bool again = false; /* judged with its last operation */
        for (uint64_t k = i + 1; k < l->nops && !again; k++) {
            again = l->ops[k].begin <= cut && strcmp(l->ops[k].name, o->name) == 0;
        }
        if (again) continue;
        verdict v = judge(l, o->name, cut);
        int rc = o->name[0] == 'p'   ? check_point(s, o->name, &v, why, size)
                 : o->name[0] == 'l' ? check_log(s, o->name, &v, why, size)
                                     : check_file(s, o->name, &v, why, size);
        if (rc) return rc;
    }
    return 0;
}
