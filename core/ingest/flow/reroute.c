/*
 * reroute.c: the processor reroute: the document goes to another index or data stream. The pipeline
 * ends there, and the default pipeline of the new target goes on.
 */
#include "ingest/ingest_int.h"

#define PART_MAX 100u /* bytes of a part of a data stream's name */

typedef struct rerouting {
    qd_str destination;
    qd_mustache **type, **dataset, **space;
    uint32_t ntype, ndataset, nspace;
} rerouting;

static int list_of(qdi_build *b, const char *key, const char *standard, qd_mustache ***out,
                   uint32_t *n, qd_err *err)
{
    qd_str *texts, one = qd_str_c(standard);
    int rc = qdi_arg_strs(b, key, false, true, &texts, n, err);
    if (rc) return rc;
    if (!*n) texts = &one;
    if (!*n) *n = 1;
    *out = qd_arena_calloc(b->a, *n * sizeof **out);
    if (!*out) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < *n && !rc; k++)
        rc = qd_mustache_compile(b->a, texts[k], QD_MUSTACHE_PLAIN, &(*out)[k], err);
    return rc ? qdi_arg_wrap(b, key, err) : 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    rerouting *c = config;
    bool parts = qd_json_get(b->config, "dataset") || qd_json_get(b->config, "namespace") ||
                 qd_json_get(b->config, "type");
    int rc = qdi_arg_str_opt(b, "destination", &c->destination, err);
    if (!rc) rc = list_of(b, "type", "{{data_stream.type}}", &c->type, &c->ntype, err);
    if (!rc) rc = list_of(b, "dataset", "{{data_stream.dataset}}", &c->dataset, &c->ndataset, err);
    if (!rc) rc = list_of(b, "namespace", "{{data_stream.namespace}}", &c->space, &c->nspace, err);
    if (!rc && c->destination.p && parts)
        rc = qdi_arg_fail(b, "destination", err,
                          "can only be set if type, dataset, and namespace are not set");
    return rc;
}

/* A part of a data stream's name: lower case, without what such names may not hold. */
static qd_str sanitized(qd_ingest_run *r, qd_str s, bool dashes)
{
    static const char bad[] = "\\/*?\"<>| ,#:";
    if (s.n > PART_MAX) {
        s.n = PART_MAX;
        while (s.n && ((unsigned char)s.p[s.n] & 0xC0) == 0x80) s.n--; /* not within a character */
    }
    char *p = qd_arena_bytes(&r->arena, s.n + 1);
    if (!p) return (qd_str){NULL, 0};
    for (size_t k = 0; k < s.n; k++) {
        char c = s.p[k];
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        if (memchr(bad, c, sizeof bad - 1) || (c == '-' && !dashes)) c = '_';
        p[k] = c;
    }
    return (qd_str){p, s.n};
}

/* The first text of the list that is not empty, else what the present name says. */
static int pick(qd_ingest_run *r, qd_mustache *const *list, uint32_t n, qd_str present, bool dashes,
                qd_str *out, qd_err *err)
{
    for (uint32_t k = 0; k < n; k++) {
        int rc = qdi_template_text(r, list[k], out, err);
        if (rc) return rc;
        if (!out->n) continue;
        *out = sanitized(r, *out, dashes);
        return out->p ? 0 : qdi_run_nomem(err);
    }
    *out = present;
    return 0;
}

static int put(qd_ingest_run *r, const char *path, qd_str s, qd_err *err)
{
    qdi_path p;
    int rc = qdi_path_make(&r->arena, qd_str_c(path), &p, err);
    return rc ? rc : qdi_path_set(r, &p, QD_IV_STRING(s), err);
}

static int to(qd_ingest_run *r, qd_str index, qd_err *err)
{
    int rc = put(r, "_index", index, err);
    return rc ? rc : QD_INGEST_REROUTED;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const rerouting *c = config;
    qd_str index = qd_ingest_index(r), rest = index, part[3];
    qdi_path field;
    if (c->destination.p) return to(r, c->destination, err);
    ptrdiff_t first = qd_str_find(rest, '-'), last = -1;
    for (size_t k = 0; k < index.n; k++) {
        if (index.p[k] == '-') last = (ptrdiff_t)k;
    }
    if (first <= 0 || last <= first)
        return qd_err_set(err, QD_E_ARG,
                          "invalid data stream name: [%.*s]; must follow naming scheme "
                          "<type>-<dataset>-<namespace>",
                          QD_STR_ARG(index));
    part[0] = qd_str_sub(index, 0, (size_t)first);
    part[1] = qd_str_sub(index, (size_t)first + 1, (size_t)(last - first) - 1);
    part[2] = qd_str_sub(index, (size_t)last + 1, index.n);
    int rc = pick(r, c->type, c->ntype, part[0], false, &part[0], err);
    if (!rc) rc = pick(r, c->dataset, c->ndataset, part[1], false, &part[1], err);
    if (!rc) rc = pick(r, c->space, c->nspace, part[2], true, &part[2], err);
    if (rc) return rc;
    qd_str now = qd_arena_printf(&r->arena, "%.*s-%.*s-%.*s", QD_STR_ARG(part[0]),
                                 QD_STR_ARG(part[1]), QD_STR_ARG(part[2]));
    if (!now.p) return qdi_run_nomem(err);
    rc = put(r, "data_stream.type", part[0], err);
    if (!rc) rc = put(r, "data_stream.dataset", part[1], err);
    if (!rc) rc = put(r, "data_stream.namespace", part[2], err);
    if (!rc) rc = qdi_path_make(&r->arena, QD_STR("event.dataset"), &field, err);
    if (!rc && qdi_path_look(r, &field)) rc = qdi_path_set(r, &field, QD_IV_STRING(part[1]), err);
    return rc ? rc : to(r, now, err);
}

const qdi_processor_type qdi_processor_reroute = {"reroute", sizeof(rerouting), .make = make,
                                                  .run = run};
