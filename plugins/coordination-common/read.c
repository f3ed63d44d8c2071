/* read.c: requests that are answered from the machine, without an entry. */
#include "store.h"
#include <openssl/evp.h>

#define CONTAINER CR_CONTAINER

enum { EXPORT_BATCH = 256, EXPORT_BYTES = 4 << 20 };

static int in_range(const qd_coord_range *r, qd_str key)
{
    if (r->flags & QD_COORD_PREFIX) return cr_starts(key, r->key);
    if (r->end.n == 0) return cr_compare(key, r->key) == 0;
    return cr_compare(key, r->end) < 0;
}

/* room: for its value, when it is packed and wanted. */
static qd_coord_kv kv_of(const cr_item *i, int keys_only, void *room)
{
    qd_str value = keys_only ? (qd_str){NULL, i->value_len} : cr_item_open(i, room);
    return (qd_coord_kv){.key = cr_item_key(i),
                         .value = (const uint8_t *)value.p,
                         .value_len = value.n,
                         .create_revision = i->create_revision,
                         .mod_revision = i->mod_revision,
                         .version = i->version,
                         .session = i->session};
}

/* A result with room for n items and `more` bytes behind them. */
static qd_coord_result *result_make(qd_coord *c, uint32_t n, size_t more)
{
    qd_coord_result *r = cr_alloc(c->heap, sizeof *r + n * sizeof(cr_item *) + more);
    if (!r) return NULL;
    *r = (qd_coord_result){.heap = c->heap, .nitems = n, .items = (cr_item **)(r + 1)};
    return r;
}

void cr_result_free(qd_coord *c, qd_coord_result *r)
{
    (void)c;
    if (!r) return;
    for (uint32_t i = 0; i < r->nitems; i++) cr_item_drop(r->items[i]);
    cr_free(r->heap, r);
}

static void do_range(qd_coord *c, cr_node *node)
{
    qd_coord_range *r = CONTAINER(qd_coord_range, node);
    uint32_t n = 0, more = 0;
    size_t room = 0;
    int keys_only = (r->flags & QD_COORD_KEYS_ONLY) != 0;
    const cr_key *first = cr_keys_seek(&c->machine->keys, r->key);
    for (const cr_key *k = first; k && in_range(r, cr_item_key(k->item)); k = k->next[0]) {
        if (r->limit && n == r->limit) {
            more = 1;
            break;
        }
        n++;
        if (!keys_only) room += cr_item_room(k->item);
    }
    qd_coord_result *out = result_make(c, n, n * sizeof(qd_coord_kv) + room);
    if (!out) {
        cr_end(c, node, QD_E_NOMEM, "out of memory: range");
        return;
    }
    qd_coord_kv *kvs = (qd_coord_kv *)(out->items + n);
    uint8_t *at = (uint8_t *)(kvs + n);
    const cr_key *k = first;
    for (uint32_t i = 0; i < n; i++, k = k->next[0]) {
        out->items[i] = cr_item_ref(k->item);
        kvs[i] = kv_of(k->item, keys_only, at);
        if (!keys_only) at += cr_item_room(k->item);
    }
    r->kvs = kvs;
    r->nkvs = n;
    r->more = more;
    r->result = out;
    r->revision = c->machine->revision;
    cr_end(c, node, 0, NULL);
}

static void do_leader(qd_coord *c, cr_node *node)
{
    qd_coord_election *r = CONTAINER(qd_coord_election, node);
    if (c->machine->state != QD_COORD_ACTIVE) {
        cr_end(c, node, QD_E_FENCED, "this store is not in charge");
        return;
    }
    const cr_election *e = cr_machine_election(c->machine, r->name);
    cr_bytes key = {.heap = c->heap};
    cr_put(&key, CR_ELECTION_PREFIX, sizeof CR_ELECTION_PREFIX - 1);
    cr_put(&key, r->name.p, r->name.n);
    cr_item *item = e && e->session
                        ? cr_keys_find(&c->machine->keys, (qd_str){(const char *)key.p, key.n})
                        : NULL;
    cr_bytes_free(&key);
    if (!item) {
        cr_end(c, node, QD_E_NOTFOUND, "nobody leads");
        return;
    }
    qd_coord_result *out = result_make(c, 1, cr_item_room(item));
    if (!out) {
        cr_end(c, node, QD_E_NOMEM, "out of memory: leader");
        return;
    }
    out->items[0] = cr_item_ref(item);
    r->result = out;
    r->value = cr_item_open(item, out->items + 1);
    r->session = e->session;
    r->token = e->token;
    cr_end(c, node, 0, NULL);
}

