/*
 * foreign.c: a part of a plugin as a part of our chains.
 *
 * The SDK's offsets are UTF-16 units of the user's text, ours are bytes until a run ends: so
 * offsets are finished before the first filter of a plugin sees them, and stay so.
 *
 * A call may never return (plugin/guest.h): the plugin is given copies that belong to the call.
 */
#include "analysis/builtin_int.h"
#include "analysis/foreign_int.h"
#include "analysis/offsets_int.h"
#include "base/utf8.h"
#include "plugin/guest.h"
#include "json/writer.h"
#include <stdio.h>

typedef struct foreign {
    qd_part head;
    qd_self *self;
    const qd_char_filter_vtable *chars; /* one of three */
    const qd_tokenizer_vtable *tokenizer;
    const qd_token_filter_vtable *filter;
    void *instance;
    char label[64], type[128]; /* for messages */
    qd_guest_call end;         /* closes the instance */
} foreign;

/* A batch on the heap, with the account it is charged to. */
typedef struct room {
    qd_token_batch b;
    qd_account *account;
} room;

typedef struct text_room {
    qd_text t;
    qd_account *account;
} text_room;

/* A call of open or run with all that the plugin is given; of its caller, and of a call that is
 * left, alone. */
typedef struct foreign_call {
    qd_guest_call call; /* first */
    foreign *part;      /* one reference */
    qd_account account; /* below the plugin's */
    qd_arena arena;
    qd_analyzer_config config; /* of open */
    qd_str text;               /* of a tokenizer or char filter */
    room in, out;              /* tokens of a filter; of it or a tokenizer */
    text_room filtered;        /* of a char filter */
    qd_err err;
} foreign_call;

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

/* --- calls ------------------------------------------------------------------------------------ */

static const char *const kind_names[] = {"char_filter", "tokenizer", "filter"};

static void call_free(foreign_call *c)
{
    qd_free(c->in.b.tokens);
    qd_free(c->in.b.bytes);
    qd_free(c->out.b.tokens);
    qd_free(c->out.b.bytes);
    qd_free(c->filtered.t.bytes);
    qd_free(c->filtered.t.fixes);
    qd_arena_fini(&c->arena);
    qd_err_fini(&c->err);
    qd_part_unref(&c->part->head);
    qd_free(c);
}

/* It has returned at last: what it made nobody takes. */
static void call_left(qd_guest_call *call)
{
    call_free((foreign_call *)(void *)call);
}

static void call_head(foreign *f, qd_guest_call *call, const char *what)
{
    call->self = f->self;
    call->kind = kind_names[f->head.kind];
    call->what = what;
    call->placed = "type";
    memcpy(call->name, f->label, sizeof call->name);
    memcpy(call->place, f->type, sizeof call->place);
}

static foreign_call *call_make(const foreign *from, const char *what,
                               int32_t (*run)(qd_guest_call *call), int64_t most)
{
    foreign *f = (foreign *)(void *)qd_part_ref(&from->head);
    qd_account *account = qd_plugin_self_account(f->self);
    foreign_call *c = qd_calloc(account, sizeof *c);
    if (!c) {
        qd_part_unref(&f->head);
        return NULL;
    }
    call_head(f, &c->call, what);
    c->call.run = run;
    c->call.left = call_left;
    c->part = f;
    qd_account_init(&c->account, "analysis", account ? account : &qd_account_general, most);
    qd_arena_init(&c->arena, &c->account, ROOM_MAX);
    c->in = (room){.b = {.arena = &c->arena, .grow = room_grow}, .account = &c->account};
    c->out = c->in;
    c->filtered = (text_room){.t = {.arena = &c->arena, .grow = text_grow}, .account = &c->account};
    qd_err_init(&c->err);
    return c;
}

/* Runs it; else *at is NULL or frees it as before. A code that is none of ours is the plugin's
 * error, without a text of its own too. */
static int call_run(foreign_call **at, qd_err *err)
{
    foreign_call *c = *at;
    bool ran;
    int rc = qd_guest_run(qd_plugin_guests(c->part->self), &c->call, NULL, &ran, err);
    if (rc) {
        if (ran) *at = NULL;
        return rc;
    }
    rc = c->call.rc;
    if (rc < 0 && c->err.code) {
        qd_err_copy(err, &c->err);
        return c->err.code;
    }
    return rc;
}

