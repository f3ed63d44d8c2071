/* pipelines.c: see pipelines.h. */
#include "action/ingest/pipelines.h"
#include "action/api/admin_int.h"
#include "action/script/script_int.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/sync.h"

typedef struct entry {
    qd_ingest_pipeline *pipeline;
    uint64_t revision; /* of the record that it was compiled from */
} entry;

#define ACCOUNT_MAX ((int64_t)256 << 20)

struct qd_pipelines {
    qd_account account;               /* of what is compiled and kept */
    qd_ingest_settings settings, own; /* of requests; of what is kept */
    qd_mutex lock;
    qd_map by_id; /* under lock */
    qd_ingest_counts total;
};

#define STORED_SCRIPT_KEY "script/"

/* The record of a pipeline or script; NULL: there is none. */
static const qd_state_document_record *record_of(const qd_state *s, qd_str kind, qd_str id)
{
    char key[512];
    if (id.n > sizeof key - kind.n) return NULL;
    memcpy(key, kind.p, kind.n);
    if (id.n) memcpy(key + kind.n, id.p, id.n);
    return qd_state_document(s, (qd_str){key, kind.n + id.n});
}

static int stored(void *arg, qd_str id, qd_arena *arena, qd_str *lang, qd_str *source,
                  uint64_t *revision, qd_err *err)
{
    const qd_actions *a = arg;
    qd_state *s = qd_cluster_state(a->cluster);
    const qd_state_document_record *d = record_of(s, QD_STR(STORED_SCRIPT_KEY), id);
    *revision = d ? d->mod_revision : 0;
    qd_script_ref script = {0};
    int rc = d ? qdi_script_stored(s, id, arena, &script, err) : 0;
    *lang = script.lang;
    *source = script.source;
    qd_state_unref(s);
    return rc;
}

static uint64_t revision_of(const void *arg, qd_str id)
{
    const qd_state_document_record *d = record_of(arg, QD_STR(STORED_SCRIPT_KEY), id);
    return d ? d->mod_revision : 0;
}

int qd_pipelines_open(qd_actions *a, qd_err *err)
{
    qd_pipelines *p = qd_calloc(NULL, sizeof *p);
    if (!p) return qd_err_nomem(err, "pipelines");
    p->settings = (qd_ingest_settings){.account = a->account,
                                       .env = a->env,
                                       .data_path = a->data_path,
                                       .plugins = a->plugins,
                                       .stored = stored,
                                       .arg = a};
    qd_account_init(&p->account, "pipelines", NULL, ACCOUNT_MAX);
    p->own = p->settings;
    p->own.account = &p->account;
    p->own.late = true;
    qd_mutex_init(&p->lock);
    qd_map_init(&p->by_id, &p->account);
    a->pipelines = p;
    return 0;
}

static void drop(entry *e)
{
    if (!e) return;
    qd_ingest_unref(e->pipeline);
    qd_free(e);
}

void qd_pipelines_close(qd_actions *a)
{
    qd_pipelines *p = a->pipelines;
    const qd_map_entry *m;
    size_t pos = 0;
    if (!p) return;
    while ((m = qd_map_next(&p->by_id, &pos))) drop(m->value);
    qd_map_fini(&p->by_id);
    qd_mutex_fini(&p->lock);
    qd_free(p);
    a->pipelines = NULL;
}

const qd_ingest_settings *qdi_pipelines_settings(qd_actions *a)
{
    return &a->pipelines->settings;
}

void qdi_pipelines_lookup_set(qd_actions *a,
                              int (*has_policy)(void *arg, qd_str policy, qd_err *err),
                              int (*lookup)(void *arg, qd_task *task, qd_str policy, uint32_t max,
                                            qd_ingest_lookup *looks, uint32_t n, qd_err *err),
                              void *arg)
{
    qd_ingest_settings *both[] = {&a->pipelines->settings, &a->pipelines->own};
    for (size_t i = 0; i < QD_COUNT_OF(both); i++) {
        both[i]->has_policy = has_policy;
        both[i]->lookup = lookup;
        both[i]->lookup_arg = arg;
    }
}

bool qdi_pipeline_is(qd_str key, qd_str *id)
{
    if (!qd_str_starts(key, QD_STR(QDI_PIPELINE_KEY))) return false;
    *id = qd_str_sub(key, sizeof QDI_PIPELINE_KEY - 1, key.n);
    return true;
}

/* Was it compiled of what state s has, or of something newer? */
static bool is_current(const entry *e, const qd_state *s, const qd_state_document_record *d)
{
    return e && e->revision >= d->mod_revision && qd_ingest_current(e->pipeline, revision_of, s);
}

/* Puts what was compiled in the place of an earlier one, whose counts go on; *made is then what
 * nobody needs any more. Under the lock. */
