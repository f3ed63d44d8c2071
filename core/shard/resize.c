/*
 * resize.c: the first opening of a shard whose index is made of another one (_shrink, _split,
 * _clone). The node has the primaries of the shards that it is made of. Their published segments
 * become its own, as a replica installs those of its primary: copied inside the tier where it can,
 * and each byte checked. What belongs to another shard of a split is deleted then. All this is an
 * engine of its own, without partners; whoever opens the shard finds its files.
 *
 * Nothing of it counts before the shard has started: until then the next attempt begins anew.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/replica.h"
#include "segment/columns.h"
#include "shard/shards_int.h"
#include <stdio.h>
#include <string.h>

#define SOURCE_MS 2000         /* for a source that is being opened */
#define READ_BYTES (1u << 20)  /* of a file that the tier cannot copy by itself */
#define DELETES_AT_ONCE 50000u /* between refreshes */
#define NAME_BYTES 256u

typedef struct resize_source {
    qd_shard *shard;
    qd_engine *engine; /* entered */
    qd_publication *p;
} resize_source;

typedef struct resizing {
    qd_shard *s;
    qd_index_meta *to, *from;
    uint64_t term;
    uint32_t nsources;
    resize_source *source;
    qd_publication all; /* of all sources; segments are its own */
    qd_account *account;
} resizing;

bool qdi_shard_is_resized(const qd_index_meta *m, qd_str *source)
{
    const qd_setting_value *v = qd_settings_get(m->settings, QD_STR("index.resize.source.uuid"));
    if (source) *source = v ? v->text : (qd_str){NULL, 0};
    return v != NULL;
}

/* --- sources --- */

/* The source may be opened later than this shard: the attempt is repeated. */
static int not_yet(const resizing *x, uint32_t number, const char *why, qd_err *err)
{
    return qd_err_set(err, QD_E_TIMEOUT,
                      "%s is made of shard [%u] of another index, whose primary is not open here: "
                      "%s",
                      x->s->name, number, why);
}

/* Has the state this very copy for the primary? One that follows another primary publishes nothing,
 * and attempts that met it would count until none is made any more. */
static bool is_primary(const resizing *x, const qd_shard *s, uint32_t number)
{
    qd_state *state = qd_cluster_state(s->shards->cluster);
    const qd_index_meta *m = qd_state_index_uuid(state, qd_str_c(x->from->uuid));
    const qd_shard_meta *r = m ? qd_state_shard(state, m, number) : NULL;
    const qd_copy *p = r ? qd_shard_meta_primary(r) : NULL;
    bool is = p && qd_copy_is_active(p) && qd_str_eq(p->allocation_id, qd_shard_allocation_id(s));
    qd_state_unref(state);
    return is;
}

static int enter_source(resizing *x, uint32_t number, qd_err *err)
{
    resize_source *from = &x->source[x->nsources];
    qd_err why;
    qd_err_init(&why);
    from->shard = qd_shards_get(x->s->shards, x->from->uuid, number);
    if (!from->shard) return not_yet(x, number, "it is on another node", err);
    int rc = qd_shard_enter(from->shard, SOURCE_MS, &from->engine, &why);
    if (rc) {
        qd_shard_unref(from->shard);
        rc = not_yet(x, number, qd_err_reason(&why), err);
        qd_err_fini(&why);
        return rc;
    }
    x->nsources++;
    qd_err_fini(&why);
    if (!is_primary(x, from->shard, number)) {
        return not_yet(x, number, "the copy on this node is no primary", err);
    }
    if (qd_engine_primary_term(from->engine) >= x->term) { /* each attempt has a higher one */
        return not_yet(x, number, "its term is not below that of this shard", err);
    }
    qd_engine_checkpoints at;
    rc = qd_engine_refresh(from->engine, err);
    if (!rc) rc = qd_engine_publication(from->engine, &from->p, err);
    if (rc) return rc;
    qd_engine_checkpoints_get(from->engine, &at);
    if (at.max_seq_no <= from->p->max_seq_no) return 0;
    return not_yet(x, number, "a write is still under way", err);
}

/* Shards of the source that the documents of this one are in: [first, first + n). */
static void sources_of(const resizing *x, uint32_t *first, uint32_t *n)
{
    uint32_t had = x->from->shards, has = x->to->shards;
    if (had > has) {
        *n = had / has;
        *first = x->s->number * *n;
    } else {
        *n = 1;
        *first = x->s->number / (has / had);
    }
}

static int enter_sources(resizing *x, qd_err *err)
{
    uint32_t first, n;
    int rc = 0;
    sources_of(x, &first, &n);
    x->source = qd_calloc(x->account, n * sizeof *x->source);
    if (!x->source) return qd_err_nomem(err, "sources of a shard");
    for (uint32_t i = 0; i < n && !rc; i++) rc = enter_source(x, first + i, err);
    return rc;
}

static void leave_sources(resizing *x)
{
    for (uint32_t i = 0; i < x->nsources; i++) {
        qd_publication_unref(x->source[i].p);
        qd_shard_leave(x->source[i].shard);
        qd_shard_unref(x->source[i].shard);
    }
    qd_free(x->source);
}

