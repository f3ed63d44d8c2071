/* render.c: a compiled template over values. Its work is bounded by steps, its result by the
 * buffer's maximum, its recursion by the depth of sections. */
#include "script/mustache/program_int.h"
#include "json/writer.h"

#define MEMBERS_A_STEP 32u /* that a model looks at in the time of a step */
#define BYTES_A_STEP 64u   /* of a name, that are hashed or compared in that time */

typedef struct run {
    const qd_mustache *m;
    const qd_mustache_model *model;
    void *arg;
    qd_buf *out;
    qd_buf scratch; /* text before it is escaped */
    uint32_t steps, nscopes;
    qd_mustache_value scopes[QD_MUSTACHE_DEPTH + 1];
    qd_err *err;
} run;

static int too_long(qd_err *err)
{
    int rc = qd_err_set(err, QD_E_LIMIT, "Mustache script result size limit exceeded");
    qd_err_type(err, "parse_exception", 400);
    return rc;
}

/* The state of a buffer that was written to. */
static int status(const run *r, const qd_buf *b)
{
    int rc = qd_buf_status(b);
    return !rc ? 0 : rc == QD_E_LIMIT ? too_long(r->err) : qd_err_nomem(r->err, "template");
}

static int spend(run *r, uint64_t steps)
{
    if (steps <= QD_MUSTACHE_STEPS - r->steps) {
        r->steps += (uint32_t)steps;
        return 0;
    }
    int rc =
        qd_err_set(r->err, QD_E_LIMIT, "the template takes more than %u steps", QD_MUSTACHE_STEPS);
    qd_err_type(r->err, "general_script_exception", 400);
    return rc;
}

/* --- names --- */

/* A list as Elasticsearch shows it: its elements by number, and size. */
static bool of_list(const run *r, const qd_mustache_value *list, qd_str key, qd_mustache_value *out)
{
    uint64_t i;
    if (qd_str_is(key, "size")) {
        *out = (qd_mustache_value){.kind = QD_MUSTACHE_COUNT, .n = list->n};
        return true;
    }
    if (!qd_str_u64(key, &i) || i >= list->n) return false;
    *out = r->model->element(r->arg, list, (uint32_t)i);
    return out->kind != QD_MUSTACHE_NULL;
}

static bool member(const run *r, const qd_mustache_value *in, qd_str key, qd_mustache_value *out)
{
    if (in->kind == QD_MUSTACHE_LIST) return of_list(r, in, key, out);
    return in->kind == QD_MUSTACHE_MAP && r->model->member(r->arg, in, key, out);
}

/* The value of a name in the innermost scope that has it whole; NULL where none has. */
static int look_up(run *r, const qdi_mustache_node *n, qd_mustache_value *out)
{
    for (uint32_t s = r->nscopes; s-- > 0;) {
        qd_mustache_value v = r->scopes[s];
        uint32_t k = 0;
        for (; k < n->nname; k++) {
            uint64_t cost = (1 + (r->model->linear ? v.n / MEMBERS_A_STEP : 0)) *
                            (1 + n->name[k].n / BYTES_A_STEP);
            int rc = spend(r, cost);
            if (rc) return rc;
            qd_mustache_value in = v;
            if (!member(r, &in, n->name[k], &v)) break;
        }
        *out = v;
        if (k == n->nname) return 0;
    }
    *out = (qd_mustache_value){.kind = QD_MUSTACHE_NULL};
    return 0;
}

/* --- text --- */

static void url_escape(qd_buf *b, qd_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t k = 0; k < s.n; k++) {
        unsigned char c = (unsigned char)s.p[k];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '*';
        if (plain || c == ' ') {
            (void)qd_buf_char(b, plain ? (char)c : '+');
        } else {
            char three[] = {'%', hex[c >> 4], hex[c & 15]};
            (void)qd_buf_add(b, three, 3);
        }
    }
}

static void escape(const run *r, qd_str s)
{
    switch (r->m->escape) {
    case QD_MUSTACHE_PLAIN:
        (void)qd_buf_str(r->out, s);
        break;
    case QD_MUSTACHE_JSON:
        qd_json_escape(r->out, s);
        break;
    case QD_MUSTACHE_URL:
        url_escape(r->out, s);
        break;
    }
}

/* A list by itself is a map of its elements by number; within others it is [a, b]. */
static void print(run *r, const qd_mustache_value *v, qd_buf *to)
{
    if (v->kind == QD_MUSTACHE_STRING) (void)qd_buf_str(to, v->text);
    if (v->kind == QD_MUSTACHE_COUNT) (void)qd_buf_u64(to, v->n);
    if (v->kind == QD_MUSTACHE_STRING || v->kind == QD_MUSTACHE_COUNT) return;
    if (v->kind != QD_MUSTACHE_LIST) {
        r->model->print(r->arg, v, to);
        return;
    }
    (void)qd_buf_char(to, '{');
    for (uint32_t i = 0; i < v->n && !qd_buf_status(to); i++) {
        qd_mustache_value e = r->model->element(r->arg, v, i);
        (void)qd_buf_printf(to, "%s%u=", i ? ", " : "", i);
        r->model->print(r->arg, &e, to);
    }
    (void)qd_buf_char(to, '}');
}