static int keep(qd_pipelines *p, qd_str id, entry **made, qd_err *err)
{
    void *old = NULL;
    if (qd_map_put(&p->by_id, id, *made, &old)) return qd_err_nomem(err, "pipelines");
    if (old) qd_ingest_counts_take((*made)->pipeline, ((entry *)old)->pipeline);
    *made = old;
    return 0;
}

/* Compiles without the lock, as a plugin's processor may take its time; who comes second uses what
 * the first has made. */
static int compile(qd_pipelines *p, const qd_state *s, qd_str id, const qd_state_document_record *d,
                   qd_ingest_pipeline **out, qd_err *err)
{
    entry *made = qd_calloc(&p->account, sizeof *made);
    if (!made) return qd_err_nomem(err, "pipelines");
    int rc = qd_ingest_compile(&p->own, id, d->value, &made->pipeline, err);
    made->revision = d->mod_revision;
    if (!rc) {
        qd_mutex_lock(&p->lock);
        const entry *e = qd_map_get(&p->by_id, id);
        if (is_current(e, s, d)) {
            *out = qd_ingest_ref(e->pipeline);
        } else {
            qd_ingest_pipeline *mine = made->pipeline;
            rc = keep(p, id, &made, err);
            if (!rc) *out = qd_ingest_ref(mine);
        }
        qd_mutex_unlock(&p->lock);
    }
    drop(made);
    return rc;
}

int qdi_pipelines_get(qd_actions *a, const qd_state *s, qd_str id, qd_ingest_pipeline **out,
                      qd_err *err)
{
    qd_pipelines *p = a->pipelines;
    const qd_state_document_record *d = record_of(s, QD_STR(QDI_PIPELINE_KEY), id);
    entry *gone = NULL;
    *out = NULL;
    qd_mutex_lock(&p->lock);
    const entry *e = qd_map_get(&p->by_id, id);
    if (!d)
        gone = qd_map_del(&p->by_id, id);
    else if (is_current(e, s, d))
        *out = qd_ingest_ref(e->pipeline);
    qd_mutex_unlock(&p->lock);
    drop(gone);
    return !d || *out ? 0 : compile(p, s, id, d, out, err);
}

void qdi_pipelines_count(qd_actions *a, uint64_t ns, bool failed)
{
    qd_ingest_counts *t = &a->pipelines->total;
    atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->ns, ns, memory_order_relaxed);
    if (failed) atomic_fetch_add_explicit(&t->failed, 1, memory_order_relaxed);
}

void qdi_pipelines_totals(const qd_actions *a, uint64_t *count, uint64_t *failed)
{
    *count = a->pipelines ? atomic_load(&a->pipelines->total.count) : 0;
    *failed = a->pipelines ? atomic_load(&a->pipelines->total.failed) : 0;
}

uint32_t qdi_pipelines_number(const qd_state *s)
{
    uint32_t n = 0;
    qd_str id;
    for (uint32_t k = 0; k < s->ndocuments; k++) n += qdi_pipeline_is(s->documents[k].key, &id);
    return n;
}

void qdi_pipelines_stats_write(qd_actions *a, const qd_state *s, qd_json_writer *w)
{
    static const qd_ingest_counts none;
    const qd_ingest_counts *t = a->pipelines ? &a->pipelines->total : &none;
    qdi_identity of;
    qd_str id;
    qdi_identity_get(a, &of);
    bool newer = of.product == QDI_ES8 || of.product == QDI_ES9;
    qd_json_key_c(w, "total");
    qd_json_object(w);
    qd_json_field_int(w, "count", (int64_t)atomic_load(&t->count));
    qd_json_field_int(w, "time_in_millis", (int64_t)(atomic_load(&t->ns) / 1000000));
    qd_json_field_int(w, "current", atomic_load(&t->current));
    qd_json_field_int(w, "failed", (int64_t)atomic_load(&t->failed));
    qd_json_object_end(w);
    qd_json_key_c(w, "pipelines");
    qd_json_object(w);
    for (uint32_t k = 0; k < s->ndocuments && a->pipelines; k++) {
        qd_ingest_pipeline *p;
        if (!qdi_pipeline_is(s->documents[k].key, &id)) continue;
        if (qdi_pipelines_get(a, s, id, &p, NULL) || !p) continue;
        qd_json_key(w, id);
        qd_json_object(w);
        qd_ingest_stats_write(p, w);
        if (newer) { /* nothing counts them, and elasticsearch-java wants them */
            qd_json_field_int(w, "ingested_as_first_pipeline_in_bytes", 0);
            qd_json_field_int(w, "produced_as_first_pipeline_in_bytes", 0);
        }
        qd_json_object_end(w);
        qd_ingest_unref(p);
    }
    qd_json_object_end(w);
}
