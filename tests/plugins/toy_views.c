/*
 * toy_views.c: the operator `toy_view`, which decides in two phases by what it sees of a segment:
 *   phrase  "first" "second" side by side in "field": positions; the score is how often
 *   strings "first" among the strings of "field"; the score is how many it has
 *   numbers the sum of the numbers of "field" is the score, of documents that have any
 *   ordinal the same as strings, by the number of "first" in the dictionary
 *   child   the matches of "within", twice its score
 *   adds    leaves a document that was no candidate
 */
#include <quidditch/operator.h>
#include <quidditch/plugin.h>

#define ROOM 512

static const qd_svc_mem *mem;
static const qd_svc_json *json;

typedef struct request {
    char mode[16], field[32], first[32], second[32];
    const qd_subquery *within;
} request;

struct qd_operator_iter {
    const request *r;
    const qd_segment_view *view;
    qd_segment_postings *words[2];
    qd_segment_child *child, *again; /* again: of the second phase */
    uint32_t ordinal;
};

static int is(const request *r, const char *mode)
{
    return strcmp(r->mode, mode) == 0;
}

static qd_str text(const char *s)
{
    return (qd_str){s, strlen(s)};
}

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    memset(r, 0, sizeof *r);
    int32_t rc = json->next(in, &ev, err);
    while (rc == 0 && (rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        char *to = qd_plug_is(ev.text, "mode")    ? r->mode
                   : qd_plug_is(ev.text, "field") ? r->field
                   : qd_plug_is(ev.text, "first") ? r->first
                                                  : r->second;
        if (qd_plug_is(ev.text, "within")) {
            rc = ctx->subquery(ctx, in, &r->within, err);
            continue;
        }
        if (qd_plug_is(ev.text, "boost")) return json->fail(in, err, QD_E_PARSE, text("boost"));
        if ((rc = json->next(in, &ev, err))) return rc;
        if (ev.text.n < (to == r->mode ? sizeof r->mode : sizeof r->field))
            memcpy(to, ev.text.p, ev.text.n);
    }
    *out = r;
    return rc;
}

static int32_t rewrite(const qd_query_ctx *ctx, const void *query, qd_query_node **out, qd_err *err)
{
    const request *r = (const request *)query;
    qd_query_node *n = (qd_query_node *)mem->arena(ctx->arena, 2 * sizeof *n);
    qd_query_node **children = (qd_query_node **)mem->arena(ctx->arena, sizeof *children);
    (void)err;
    if (!n || !children) return QD_E_NOMEM;
    memset(n, 0, 2 * sizeof *n);
    n[0].struct_size = n[1].struct_size = sizeof *n;
    n[0].boost = n[1].boost = 1;
    n[0].type = QD_NODE_SELF;
    n[0].self = query;
    n[1].type = QD_NODE_SUBQUERY;
    n[1].self = r->within;
    children[0] = &n[1];
    n[0].children = children;
    n[0].nchildren = r->within != NULL;
    *out = n;
    return 0;
}

static int32_t open_iter(const qd_query_ctx *ctx, const void *query, const qd_segment_view *view,
                         int32_t scores, qd_operator_iter **out, qd_err *err)
{
    qd_operator_iter *it = (qd_operator_iter *)mem->arena(view->arena, sizeof *it);
    const request *r = (const request *)query;
    uint32_t doc_freq;
    int32_t rc = 0, found;
    (void)ctx, (void)scores;
    if (!it) return QD_E_NOMEM;
    memset(it, 0, sizeof *it);
    it->r = r;
    it->view = view;
    *out = it;
    if (is(r, "phrase"))
        for (uint32_t i = 0; i < 2 && !rc; i++)
            rc = view->postings_open(view, text(r->field), text(i ? r->second : r->first),
                                     QD_POSTINGS_POSITIONS, &it->words[i], &doc_freq, err);
    if (is(r, "ordinal")) {
        rc = view->ordinal_find(view, text(r->field), text(r->first), &it->ordinal, &found, err);
        if (!rc && !found) *out = NULL;
    }
    if (is(r, "child")) {
        rc = view->child_open(view, 0, &it->child, err);
        if (!rc) rc = view->child_open(view, 0, &it->again, err);
    }
    if (rc == QD_E_NOTFOUND) {
        *out = NULL;
        return 0;
    }
    return rc;
}

