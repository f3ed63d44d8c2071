/*
 * aggregation_keys.c: the contract of aggregations with buckets: a value's keys depend on the value
 * and the parameters alone, whatever block it comes in, and fit into their room. Values are made up
 * for each type; an aggregation may refuse types, but not all of them.
 */
#include "aggregation_suite.h"
#include <math.h>

#define VALUES 3000u
#define ROOM_MAX 4096u

typedef qd_aggregation_probe probe;

/* Keys of a value: how many, and a sum of what they are. */
typedef struct found {
    uint64_t n, sum;
} found;

static int64_t i64_at[VALUES];
static double f64_at[VALUES];
static char text_at[VALUES][16];
static qd_str str_at[VALUES];
static uint32_t of[ROOM_MAX + 4];
static int64_t key_i64[ROOM_MAX + 4];
static double key_f64[ROOM_MAX + 4];
static qd_str key_text[ROOM_MAX + 4];

static void make_values(void)
{
    for (uint32_t i = 0; i < VALUES; i++) {
        i64_at[i] = (int64_t)(i * 7919u % 10007u) - 2000;
        f64_at[i] = (double)i64_at[i] / 8;
        int n = snprintf(text_at[i], sizeof text_at[i], "%s-%u", i % 2 ? "Text" : "text",
                         i * 31u % 1009u);
        str_at[i].p = text_at[i];
        str_at[i].n = (size_t)n;
    }
}

static uint64_t hash(const void *p, size_t n)
{
    const uint8_t *b = (const uint8_t *)p;
    uint64_t h = 14695981039346656037ull;
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 1099511628211ull;
    return h;
}

static uint32_t type_of_keys(const probe *p, uint32_t type)
{
    return p->vt->key_type ? p->vt->key_type : type;
}

static uint64_t hash_of(uint32_t type, uint32_t i)
{
    if (type == QD_AGGREGATION_I64) return hash(&key_i64[i], 8);
    if (type == QD_AGGREGATION_F64) return hash(&key_f64[i], 8);
    return hash(key_text[i].p, key_text[i].n);
}

/* Checks what a call gave, and adds the keys to those of values from number `from` on. */
static void take(probe *p, uint32_t type, const qd_aggregation_keys *o, uint32_t from, uint32_t n,
                 found *to)
{
    CHECK(p->c, o->n <= o->room);
    CHECK(p->c, o->done >= 1 && o->done <= n);
    for (uint32_t i = o->room; i < o->room + 4; i++) {
        CHECK_EQ(p->c, of[i], 0xa5a5a5a5u);
        if (type != QD_AGGREGATION_TEXT)
            CHECK_EQ(p->c,
                     (type == QD_AGGREGATION_I64 ? hash(&key_i64[i], 8) : hash(&key_f64[i], 8)),
                     hash("\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5", 8));
    }
    for (uint32_t i = 0; i < o->n; i++) {
        CHECK(p->c, of[i] < o->done);
        CHECK(p->c, i == 0 || of[i] >= of[i - 1]);
        if (type == QD_AGGREGATION_F64) CHECK(p->c, !isnan(key_f64[i]));
        if (type == QD_AGGREGATION_TEXT) CHECK(p->c, key_text[i].n <= QD_AGGREGATION_TEXT_MAX);
        to[from + of[i]].n++;
        to[from + of[i]].sum += hash_of(type, i);
        CHECK(p->c, to[from + of[i]].n <= QD_AGGREGATION_KEYS_MAX);
    }
}

