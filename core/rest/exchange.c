/*
 * exchange.c: one request: route, checks, call of the action, answer. The call and its memory live
 * from the head of the request to the end of the answer.
 */
#include "action/api/known.h"
#include "base/log.h"
#include "plugin/op.h"
#include "rest/rest_int.h"
#include "json/reader.h"
#include <stdio.h>
#include <string.h>

#define EXTRA_MAX 65536u
#define HELD_SMALL 65536u /* answers up to this go out whatever the breakers say */

typedef struct rest_call {
    qd_action_call call; /* first */
    qd_frontend *f;
    qd_http_exchange *x;
    const qd_api *api;
    rest_media media;
    bool submitted, answered, head, streamed;
    bool preflight; /* asks only what http.cors.* allows */
    /* the first piece waits for a second one: alone it is sent with its length */
    qd_buf held;
    bool holding, sent;
    int status;
    const char *content_type;
    qd_buf extra; /* more lines of the head */
} rest_call;

/* --- answers --- */

static void content_type(rest_call *c, uint32_t format)
{
    c->content_type = format == QD_FORMAT_TEXT   ? "text/plain; charset=UTF-8"
                      : format == QD_FORMAT_YAML ? "application/yaml"
                                                 : c->media.content_type;
}

static const char *extra(const rest_call *c)
{
    return c->extra.p ? c->extra.p : "";
}

/* The client has taken enough: the action may go on with the answer. */
static void on_room(void *arg)
{
    rest_call *c = arg;
    c->f->action->resume(&c->call);
}

/* Says of an answer from copies without contact to their primary how old it may be. */
static void stale(rest_call *c)
{
    int64_t ms = c->f->action->stale_ms(&c->call);
    if (ms <= 0) return;
    (void)qd_buf_printf(&c->extra, "X-Quidditch-Stale: %lld\r\n", (long long)((ms + 999) / 1000));
}

/* One line of the head for each. */
static void warnings(rest_call *c)
{
    qd_str rest = qd_str_c(qd_action_warnings(&c->call));
    while (rest.n) {
        qd_str line = qd_str_split(&rest, '\n');
        (void)qd_buf_printf(&c->extra, "Warning: %.*s\r\n", QD_STR_ARG(line));
    }
}

static int32_t on_answer(qd_action_call *call, int32_t status, uint32_t format,
                         const qd_slice *piece)
{
    rest_call *c = (rest_call *)(void *)call;
    qd_str part = {(const char *)piece->data, piece->len};
    int rc = 0;
    if (!c->holding && !c->sent) {
        c->status = status;
        content_type(c, format);
        c->holding = true;
        stale(c);
        warnings(c);
        if (part.n > HELD_SMALL && !(c->api->flags & QD_API_VITAL))
            c->held.account = c->f->in_flight;
        return qd_buf_str(&c->held, part);
    }
    if (c->holding) {
        c->holding = false;
        c->sent = true;
        rc = qd_http_answer(c->x, c->status, c->content_type, extra(c), qd_buf_view(&c->held),
                            false);
        qd_buf_fini(&c->held);
    }
    if (!rc) rc = qd_http_answer(c->x, c->status, c->content_type, extra(c), part, false);
    return rc ? rc : qd_http_answer_wait(c->x, on_room, c) ? QD_ANSWER_FULL : 0;
}

/* With the exchange, on its loop: nobody looks at the call any more. */
static void call_free(void *user)
{
    rest_call *c = user;
    qd_buf_fini(&c->held);
    qd_buf_fini(&c->extra);
}

/* Encoded as Elasticsearch encodes the parts of a Location: as a form, a space is a plus. */
static void add_encoded(qd_buf *b, qd_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char v = (unsigned char)s.p[i];
        bool as_it_is = (v >= '0' && v <= '9') || (v >= 'a' && v <= 'z') ||
                        (v >= 'A' && v <= 'Z') || (v && strchr("-._*", v));
        (void)qd_buf_printf(b, as_it_is ? "%c" : v == ' ' ? "+" : "%%%02X", v);
    }
}

