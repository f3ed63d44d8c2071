/* kcore_node.c: a node: a core, and a state small enough to be looked at: keys whose values are
 * pages' rows. */
#include "kcore_int.h"

uint64_t node_time(const sim *s, const node *n)
{
    return n->offset + (uint64_t)((double)s->now * n->rate);
}

/* --- the state --- */

static void value_of(uint32_t seed, uint32_t length, uint8_t *p)
{
    for (uint32_t i = 0; i < length; i++) p[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 5) * seed);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t v[2] = {a, b};
    return cr_sum64(v, sizeof v, 0);
}

static int32_t apply(void *arg, uint64_t index, const uint8_t *entry, size_t size)
{
    node *n = arg;
    record r;
    check_applied(n->s, n, index, entry, size);
    memcpy(&r, entry, sizeof r);
    uint8_t value[1024];
    row *k = &n->now.rows[r.key];
    *k = (row){.key = r.key, .length = r.length, .seed = r.seed, .there = 1, .op = r.op};
    value_of(r.seed, r.length, value);
    if (r.length > VALUE_INLINE) k->value = library_add(n->s, CK_BLOB_VALUE, value, r.length)->hash;
    n->now.index = index;
    n->now.chain = mix(n->now.chain, cr_sum64(entry, size, 0));
    return 0;
}

/* --- pages --- */

/* Rows of one page of a state; the last page says how far it goes. */
static size_t page_bytes(const state *st, uint32_t page, uint8_t *out)
{
    size_t n = 0;
    if (page == META_PAGE) {
        memcpy(out, &st->index, 16);
        return 16;
    }
    for (uint32_t k = page; k < KEYS && page < PAGES_USED; k += PAGES_USED)
        if (st->rows[k].there) {
            memcpy(out + n, &st->rows[k], sizeof(row));
            n += sizeof(row);
        }
    return n;
}

uint32_t page_rows(sim *s, const ck_hash *h, row *out)
{
    content *c = library_find(s, CK_BLOB_PAGE, h);
    if (!c) return 0;
    memcpy(out, c->p, c->n);
    return (uint32_t)(c->n / sizeof(row));
}

static int value_in(sim *s, const ck_hash *pages, const ck_hash *value)
{
    row rows[KEYS];
    for (uint32_t p = 0; p < PAGES_USED; p++) {
        uint32_t n = ck_hash_none(&pages[p]) ? 0 : page_rows(s, &pages[p], rows);
        for (uint32_t i = 0; i < n; i++)
            if (ck_hash_same(&rows[i].value, value)) return 1;
    }
    return 0;
}

static void lend(ck_checkpoint *p, content *c)
{
    ck_content *list = (ck_content *)p->blobs;
    list[p->nblobs++] = (ck_content){c->kind, c->hash, c->p, c->n};
}

ck_checkpoint *node_freeze(sim *s, node *n, const ck_root *root)
{
    uint8_t bytes[KEYS * sizeof(row)];
    row rows[KEYS];
    ck_checkpoint *p = calloc(1, sizeof *p);
    if (!p) abort();
    p->blobs = calloc(CK_PAGES + KEYS, sizeof *p->blobs);
    p->index = n->now.index;
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        size_t size = page_bytes(&n->now, i, bytes);
        if (size == 0) continue;
        content *c = library_add(s, CK_BLOB_PAGE, bytes, size);
        p->pages[i] = c->hash;
        if (ck_hash_same(&c->hash, &root->pages[i])) continue;
        lend(p, c);
        uint32_t m = i < PAGES_USED ? page_rows(s, &c->hash, rows) : 0;
        for (uint32_t k = 0; k < m; k++)
            if (!ck_hash_none(&rows[k].value) && !value_in(s, root->pages, &rows[k].value))
                lend(p, library_find(s, CK_BLOB_VALUE, &rows[k].value));
    }
    return p;
}

static void thaw(void *arg, ck_checkpoint *p, int committed)
{
    (void)arg;
    (void)committed;
    free((void *)p->blobs);
    free(p);
}