/* The keys of values first to last in blocks of size; the code of the first call that fails. */
static int32_t map(probe *p, qd_aggregation_collector *c, uint32_t type, uint32_t first,
                   uint32_t last, uint32_t size, uint32_t room, found *to)
{
    uint32_t key_type = type_of_keys(p, type);
    for (uint32_t at = first, end = first; at < last;) {
        if (at == end) end = last - at < size ? last : at + size;
        qd_aggregation_values v = {sizeof v, end - at, type, 0, NULL, NULL, NULL};
        qd_aggregation_keys o = {sizeof o, room, 0, 0, of, NULL, NULL, NULL};
        if (type == QD_AGGREGATION_I64) v.i64 = i64_at + at;
        if (type == QD_AGGREGATION_F64) v.f64 = f64_at + at;
        if (type == QD_AGGREGATION_TEXT) v.text = str_at + at;
        if (key_type == QD_AGGREGATION_I64) o.i64 = key_i64;
        if (key_type == QD_AGGREGATION_F64) o.f64 = key_f64;
        if (key_type == QD_AGGREGATION_TEXT) o.text = key_text;
        memset(of, 0xa5, sizeof of);
        memset(key_i64, 0xa5, sizeof key_i64);
        memset(key_f64, 0xa5, sizeof key_f64);
        memset(key_text, 0, sizeof key_text);
        int32_t rc = p->vt->keys(c, &v, &o, p->c->err);
        if (rc) return rc;
        take(p, key_type, &o, at, end - at, to);
        if (p->c->outcome) return 0;
        at += o.done;
    }
    return 0;
}

static qd_aggregation_collector *open_one(probe *p)
{
    qd_aggregation_collector *c = NULL;
    if (p->vt->open(&p->ctx, p->params, &c, p->c->err)) return NULL;
    return c;
}

static void alike(probe *p, const found *a, const found *b)
{
    for (uint32_t i = 0; i < VALUES; i++) {
        CHECK_EQ(p->c, a[i].n, b[i].n);
        CHECK(p->c, a[i].sum == b[i].sum);
    }
}

static void keys_fit(probe *p, uint32_t type)
{
    static found whole[VALUES];
    qd_aggregation_collector *c = open_one(p);
    CHECK(p->c, c);
    memset(whole, 0, sizeof whole);
    CHECK_EQ(p->c, map(p, c, type, 0, VALUES, VALUES, ROOM_MAX, whole), 0);
    if (p->c->outcome) return;
    memset(whole, 0, sizeof whole);
    CHECK_EQ(p->c, map(p, c, type, 0, VALUES, VALUES, QD_AGGREGATION_KEYS_MAX, whole), 0);
    if (p->c->outcome) return;
    p->vt->close(c);
}

/* In one block, in many, in another order, from another collector: the same keys. */
static void keys_are_of_values(probe *p, uint32_t type)
{
    static found whole[VALUES], other[VALUES];
    qd_aggregation_collector *a = open_one(p), *b = open_one(p);
    CHECK(p->c, a && b);
    memset(whole, 0, sizeof whole);
    CHECK_EQ(p->c, map(p, a, type, 0, VALUES, VALUES, ROOM_MAX, whole), 0);
    static const uint32_t sizes[] = {1, 7, 1000};
    for (uint32_t s = 0; s < COUNT(sizes); s++) {
        memset(other, 0, sizeof other);
        for (uint32_t end = VALUES; end > 0; end -= 500) /* the last ones first */
            CHECK_EQ(p->c,
                     map(p, b, type, end - 500, end, sizes[s], QD_AGGREGATION_KEYS_MAX, other), 0);
        alike(p, whole, other);
        if (p->c->outcome) return;
    }
    memset(other, 0, sizeof other);
    CHECK_EQ(p->c, map(p, a, type, 0, VALUES, 64, ROOM_MAX, other), 0); /* and again */
    alike(p, whole, other);
    p->vt->close(a);
    p->vt->close(b);
}

/* Texts of keys stay while another collector of the same plugin works. */
static void texts_stay(probe *p, uint32_t type)
{
    qd_aggregation_collector *a = open_one(p), *b = open_one(p);
    static found unused[VALUES];
    qd_str mine[64];
    uint64_t were[64];
    CHECK(p->c, a && b);
    memset(unused, 0, sizeof unused);
    CHECK_EQ(p->c, map(p, a, type, 0, 32, 32, ROOM_MAX, unused), 0);
    uint32_t n = 0;
    for (; n < 64 && key_text[n].p; n++) {
        mine[n] = key_text[n];
        were[n] = hash(mine[n].p, mine[n].n);
    }
    CHECK_EQ(p->c, map(p, b, type, 32, VALUES, 100, ROOM_MAX, unused), 0);
    for (uint32_t i = 0; i < n; i++) CHECK(p->c, hash(mine[i].p, mine[i].n) == were[i]);
    p->vt->close(a);
    p->vt->close(b);
}