/* A document that was created has a Location: its index and id stand first in the answer. */
static void location(rest_call *c)
{
    qd_json_reader j = QD_JSON_READER(NULL);
    qd_str index = {NULL, 0}, id = {NULL, 0}, key = {NULL, 0};
    if (c->status != 201 || !qd_str_is(c->call.params[0].key, "index")) return;
    qd_json_reader_init(&j, qd_buf_view(&c->held), 0, 0);
    for (qd_json_event ev = qd_json_next(&j); ev > 0 && j.depth == 1; ev = qd_json_next(&j)) {
        if (ev == QD_JSON_KEY) key = j.text;
        if (ev == QD_JSON_STRING && qd_str_is(key, "_index")) index = j.text;
        if (ev == QD_JSON_STRING && qd_str_is(key, "_id")) id = j.text;
    }
    if (index.n && id.n) {
        qd_buf b;
        qd_buf_init(&b, NULL, 8192);
        (void)qd_buf_c(&b, "Location: /");
        add_encoded(&b, index);
        (void)qd_buf_c(&b, "/_doc/");
        add_encoded(&b, id);
        for (uint32_t i = 0; i < c->call.nparams; i++) {
            if (!qd_str_is(c->call.params[i].key, "routing")) continue;
            (void)qd_buf_c(&b, "?routing=");
            add_encoded(&b, c->call.params[i].value);
        }
        if (!qd_buf_status(&b) && qd_buf_reserve(&c->extra, b.n + 2)) {
            (void)qd_buf_str(&c->extra, qd_buf_view(&b));
            (void)qd_buf_c(&c->extra, "\r\n");
        }
        qd_buf_fini(&b);
    }
    qd_json_reader_fini(&j);
}

static void answer_error(rest_call *c, const qd_err *err);

/* There is no memory for a large answer. */
static void answer_too_large(rest_call *c)
{
    qd_err err;
    qd_err_init(&err);
    qd_buf_fini(&c->held);
    c->held.account = NULL;
    c->holding = false;
    (void)qd_err_set(&err, QD_E_BREAKER,
                     "[in_flight_requests] Data too large, data for [<http_response>] does not fit "
                     "in the memory allowed");
    qd_err_detail_str(&err, "durability", QD_STR("TRANSIENT"));
    answer_error(c, &err);
    qd_err_fini(&err);
}

static void on_done(qd_op *op, int32_t rc)
{
    rest_call *c = op->user;
    (void)rc;
    if (c->sent) qd_http_answer_unwait(c->x);
    if (c->holding && qd_buf_status(&c->held)) {
        answer_too_large(c);
        return;
    }
    if (!c->holding && !c->sent) {
        content_type(c, QD_FORMAT_JSON);
        c->status = c->status ? c->status : 500;
    }
    if (!c->sent && c->call.nparams) location(c);
    (void)qd_http_answer_take(c->x, c->status, c->content_type, extra(c), &c->held);
}

/* An error answer made here. */
static void answer_error(rest_call *c, const qd_err *err)
{
    qd_response r;
    qd_response_init(&r, &c->held, false);
    qd_response_error(&r, err, false);
    content_type(c, QD_FORMAT_JSON);
    c->answered = true;
    (void)qd_http_answer(c->x, r.status, c->content_type, extra(c), qd_buf_view(&c->held), true);
}

/* Elasticsearch answers requests that no handler takes with a plain text in "error". */
static void answer_text(rest_call *c, int status, const char *line, const char *text)
{
    qd_json_writer w;
    qd_json_writer_init(&w, &c->held, false);
    qd_json_object(&w);
    qd_json_field_c(&w, "error", text);
    if (status != 400) qd_json_field_int(&w, "status", status); /* 400: no handler, as there */
    qd_json_object_end(&w);
    content_type(c, QD_FORMAT_JSON);
    (void)qd_buf_c(&c->extra, line);
    c->answered = true;
    (void)qd_http_answer(c->x, status, c->content_type, extra(c), qd_buf_view(&c->held), true);
}

/* An API of Elasticsearch or OpenSearch that is not here. */
static void answer_known(rest_call *c, const char *name)
{
    qd_err err;
    qd_err_init(&err);
    (void)qd_err_set(&err, QD_E_ARG, QD_KNOWN_REFUSED, QD_STR_ARG(qd_str_c(name)));
    answer_error(c, &err);
    qd_err_fini(&err);
}

static const char *known_of(const rest_call *c)
{
    const qd_http_request *r = qd_http_request_get(c->x);
    return qd_known_api_of(r->method, r->path);
}

/* Does a path that has an index in its place have a name there that none can have? */
static bool names_no_index(const rest_match *m)
{
    if (!m->nparts || !qd_str_is(m->params[0].key, "index")) return false;
    qd_str name = m->params[0].value;
    return name.n && name.p[0] == '_' && !qd_str_is(name, "_all");
}

