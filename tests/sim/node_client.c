/*
 * node_client.c: clients. Each is a fiber that sends one request after the other to some node, by
 * qd_actions_submit on a fiber of that node's, as a connection's thread would, and keeps what it
 * was answered in the history.
 */
#include "base/str.h"
#include "node_int.h"
#include "plugin/op.h"
#include "rest/rest_int.h"

#define REFRESH_MS 4000 /* those that were given up keep workers of the nodes */
#define BULK_MAX 4

/* A request under way; freed when both sides are done with it. */
typedef struct call {
    qd_action_call c; /* first */
    struct call *next, **link;
    proc *p;
    qd_thread *thread;
    char method[8], path[160];
    qd_buf body, answer;
    qd_arena arena;
    int status, refs;
    bool submitted, cancelled, done;
    qd_mutex lock;
    qd_cond wake; /* of the client */
    qd_cond end;  /* of the connection's thread */
} call;

static call *calls;

static void call_unref(call *x)
{
    if (--x->refs) return;
    qd_arena_fini(&x->arena);
    qd_buf_fini(&x->body);
    qd_buf_fini(&x->answer);
    qd_cond_fini(&x->wake);
    qd_cond_fini(&x->end);
    qd_mutex_fini(&x->lock);
    free(x);
}

static int32_t on_answer(qd_action_call *c, int32_t status, uint32_t format, const qd_slice *piece)
{
    call *x = (call *)(void *)c;
    (void)format;
    x->status = status;
    return qd_buf_add(&x->answer, piece->data, piece->len);
}

static void on_done(qd_op *op, int32_t rc)
{
    call *x = op->user;
    (void)rc;
    qd_mutex_lock(&x->lock);
    x->done = true;
    qd_cond_broadcast(&x->end);
    qd_mutex_unlock(&x->lock);
}

static const qd_svc_action *service(void)
{
    return (const qd_svc_action *)(const void *)qd_action_service();
}

void calls_cancel(proc *p)
{
    for (call *x = calls; x; x = x->next) {
        if (x->p != p || !x->submitted || x->done || x->cancelled) continue;
        x->cancelled = true;
        service()->cancel(&x->c);
    }
}

static bool route(call *x)
{
    rest_match m;
    qd_err err;
    qd_str target = qd_str_c(x->path), where = qd_str_split(&target, '?');
    qd_http_request r = {.method = qd_str_c(x->method), .path = where, .query = target};
    qd_err_init(&err);
    int rc = qdi_route(NULL, false, &r, &x->arena, &m, &err);
    if (rc || !m.api) abort();
    x->c = (qd_action_call){
        .action = qd_str_c(m.api->name),
        .params = m.params,
        .nparams = m.nparams,
        .format = m.api->flags & QD_API_NDJSON ? QD_FORMAT_NDJSON : QD_FORMAT_JSON,
        .body = {(const uint8_t *)x->body.p, x->body.n, NULL, NULL},
        .origin = {.remote = QD_STR("127.0.0.1:1")},
        .answer = on_answer,
    };
    qd_op_anywhere(&x->c.op, on_done, x);
    qd_err_fini(&err);
    return true;
}

/* A connection's thread of the node. */
static void connection(void *arg)
{
    call *x = arg;
    qd_err err;
    qd_err_init(&err);
    if (proc_serves(x->p) && route(x)) {
        x->submitted = true;
        if (qd_actions_submit(&x->p->a, &x->c, &err)) {
            x->submitted = false;
            x->done = true;
        }
        qd_mutex_lock(&x->lock);
        while (!x->done) qd_cond_wait(&x->end, &x->lock);
        qd_mutex_unlock(&x->lock);
    }
    qd_err_fini(&err);
    qd_mutex_lock(&x->lock);
    x->submitted = false;
    x->done = true;
    if (x->p->dying) x->status = 0; /* its answer reaches nobody */
    *x->link = x->next;
    if (x->next) x->next->link = x->link;
    qd_cond_broadcast(&x->wake);
    qd_mutex_unlock(&x->lock);
}