/* --- files --- */

/* What all sources have published, as one publication of the engine. */
static int unite(resizing *x, qd_engine *e, qd_err *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->nsources; i++) n += x->source[i].p->n;
    x->all.max_seq_no = x->all.global_checkpoint = QD_SEQ_NO_NONE;
    x->all.segments = qd_calloc(x->account, (n + 1ull) * sizeof *x->all.segments);
    if (!x->all.segments) return qd_err_nomem(err, "segments of a shard");
    for (uint32_t i = 0; i < x->nsources; i++) {
        const qd_publication *p = x->source[i].p;
        if (p->n) memcpy(x->all.segments + x->all.n, p->segments, p->n * sizeof *p->segments);
        x->all.n += p->n;
        if (p->max_seq_no > x->all.max_seq_no) x->all.max_seq_no = p->max_seq_no;
    }
    x->all.global_checkpoint = x->all.max_seq_no;
    x->all.primary_term = qd_engine_primary_term(e);
    qd_engine_published(e, NULL, &x->all.generation, NULL);
    x->all.generation++;
    qd_engine_history(e, x->all.history);
    return 0;
}

/* The file of a source that has this name. */
static int find_file(const resizing *x, const char *name, const resize_source **from,
                     uint32_t *file)
{
    for (uint32_t i = 0; i < x->nsources; i++) {
        uint32_t n = qd_publication_files(x->source[i].p);
        for (*file = 0; *file < n; (*file)++) {
            qd_publication_file f;
            qd_publication_file_at(x->source[i].p, *file, &f);
            *from = &x->source[i];
            if (strcmp(f.name, name) == 0) return 0;
        }
    }
    return QD_E_NOTFOUND;
}

/* Inside a tier files are copied by the tier, which may share their bytes. One that could not be is
 * read. */
static int copy_files(const resizing *x, const qd_engine_config *c, qd_err *err)
{
    uint32_t n = qd_publication_files(&x->all);
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        char from[NAME_BYTES], to[NAME_BYTES];
        const resize_source *source;
        qd_publication_file f;
        uint32_t file;
        qd_publication_file_at(&x->all, i, &f);
        if (find_file(x, f.name, &source, &file) || source->shard->tier != x->s->tier) continue;
        snprintf(from, sizeof from, "%s/%s", source->shard->folder, f.name);
        snprintf(to, sizeof to, "%.*s/%s", QD_STR_ARG(c->folder), f.name);
        qd_err why;
        qd_err_init(&why);
        rc = qd_store_copy(c->segment_store, qd_str_c(from), qd_str_c(to), &why);
        if (rc == QD_E_NOTFOUND || rc == QD_E_EXISTS) rc = 0; /* it is looked at either way */
        if (rc && err) qd_err_copy(err, &why);
        qd_err_fini(&why);
    }
    return rc;
}

static int receive(const resizing *x, qd_install *in, uint32_t file, void *buf, qd_err *err)
{
    const resize_source *from;
    qd_publication_file f;
    uint32_t other;
    size_t got = 0;
    qd_publication_file_at(&x->all, file, &f);
    if (find_file(x, f.name, &from, &other))
        return qd_err_set(err, QD_E_CORRUPT, "%s the file [%s] is no source's", x->s->name, f.name);
    int rc = qd_install_file_begin(in, file, err);
    for (uint64_t at = 0; !rc && at < f.bytes; at += got) {
        rc = qd_publication_read(from->p, other, at, buf, READ_BYTES, &got, err);
        if (!rc && !got)
            rc = qd_err_set(err, QD_E_CORRUPT, "%s the file [%s] ends early", x->s->name, f.name);
        if (!rc) rc = qd_install_file_append(in, file, buf, got, err);
    }
    return rc ? rc : qd_install_file_finish(in, file, err);
}

static int install(resizing *x, qd_engine *e, qd_err *err)
{
    qd_install *in = NULL;
    const uint32_t *missing;
    int rc = qd_install_begin(e, &x->all, &in, err);
    if (rc) return rc;
    uint32_t n = qd_install_missing(in, &missing);
    void *buf = n ? qd_alloc(x->account, READ_BYTES) : NULL;
    if (n && !buf) rc = qd_err_nomem(err, "file of a shard");
    for (uint32_t i = 0; i < n && !rc; i++) rc = receive(x, in, missing[i], buf, err);
    qd_free(buf);
    if (!rc) return qd_install_commit(in, err);
    qd_install_abort(in);
    return rc;
}

/* --- documents of other shards --- */

typedef struct sifting {
    resizing *x;
    qd_engine *e;
    qd_arena arena;
    uint32_t deleted;
} sifting;

static int plan(const qd_segment *s, const char *name, uint32_t from, uint32_t to, qd_reads *r,
                qd_arena *arena, qd_column_reader **out, qd_err *err)
{
    uint32_t field = qd_segment_field_find(s, qd_str_c(name));
    const qd_column *c =
        field == QD_FIELD_NONE ? NULL : qd_columns_get(qd_segment_columns(s), field);
    *out = NULL;
    return c ? qd_column_plan(c, from, to, r, arena, out, err) : 0;
}