/* --- runs ------------------------------------------------------------------------------------- */

static int blame(const foreign *f, int rc, qd_err *err)
{
    if (rc == QD_E_PLUGIN && !(err && err->code))
        return qd_err_set(err, rc, "part [%.*s] gave tokens that point nowhere",
                          QD_STR_ARG(f->head.name));
    return rc;
}

/* [guest] */
static int32_t run_part(qd_guest_call *call)
{
    foreign_call *c = (foreign_call *)(void *)call;
    const foreign *f = c->part;
    int32_t rc = f->chars       ? f->chars->run(f->instance, c->text, &c->filtered.t, &c->err)
                 : f->tokenizer ? f->tokenizer->run(f->instance, c->text, &c->out.b, &c->err)
                                : f->filter->run(f->instance, &c->in.b, &c->out.b, &c->err);
    /* which limit refused it is known to this thread alone */
    return rc == QD_E_NOMEM && qd_account_refused(&c->account) ? QD_E_LIMIT : rc;
}

/* A call with a copy of the source, for those that read it. What it makes counts as if it were the
 * scratch's. */
static int begin(const foreign *f, qd_analysis *s, foreign_call **out, qd_err *err)
{
    int64_t limit = atomic_load_explicit(&s->account.limit, memory_order_relaxed);
    int64_t most = limit - qd_account_used(&s->account);
    foreign_call *c = call_make(f, "run", run_part, most > 4096 ? most : 4096);
    if (!c) return qd_err_nomem(err, "analysis");
    c->account.asked = s->account.parent && s->account.parent->asked;
    if (!f->filter) {
        char *copy = qd_arena_alloc(&c->arena, s->nsrc + 1);
        if (!copy) {
            bool much = qd_account_refused(&c->account);
            call_free(c);
            return much ? QD_E_LIMIT : qd_err_nomem(err, "analysis");
        }
        if (s->nsrc) memcpy(copy, s->src, s->nsrc);
        copy[s->nsrc] = 0;
        c->text = (qd_str){copy, s->nsrc};
    }
    *out = c;
    return 0;
}

static int tokenizer_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const foreign *f = (const foreign *)p;
    foreign_call *c;
    int rc = begin(f, s, &c, err);
    if (rc) return rc;
    rc = call_run(&c, err);
    if (!rc) rc = qd_batch_from_sdk(s, s->b, &c->out.b);
    if (!rc && s->want & QD_ANALYZE_OFFSETS) qd_offsets_correct(s);
    if (c) call_free(c);
    return blame(f, rc, err);
}

static int filter_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const foreign *f = (const foreign *)p;
    foreign_call *c;
    int rc = s->want & QD_ANALYZE_OFFSETS ? qd_offsets_finish(s) : 0;
    if (!rc) rc = begin(f, s, &c, err);
    if (rc) return rc;
    rc = qd_batch_to_sdk(s, s->b, &c->in.b);
    if (rc == QD_E_NOMEM && qd_account_refused(&c->account)) rc = QD_E_LIMIT;
    if (!rc) {
        c->out.b.end_offset = c->in.b.end_offset;
        c->out.b.end_inc = c->in.b.end_inc;
        rc = call_run(&c, err);
        if (rc >= 0) rc = qd_batch_from_sdk(s, s->b, rc == 1 ? &c->in.b : &c->out.b);
    }
    if (c) call_free(c);
    return blame(f, rc, err);
}

