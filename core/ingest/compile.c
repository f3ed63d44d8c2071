/* compile.c: a pipeline from its JSON. See ingest.h. */
#include "config/known.h"
#include "ingest/pipeline_int.h"

#define PIPELINE_MAX ((size_t)64 << 20)
#define STEPS_MAX 1000u /* of one pipeline */
#define DEPTH_MAX 32u   /* processors within processors */

static int on_failure_of(qdi_build *b, qdi_step *out, qd_err *err)
{
    const qd_json_node *n = qdi_arg(b, "on_failure");
    if (!n) return 0;
    if (n->type != QD_JSON_T_ARRAY)
        return qdi_arg_fail(b, "on_failure", err, "property isn't a list, but of type [%s]",
                            qdi_node_class(n));
    if (!n->n) return qdi_arg_fail(b, "on_failure", err, "processors list cannot be empty");
    out->on_failure = qd_arena_calloc(b->a, sizeof *out->on_failure);
    if (!out->on_failure) return qd_err_nomem(err, "processor");
    return qdi_steps_make(b, n, out->on_failure, err);
}

/* What every processor has, then its own parameters. */
static int parameters(qdi_build *b, qdi_step *out, qd_err *err)
{
    const qd_json_node *condition;
    int rc = qdi_arg_str_opt(b, "tag", &out->tag, err);
    b->tag = out->tag;
    if (!rc) rc = qdi_arg_str_opt(b, "description", &out->description, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_failure", false, &out->ignore_failure, err);
    if (!rc) rc = on_failure_of(b, out, err);
    if (rc) return rc;
    if ((condition = qdi_arg(b, "if")))
        rc = qdi_script_make(b, "if", condition, &out->condition, err);
    if (rc) return rc;
    out->config = qd_arena_calloc(b->a, out->type->size + 1);
    if (!out->config) return qd_err_nomem(err, "processor");
    rc = out->type->make(b, out->config, err);
    return rc ? rc : qdi_args_end(b, err);
}

static int unknown(const qdi_build *b, const qd_json_node *n, qd_err *err)
{
    qdi_build at = *b;
    const qd_json_node *tag = qd_json_get(n, "tag");
    at.tag = tag ? qd_json_text(tag) : (qd_str){NULL, 0};
    at.type = qd_known_name(QD_KNOWN_PROCESSOR, n->key);
    if (at.type)
        return qdi_arg_fail(&at, NULL, err, "processor " QD_KNOWN_REFUSED, QD_STR_ARG(n->key));
    int rc = qdi_arg_fail(&at, NULL, err, "No processor type exists with name [%.*s]",
                          QD_STR_ARG(n->key));
    if (err) qd_err_detail_str(err, "processor_type", n->key);
    return rc;
}

/* The object {name: n} that the text n stands for. */
static const qd_json_node *long_form(qd_arena *a, const char *name, const qd_json_node *n)
{
    qd_json_node *at = qd_arena_calloc(a, 2 * sizeof *at);
    if (!at) return NULL;
    at[1] = *n;
    at[1].key = qd_str_c(name);
    at[1].next = NULL;
    at[0] = (qd_json_node){
        .type = QD_JSON_T_OBJECT, .n = 1, .key = n->key, .raw = n->raw, .first = &at[1]};
    return at;
}

/* One processor, by the member that names its type. */
static int of_member(qdi_build *outer, const qd_json_node *n, qdi_step *out, qd_err *err)
{
    qdi_build b = *outer;
    *out = (qdi_step){.type = qdi_ingest_type(n->key)};
    if (!out->type) {
        int rc = qdi_plugged_type(outer, n->key, &out->type, err);
        if (rc) return rc;
    }
    if (!out->type) return unknown(outer, n, err);
    b.type = out->type->name;
    b.tag = (qd_str){NULL, 0};
    if (n->type == QD_JSON_T_STRING && out->type->short_form) {
        n = long_form(b.a, out->type->short_form, n);
        if (!n) return qd_err_nomem(err, "processor");
    }
    b.config = n;
    b.used = 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_arg_fail(&b, NULL, err, "property isn't a map, but of type [%s]",
                            qdi_node_class(n));
    if (n->n > QDI_PARAMS_MAX)
        return qdi_arg_fail(&b, NULL, err, "processor [%s] has more than [%u] parameters", b.type,
                            QDI_PARAMS_MAX);
    if (++b.depth > DEPTH_MAX)
        return qdi_arg_fail(&b, NULL, err, "processors may stand within one another [%u] deep",
                            DEPTH_MAX);
    if (++*b.nsteps > STEPS_MAX)
        return qdi_arg_fail(&b, NULL, err, "a pipeline may have at most [%u] processors",
                            STEPS_MAX);
    out->counts = qd_arena_calloc(b.a, sizeof *out->counts);
    if (!out->counts) return qd_err_nomem(err, "processor");
    return parameters(&b, out, err);
}

int qdi_step_make(qdi_build *b, const qd_json_node *n, qdi_step *out, qd_err *err)
{
    return of_member(b, n, out, err);
}

int qdi_steps_make(qdi_build *b, const qd_json_node *list, qdi_steps *out, qd_err *err)
{
    uint32_t n = 0;
    *out = (qdi_steps){0};
    for (const qd_json_node *c = list->first; c; c = c->next) {
        if (c->type != QD_JSON_T_OBJECT)
            return qdi_arg_fail(b, NULL, err, "property isn't a map, but of type [%s]",
                                qdi_node_class(c));
        n += c->n;
    }
    out->at = qd_arena_calloc(b->a, n * sizeof *out->at + 1);
    if (!out->at) return qd_err_nomem(err, "processors");
    for (const qd_json_node *c = list->first; c; c = c->next) {
        for (const qd_json_node *m = c->first; m; m = m->next) {
            int rc = of_member(b, m, &out->at[out->n], err);
            if (rc) return rc;
            out->n++;
        }
    }
    return 0;
}

/* --- the pipeline --- */

static int list_of(qdi_build *b, const char *key, bool required, qdi_steps *out, qd_err *err)
{
    const qd_json_node *n = qdi_arg(b, key);
    if (!n) return required ? qdi_arg_fail(b, key, err, "required property is missing") : 0;
    if (n->type != QD_JSON_T_ARRAY)
        return qdi_arg_fail(b, key, err, "property isn't a list, but of type [%s]",
                            qdi_node_class(n));
    return qdi_steps_make(b, n, out, err);
}

static int no_others(const qdi_build *b, qd_str id, qd_err *err)
{
    uint32_t k = 0;
    for (const qd_json_node *n = b->config->first; n; n = n->next, k++) {
        if (k < QDI_PARAMS_MAX && (b->used >> k & 1)) continue;
        return qd_err_set(err, QD_E_ES_PARSE,
                          "pipeline [%.*s] doesn't support one or more provided configuration "
                          "parameters [%.*s]",
                          QD_STR_ARG(id), QD_STR_ARG(n->key));
    }
    return 0;
}

static int compile(qdi_build *b, qd_ingest_pipeline *p, qd_err *err)
{
    qd_json_node *root;
    qd_str text;
    int64_t version;
    int rc = qd_json_parse(b->a, p->json, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ES_PARSE, "a pipeline must be an object");
    b->config = root;
    rc = qdi_arg_str_opt(b, "description", &text, err);
    if (!rc) rc = qdi_arg_int(b, "version", 0, &version, err);
    if (!rc) rc = list_of(b, "processors", true, &p->steps, err);
    if (!rc) rc = list_of(b, "on_failure", false, &p->on_failure, err);
    if (rc) return rc;
    if (qdi_arg(b, "on_failure") && !p->on_failure.n)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "pipeline [%.*s] cannot have an empty on_failure option defined",
                          QD_STR_ARG(p->id));
    const qd_json_node *meta = qdi_arg(b, "_meta");
    if (meta && meta->type != QD_JSON_T_OBJECT)
        return qdi_arg_fail(b, "_meta", err, "property isn't a map, but of type [%s]",
                            qdi_node_class(meta));
    return no_others(b, p->id, err);
}