static int show(run *r, const qd_mustache_value *v, bool raw)
{
    if (v->kind == QD_MUSTACHE_NULL) return 0;
    if (v->kind == QD_MUSTACHE_STRING && !raw) {
        escape(r, v->text);
    } else if (raw || v->kind == QD_MUSTACHE_COUNT) {
        print(r, v, r->out);
    } else {
        qd_buf_reset(&r->scratch);
        print(r, v, &r->scratch);
        int rc = status(r, &r->scratch);
        if (rc) return rc;
        escape(r, qd_buf_view(&r->scratch));
    }
    return 0;
}

/* --- functions --- */

/* Lists and maps as JSON, others as their text. */
static int to_json(run *r, const qdi_mustache_node *n)
{
    qd_mustache_value v;
    int rc = look_up(r, n, &v);
    if (rc) return rc;
    if (v.kind != QD_MUSTACHE_LIST && v.kind != QD_MUSTACHE_MAP) return show(r, &v, true);
    return r->model->json(r->arg, &v, r->out, r->err);
}

static int join(run *r, const qdi_mustache_node *n)
{
    qd_mustache_value v;
    int rc = look_up(r, n, &v);
    if (rc) return rc;
    if (v.kind != QD_MUSTACHE_LIST) (void)qd_buf_str(r->out, n->text);
    for (uint32_t i = 0; v.kind == QD_MUSTACHE_LIST && i < v.n && !qd_buf_status(r->out); i++) {
        qd_mustache_value e = r->model->element(r->arg, &v, i);
        if ((rc = spend(r, 1))) return rc;
        if (i) (void)qd_buf_str(r->out, n->between);
        r->model->print(r->arg, &e, r->out);
    }
    return 0;
}

/* --- sections --- */

static int range(run *r, uint32_t from, uint32_t to);

/* What was written since `from` is escaped in its place. */
static int url(run *r, uint32_t body, uint32_t end)
{
    size_t from = r->out->n;
    int rc = range(r, body, end);
    if (rc || r->out->n == from) return rc;
    qd_buf_reset(&r->scratch);
    url_escape(&r->scratch, qd_str_sub(qd_buf_view(r->out), from, r->out->n));
    if ((rc = status(r, &r->scratch))) return rc;
    r->out->n = from;
    (void)qd_buf_str(r->out, qd_buf_view(&r->scratch));
    return 0;
}

static bool falsy(const qd_mustache_value *v)
{
    return v->kind == QD_MUSTACHE_NULL || v->kind == QD_MUSTACHE_FALSE ||
           (v->kind == QD_MUSTACHE_STRING && !v->text.n) || (v->kind == QD_MUSTACHE_LIST && !v->n);
}

static int within(run *r, const qd_mustache_value *scope, uint32_t body, uint32_t end)
{
    bool pushed = scope->kind != QD_MUSTACHE_NULL;
    if (pushed) r->scopes[r->nscopes++] = *scope;
    int rc = range(r, body, end);
    if (pushed) r->nscopes--;
    return rc;
}

static int section(run *r, const qdi_mustache_node *n, uint32_t body)
{
    qd_mustache_value v;
    int rc = look_up(r, n, &v);
    if (rc) return rc;
    if (n->tag == QDI_MUSTACHE_INVERTED) return falsy(&v) ? range(r, body, n->end) : 0;
    if (falsy(&v)) return 0;
    if (v.kind != QD_MUSTACHE_LIST) return within(r, &v, body, n->end);
    for (uint32_t i = 0; i < v.n && !rc; i++) {
        qd_mustache_value e = r->model->element(r->arg, &v, i);
        rc = spend(r, 1);
        if (!rc) rc = within(r, &e, body, n->end);
    }
    return rc;
}

static int one(run *r, uint32_t i)
{
    const qdi_mustache_node *n = &r->m->at[i];
    qd_mustache_value v;
    int rc;
    switch ((qdi_mustache_tag)n->tag) {
    case QDI_MUSTACHE_TEXT:
        (void)qd_buf_str(r->out, n->text);
        return 0;
    case QDI_MUSTACHE_TO_JSON:
        return to_json(r, n);
    case QDI_MUSTACHE_JOIN:
        return join(r, n);
    case QDI_MUSTACHE_URL:
        return url(r, i + 1, n->end);
    case QDI_MUSTACHE_SECTION:
    case QDI_MUSTACHE_INVERTED:
        return section(r, n, i + 1);
    case QDI_MUSTACHE_VALUE:
    case QDI_MUSTACHE_RAW:
        break;
    }
    rc = look_up(r, n, &v);
    return rc ? rc : show(r, &v, n->tag == QDI_MUSTACHE_RAW);
}

static int range(run *r, uint32_t from, uint32_t to)
{
    int rc = 0;
    for (uint32_t i = from; i < to && !rc; i = r->m->at[i].end) {
        rc = spend(r, 1);
        if (!rc) rc = one(r, i);
        if (!rc) rc = status(r, r->out);
    }
    return rc;
}

int qd_mustache_render(const qd_mustache *m, const qd_mustache_model *model, void *arg,
                       const qd_mustache_value *root, qd_buf *out, qd_err *err)
{
    run r; /* without the scopes, which are many: pipelines come here for each document */
    r.m = m;
    r.model = model;
    r.arg = arg;
    r.out = out;
    r.err = err;
    r.steps = 0;
    r.nscopes = 1;
    r.scopes[0] = *root;
    qd_buf_init(&r.scratch, out->account, out->max);
    int rc = range(&r, 0, m->n);
    qd_buf_fini(&r.scratch);
    return rc;
}