/* Joins the thread, when it has ended; between fibers. */
static void join(void *arg)
{
    call *x = arg;
    if (!qd_sim_thread_ended(x->thread)) {
        if (qd_sim_after(world_now()->sim, ms(5), join, x)) abort();
        return;
    }
    qd_thread_join(x->p->env, x->thread);
    x->p->calls--;
    call_unref(x);
}

void ask(world *w, int node, const char *method, const char *path, const char *body,
         uint64_t timeout_ms, answer *a)
{
    proc *p = w->m[node].now;
    *a = (answer){0};
    qd_buf_init(&a->body, NULL, 1 << 24);
    if (!proc_serves(p)) return;
    call *x = calloc(1, sizeof *x);
    if (!x) abort();
    x->p = p;
    x->refs = 2;
    snprintf(x->method, sizeof x->method, "%s", method);
    snprintf(x->path, sizeof x->path, "%s", path);
    qd_buf_init(&x->body, NULL, 1 << 20);
    qd_buf_init(&x->answer, NULL, 1 << 24);
    if (body && qd_buf_add(&x->body, body, strlen(body))) abort();
    qd_arena_init(&x->arena, NULL, 0);
    qd_mutex_init(&x->lock);
    qd_cond_init(&x->wake);
    qd_cond_init(&x->end);
    x->next = calls;
    x->link = &calls;
    if (calls) calls->link = &x->next;
    calls = x;
    p->calls++;
    if (qd_thread_start(p->env, "connection", connection, x, &x->thread, NULL)) abort();
    uint64_t until = qd_env_mono_ns(w->env) + ms(timeout_ms);
    qd_mutex_lock(&x->lock);
    while (!x->done && !p->dying && qd_env_mono_ns(w->env) < until) {
        uint64_t slice = qd_env_mono_ns(w->env) + ms(100);
        (void)qd_cond_wait_until(&x->wake, &x->lock, slice < until ? slice : until);
    }
    if (x->done && x->status) {
        a->status = x->status;
        if (qd_buf_add(&a->body, x->answer.p, x->answer.n)) abort();
    }
    qd_mutex_unlock(&x->lock);
    if (qd_buf_char(&a->body, 0)) abort();
    if (qd_sim_after(w->sim, 1000, join, x)) abort();
    call_unref(x);
}

void answer_fini(answer *a)
{
    qd_buf_fini(&a->body);
}

/* --- what was answered --- */

const char *doc_id(int doc)
{
    static const char *const ids[DOCS] = {"a", "b", "c", "d", "e"};
    return ids[doc];
}

int64_t number_of(const char *text, const char *key, int64_t none)
{
    char look[64];
    snprintf(look, sizeof look, "\"%s\":", key);
    const char *at = text ? strstr(text, look) : NULL;
    return at ? strtoll(at + strlen(look), NULL, 10) : none;
}

static const char *text_of(const answer *a)
{
    return a->body.p ? a->body.p : "";
}

static hop *hop_begin(world *w, okind kind, int doc, uint32_t *number)
{
    if (w->nops + 1 >= OPS_MAX) return NULL;
    hop *h = &w->op[++w->nops];
    *h = (hop){.kind = kind,
               .doc = (uint8_t)doc,
               .begin = now_ns(w),
               .seq = -1,
               .term = -1,
               .version = -1,
               .val = -1,
               .pred = -1};
    *number = w->nops;
    return h;
}

/* What a conflict says of the document: "... current document has seqNo [5] and primary term [1]"
 */
static void conflict(hop *h, const char *text)
{
    const char *at = strstr(text, "current document has seqNo [");
    h->state = S_CONFLICT;
    if (at) {
        h->seq = strtoll(at + strlen("current document has seqNo ["), NULL, 10);
        h->found = true;
    }
}