/* The members of buckets are those that the table names, of buckets of one and of many documents.
 */
static void members_are_named(probe *p, uint32_t type)
{
    static found unused[VALUES];
    qd_aggregation_collector *c = open_one(p);
    qd_aggregation_bucket b;
    uint32_t key_type = type_of_keys(p, type);
    CHECK(p->c, c);
    memset(unused, 0, sizeof unused);
    CHECK_EQ(p->c, map(p, c, type, 0, 64, 64, ROOM_MAX, unused), 0);
    for (uint32_t i = 0; i < 64 && of[i] < 64; i++) { /* as long as keys were written */
        size_t bytes = 0;
        memset(&b, 0, sizeof b);
        b.struct_size = sizeof b;
        b.type = key_type;
        b.docs = i % 2 ? 1 : i * 1000003u + 1;
        b.total = i % 3 ? b.docs : (uint64_t)i << 40 | b.docs;
        if (key_type == QD_AGGREGATION_I64) b.i64 = key_i64[i];
        if (key_type == QD_AGGREGATION_F64) b.f64 = key_f64[i];
        if (key_type == QD_AGGREGATION_TEXT) b.text = key_text[i];
        qd_json_out *out = p->c->json_members(p->c);
        CHECK_EQ(p->c, p->vt->write_bucket(&p->ctx, p->params, &b, out, p->c->err), 0);
        CHECK_EQ(p->c, p->c->json_members_end(p->c, p->vt->members, &bytes, p->c->err), 0);
        CHECK(p->c, bytes <= QD_AGGREGATION_BUCKET_MAX);
    }
    p->vt->close(c);
}

/* Does it take values of a type? */
static int taken(probe *p, uint32_t type)
{
    static found unused[VALUES];
    qd_aggregation_collector *c = open_one(p);
    if (!c) return 0;
    memset(unused, 0, sizeof unused);
    int32_t rc = map(p, c, type, 0, 10, 10, ROOM_MAX, unused);
    p->c->err_clear(p->c);
    p->vt->close(c);
    return rc == 0;
}

static void some_type_is_taken(probe *p, uint32_t *types)
{
    *types = 0;
    for (uint32_t t = QD_AGGREGATION_I64; t <= QD_AGGREGATION_TEXT; t++) {
        if (t == QD_AGGREGATION_TEXT && !(p->vt->head.flags & QD_AGGREGATION_TEXTS)) continue;
        if (taken(p, t)) *types |= 1u << t;
        if (p->c->outcome) return;
    }
    CHECK(p->c, *types != 0);
}

void qd_aggregation_probe_keys(qd_aggregation_probe *p)
{
    static const char *const fit[] = {"", "keys of integers fit their room",
                                      "keys of doubles fit their room",
                                      "keys of texts fit their room"};
    static const char *const depend[] = {"", "keys of integers depend on the value alone",
                                         "keys of doubles depend on the value alone",
                                         "keys of texts depend on the value alone"};
    uint32_t types = 0;
    make_values();
    RUN(p->c, "some type of values is taken", some_type_is_taken(p, &types));
    if (p->c->outcome) return;
    for (uint32_t t = QD_AGGREGATION_I64; t <= QD_AGGREGATION_TEXT; t++) {
        if (!(types & 1u << t)) continue;
        RUN(p->c, fit[t], keys_fit(p, t));
        RUN(p->c, depend[t], keys_are_of_values(p, t));
        if (type_of_keys(p, t) == QD_AGGREGATION_TEXT)
            RUN(p->c, "texts of keys stay until the next call", texts_stay(p, t));
        if (p->vt->head.flags & QD_AGGREGATION_BUCKET_MEMBERS)
            RUN(p->c, "members of buckets are those that the table names", members_are_named(p, t));
    }
}
