/* cache.c: which searches the request cache serves, and by which key. See request_cache.h.
 */
#include "action/indices/request_cache_int.h"
#include "action/search/cache_int.h"
#include "base/str.h"
#include <ctype.h>

#define KEY_BYTES ((size_t)256 << 10)

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* May the text hold date math on the present time? Escaped letters might hide it. */
static bool names_now(qd_str s)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] == '\\' && s.p[i + 1] == 'u') return true;
        if (i + 2 >= s.n || memcmp(s.p + i, "now", 3) != 0) continue;
        if ((i == 0 || !in_word(s.p[i - 1])) && (i + 3 == s.n || !in_word(s.p[i + 3]))) return true;
    }
    return false;
}

static bool wanted(const search_run *x)
{
    qd_str asked = qd_param(x->r->q, "request_cache");
    if (asked.n) return !qd_str_is(asked, "false");
    for (uint32_t i = 0; i < x->nindices; i++) {
        if (!qd_values_bool(x->indices[i].meta->values, QD_IX_REQUEST_CACHE)) return false;
    }
    return true;
}

static bool may_keep(const search_run *x)
{
    const search_request *r = x->r;
    if (!x->a->request_cache || !x->nshards || r->size != 0 || r->dfs || r->profile || x->scroll ||
        r->pit.n || r->lookups) { /* a document that is looked up may change by itself */
        return false;
    }
    for (uint32_t i = 0; i < x->nindices; i++) {
        if (x->indices[i].rc || x->indices[i].nfilters) return false;
    }
    for (uint32_t i = 0; i < r->q->nparams; i++) {
        if (names_now(r->q->params[i].value)) return false;
    }
    return wanted(x) && !names_now(r->body);
}

/* The body without white space between its tokens. */
static void add_body(qd_buf *b, qd_str body)
{
    bool string = false;
    for (size_t i = 0; i < body.n; i++) {
        char c = body.p[i];
        if (string && c == '\\' && i + 1 < body.n) {
            (void)qd_buf_char(b, c);
            c = body.p[++i];
        } else if (c == '"') {
            string = !string;
        } else if (!string && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) {
            continue;
        }
        (void)qd_buf_char(b, c);
    }
}

static void add_number(qd_buf *b, uint64_t v)
{
    (void)qd_buf_add(b, &v, sizeof v);
}

static void add_text(qd_buf *b, qd_str s)
{
    add_number(b, s.n);
    (void)qd_buf_add(b, s.p, s.n);
}

static void make_key(search_cached *c, const search_run *x, qd_str expression, uint32_t options,
                     qd_str routing, const qd_json_writer *w)
{
    const search_request *r = x->r;
    qd_buf *b = &c->question;
    add_number(&c->as_of, x->state->revision);
    add_number(b, x->nshards);
    for (uint32_t i = 0; i < x->nshards; i++) {
        add_number(&c->as_of, qd_searcher_id(x->shards[i].searcher));
        add_number(b, x->shards[i].number);
        add_text(b, qd_str_c(x->shards[i].index->meta->uuid));
    }
    add_text(b, expression);
    add_text(b, routing);
    add_number(b, options);
    add_number(b, (uint64_t)w->pretty << 32 | w->depth);
    add_number(b, r->allow_partial);
    for (uint32_t i = 0; i < r->q->nparams; i++) {
        if (qd_str_is(r->q->params[i].key, "request_cache")) continue;
        add_text(b, r->q->params[i].key);
        add_text(b, r->q->params[i].value);
    }
    add_body(b, r->body);
}

/* Opens the points in time of all shards; false when one is not to be had at once. */
static bool open_searchers(search_run *x)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (!s->shard || !qd_shard_ready(s->shard, NULL)) return false;
        if (!s->searcher && qd_shard_searcher(s->shard, &s->searcher, NULL)) return false;
    }
    return true;
}

static void count(const search_run *x, bool hit)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        qd_shard_counts *c = qd_shard_counts_of(x->shards[i].shard);
        atomic_fetch_add(hit ? &c->request_cache_hits : &c->request_cache_misses, 1);
        if (hit) atomic_fetch_add(&c->query_total, 1);
    }
}

static request_cache_key key_of(const search_cached *c)
{
    return (request_cache_key){qd_buf_view(&c->question), qd_buf_view(&c->as_of)};
}

int qdi_search_cached_begin(search_cached *c, search_run *x, qd_str expression, uint32_t options,
                            qd_str routing, qd_json_writer *w, qd_err *err)
{
    *c = (search_cached){0};
    qd_buf_init(&c->question, x->a->account, KEY_BYTES);
    qd_buf_init(&c->as_of, x->a->account, KEY_BYTES);
    if (!may_keep(x) || !open_searchers(x)) return 0;
    make_key(c, x, expression, options, routing, w);
    c->usable = !qd_buf_status(&c->question) && !qd_buf_status(&c->as_of);
    if (!c->usable) return 0;
    qd_json_writer before = *w;
    size_t n = w->out->n;
    uint64_t ns = qd_env_mono_ns(x->a->env) - x->start_ns;
    qd_json_field_int(w, "took", (int64_t)(ns / 1000000));
    int rc = qdi_request_cache_get(x->a->request_cache, key_of(c), w->out);
    if (rc < 0) return qd_err_nomem(err, "answer of a search");
    count(x, rc == 1);
    if (rc == 0) {
        *w = before;
        w->out->n = n;
    }
    return rc;
}

void qdi_search_cached_keep(search_cached *c, search_run *x, const qd_json_writer *w)
{
    if (!c->usable || x->timed_out || x->failed || !x->answer_from) return;
    /* the words of a request don't tell what an operator of a plugin looks at */
    for (uint32_t i = 0; i < x->nindices; i++) {
        if (x->indices[i].uncacheable) return;
    }
    request_cache_shard *list = qd_arena_calloc(x->arena, x->nshards * sizeof *list);
    if (!list) return;
    for (uint32_t i = 0; i < x->nshards; i++) {
        memcpy(list[i].uuid, x->shards[i].index->meta->uuid, sizeof list[i].uuid);
        list[i].number = x->shards[i].number;
    }
    qd_str text = {w->out->p + x->answer_from, w->out->n - x->answer_from};
    qdi_request_cache_put(x->a->request_cache, key_of(c), text, list, x->nshards);
}

void qdi_search_cached_end(search_cached *c)
{
    qd_buf_fini(&c->question);
    qd_buf_fini(&c->as_of);
}