/* Of one write: the whole answer, or its item in that of a bulk. */
static void wrote(world *w, hop *h, int status, const char *text)
{
    h->end = now_ns(w);
    if (status == 200 || status == 201 || (status == 404 && h->kind == O_DELETE)) {
        h->state = S_OK;
        h->seq = number_of(text, "_seq_no", -1);
        h->term = number_of(text, "_primary_term", -1);
        h->version = number_of(text, "_version", -1);
        h->found = status != 404;
        if (h->seq < 0) {
            if (h->kind == O_DELETE || status == 404) { /* nothing was there, or no index */
                h->state = S_UNKNOWN;
            } else {
                fail(w, "a write was answered with %d and no number: %.200s", status, text);
            }
        }
        w->r->writes++;
    } else if (status == 409) {
        conflict(h, text);
        w->r->conflicts++;
    } else {
        h->state = S_UNKNOWN;
        h->end = UINT64_MAX;
        w->r->unknown++;
    }
}

static void learn(const hop *h, int64_t seen[DOCS][2])
{
    if (h->seq < 0 || h->term < 0) return;
    seen[h->doc][0] = h->seq;
    seen[h->doc][1] = h->term;
}

static void say(world *w, int k, uint32_t op, int node, const char *method, const char *path,
                const answer *a)
{
    if (!w->traced) return;
    trace(w, "client %d op %u at %s: %s %s: %d %.160s", k, op, node_name(node), method, path,
          a->status, text_of(a));
}

static int some_node(world *w)
{
    int id = (int)rnd(w, NODES);
    for (int i = 0; i < NODES; i++, id = (id + 1) % NODES) {
        if (proc_serves(w->m[id].now)) return id;
    }
    return -1;
}

static hop *write_doc(world *w, int k, int node, okind kind, int doc, int64_t seen[DOCS][2],
                      uint64_t patience_ms)
{
    char path[160], body[80];
    const char *method = kind == O_DELETE ? "DELETE" : kind == O_UPDATE ? "POST" : "PUT";
    uint32_t n;
    answer a;
    hop *h = hop_begin(w, kind, doc, &n);
    if (!h) return NULL;
    snprintf(body, sizeof body,
             kind == O_UPDATE ? "{\"doc\":{\"v\":%u},\"doc_as_upsert\":true}" : "{\"v\":%u}", n);
    snprintf(path, sizeof path, "/" INDEX "/%s/%s?timeout=3s",
             kind == O_UPDATE ? "_update" : "_doc", doc_id(doc));
    size_t at = strlen(path);
    if (kind == O_CREATE) snprintf(path + at, sizeof path - at, "&op_type=create");
    if (kind == O_CAS) {
        h->pred = seen[doc][0] >= 0 ? seen[doc][0] : 0;
        h->pred_term = seen[doc][1] > 0 ? seen[doc][1] : 1;
        snprintf(path + at, sizeof path - at, "&if_seq_no=%lld&if_primary_term=%lld",
                 (long long)h->pred, (long long)h->pred_term);
    }
    if (kind == O_AUTO) {
        method = "POST";
        snprintf(path, sizeof path, "/" INDEX "/_doc?timeout=3s");
    }
    ask(w, node, method, path, kind == O_DELETE ? NULL : body, patience_ms, &a);
    wrote(w, h, a.status, text_of(&a));
    if (kind == O_AUTO && h->state == S_OK) {
        const char *id = strstr(text_of(&a), "\"_id\":\"");
        if (id) snprintf(h->id, sizeof h->id, "%.*s", (int)strcspn(id + 7, "\""), id + 7);
    }
    if (kind != O_AUTO) learn(h, seen);
    say(w, k, n, node, method, path, &a);
    answer_fini(&a);
    return h;
}

static void write_one(world *w, int k, int node, okind kind, int64_t seen[DOCS][2])
{
    (void)write_doc(w, k, node, kind, (int)rnd(w, DOCS), seen, w->patience_ms);
}