static int delete_one(sifting *f, qd_str id, qd_err *err)
{
    qd_engine_result r;
    qd_engine_op op = {.delete = true,
                       .id = id,
                       .version_type = QD_VERSION_INTERNAL,
                       .version = -1,
                       .if_seq_no = QD_SEQ_NO_UNASSIGNED,
                       .auto_id_ms = -1};
    int rc = qd_engine_apply(f->e, 0, &op, &r, err);
    if (!rc && ++f->deleted % DELETES_AT_ONCE == 0) rc = qd_engine_refresh(f->e, err);
    return rc;
}

static int sift_some(sifting *f, const qd_reader_leaf *l, uint32_t from, uint32_t to, qd_err *err)
{
    qd_column_reader *ids, *routings;
    qd_reads *r = qd_reads_make(&f->arena, f->x->account);
    if (!r) return qd_err_nomem(err, "documents of a shard");
    int rc = plan(l->segment, "_id", from, to, r, &f->arena, &ids, err);
    if (!rc) rc = plan(l->segment, "_routing", from, to, r, &f->arena, &routings, err);
    if (!rc) rc = qd_reads_fetch(r, err);
    for (uint32_t d = from; d < to && !rc && ids; d++) {
        qd_str id, routing = {NULL, 0};
        bool some = false, routed = false;
        if (!qd_live_has(l->live, d)) continue;
        if (routings) rc = qd_column_bytes(routings, d, &routing, &routed, err);
        if (!routed) routing = (qd_str){NULL, 0};
        if (!rc) rc = qd_column_bytes(ids, d, &id, &some, err);
        if (rc || !some) continue;
        if (qd_index_meta_route(f->x->to, id, routing) == f->x->s->number) continue;
        rc = delete_one(f, id, err);
    }
    qd_reads_release(r);
    qd_arena_reset(&f->arena);
    return rc;
}

static int sift(resizing *x, qd_engine *e, qd_err *err)
{
    sifting f = {.x = x, .e = e};
    int rc = 0;
    qd_reader *r = qd_engine_reader(e);
    qd_arena_init(&f.arena, x->account, 0);
    for (uint32_t i = 0; r && i < r->n && !rc; i++) {
        const qd_reader_leaf *l = &r->leaf[i];
        uint32_t docs = (i + 1 < r->n ? r->leaf[i + 1].base : r->docs) - l->base;
        for (uint32_t at = 0; at < docs && !rc; at += QD_COLUMN_BLOCK) {
            uint32_t to = docs - at < QD_COLUMN_BLOCK ? docs : at + QD_COLUMN_BLOCK;
            rc = sift_some(&f, l, at, to, err);
        }
    }
    qd_reader_unref(r);
    qd_arena_fini(&f.arena);
    if (!rc && f.deleted)
        qd_log_info(SHARD_LOG, "%s: %u documents are of other shards", x->s->name, f.deleted);
    return rc;
}

/* --- the shard --- */

static int fill(resizing *x, const qd_engine_config *c, qd_err *err)
{
    qd_engine_config alone = *c;
    qd_engine *e;
    alone.mode = QD_ENGINE_REPLICA;
    alone.replicated = false;
    alone.published = NULL;
    alone.due = NULL;
    alone.copies_arg = NULL;
    alone.merge_pool = NULL;
    int rc = qd_engine_create(&alone, &e, err);
    if (rc) return rc;
    rc = unite(x, e, err);
    if (!rc && x->all.n) rc = copy_files(x, c, err);
    if (!rc && x->all.n) rc = install(x, e, err);
    if (!rc) rc = qd_engine_promote(e, c->primary_term, err);
    if (!rc && x->to->shards > x->from->shards) rc = sift(x, e, err);
    if (!rc) rc = qd_engine_sync_all(e, err);
    if (!rc) rc = qd_engine_flush(e, true, err);
    qd_engine_close(e, false);
    return rc;
}

int qdi_shard_resize(qd_shard *s, const qd_engine_config *c, qd_err *err)
{
    qd_str uuid;
    resizing x = {.s = s, .to = qd_shard_index(s), .term = c->primary_term, .account = &s->account};
    int rc = 0;
    qd_state *state = s->shards->cluster ? qd_cluster_state(s->shards->cluster) : NULL;
    (void)qdi_shard_is_resized(x.to, &uuid);
    const qd_index_meta *from = state ? qd_state_index_uuid(state, uuid) : NULL;
    if (from) x.from = qd_index_meta_ref(from);
    if (!from) {
        rc = qd_err_set(err, QD_E_STATE, "%s is made of index [%.*s], which is deleted", s->name,
                        QD_STR_ARG(uuid));
    }
    qd_state_unref(state);
    if (!rc) rc = enter_sources(&x, err);
    if (!rc) rc = fill(&x, c, err);
    leave_sources(&x);
    qd_free(x.all.segments);
    qd_index_meta_unref(x.from);
    qd_index_meta_unref(x.to);
    return rc;
}