static int chars_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const foreign *f = (const foreign *)p;
    qd_filtered *to;
    foreign_call *c;
    size_t bad;
    int rc = begin(f, s, &c, err);
    if (rc) return rc;
    rc = call_run(&c, err);
    const qd_text *t = c ? &c->filtered.t : NULL;
    if (!rc) rc = qd_filtered_begin(s, &to);
    if (!rc && (t->nbytes > t->bytes_cap || !qd_utf8_valid((qd_str){t->bytes, t->nbytes}, &bad)))
        rc = qd_err_set(err, QD_E_PLUGIN, "char filter [%.*s] gave text that is not UTF-8",
                        QD_STR_ARG(p->name));
    if (!rc) rc = qd_filtered_add(s, to, t->bytes, t->nbytes);
    for (uint32_t i = 0; !rc && i < t->nfixes; i++)
        rc = qd_vec_push(&to->fix, &s->account,
                         ((qd_correction){t->fixes[i].offset, t->fixes[i].diff}));
    if (!rc) qd_filtered_end(s, to);
    if (c) call_free(c);
    return rc;
}

/* --- making and ending ------------------------------------------------------------------------ */

/* [guest] */
static int32_t end_run(qd_guest_call *call)
{
    foreign *f = QD_CONTAINER_OF(call, foreign, end);
    if (f->chars)
        f->chars->close(f->instance);
    else if (f->tokenizer)
        f->tokenizer->close(f->instance);
    else
        f->filter->close(f->instance);
    return 0;
}

static void end_left(qd_guest_call *call)
{
    qd_part_release(&QD_CONTAINER_OF(call, foreign, end)->head);
}

static void foreign_free(qd_part *p)
{
    foreign *f = (foreign *)p;
    bool ran = false;
    if (f->instance) {
        call_head(f, &f->end, "close");
        f->end.run = end_run;
        f->end.left = end_left;
        f->end.ends = true;
        /* one that never ran stays open: there is no thread for it */
        if (qd_guest_run(qd_plugin_guests(f->self), &f->end, NULL, &ran, NULL) && ran) return;
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

/* [guest] */
static int32_t run_open(qd_guest_call *call)
{
    foreign_call *c = (foreign_call *)(void *)call;
    foreign *f = c->part;
    void *instance = NULL;
    int32_t rc = f->chars       ? f->chars->open(f->self, &c->config, &instance, &c->err)
                 : f->tokenizer ? f->tokenizer->open(f->self, &c->config, &instance, &c->err)
                                : f->filter->open(f->self, &c->config, &instance, &c->err);
    if (!rc) f->instance = instance;
    return rc;
}

/* The part's settings as the SDK gives them: one pair for each value of a list. */
static int config_of(foreign_call *call, const qd_part_conf *c, qd_err *err)
{
    qd_arena *a = &call->arena;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) n += c->settings[i].nvalues;
    qd_pair *pairs = qd_arena_alloc(a, (n + 1) * sizeof *pairs);
    qd_buf json;
    qd_buf_init(&json, NULL, JSON_MAX);
    int rc = settings_json(c, &json, err);
    bool full = !pairs;
    n = 0;
    for (size_t i = 0; !full && i < c->n; i++) {
        const qd_analysis_setting *s = &c->settings[i];
        for (uint32_t k = 0; k < s->nvalues && !qd_str_is(s->key, "type"); k++) {
            pairs[n] = (qd_pair){qd_arena_str(a, s->key), qd_arena_str(a, s->values[k])};
            full |= !pairs[n].key.p || !pairs[n].value.p;
            n++;
        }
    }
    call->config = (qd_analyzer_config){.struct_size = sizeof call->config,
                                        .noptions = (uint32_t)n,
                                        .name = qd_arena_str(a, c->name),
                                        .options = pairs,
                                        .json = qd_arena_str(a, qd_buf_view(&json)),
                                        .config_dir = {"", 0}};
    full |= !call->config.name.p || !call->config.json.p;
    qd_buf_fini(&json);
    return rc || !full ? rc : qd_err_nomem(err, "analysis part");
}

static int foreign_open(foreign *f, const qd_part_conf *c, qd_err *err)
{
    foreign_call *call = call_make(f, "open", run_open, 0);
    if (!call) return qd_err_nomem(err, "analysis part");
    int rc = config_of(call, c, err);
    if (!rc) rc = call_run(&call, err);
    if (call) call_free(call);
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
    f->head.foreign = true;
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
    snprintf(f->type, sizeof f->type, "[%.*s]", QD_STR_ARG(type));
    if ((rc = foreign_open(f, c, err))) qd_part_unref(*out);
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
