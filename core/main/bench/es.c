/*
 * es.c: the whole engine under `qd bench`: one shard with versions, sequence numbers and
 * translog, as a node runs it, without HTTP and cluster.
 */
#include "analysis/analysis.h"
#include "engine/document.h"
#include "engine/engine.h"
#include "main/bench/bench.h"
#include "mapping/mapping.h"
#include "runtime/file.h"
#include "runtime/sync.h"
#include <stdio.h>

#define MAPPING(options)                                                                           \
    "{\"dynamic\":false,\"properties\":{\"title\":{\"type\":\"text\",\"fields\":{\"keyword\":{"    \
    "\"type\":\"keyword\",\"ignore_above\":256}}},\"text\":{\"type\":\"text\",\"index\":false,"    \
    "\"copy_to\":\"body\"},\"body\":{\"type\":\"text\",\"index_options\":\"" options "\"}}}"

#define MAPPING_BYTES_MAX (1u << 20)

typedef struct slot {
    qd_document_writer *writer;
    qd_translog_location at;
    bool dirty;
    uint64_t syncs;
} slot;

struct qd_bench_es {
    qd_env *env;
    qd_account account;
    qd_analyzers *analyzers;
    qd_mapping *mapping;
    qd_engine *engine;
    qd_pool *merges;
    uint64_t refresh_ns, translog_bytes; /* written, before the commit trims it */
    slot slots[QD_SLOTS_MAX];
    uint32_t nslots;
    /* the refresher */
    qd_mutex lock;
    qd_cond wake;
    bool stop, started;
    qd_thread *refresher;
    int rc;
};

static int write_doc(void *arg, uint32_t number, uint64_t unit, qd_buffer *b,
                     const qd_engine_op *op, qd_err *err)
{
    qd_bench_es *e = arg;
    slot *s = &e->slots[number];
    qd_doc_result result = {0};
    if (!s->writer) s->writer = qd_document_writer_make(&e->account);
    if (!s->writer) return qd_err_nomem(err, "document writer");
    int rc = qd_document_write(s->writer, e->mapping, unit, b, op, &result, err);
    qd_mapping_unref(result.merged);
    return rc == 1 ? qd_err_set(err, QD_E_STATE, "the benchmark's mapping is not dynamic") : rc;
}

static void refresh_now_and_then(void *arg)
{
    qd_bench_es *e = arg;
    uint64_t next = qd_env_mono_ns(e->env) + e->refresh_ns;
    qd_mutex_lock(&e->lock);
    while (!e->stop) {
        if (qd_cond_wait_until(&e->wake, &e->lock, next) != QD_E_TIMEOUT) continue;
        qd_mutex_unlock(&e->lock);
        int rc = qd_engine_refresh(e->engine, NULL);
        next = qd_env_mono_ns(e->env) + e->refresh_ns;
        qd_mutex_lock(&e->lock);
        if (rc && !e->rc) e->rc = rc;
    }
    qd_mutex_unlock(&e->lock);
}

int qd_bench_mapping_make(const char *path, qd_str text, qd_analyzers **analyzers,
                          qd_mapping **mapping, qd_err *err)
{
    qd_mapping_settings settings = QD_MAPPING_SETTINGS_DEFAULT;
    qd_buf file;
    qd_buf_init(&file, NULL, MAPPING_BYTES_MAX);
    *analyzers = NULL;
    *mapping = NULL;
    int rc = path ? qd_file_read(path, &file, err) : 0;
    if (path) text = qd_buf_view(&file);
    if (!rc) rc = qd_analyzers_make(NULL, 0, NULL, analyzers, err);
    if (!rc) rc = qd_mapping_parse(text, *analyzers, &settings, QD_MAPPING_UPDATE, mapping, err);
    qd_buf_fini(&file);
    return rc;
}