static void write_bulk(world *w, int k, int node, int64_t seen[DOCS][2])
{
    qd_buf body;
    uint32_t n[BULK_MAX], count = 0, want = 2 + (uint32_t)rnd(w, BULK_MAX - 1);
    hop *h[BULK_MAX];
    answer a;
    char line[160];
    qd_buf_init(&body, NULL, 1 << 16);
    while (count < want) {
        static const okind kinds[] = {O_PUT, O_PUT, O_PUT, O_CREATE, O_DELETE};
        static const char *const names[] = {
            [O_PUT] = "index", [O_CREATE] = "create", [O_DELETE] = "delete"};
        okind kind = kinds[rnd(w, QD_COUNT_OF(kinds))];
        int doc = (int)rnd(w, DOCS);
        h[count] = hop_begin(w, kind, doc, &n[count]);
        if (!h[count]) break;
        int len =
            snprintf(line, sizeof line, "{\"%s\":{\"_id\":\"%s\"}}\n", names[kind], doc_id(doc));
        if (kind != O_DELETE)
            len += snprintf(line + len, sizeof line - (size_t)len, "{\"v\":%u}\n", n[count]);
        if (qd_buf_add(&body, line, (size_t)len)) abort();
        count++;
    }
    if (qd_buf_char(&body, 0)) abort();
    const char *path = "/" INDEX "/_bulk?timeout=3s";
    ask(w, node, "POST", path, body.p, w->patience_ms, &a);
    const char *at = a.status == 200 ? strstr(text_of(&a), "\"items\":[") : NULL;
    for (uint32_t i = 0; i < count; i++) {
        const char *item = at ? strstr(at, "{\"_index\":") : NULL; /* of one item */
        const char *next = item ? strstr(item + 1, "{\"_index\":") : NULL;
        size_t len = !item ? 0 : next ? (size_t)(next - item) : strlen(item);
        char *text = calloc(1, len + 1);
        if (!text) abort();
        if (item) memcpy(text, item, len);
        wrote(w, h[i], item ? (int)number_of(text, "status", 0) : 0, text);
        learn(h[i], seen);
        free(text);
        at = next;
    }
    if (a.status == 200) w->r->bulks++;
    say(w, k, n[0], node, "POST", path, &a);
    answer_fini(&a);
    qd_buf_fini(&body);
}

static hop *get_doc(world *w, int k, int node, int doc, int64_t seen[DOCS][2], uint64_t patience_ms)
{
    char path[160];
    uint32_t n;
    answer a;
    hop *h = hop_begin(w, O_GET, doc, &n);
    if (!h) return NULL;
    snprintf(path, sizeof path, "/" INDEX "/_doc/%s", doc_id(doc));
    bool promoting = w->promoting, moving = w->moving;
    ask(w, node, "GET", path, NULL, patience_ms, &a);
    h->end = now_ns(w);
    if ((a.status == 200 || a.status == 404) && strstr(text_of(&a), "\"found\":")) {
        h->state = S_OK;
        h->found = a.status == 200;
        h->seq = number_of(text_of(&a), "_seq_no", -1);
        h->term = number_of(text_of(&a), "_primary_term", -1);
        h->version = number_of(text_of(&a), "_version", -1);
        h->val = h->found ? number_of(text_of(&a), "v", -1) : -1;
        learn(h, seen);
        w->r->reads++;
        w->r->reads_promotion += promoting || w->promoting;
        w->r->reads_rollback += w->rolled_ns >= h->begin;
        w->r->reads_relocation += moving || w->moving;
    } else {
        h->state = S_UNKNOWN;
    }
    say(w, k, n, node, "GET", path, &a);
    answer_fini(&a);
    return h;
}

static void get(world *w, int k, int node, int64_t seen[DOCS][2])
{
    (void)get_doc(w, k, node, (int)rnd(w, DOCS), seen, w->patience_ms);
}

