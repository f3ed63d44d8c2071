/*
 * foreign.c: a part of a plugin as a part of our chains.
 *
 * The SDK's offsets are UTF-16 units of the user's text, ours are bytes until a run ends: so
 * offsets are finished before the first filter of a plugin sees them, and stay so.
 */
#include "analysis/builtin_int.h"
#include "analysis/foreign_int.h"
#include "analysis/offsets_int.h"
#include "base/utf8.h"
#include "plugin/host.h"
#include "runtime/crash.h"
#include "json/writer.h"
#include <stdio.h>

typedef struct foreign {
    qd_part head;
    qd_self *self;
    const qd_char_filter_vtable *chars; /* one of three */
    const qd_tokenizer_vtable *tokenizer;
    const qd_token_filter_vtable *filter;
    void *instance;
    char label[64]; /* its name, for messages */
} foreign;

/* A batch on the heap, with the account it is charged to. */
typedef struct room {
    qd_token_batch b;
    qd_account *account;
} room;

#define ROOM_MAX (256u << 20)
#define JSON_MAX (64u << 20) /* settings of a part */

static int32_t room_grow(qd_token_batch *b, uint32_t tokens, uint32_t bytes)
{
    room *r = QD_CONTAINER_OF(b, room, b);
    uint64_t n = (uint64_t)b->ntokens + tokens, m = (uint64_t)b->nbytes + bytes;
    if (n > ROOM_MAX / sizeof(qd_token) || m > ROOM_MAX) return QD_E_LIMIT;
    if (n > b->tokens_cap) {
        qd_token *t = qd_realloc(r->account, b->tokens, n * 2 * sizeof *t);
        if (!t) return QD_E_NOMEM;
        b->tokens = t;
        b->tokens_cap = (uint32_t)n * 2;
    }
    if (m > b->bytes_cap || !b->bytes) {
        char *p = qd_realloc(r->account, b->bytes, m * 2 + 16);
        if (!p) return QD_E_NOMEM;
        b->bytes = p;
        b->bytes_cap = (uint32_t)m * 2 + 16;
    }
    return 0;
}

static void room_init(room *r, qd_analysis *s, qd_arena *arena)
{
    *r = (room){.b = {.arena = arena, .grow = room_grow}, .account = &s->account};
}

static void room_fini(room *r)
{
    qd_free(r->b.tokens);
    qd_free(r->b.bytes);
}

static int blame(const foreign *f, int rc, qd_err *err)
{
    if (rc == QD_E_PLUGIN)
        return qd_err_set(err, rc, "part [%.*s] gave tokens that point nowhere",
                          QD_STR_ARG(f->head.name));
    return rc;
}

/* Code of the plugin is about to run: a crash names it. The part's name ends with a NUL. */
static const qd_crash_call *begin(const foreign *f, qd_crash_call *call)
{
    *call = (qd_crash_call){qd_plugin_self_name(f->self), "run", f->label};
    return qd_crash_call_set(call);
}

static int tokenizer_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const foreign *f = (const foreign *)p;
    qd_arena arena;
    room out;
    qd_arena_init(&arena, &s->account, ROOM_MAX);
    room_init(&out, s, &arena);
    qd_crash_call call;
    const qd_crash_call *before = begin(f, &call);
    int rc = f->tokenizer->run(f->instance, (qd_str){s->src, s->nsrc}, &out.b, err);
    qd_crash_call_set(before);
    if (!rc) rc = qd_batch_from_sdk(s, s->b, &out.b);
    if (!rc && s->want & QD_ANALYZE_OFFSETS) qd_offsets_correct(s);
    room_fini(&out);
    qd_arena_fini(&arena);
    return blame(f, rc, err);
}

static int filter_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const foreign *f = (const foreign *)p;
    qd_arena arena;
    room in, out;
    int rc = s->want & QD_ANALYZE_OFFSETS ? qd_offsets_finish(s) : 0;
    if (rc) return rc;
    qd_arena_init(&arena, &s->account, ROOM_MAX);
    room_init(&in, s, &arena);
    room_init(&out, s, &arena);
    rc = qd_batch_to_sdk(s, s->b, &in.b);
    if (!rc) {
        out.b.end_offset = in.b.end_offset;
        out.b.end_inc = in.b.end_inc;
        qd_crash_call call;
        const qd_crash_call *before = begin(f, &call);
        rc = f->filter->run(f->instance, &in.b, &out.b, err);
        qd_crash_call_set(before);
        if (rc >= 0) rc = qd_batch_from_sdk(s, s->b, rc == 1 ? &in.b : &out.b);
    }
    room_fini(&in);
    room_fini(&out);
    qd_arena_fini(&arena);
    return blame(f, rc, err);
}