int32_t cr_members_result(qd_coord *c, qd_coord_members *r, const cr_who *from, uint32_t n)
{
    char ids[CR_WIRE_MEMBERS_MAX][24];
    size_t text = 0;
    if (r->action != QD_COORD_MEMBERS_LIST && r->action != QD_COORD_MEMBERS_WANTED) return 0;
    for (uint32_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "%llu", (unsigned long long)from[i].id);
        text += strlen(ids[i]) + from[i].name.n + from[i].address.n;
    }
    qd_coord_result *out = result_make(c, 0, n * sizeof(qd_coord_member) + text);
    if (!out) return QD_E_NOMEM;
    qd_coord_member *m = (qd_coord_member *)(out + 1);
    char *p = (char *)(m + n);
    for (uint32_t i = 0; i < n; i++) {
        const qd_str parts[3] = {qd_plug_str(ids[i]), from[i].name, from[i].address};
        qd_str to[3];
        for (int k = 0; k < 3; k++) {
            if (parts[k].n) memcpy(p, parts[k].p, parts[k].n);
            to[k] = (qd_str){p, parts[k].n};
            p += parts[k].n;
        }
        m[i] = (qd_coord_member){.id = to[0],
                                 .name = to[1],
                                 .address = to[2],
                                 .role = from[i].role,
                                 .leader = from[i].leader,
                                 .alive = from[i].alive,
                                 .excluded = from[i].excluded};
    }
    r->members = m;
    r->nmembers = n;
    r->result = out;
    return 0;
}

/* A transaction without changes: its compares, now. */
static void do_check(qd_coord *c, cr_node *node)
{
    qd_coord_txn *t = CONTAINER(qd_coord_txn, node);
    const cr_machine *m = c->machine;
    int32_t rc = m->state == QD_COORD_ACTIVE ? 0 : QD_E_FENCED;
    if (rc == 0 && t->token.term) {
        const cr_election *e = cr_machine_election(m, t->election);
        if (!e || !e->session || e->token.epoch != t->token.epoch || e->token.term != t->token.term)
            rc = QD_E_FENCED;
    }
    for (uint32_t i = 0; i < t->ncompares && rc == 0; i++) {
        const qd_coord_compare *k = &t->compares[i];
        if (!cr_compare_fails(m, k->type, k->key, k->number, k->hash)) continue;
        t->failed = i;
        rc = QD_E_CONFLICT;
    }
    t->revision = m->revision;
    cr_end(c, node, rc, NULL);
}

static void hash_number(EVP_MD_CTX *h, uint64_t v)
{
    uint8_t b[8];
    cr_store64(b, v);
    EVP_DigestUpdate(h, b, sizeof b);
}

static void hash_kv(EVP_MD_CTX *h, const qd_coord_kv *kv)
{
    hash_number(h, kv->key.n);
    EVP_DigestUpdate(h, kv->key.p, kv->key.n);
    hash_number(h, kv->create_revision);
    hash_number(h, kv->mod_revision);
    hash_number(h, kv->version);
    hash_number(h, kv->value_len);
    EVP_DigestUpdate(h, kv->value, kv->value_len);
}

/* One batch, its packed values unpacked. */
static int32_t export_some(const cr_heap *heap, qd_coord_export *r, EVP_MD_CTX *h,
                           cr_item *const *items, uint32_t n)
{
    qd_coord_kv kvs[EXPORT_BATCH];
    size_t room = 0;
    for (uint32_t i = 0; i < n; i++) room += cr_item_room(items[i]);
    uint8_t *all = cr_alloc(heap, room), *at = all;
    if (!all) return QD_E_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        kvs[i] = kv_of(items[i], 0, at);
        at += cr_item_room(items[i]);
        hash_kv(h, &kvs[i]);
    }
    int32_t rc = r->batch ? r->batch(r->arg, kvs, n) : 0;
    cr_free(heap, all);
    return rc;
}

/* The hash of docs/plugins.md, and the batches. */
static int32_t export_all(const cr_heap *heap, qd_coord_export *r, const cr_items *rows)
{
    int32_t rc = 0;
    EVP_MD_CTX *h = EVP_MD_CTX_new();
    if (!h || EVP_DigestInit_ex(h, EVP_sha256(), NULL) != 1) rc = QD_E_NOMEM;
    for (size_t i = 0; i < rows->n && rc == 0;) {
        size_t room = 0;
        uint32_t n = 0;
        while (i + n < rows->n && n < EXPORT_BATCH && (n == 0 || room < EXPORT_BYTES))
            room += cr_item_room(rows->at[i + n++]);
        rc = export_some(heap, r, h, rows->at + i, n);
        i += n;
    }
    if (rc == 0) EVP_DigestFinal_ex(h, r->hash, NULL);
    EVP_MD_CTX_free(h);
    return rc;
}

static void do_export(qd_coord *c, cr_node *node)
{
    qd_coord_export *r = CONTAINER(qd_coord_export, node);
    cr_items rows = {0};
    if (r->revision == 0) r->revision = c->machine->revision;
    int32_t rc = cr_machine_past(c->machine, r->revision, &rows);
    if (rc == 0) rc = export_all(c->heap, r, &rows);
    cr_items_free(c->heap, &rows);
    cr_end(c, node, rc, rc ? "export ended" : NULL);
}

void cr_read_now(qd_coord *c, cr_node *n)
{
    switch (n->kind) {
    case CR_RANGE:
        do_range(c, n);
        return;
    case CR_ELECTION_REQUEST:
        do_leader(c, n);
        return;
    case CR_EXPORT:
        do_export(c, n);
        return;
    default:
        do_check(c, n);
        return;
    }
}
