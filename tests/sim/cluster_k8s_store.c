/*
 * cluster_k8s_store.c: what stands below coordination-k8s's shell in a simulation: its connection
 * to the API server, and what the world wants to know of it.
 */
#include <store.h>

#include "cluster_k8s.h"
#include <kube/curl.h>

/* --- api.c --- */

int32_t ck_api_open(struct qd_coord *c, qd_err *err)
{
    (void)err;
    snprintf(c->home.space, sizeof c->home.space, "default");
    return 0;
}

void ck_api_close(struct qd_coord *c)
{
    (void)c;
}

kube_transport *ck_api_connect(struct qd_coord *c, uv_loop_t *loop, const kube_env *env,
                               kube_error *err)
{
    (void)env;
    (void)err;
    return cluster_api_connect(c->plugin->self, loop);
}

/* --- what is committed, on its way to pages --- */

void cluster_pages_push(ck_pages *p, uint64_t index, cr_items *rows, int replaced);
void cluster_pages_push(ck_pages *p, uint64_t index, cr_items *rows, int replaced)
{
    for (size_t i = 0; i < rows->n; i++) {
        const cr_item *row = rows->at[i];
        qd_str value = {NULL, 0};
        if (row->kind != CR_ROW_KEY) continue;
        if (row->version && !cr_item_packed(row)) value = cr_item_value(row);
        cluster_committed(cr_item_key(row), value, row->mod_revision);
    }
    ck_pages_push(p, index, rows, replaced);
}

/* --- for the world --- */

bool cluster_store_leads(const qd_coord *c);
bool cluster_store_leads(const qd_coord *c)
{
    return cr_leads(c);
}

uint64_t cluster_store_term(const qd_coord *c);
uint64_t cluster_store_term(const qd_coord *c)
{
    return c->view.term;
}

uint64_t cluster_store_hash(const qd_coord *c, uint64_t *revision);
uint64_t cluster_store_hash(const qd_coord *c, uint64_t *revision)
{
    cr_items rows = {0};
    uint64_t sum = 0;
    cr_machine_rows(c->machine, &rows);
    for (size_t i = 0; i < rows.n; i++) sum ^= cr_item_sum(rows.at[i]);
    cr_items_free(c->heap, &rows);
    *revision = c->applied;
    return sum;
}

uint64_t cluster_store_life(const qd_coord *c, uint32_t *voters);
uint64_t cluster_store_life(const qd_coord *c, uint32_t *voters)
{
    (void)c;
    *voters = 0;
    return 0;
}

uint64_t cluster_store_knows(const qd_coord *c, uint64_t id);
uint64_t cluster_store_knows(const qd_coord *c, uint64_t id)
{
    (void)c;
    (void)id;
    return 0;
}

/* --- the root --- */

static void *mem_alloc(qd_self *self, size_t n)
{
    (void)self;
    return malloc(n);
}
static void *mem_calloc(qd_self *self, size_t n)
{
    (void)self;
    return calloc(1, n);
}
static void *mem_realloc(qd_self *self, void *p, size_t n)
{
    (void)self;
    return realloc(p, n);
}
static const qd_svc_mem memory = {
    .alloc = mem_alloc, .calloc = mem_calloc, .realloc = mem_realloc, .free = free};
static const cr_heap heap = {&memory, NULL};
static ck_root *known;

void cluster_root_forget(void)
{
    ck_root_free(known);
    known = NULL;
}

/* An object that the root names was written before it. */
static bool named(const ck_root *r, int kind, const ck_hash *h, char why[400])
{
    char name[CK_NAME];
    ck_blob_name("sim", kind, h, 0, name);
    if (cluster_api_wrote(name, strtoull(r->version, NULL, 10))) return true;
    snprintf(why, 400, "the root names %s, which was not there when it was written", name);
    return false;
}

/* What is new in a root: entries that are in the log once, objects that are there. */
static bool sound(const ck_root *r, char why[400])
{
    static const ck_hash none;
    uint64_t from = known && known->index > r->checkpoint ? known->index : r->checkpoint;
    for (uint64_t i = from + 1; i <= r->index; i++) {
        const ck_entry *e = ck_root_entry(r, i);
        for (uint64_t k = i > CK_IDS ? i - CK_IDS + 1 : 1; e && k <= r->index; k++) {
            if (k == i || r->ids[k % CK_IDS] != e->id) continue;
            snprintf(why, 400, "entry %llu of the log is entry %llu once more",
                     (unsigned long long)i, (unsigned long long)k);
            return false;
        }
        if (e && e->large && !named(r, CK_BLOB_ENTRY, &e->hash, why)) return false;
    }
    for (size_t i = 0; i < CK_PAGES; i++) {
        if (ck_hash_same(&r->pages[i], &none)) continue;
        if (known && ck_hash_same(&r->pages[i], &known->pages[i])) continue;
        if (!named(r, CK_BLOB_PAGE, &r->pages[i], why)) return false;
    }
    return true;
}

bool cluster_root_next(const json_t *object, cluster_root *out, char why[400])
{
    static const char *const words[] = {"the same", "later", "earlier", "another one"};
    ck_root *r = NULL;
    char text[CK_WHY] = "";
    const char *version =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
    if (known && version && strcmp(version, known->version) == 0) {
        *out = (cluster_root){known->writes, known->index, known->epoch, known->checkpoint};
        return true;
    }
    if (ck_root_read_after(&heap, object, known, &r, text)) {
        snprintf(why, 400, "the root cannot be read: %.300s", text);
        return false;
    }
    *out = (cluster_root){r->writes, r->index, r->epoch, r->checkpoint};
    int how = known ? ck_root_follows(known, r, text) : CK_NEXT;
    if (how == CK_SAME || how == CK_NEXT) {
        if (!sound(r, why)) {
            ck_root_free(r);
            return false;
        }
        ck_root_free(known);
        known = r;
        return true;
    }
    snprintf(why, 400, "the root is %s than the one before: %.300s", words[how], text);
    ck_root_free(r);
    return false;
}

/* Projections are off here: they would run on a thread of their own. */
kube_transport *kube_curl_make(const kube_env *env, uv_loop_t *uv, const kube_config *config,
                               const kube_sources *from, const kube_curl_options *options,
                               kube_error *err)
{
    (void)env;
    (void)uv;
    (void)config;
    (void)from;
    (void)options;
    (void)err;
    return NULL;
}