static void no_route(rest_call *c, const rest_match *m)
{
    const qd_http_request *r = qd_http_request_get(c->x);
    char text[1024], line[96] = "";
    if (m->allowed[0] && qd_str_is(r->method, "OPTIONS")) {
        (void)qd_buf_printf(&c->extra, "allow: %s\r\n", m->allowed);
        c->answered = true;
        (void)qd_http_answer(c->x, 200, "text/plain; charset=UTF-8", extra(c), QD_STR(""), true);
        return;
    }
    if (m->allowed[0]) {
        snprintf(text, sizeof text,
                 "Incorrect HTTP method for uri [%.*s%s%.*s] and method [%.*s], allowed: [%s]",
                 QD_STR_ARG(r->path), r->query.n ? "?" : "", QD_STR_ARG(r->query),
                 QD_STR_ARG(r->method), m->allowed);
        snprintf(line, sizeof line, "allow: %s\r\n", m->allowed);
        answer_text(c, 405, line, text);
    } else {
        snprintf(text, sizeof text, "no handler found for uri [%.*s%s%.*s] and method [%.*s]",
                 QD_STR_ARG(r->path), r->query.n ? "?" : "", QD_STR_ARG(r->query),
                 QD_STR_ARG(r->method));
        answer_text(c, 400, "", text);
    }
}

/* --- requests --- */

static rest_call *call_make(qd_frontend *f, qd_http_exchange *x)
{
    rest_call *c = qd_arena_calloc(qd_http_arena(x), sizeof *c);
    if (!c) return NULL;
    c->f = f;
    c->x = x;
    qd_buf_init(&c->held, NULL, (size_t)1 << 32);
    qd_buf_init(&c->extra, NULL, EXTRA_MAX);
    qdi_media_standard(f->identity, &c->media);
    qd_str opaque = qd_http_header_get(x, "x-opaque-id");
    if (opaque.n && opaque.n < 200) {
        (void)qd_buf_printf(&c->extra, "X-Opaque-Id: %.*s\r\n", QD_STR_ARG(opaque));
    }
    return c;
}

/* Everything that the head decides: API, parameters, media types. */
static int prepare(rest_call *c, rest_match *m, qd_err *err)
{
    const qd_http_request *r = qd_http_request_get(c->x);
    bool typed = c->f->identity == IDENTITY_ES7 || c->f->identity == IDENTITY_ES7102;
    int rc = qdi_route(c->f->routes, typed, r, qd_http_arena(c->x), m, err);
    int may = qdi_access_check(c->f->access, r, rc ? NULL : m, qd_http_arena(c->x), &c->extra,
                               &c->preflight, rc ? NULL : err);
    if (!rc) rc = may;
    if (rc || !m->api || c->preflight) return rc;
    if (c->f->observe && !(m->api->flags & QD_API_OBSERVE)) {
        rc = qd_err_set(err, QD_E_NOTFOUND,
                        "this port serves /health, /ready, /metrics and /_cluster/health only, "
                        "not [%.*s %.*s]",
                        QD_STR_ARG(r->method), QD_STR_ARG(r->path));
        qd_err_type(err, "illegal_argument_exception", 404);
        return rc;
    }
    c->api = m->api;
    c->head = qd_str_is(r->method, "HEAD");
    if ((rc = qdi_media(c->f, c->x, r->has_body, &c->media, err))) return rc;
    if (m->nparams > m->nparts) { /* those of the path are the API's */
        qd_request probe = {
            .api = m->api, .params = m->params + m->nparts, .nparams = m->nparams - m->nparts};
        if ((rc = qd_params_check(&probe, r->path, err))) return rc;
    }
    if (r->has_body && !(m->api->flags & (QD_API_BODY | QD_API_BODY_REQUIRED))) {
        return qd_err_set(err, QD_E_ARG, "request [%.*s %.*s] does not support having a body",
                          QD_STR_ARG(r->method), QD_STR_ARG(r->path));
    }
    c->call = (qd_action_call){
        .action = qd_str_c(m->api->name),
        .params = m->params,
        .nparams = m->nparams,
        .format = c->media.body,
        .accept = c->media.accept,
        .origin = {.remote = r->remote,
                   .credentials = qd_http_header_get(c->x, "authorization"),
                   .opaque_id = qd_http_header_get(c->x, "x-opaque-id"),
                   .trace = qd_http_header_get(c->x, "traceparent")},
        .answer = on_answer,
    };
    qd_action_path_set(&c->call, &r->path);
    return 0;
}