typedef struct text_room {
    qd_text t;
    qd_account *account;
} text_room;

static int32_t text_grow(qd_text *t, uint32_t bytes, uint32_t fixes)
{
    text_room *r = QD_CONTAINER_OF(t, text_room, t);
    uint64_t n = (uint64_t)t->nbytes + bytes, m = (uint64_t)t->nfixes + fixes;
    if (n > ROOM_MAX || m > ROOM_MAX / sizeof(qd_text_fix)) return QD_E_LIMIT;
    if (n > t->bytes_cap || !t->bytes) {
        char *p = qd_realloc(r->account, t->bytes, n * 2 + 16);
        if (!p) return QD_E_NOMEM;
        t->bytes = p;
        t->bytes_cap = (uint32_t)n * 2 + 16;
    }
    if (m > t->fixes_cap) {
        qd_text_fix *p = qd_realloc(r->account, t->fixes, m * 2 * sizeof *p);
        if (!p) return QD_E_NOMEM;
        t->fixes = p;
        t->fixes_cap = (uint32_t)m * 2;
    }
    return 0;
}

static int chars_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const foreign *f = (const foreign *)p;
    qd_arena arena;
    qd_filtered *to;
    size_t bad;
    qd_arena_init(&arena, &s->account, ROOM_MAX);
    text_room out = {.t = {.arena = &arena, .grow = text_grow}, .account = &s->account};
    qd_crash_call call;
    const qd_crash_call *before = begin(f, &call);
    int rc = f->chars->run(f->instance, (qd_str){s->src, s->nsrc}, &out.t, err);
    qd_crash_call_set(before);
    if (!rc) rc = qd_filtered_begin(s, &to);
    if (!rc && (out.t.nbytes > out.t.bytes_cap ||
                !qd_utf8_valid((qd_str){out.t.bytes, out.t.nbytes}, &bad)))
        rc = qd_err_set(err, QD_E_PLUGIN, "char filter [%.*s] gave text that is not UTF-8",
                        QD_STR_ARG(p->name));
    if (!rc) rc = qd_filtered_add(s, to, out.t.bytes, out.t.nbytes);
    for (uint32_t i = 0; !rc && i < out.t.nfixes; i++)
        rc = qd_vec_push(&to->fix, &s->account,
                         ((qd_correction){out.t.fixes[i].offset, out.t.fixes[i].diff}));
    if (!rc) qd_filtered_end(s, to);
    qd_free(out.t.bytes);
    qd_free(out.t.fixes);
    qd_arena_fini(&arena);
    return rc;
}

static void foreign_free(qd_part *p)
{
    foreign *f = (foreign *)p;
    if (f->instance) {
        if (f->chars)
            f->chars->close(f->instance);
        else if (f->tokenizer)
            f->tokenizer->close(f->instance);
        else
            f->filter->close(f->instance);
    }
    qd_part_release(p);
}

static const qd_part_ops chars_ops = {chars_run, foreign_free, NULL};
static const qd_part_ops tokenizer_ops = {tokenizer_run, foreign_free, NULL};
static const qd_part_ops filter_ops = {filter_run, foreign_free, NULL};

/* The same as a JSON object. */
static int settings_json(const qd_part_conf *c, qd_buf *out, qd_err *err)
{
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    for (size_t i = 0; i < c->n; i++) {
        const qd_analysis_setting *s = &c->settings[i];
        if (qd_str_is(s->key, "type")) continue;
        qd_json_key(&w, s->key);
        if (s->list) qd_json_array(&w);
        for (uint32_t k = 0; k < s->nvalues; k++) qd_json_str(&w, s->values[k]);
        if (s->list) qd_json_array_end(&w);
        if (!s->list && !s->nvalues) qd_json_null(&w);
    }
    qd_json_object_end(&w);
    return qd_buf_status(out) ? qd_err_nomem(err, "analysis part") : 0;
}