/* Candidates: what one word, or the child, or everything has. */
static int32_t next_block(qd_operator_iter *it, uint32_t from, float min_score, qd_doc_block *out,
                          qd_err *err)
{
    (void)min_score;
    if (it->words[0])
        return it->view->postings_next(it->words[0], from, QD_OPERATOR_BLOCK, out->docs, NULL,
                                       &out->n, err);
    if (it->child) return it->view->child_next(it->child, from, out, err);
    for (out->n = 0; from < it->view->max_doc && out->n < QD_OPERATOR_BLOCK; from++)
        out->docs[out->n++] = from;
    return 0;
}

/* How often does a position of the first list have its next one in the second? */
static float pairs(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb)
{
    float n = 0;
    for (uint32_t i = 0; i < na; i++)
        for (uint32_t j = 0; j < nb; j++) n += b[j] == a[i] + 1;
    return n;
}

static int32_t value_of(const qd_operator_iter *it, uint32_t doc, float *out, qd_err *err)
{
    static const uint32_t room = ROOM;
    const qd_segment_view *v = it->view;
    const request *r = it->r;
    uint32_t first[2] = {0, 0}, second[2] = {0, 0}, done, a[ROOM], b[ROOM];
    int64_t numbers[ROOM];
    qd_str strings[ROOM];
    int32_t rc = 0;
    *out = 0;
    if (is(r, "phrase")) {
        rc = v->positions(it->words[0], &doc, 1, room, first, a, &done, err);
        if (!rc) rc = v->positions(it->words[1], &doc, 1, room, second, b, &done, err);
        if (!rc) *out = pairs(a, first[1], b, second[1]);
    } else if (is(r, "numbers")) {
        rc = v->i64_all(v, text(r->field), &doc, 1, room, first, numbers, &done, err);
        for (uint32_t i = 0; !rc && i < first[1]; i++) *out += (float)numbers[i];
    } else if (is(r, "strings")) {
        rc = v->strings(v, text(r->field), &doc, 1, room, first, strings, &done, err);
        for (uint32_t i = 0; !rc && i < first[1]; i++)
            if (strings[i].n == strlen(r->first) && !memcmp(strings[i].p, r->first, strings[i].n))
                *out = (float)first[1];
    } else if (is(r, "ordinal")) {
        rc = v->ordinals(v, text(r->field), &doc, 1, room, first, a, &done, err);
        for (uint32_t i = 0; !rc && i < first[1]; i++)
            if (a[i] == it->ordinal) *out = (float)first[1];
    }
    return rc;
}

static int32_t match_block(qd_operator_iter *it, float min_score, qd_doc_block *io, qd_err *err)
{
    uint32_t n = 0;
    int32_t rc = 0;
    (void)min_score;
    if (is(it->r, "adds")) io->docs[io->n - 1]++;
    for (uint32_t i = 0; i < io->n && !rc; i++) {
        float value = 1;
        if (it->again) {
            qd_doc_block one = {sizeof one, 0, {0}, {0}};
            rc = it->view->child_next(it->again, io->docs[i], &one, err);
            value = 2 * one.scores[0];
        } else if (!is(it->r, "adds")) {
            rc = value_of(it, io->docs[i], &value, err);
        }
        if (value == 0 && !it->again) continue; /* nobody may have asked for scores */
        io->docs[n] = io->docs[i];
        io->scores[n++] = value;
    }
    io->n = n;
    return rc;
}

static void close_iter(qd_operator_iter *it)
{
    (void)it;
}

static const qd_operator_vtable vtable = {QD_VTABLE(qd_operator_vtable, OPERATOR,
                                                    QD_OPERATOR_REWRITES | QD_OPERATOR_ITERATES |
                                                        QD_OPERATOR_SCORES | QD_OPERATOR_TWO_PHASE |
                                                        QD_OPERATOR_CACHEABLE),
                                          parse,
                                          rewrite,
                                          open_iter,
                                          next_block,
                                          NULL,
                                          close_iter,
                                          match_block,
                                          NULL};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    if (!mem || !json) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_OPERATOR, "toy_view", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "toy-views", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("toy-views", "0.1.0", 0, 1, QD_NOTE_FOR(OPERATOR))