/* --- loading --- */

static int32_t load_begin(void *arg, uint32_t what, const ck_root *r)
{
    node *n = arg;
    uint8_t bytes[KEYS * sizeof(row)];
    n->load_what = what;
    memset(&n->loading, 0, sizeof n->loading);
    n->nwant = n->nreach = 0;
    for (uint32_t i = 0; i < CK_PAGES; i++) {
        if (ck_hash_none(&r->pages[i])) continue;
        size_t size = page_bytes(&n->now, i, bytes);
        ck_hash own = ck_hash_of(bytes, size);
        if (what == CK_LOAD_STATE && size && ck_hash_same(&own, &r->pages[i])) {
            for (uint32_t k = i; k < KEYS; k += PAGES_USED) n->loading.rows[k] = n->now.rows[k];
            continue;
        }
        if (what == CK_LOAD_STATE || i < PAGES_USED)
            n->want[n->nwant++] = (ck_blob){CK_BLOB_PAGE, r->pages[i], 0};
    }
    return 0;
}

static uint32_t load_want(void *arg, ck_blob *out, uint32_t max)
{
    node *n = arg;
    uint32_t k = 0;
    while (k < max && n->nwant) out[k++] = n->want[--n->nwant];
    return k;
}

static int32_t load_blob(void *arg, int kind, const ck_hash *h, const uint8_t *p, size_t size)
{
    node *n = arg;
    row r;
    if (kind == CK_BLOB_PAGE && size == 16) {
        memcpy(&n->loading.index, p, 16);
        return 0;
    }
    for (size_t at = 0; kind == CK_BLOB_PAGE && at < size; at += sizeof r) {
        memcpy(&r, p + at, sizeof r);
        n->loading.rows[r.key] = r;
        if (ck_hash_none(&r.value)) continue;
        if (n->load_what == CK_LOAD_REACH)
            n->reach[n->nreach++] = r.value;
        else
            n->want[n->nwant++] = (ck_blob){CK_BLOB_VALUE, r.value, 0};
    }
    (void)h;
    return 0;
}

static int32_t load_end(void *arg, int32_t rc)
{
    node *n = arg;
    n->nwant = 0;
    if (rc || n->load_what == CK_LOAD_REACH) return 0;
    uint64_t chain = 0;
    for (uint64_t i = 1; i <= n->loading.index; i++) chain = mix(chain, n->s->chain[i].sum);
    if (n->loading.chain != chain || n->loading.index < n->now.index)
        violation(n->s, "node %d loads a state that never was, or an older one", n->number);
    n->now = n->loading;
    return 0;
}

static int reaches(void *arg, const ck_hash *h)
{
    const node *n = arg;
    for (uint32_t i = 0; i < n->nreach; i++)
        if (memcmp(n->reach[i].b, h->b, 20) == 0) return 1;
    return 0;
}

/* --- callbacks --- */

static void lead(void *arg, uint64_t term)
{
    node *n = arg;
    say(n->s, "node %d leads: term %llu", n->number, (unsigned long long)term);
    if (term) n->s->report->takeovers++;
    if (term && n->now.index < n->core->root->index)
        violation(n->s, "node %d leads before it has applied all", n->number);
}

static void changed(void *arg)
{
    (void)arg;
}

static void done(void *arg, void *proposal, uint64_t index, int32_t rc)
{
    node *n = arg;
    check_done(n->s, n, proposal, index, rc);
}

static void read_done(void *arg, void *wait, int32_t rc)
{
    node *n = arg;
    uint64_t from = *(uint64_t *)wait;
    if (rc) return;
    n->s->report->reads++;
    if (n->now.index < from)
        violation(n->s, "a read on node %d shows entry %llu, %llu was committed before it began",
                  n->number, (unsigned long long)n->now.index, (unsigned long long)from);
}

static void warn(void *arg, const char *what)
{
    node *n = arg;
    say(n->s, "node %d warns: %s", n->number, what);
}