static hop *refresh(world *w, int k, int node)
{
    uint32_t n;
    answer a;
    hop *h = hop_begin(w, O_REFRESH, 0, &n);
    if (!h) return NULL;
    ask(w, node, "POST", "/" INDEX "/_refresh", NULL, REFRESH_MS, &a);
    h->end = now_ns(w);
    int64_t total = number_of(text_of(&a), "total", 0),
            good = number_of(text_of(&a), "successful", 0);
    /* copies that are not there are neither counted as refreshed nor as failed */
    bool every = w->shards == 1 ? good > 0 : good == total && good > 0;
    bool ok = a.status == 200 && number_of(text_of(&a), "failed", -1) == 0 && every;
    h->state = ok ? S_OK : S_UNKNOWN;
    w->r->refreshes += ok;
    say(w, k, n, node, "POST", "_refresh", &a);
    answer_fini(&a);
    return h;
}

static int doc_of(const char *id)
{
    for (int d = 0; d < DOCS; d++) {
        if (id[0] == doc_id(d)[0] && id[1] == '"') return d;
    }
    return -1;
}

static hop *search(world *w, int k, int node)
{
    uint32_t n;
    answer a;
    hop *h = hop_begin(w, O_SEARCH, 0, &n);
    if (!h) return NULL;
    const char *path = "/" INDEX "/_search?size=500&seq_no_primary_term=true&version=true";
    ask(w, node, "POST", path, "{\"query\":{\"terms\":{\"_id\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}}}",
        w->patience_ms, &a);
    h->end = now_ns(w);
    const char *at = text_of(&a);
    bool ok = a.status == 200 && strstr(at, "\"failed\":0") && strstr(at, "\"timed_out\":false");
    h->state = ok ? S_OK : S_UNKNOWN;
    h->calm = h->begin > w->calm_ns;
    w->r->searches += ok;
    w->r->calm += h->calm;
    while (ok && (at = strstr(at, "\"_id\":\"")) != NULL) {
        at += strlen("\"_id\":\"");
        int doc = doc_of(at);
        if (doc < 0 || w->nshown == SHOWN_MAX) continue;
        w->shown[w->nshown++] =
            (shown){(uint8_t)doc, number_of(at, "_seq_no", -1), number_of(at, "v", -1), n};
    }
    say(w, k, n, node, "POST", "_search", &a);
    answer_fini(&a);
    return h;
}

hop *client_op(world *w, int node, okind kind, int doc, const hop *on, uint64_t patience_ms)
{
    int64_t seen[DOCS][2];
    memset(seen, -1, sizeof seen);
    if (on) {
        seen[doc][0] = on->seq;
        seen[doc][1] = on->term;
    }
    if (kind == O_REFRESH) return refresh(w, 9, node);
    if (kind == O_SEARCH) return search(w, 9, node);
    if (kind == O_GET) return get_doc(w, 9, node, doc, seen, patience_ms);
    return write_doc(w, 9, node, kind, doc, seen, patience_ms);
}

void client_run(void *arg)
{
    world *w = world_now();
    int k = (int)(intptr_t)arg;
    int64_t seen[DOCS][2];
    static const okind kinds[] = {O_PUT, O_PUT,    O_PUT,    O_PUT,     O_CREATE, O_CAS,
                                  O_CAS, O_UPDATE, O_DELETE, O_AUTO,    O_AUTO,   O_GET,
                                  O_GET, O_GET,    O_GET,    O_REFRESH, O_SEARCH};
    memset(seen, -1, sizeof seen);
    while (!w->clients_end && !w->failed) {
        qd_env_sleep_ns(w->env, ms(rnd(w, w->quiet ? 600 : w->think_ms)));
        int node = some_node(w);
        if (node < 0 || w->clients_end || w->failed) continue;
        okind kind = kinds[rnd(w, QD_COUNT_OF(kinds))];
        if (chance(w, 0.12)) {
            write_bulk(w, k, node, seen);
        } else if (kind == O_GET) {
            get(w, k, node, seen);
        } else if (kind == O_REFRESH) {
            refresh(w, k, node);
        } else if (kind == O_SEARCH) {
            search(w, k, node);
        } else {
            write_one(w, k, node, kind, seen);
        }
    }
    w->clients--;
}