int qd_bench_es_open(qd_bench_dir *d, bool create, const qd_bench_es_options *o, qd_bench_es **out,
                     qd_err *err)
{
    qd_bench_es *e = qd_calloc(NULL, sizeof *e);
    if (!e) return qd_err_nomem(err, "engine");
    e->env = qd_env_system();
    e->nslots = o->slots;
    e->refresh_ns = (o->refresh_ms ? o->refresh_ms : 1) * 1000000ull;
    qd_account_init(&e->account, "bench", NULL, 0);
    qd_mutex_init(&e->lock);
    qd_cond_init(&e->wake);
    qd_str text = o->freqs ? QD_STR(MAPPING("freqs")) : QD_STR(MAPPING("positions"));
    int rc = qd_bench_mapping_make(o->mapping, text, &e->analyzers, &e->mapping, err);
    if (!rc) rc = qd_pool_open(e->env, "force_merge", 1, 16, &e->merges, err);
    qd_engine_config c = {
        .env = e->env,
        .log_store = d->store,
        .segment_store = d->store,
        .folder = QD_STR(QD_BENCH_SHARD),
        .name = QD_STR("[bench][0]"),
        .primary_term = 1,
        .slots = o->slots,
        .slot_bytes = o->ram_bytes / o->slots,
        .account = &e->account,
        .merge_pool = e->merges,
        .write_doc = write_doc,
        .write_doc_arg = e,
    };
    qd_engine_settings_default(&c.settings);
    c.settings.merge_order = o->order;
    if (o->no_fsync) c.settings.durability = QD_DURABILITY_ASYNC;
    if (!rc)
        rc = create ? qd_engine_create(&c, &e->engine, err) : qd_engine_open(&c, &e->engine, err);
    if (!rc && create) {
        rc = qd_thread_start(e->env, "refresh", refresh_now_and_then, e, &e->refresher, err);
        e->started = !rc;
    }
    if (rc)
        qd_bench_es_close(e);
    else
        *out = e;
    return rc;
}

int qd_bench_es_index(qd_bench_es *e, uint32_t number, qd_str id, qd_str source, bool append,
                      qd_err *err)
{
    qd_engine_op op = {
        .id = id,
        .source = source,
        .version = -1,
        .if_seq_no = QD_SEQ_NO_UNASSIGNED,
        .auto_id_ms = append ? qd_env_wall_ms(e->env) : -1,
    };
    qd_engine_result result;
    int rc = qd_engine_apply(e->engine, number, &op, &result, err);
    if (rc) return rc;
    e->slots[number].at = result.at;
    e->slots[number].dirty = true;
    return 0;
}

int qd_bench_es_sync(qd_bench_es *e, uint32_t number, qd_err *err)
{
    slot *s = &e->slots[number];
    if (!s->dirty) return 0;
    s->dirty = false;
    s->syncs++;
    return qd_engine_sync(e->engine, &s->at, err);
}

static void stop_refresher(qd_bench_es *e)
{
    if (!e->started) return;
    qd_mutex_lock(&e->lock);
    e->stop = true;
    qd_cond_signal(&e->wake);
    qd_mutex_unlock(&e->lock);
    qd_thread_join(e->env, e->refresher);
    e->started = false;
}

int qd_bench_es_commit(qd_bench_es *e, qd_err *err)
{
    qd_engine_stats st;
    stop_refresher(e);
    qd_engine_stats_get(e->engine, &st);
    e->translog_bytes = st.translog.bytes;
    int rc = e->rc ? qd_err_set(err, e->rc, "a refresh failed") : 0;
    return rc ? rc : qd_engine_flush(e->engine, true, err);
}

/* Runs natural merges here until those of the background and these leave nothing to do. */
static int settle(qd_bench_es *e, qd_err *err)
{
    for (;;) {
        bool did;
        qd_engine_stats st;
        int rc = qd_engine_merge_step(e->engine, &did, err);
        if (rc) return rc;
        qd_engine_stats_get(e->engine, &st);
        if (!did && !st.merge_current) return 0;
        if (!did) qd_env_sleep_ns(e->env, 2000000);
    }
}

int qd_bench_es_finish(qd_bench_es *e, bool merge, qd_err *err)
{
    int rc = merge ? qd_engine_force_merge(e->engine, 1, false, NULL, err) : settle(e, err);
    return rc ? rc : qd_engine_flush(e->engine, true, err);
}

void qd_bench_es_stats_get(qd_bench_es *e, qd_bench_es_stats *out)
{
    qd_engine_stats st;
    qd_engine_stats_get(e->engine, &st);
    *out = (qd_bench_es_stats){
        .refreshes = st.refresh_total,
        .translog_bytes = e->translog_bytes,
        .segments = st.segments,
        .segment_bytes = st.segment_bytes,
    };
    for (uint32_t i = 0; i < e->nslots; i++) out->syncs += e->slots[i].syncs;
}

struct qd_reader *qd_bench_es_reader(qd_bench_es *e)
{
    return qd_engine_reader(e->engine);
}

void qd_bench_es_close(qd_bench_es *e)
{
    if (!e) return;
    stop_refresher(e);
    if (e->engine) qd_engine_close(e->engine, false);
    if (e->merges) qd_pool_close(e->merges);
    for (uint32_t i = 0; i < QD_SLOTS_MAX; i++) qd_document_writer_free(e->slots[i].writer);
    qd_mapping_unref(e->mapping);
    qd_analyzers_unref(e->analyzers);
    qd_cond_fini(&e->wake);
    qd_mutex_fini(&e->lock);
    qd_free(e);
}