static void failed(void *arg, const char *why)
{
    node *n = arg;
    n->failed = 1;
    violation(n->s, "node %d failed: %s", n->number, why);
}

static void stamp(void *arg, ck_root *next)
{
    node *n = arg;
    next->shown = next->revision = n->now.index;
}

/* --- life --- */

void node_start(sim *s, node *n, int keeps)
{
    static const uint8_t store[16] = {7};
    char name[16];
    snprintf(name, sizeof name, "n%d", n->number);
    ck_root *first = ck_root_make(sim_heap());
    memcpy(first->store_id, store, 16);
    memcpy(first->history_id, store, 16);
    first->epoch = 1;
    first->state = QD_COORD_ACTIVE;
    n->id = ++s->ids * 1000003;
    n->life++;
    if (!keeps) memset(&n->kept, 0, sizeof n->kept);
    n->now = n->kept;
    ck_core_config k = {.heap = sim_heap(),
                        .id = n->id,
                        .name = {name, 2},
                        .address = {"h:1", 3},
                        .seed = s->seed * 977 + s->ids,
                        .form = CK_FORM_ACTIVE,
                        .first = first,
                        .site = &sim_site,
                        .applied = n->now.index,
                        .candidate = 1,
                        .arg = n,
                        .apply = apply,
                        .lead = lead,
                        .changed = changed,
                        .done = done,
                        .read_done = read_done,
                        .warn = warn,
                        .failed = failed,
                        .stamp = stamp,
                        .load_begin = load_begin,
                        .load_want = load_want,
                        .load_blob = load_blob,
                        .load_end = load_end,
                        .reaches = reaches,
                        .thaw = thaw};
    n->core = ck_core_make(&k);
    n->turn_at = s->now;
    n->resign_at = 0;
    ck_root_free(first);
    say(s, "node %d starts as %llx with %llu applied", n->number,
        (unsigned long long)(n->id & 0xffff), (unsigned long long)n->now.index);
}

void node_kill(sim *s, node *n)
{
    say(s, "node %d ends", n->number);
    n->kept = n->now;
    ck_core_free(n->core);
    n->core = NULL;
    for (uint32_t i = 0; i < s->nops; i++)
        if (s->ops[i].state == OP_OPEN && s->ops[i].node == n->number) s->ops[i].state = OP_UNKNOWN;
}

int node_propose_this(sim *s, node *n, const record *r)
{
    size_t size = sizeof *r + r->padding;
    uint8_t *p = malloc(size);
    if (!p || s->nops == OPS) abort();
    memcpy(p, r, sizeof *r);
    uint64_t x = r->op * 0x9e3779b97f4a7c15ull + r->padding;
    for (uint32_t i = 0; i < r->padding; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        p[sizeof *r + i] = (uint8_t)(x >> 24);
    }
    op *o = &s->ops[s->nops];
    *o = (op){.sum = cr_sum64(p, size, 0), .unique = r->op != 0, .node = n->number};
    int32_t rc = ck_core_propose(n->core, o, p, size);
    free(p);
    if (rc == 0) s->nops++;
    return rc == 0;
}

int node_propose(sim *s, node *n)
{
    static const uint32_t paddings[] = {0, 0, 100, 1000, 2000, 3000, 6000, 9000};
    static const uint32_t lengths[] = {10, 40, 200, 700};
    if (s->nops + 100 > OPS) return 0;
    record r = {.op = s->order * 8192 + s->nops + 1,
                .key = (uint32_t)dice(s, KEYS),
                .length = lengths[dice(s, 4)],
                .seed = (uint32_t)dice(s, 3),
                .padding = paddings[dice(s, 8)]};
    if (chance(s, 150)) r = (record){.key = 3, .length = 700, .seed = 1, .padding = 5000};
    if (chance(s, 5)) r.padding = 400000; /* several objects */
    return node_propose_this(s, n, &r);
}

void node_read(sim *s, node *n)
{
    uint64_t *from = &s->read_from[s->nreads++ % 1024];
    *from = s->root ? s->root->index : 0;
    (void)ck_core_read(n->core, from);
}
