/*
 * min_hash.c: min_hash: the least hashes of a value's terms, as a signature that similar values
 * share parts of. Each of hash_count functions parts its values into bucket_count buckets and keeps
 * the hash_set_size least of each.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"
#include "base/hash.h"
#include <stdio.h>

enum { SIGNATURE_MAX = 1 << 16, NONE = 0 };

typedef struct min_hash {
    qd_part head;
    int64_t hashes, buckets, set;
    bool rotate; /* an empty bucket has the next one's hashes */
} min_hash;

/* Puts h into a bucket of ascending distinct values, NONE behind them. */
static void bucket_put(uint64_t *b, size_t size, uint64_t h)
{
    size_t i = 0;
    while (i < size && b[i] != NONE && b[i] < h) i++;
    if (i == size || b[i] == h) return;
    memmove(b + i + 1, b + i, (size - i - 1) * sizeof *b);
    b[i] = h;
}

static int signature(const min_hash *f, qd_analysis *s)
{
    size_t buckets = (size_t)f->buckets, set = (size_t)f->set;
    size_t n = (size_t)f->hashes * buckets * set;
    int rc = qd_work_reserve(s, n * sizeof(uint64_t));
    if (rc) return rc;
    uint64_t *all = s->work;
    memset(all, 0, n * sizeof *all);
    for (size_t i = 0; i < s->b->t.n; i++) {
        uint64_t term = qd_xxh3(qd_term_ptr(s, i), qd_term_len(s, i));
        for (size_t k = 0; k < (size_t)f->hashes; k++) {
            uint64_t seed[2] = {term, k}, h = qd_xxh3(seed, sizeof seed);
            size_t bucket = (size_t)((unsigned __int128)h * buckets >> 64);
            bucket_put(all + (k * buckets + bucket) * set, set, h ? h : 1);
        }
    }
    return 0;
}

/* The bucket that stands for bucket i of one function: itself, or the next that is not empty. */
static const uint64_t *bucket_of(const min_hash *f, const uint64_t *all, size_t i)
{
    size_t set = (size_t)f->set, n = (size_t)f->buckets;
    for (size_t k = 0; k < (f->rotate ? n : 1); k++)
        if (all[(i + k) % n * set] != NONE) return all + (i + k) % n * set;
    return NULL;
}

static int put(qd_emit *e, uint64_t h, uint32_t end)
{
    char hex[17];
    qd_emit_token t = {.length = 1, .type = QD_TOKEN_MIN_HASH, .offset = {0, end}};
    t.inc = e->to->t.n == 0;
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)h);
    int rc = qd_text_add(e->s, hex, 16, &t.term);
    return rc ? rc : qd_emit_put(e, &t);
}

static int min_hash_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const min_hash *f = (const min_hash *)p;
    qd_emit e;
    int rc = qd_emit_begin(&e, s, QD_TOKENS_INC | QD_TOKENS_TYPE);
    if (!rc) rc = signature(f, s);
    const qd_tokens *t = &s->b->t;
    uint32_t end = t->n && t->has & QD_TOKENS_OFFSETS ? t->offset[t->n - 1].to : 0;
    for (size_t k = 0; !rc && t->n && k < (size_t)f->hashes; k++) {
        const uint64_t *all = (const uint64_t *)s->work + k * (size_t)(f->buckets * f->set);
        for (size_t i = 0; !rc && i < (size_t)f->buckets; i++) {
            const uint64_t *b = bucket_of(f, all, i);
            for (size_t j = 0; !rc && b && j < (size_t)f->set && b[j] != NONE; j++)
                rc = put(&e, b[j], end);
        }
    }
    return rc ? rc : qd_emit_end(&e);
}

static const qd_part_ops min_hash_ops = {min_hash_run, qd_part_release, NULL};

int qd_make_min_hash(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t n[3];
    static const struct {
        const char *key;
        int64_t def;
    } keys[3] = {{"hash_count", 1}, {"bucket_count", 512}, {"hash_set_size", 1}};
    int rc = 0;
    int64_t all = 1;
    for (int i = 0; i < 3; i++) {
        rc = qd_conf_int(c, keys[i].key, keys[i].def, &n[i], err);
        if (rc) return rc;
        if (n[i] < 1) return qd_err_set(err, QD_E_ARG, "%s must be greater than zero", keys[i].key);
        if ((all = n[i] > SIGNATURE_MAX ? SIGNATURE_MAX + 1 : all * n[i]) > SIGNATURE_MAX)
            return qd_err_set(err, QD_E_ARG,
                              "filter [%.*s] would write more than %d tokens: hash_count times "
                              "bucket_count times hash_set_size",
                              QD_STR_ARG(c->name), SIGNATURE_MAX);
    }
    bool rotate;
    rc = qd_conf_bool(c, "with_rotation", n[1] > 1, &rotate, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(min_hash), QD_STAGE_FILTER, &min_hash_ops, out, err);
    if (rc) return rc;
    min_hash *f = (min_hash *)*out;
    f->head.no_synonyms = true;
    f->hashes = n[0];
    f->buckets = n[1];
    f->set = n[2];
    f->rotate = rotate;
    return 0;
}