/* The part's settings as the SDK gives them: one pair for each value of a list. */
static int foreign_open(foreign *f, const qd_part_conf *c, qd_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) n += c->settings[i].nvalues;
    qd_pair *pairs = qd_alloc(NULL, (n + 1) * sizeof *pairs);
    if (!pairs) return qd_err_nomem(err, "analysis part");
    n = 0;
    for (size_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->settings[i].nvalues && !qd_str_is(c->settings[i].key, "type");
             k++)
            pairs[n++] = (qd_pair){c->settings[i].key, c->settings[i].values[k]};
    qd_buf json;
    qd_buf_init(&json, NULL, JSON_MAX);
    int rc = settings_json(c, &json, err);
    if (rc) {
        qd_buf_fini(&json);
        qd_free(pairs);
        return rc;
    }
    qd_analyzer_config config = {.struct_size = sizeof config,
                                 .noptions = (uint32_t)n,
                                 .name = c->name,
                                 .options = pairs,
                                 .json = qd_buf_view(&json),
                                 .config_dir = {"", 0}};
    rc = f->chars       ? f->chars->open(f->self, &config, &f->instance, err)
         : f->tokenizer ? f->tokenizer->open(f->self, &config, &f->instance, err)
                        : f->filter->open(f->self, &config, &f->instance, err);
    qd_buf_fini(&json);
    qd_free(pairs);
    return rc;
}

static const uint32_t kinds[] = {QD_KIND_CHAR_FILTER, QD_KIND_TOKENIZER, QD_KIND_TOKEN_FILTER};

int qd_foreign_make(const struct qd_plugin_host *plugins, qd_stage_kind kind, qd_str type,
                    const qd_part_conf *c, qd_part **out, qd_err *err)
{
    static const qd_part_ops *const ops[] = {&chars_ops, &tokenizer_ops, &filter_ops};
    qd_self *self;
    const qd_vtable *v = plugins ? qd_plugin_find(plugins, kinds[kind], type, &self) : NULL;
    if (!v) return QD_E_NOTFOUND;
    int rc = qd_part_alloc(c, sizeof(foreign), kind, ops[kind], out, err);
    if (rc) return rc;
    foreign *f = (foreign *)*out;
    f->self = self;
    snprintf(f->label, sizeof f->label, "%.*s", QD_STR_ARG(f->head.name));
    if (kind == QD_STAGE_CHAR_FILTER)
        f->chars = (const qd_char_filter_vtable *)(const void *)v;
    else if (kind == QD_STAGE_TOKENIZER)
        f->tokenizer = (const qd_tokenizer_vtable *)(const void *)v;
    else
        f->filter = (const qd_token_filter_vtable *)(const void *)v;
    f->head.normalizes = (v->flags & QD_ANALYZER_NORMALIZER) != 0;
    f->head.search_only = (v->flags & QD_ANALYZER_SEARCH_ONLY) != 0;
    f->head.no_synonyms = (v->flags & QD_ANALYZER_GRAPH) != 0;
    if ((rc = foreign_open(f, c, err))) {
        f->instance = NULL;
        foreign_free(*out);
    }
    return rc;
}

void qd_foreign_hint(const struct qd_plugin_host *plugins, qd_stage_kind kind, qd_str type,
                     qd_buf *why)
{
    const char *reason,
        *name = plugins ? qd_plugin_refused(plugins, kinds[kind], type, &reason) : NULL;
    if (name) (void)qd_buf_printf(why, "; plugin [%s] was refused: %s", name, reason);
}

/* --- stand-ins ------------------------------------------------------------------------------- */

typedef struct standin {
    qd_part head;
    char *why; /* owned */
} standin;

static int standin_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)s;
    return qd_err_set(err, QD_E_PLUGIN, "%s", ((const standin *)p)->why);
}

static void standin_free(qd_part *p)
{
    qd_free(((standin *)p)->why);
    qd_part_release(p);
}

static const qd_part_ops standin_ops = {standin_run, standin_free, NULL};

int qd_standin_make(const qd_part_conf *c, qd_stage_kind kind, const char *why, qd_part **out,
                    qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(standin), kind, &standin_ops, out, err);
    if (rc) return rc;
    standin *s = (standin *)*out;
    s->head.normalizes = true; /* wherever the real one stood */
    s->why = qd_memdup(NULL, why, strlen(why) + 1);
    if (s->why) return 0;
    qd_part_release(*out);
    return qd_err_nomem(err, "analysis part");
}
