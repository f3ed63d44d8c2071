/* script.c: the script of an update by query or a reindex: what becomes of a hit. */
#include "action/byquery/byquery_int.h"
#include "action/script/script_int.h"
#include "base/str.h"

int qdi_bq_script_open(bq_script *b, bq_job *job, qd_arena *arena, qd_err *err)
{
    qd_json_node *n;
    *b = (bq_script){.job = job};
    if (!job->spec.script.p) return 0;
    qd_state *s = qd_cluster_state(job->a->cluster);
    int rc = qd_json_parse(arena, job->spec.script, 0, &n, err);
    if (!rc) rc = qdi_script_of(s, n, QD_SCRIPT_UPDATE, &b->ref, &b->script, err);
    qd_state_unref(s);
    if (rc) return rc;
    qd_script_exec_open(&b->x, b->script, job->a->account);
    b->x.now_ms = qd_env_wall_ms(job->a->env);
    return 0;
}

void qdi_bq_script_close(bq_script *b)
{
    if (b->script) qd_script_exec_close(&b->x);
    qd_script_put(b->script);
}

static const qd_sv *member(const bq_script *b, const char *name)
{
    return qd_sv_map_get(b->x.vars[QD_SCRIPT_V_CTX].map, qd_str_c(name));
}

/* Only what stands in ctx from the start may stand there afterwards. */
static int check_members(const bq_script *b, qd_err *err)
{
    static const char *const known[] = {"_index",   "_type", "_id",    "_version",
                                        "_routing", "op",    "_source"};
    const qd_sv_map *m = b->x.vars[QD_SCRIPT_V_CTX].map;
    for (uint32_t i = 0; i < m->n; i++) {
        bool found = m->e[i].key.tag == QD_SV_GONE;
        for (size_t k = 0; k < QD_COUNT_OF(known) && !found; k++)
            found = qd_sv_is(&m->e[i].key, known[k]);
        if (!found)
            return qd_err_set(err, QD_E_ARG, "Invalid fields added to context [%.*s]",
                              m->e[i].key.tag == QD_SV_STRING ? (int)m->e[i].key.n : 0,
                              m->e[i].key.p);
    }
    return 0;
}

/* A member of ctx as text, in the arena; *changed: it differs from what it was. */
static int text_of(const bq_script *b, const char *name, qd_str was, qd_arena *arena, qd_str *out,
                   bool *changed, qd_err *err)
{
    const qd_sv *v = member(b, name);
    char room[QD_SV_PRINT];
    *changed = false;
    if (!v || v->tag == QD_SV_NULL) {
        *changed = was.n != 0;
        *out = (qd_str){NULL, 0};
        return 0;
    }
    if (v->tag > QD_SV_STRING) return qd_err_set(err, QD_E_ARG, "[%s] must be a text", name);
    qd_str now = qd_sv_print(v, room);
    if (qd_str_eq(now, was)) return 0;
    *changed = true;
    *out = qd_arena_str(arena, now);
    return out->p ? 0 : qd_err_nomem(err, "a document");
}

/* What the script has changed of where the document goes. */
static int moved(const bq_script *b, const doc_ctx *c, doc_item *i, qd_arena *arena, qd_err *err)
{
    static const char *const names[] = {"_index", "_id", "_routing"};
    const qd_str was[] = {c->index, c->id, c->routing};
    qd_str *to[] = {&i->index, &i->id, &i->routing};
    for (size_t k = 0; k < QD_COUNT_OF(names); k++) {
        qd_str text = {NULL, 0};
        bool changed;
        int rc = text_of(b, names[k], was[k], arena, &text, &changed, err);
        if (rc) return rc;
        if (!changed) continue;
        if (b->job->spec.kind != BQ_REINDEX)
            return qd_err_set(err, QD_E_ARG, "Modifying [%s] not allowed", names[k]);
        if (k == 0 && !text.n)
            return qd_err_set(err, QD_E_ARG, "Can't reindex without a destination index!");
        *to[k] = text;
    }
    const qd_sv *v = member(b, "_version");
    bool number = v && v->tag >= QD_SV_BYTE && v->tag <= QD_SV_LONG;
    if (number && v->i == c->version) return 0;
    if (b->job->spec.kind != BQ_REINDEX)
        return qd_err_set(err, QD_E_ARG, "Modifying [_version] not allowed");
    i->has_version = number;
    i->version = number ? v->i : -1;
    if (!number) i->version_type = QD_VERSION_INTERNAL;
    return 0;
}

static int outcome(const bq_script *b, doc_item *i, bool *skip, qd_err *err)
{
    const qd_sv *op = member(b, "op");
    if (!op || op->tag == QD_SV_NULL)
        return qd_err_set(err, QD_E_ARG, "Script cleared operation type");
    *skip = qd_sv_is(op, "noop");
    if (qd_sv_is(op, "delete")) i->op = DOC_DELETE;
    if (*skip || i->op == DOC_DELETE || qd_sv_is(op, "index")) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Operation type [%.*s] not allowed, only [noop, index, delete] are allowed",
                      op->tag == QD_SV_STRING ? (int)op->n : 0, op->p);
}

int qdi_bq_script_run(bq_script *b, const doc_ctx *told, doc_item *i, qd_arena *arena, bool *skip,
                      qd_err *err)
{
    doc_ctx c = *told;
    qd_sv none;
    *skip = false;
    if (!b->script) return 0;
    c.op = "index";
    c.types = qdi_has_types(b->job->a);
    qd_arena_reset(&b->x.arena);
    int rc = qdi_script_params(&b->x, &b->ref, err);
    if (!rc) rc = qdi_script_ctx(&b->x, &c, err);
    if (!rc) rc = qd_script_run(&b->x, &none, err);
    if (!rc) rc = check_members(b, err);
    if (!rc) rc = outcome(b, i, skip, err);
    if (!rc && !*skip) rc = moved(b, &c, i, arena, err);
    if (!rc && !*skip && i->op != DOC_DELETE) rc = qdi_script_source(&b->x, arena, &i->source, err);
    return rc;
}