static void submit(rest_call *c)
{
    qd_err err;
    qd_err_init(&err);
    qd_op_anywhere(&c->call.op, on_done, c);
    c->submitted = true;
    if (c->f->action->submit(c->f->self, &c->call, &err)) {
        answer_error(c, &err);
    }
    qd_err_fini(&err);
}

static void on_headers(void *arg, qd_http_exchange *x)
{
    rest_match m;
    qd_err err;
    qd_err_init(&err);
    rest_call *c = call_make(arg, x);
    qd_http_user_set(x, c, call_free);
    if (!c) {
        (void)qd_http_answer(x, 503, "application/json", "", QD_STR("{\"status\":503}"), true);
        return;
    }
    const char *known = NULL;
    int rc = prepare(c, &m, &err);
    if (rc && c->media.plain_error) {
        answer_text(c, qd_err_status(&err), "", qd_err_reason(&err));
    } else if (rc) {
        answer_error(c, &err);
    } else if (c->preflight) {
        c->answered = true;
        (void)qd_http_answer(x, 200, "", extra(c), QD_STR(""), true);
    } else if ((!m.api || names_no_index(&m)) && (known = known_of(c))) {
        answer_known(c, known);
    } else if (!m.api) {
        no_route(c, &m);
    } else if (m.api->flags & QD_API_VITAL) {
        qd_http_vital(x);
    } else if ((m.api->flags & QD_API_STREAM) && qd_http_request_get(x)->has_body) {
        qd_http_stream(x);
        c->streamed = true;
        c->call.more = 1;
        submit(c);
    }
    qd_err_fini(&err);
}

static void on_request(void *arg, qd_http_exchange *x, qd_str body)
{
    rest_call *c = qd_http_user(x);
    (void)arg;
    if (!c || c->answered) return;
    if (!body.n) { /* GET with ?source=… */
        for (uint32_t i = 0; i < c->call.nparams; i++) {
            if (qd_str_is(c->call.params[i].key, "source")) body = c->call.params[i].value;
        }
    }
    c->call.body = (qd_slice){(const uint8_t *)body.p, body.n, NULL, NULL};
    submit(c);
}

static void on_ready(qd_action_call *call)
{
    qd_http_resume(((rest_call *)(void *)call)->x);
}

static bool on_piece(void *arg, qd_http_exchange *x, qd_str piece, bool last)
{
    rest_call *c = qd_http_user(x);
    (void)arg;
    if (!c || c->answered) return true;
    qd_slice s = {(const uint8_t *)piece.p, piece.n, NULL, NULL};
    int fault = last ? qd_http_fault(x) : 0;
    uint32_t end = fault == 413   ? QD_BODY_TOO_LARGE
                   : fault == 408 ? QD_BODY_LATE
                   : fault        ? QD_BODY_BROKEN
                                  : last;
    return c->f->action->body(&c->call, s, end, on_ready) != QD_E_REJECTED;
}

static void on_gone(void *arg, qd_http_exchange *x)
{
    rest_call *c = qd_http_user(x);
    (void)arg;
    if (!c || c->answered) return;
    if (c->submitted) {
        c->f->action->cancel(&c->call);
    } else { /* nobody else would end it */
        (void)qd_http_answer(x, 0, "", "", (qd_str){NULL, 0}, true);
    }
}

static void on_bad(void *arg, int status, const char *reason, qd_buf *body)
{
    qd_err err;
    qd_response r;
    (void)arg;
    qd_err_init(&err);
    if (status == 429) { /* if a limit has refused, its words */
        (void)qd_err_nomem(&err, "<http_request>");
    } else {
        int code = status == 413 ? QD_E_TOO_LARGE : QD_E_HTTP_BAD;
        qd_err_set(&err, code, "%s", reason);
    }
    qd_err_type(&err, status == 429 ? "circuit_breaking_exception" : NULL, status);
    qd_response_init(&r, body, false);
    qd_response_error(&r, &err, false);
    qd_err_fini(&err);
}

void qdi_rest_handler(qd_frontend *f, qd_http_handler *out)
{
    *out = (qd_http_handler){
        .arg = f,
        .headers = on_headers,
        .request = on_request,
        .piece = on_piece,
        .gone = on_gone,
        .bad = on_bad,
    };
}