int qd_ingest_compile(const qd_ingest_settings *s, qd_str id, qd_str json, qd_ingest_pipeline **out,
                      qd_err *err)
{
    qd_ingest_pipeline *p = qd_calloc(s->account, sizeof *p);
    uint32_t nsteps = 0;
    if (!p) return qd_err_nomem(err, "pipeline");
    qd_arena_init_small(&p->arena, s->account, PIPELINE_MAX);
    atomic_store(&p->refs, 1);
    p->id = qd_arena_str(&p->arena, id);
    p->json = qd_arena_str(&p->arena, json);
    qdi_build b = {.s = s, .a = &p->arena, .nsteps = &nsteps, .stored = &p->stored};
    int rc = p->id.p && p->json.p ? compile(&b, p, err) : qd_err_nomem(err, "pipeline");
    if (rc)
        qd_ingest_unref(p);
    else
        *out = p;
    return rc;
}

qd_ingest_pipeline *qd_ingest_ref(qd_ingest_pipeline *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void qd_ingest_unref(qd_ingest_pipeline *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    qd_arena_fini(&p->arena);
    qd_free(p);
}

qd_str qd_ingest_id(const qd_ingest_pipeline *p)
{
    return p->id;
}

bool qd_ingest_current(const qd_ingest_pipeline *p,
                       uint64_t (*revision)(const void *arg, qd_str id), const void *arg)
{
    for (const qdi_stored *s = p->stored; s; s = s->next) {
        if (revision(arg, s->id) != s->revision) return false;
    }
    return true;
}

qd_ingest_counts *qd_ingest_counts_of(qd_ingest_pipeline *p)
{
    return &p->counts;
}

/* --- statistics --- */

static void write_counts(const qd_ingest_counts *c, qd_json_writer *w)
{
    qd_json_field_int(w, "count", (int64_t)atomic_load_explicit(&c->count, memory_order_relaxed));
    qd_json_field_int(w, "time_in_millis",
                      (int64_t)atomic_load_explicit(&c->ns, memory_order_relaxed) / 1000000);
    qd_json_field_int(w, "current", atomic_load_explicit(&c->current, memory_order_relaxed));
    qd_json_field_int(w, "failed", (int64_t)atomic_load_explicit(&c->failed, memory_order_relaxed));
}

void qd_ingest_stats_write(const qd_ingest_pipeline *p, qd_json_writer *w)
{
    write_counts(&p->counts, w);
    qd_json_key_c(w, "processors");
    qd_json_array(w);
    for (uint32_t k = 0; k < p->steps.n; k++) {
        const qdi_step *s = &p->steps.at[k];
        qd_json_object(w);
        if (s->tag.n) {
            qd_buf name;
            qd_buf_init(&name, NULL, 4096);
            (void)qd_buf_printf(&name, "%s:%.*s", s->type->name, QD_STR_ARG(s->tag));
            qd_json_key(w, qd_buf_view(&name));
            qd_buf_fini(&name);
        } else {
            qd_json_key_c(w, s->type->name);
        }
        qd_json_object(w);
        qd_json_field_c(w, "type", s->type->name);
        qd_json_key_c(w, "stats");
        qd_json_object(w);
        write_counts(s->counts, w);
        qd_json_object_end(w);
        qd_json_object_end(w);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

static void take(qd_ingest_counts *to, const qd_ingest_counts *from)
{
    atomic_store(&to->count, atomic_load(&from->count));
    atomic_store(&to->failed, atomic_load(&from->failed));
    atomic_store(&to->ns, atomic_load(&from->ns));
}

void qd_ingest_counts_take(qd_ingest_pipeline *p, const qd_ingest_pipeline *from)
{
    take(&p->counts, &from->counts);
    for (uint32_t k = 0; k < p->steps.n && k < from->steps.n; k++) {
        if (strcmp(p->steps.at[k].type->name, from->steps.at[k].type->name) != 0) break;
        if (!qd_str_eq(p->steps.at[k].tag, from->steps.at[k].tag)) break;
        take(p->steps.at[k].counts, from->steps.at[k].counts);
    }
}
