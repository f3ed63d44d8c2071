/* model_world.h: a model of an API server whose time a test turns by hand, and requests that are
 * waited for. */
#ifndef QD_TESTS_KUBE_MODEL_WORLD_H
#define QD_TESTS_KUBE_MODEL_WORLD_H

#include "lib/kube_model.h"
#include "unit/unit.h"

#define MS 1000000ull
#define SECOND (1000 * MS)

typedef struct ask {
    kube_exchange x;
    bool done;
    json_t *json; /* of the answer */
    char *stream; /* of a watch */
    size_t n;
    unsigned lines;
} ask;

typedef struct world {
    kube_model *m;
    uint64_t now;
    kube_transport *t; /* an administrator's */
} world;

static inline void ask_done(kube_exchange *x)
{
    ask *a = x->user;
    json_error_t err;
    assert_false(a->done);
    a->done = true;
    if (x->answer.n) a->json = json_loadb(x->answer.p, x->answer.n, 0, &err);
}
static inline void ask_chunk(kube_exchange *x, qd_str bytes)
{
    ask *a = x->user;
    assert_int_equal(x->status, 200);
    a->stream = realloc(a->stream, a->n + bytes.n + 1);
    memcpy(a->stream + a->n, bytes.p, bytes.n);
    a->n += bytes.n;
    a->stream[a->n] = 0;
    for (size_t i = 0; i < bytes.n; i++) a->lines += bytes.p[i] == '\n';
}

/* Starts; `a` is fresh. method WATCH: a stream. */
static inline void ask_start(kube_transport *t, ask *a, const char *method, const char *target,
                             const char *body)
{
    bool watch = !strcmp(method, "WATCH");
    *a =
        (ask){.x = {.method = watch ? "GET" : method,
                    .target = target,
                    .body = {body ? body : "", body ? strlen(body) : 0},
                    .content_type = strcmp(method, "PATCH") ? NULL : "application/merge-patch+json",
                    .timeout_ns = watch ? 0 : 30 * KUBE_SECOND_NS,
                    .chunk = watch ? ask_chunk : NULL,
                    .done = ask_done}};
    a->x.user = a;
    assert_int_equal(t->start(t, &a->x), 0);
    assert_false(a->done);
}
static inline void ask_clear(ask *a)
{
    json_decref(a->json);
    free(a->stream);
    a->json = NULL;
    a->stream = NULL;
}

static inline void pass(world *w, uint64_t ns)
{
    w->now += ns;
    kube_model_turn(w->m, w->now);
}
/* Until it is done, at most so long. */
static inline void wait_for(world *w, ask *a, uint64_t ns)
{
    uint64_t end = w->now + ns;
    while (!a->done) {
        uint64_t next = kube_model_next(w->m);
        assert_true(next <= end);
        if (next > w->now) w->now = next;
        kube_model_turn(w->m, w->now);
    }
}
/* One request of a connection, to its end: the status, 0 when there was no answer. */
static inline int tell(world *w, kube_transport *t, const char *method, const char *target,
                       const char *body, json_t **out)
{
    ask a;
    ask_start(t, &a, method, target, body);
    wait_for(w, &a, 40 * SECOND);
    int status = a.x.outcome == KUBE_ANSWERED ? a.x.status : 0;
    if (out) *out = json_incref(a.json);
    ask_clear(&a);
    return status;
}

static inline world world_make(const kube_model_config *like, uint64_t seed)
{
    kube_model_config c = like ? *like : (kube_model_config){0};
    c.seed = seed;
    c.now_ns = 5 * SECOND;
    world w = {.now = c.now_ns};
    w.m = kube_model_make(&c);
    kube_model_quidditch(w.m);
    w.t = kube_model_connect(w.m, "admin", NULL);
    return w;
}
static inline void world_free(world *w)
{
    w->t->free(w->t, NULL, NULL);
    kube_model_free(w->m);
}

#define MAPS "/api/v1/namespaces/default/configmaps"
#define STATES "/apis/quidditch.io/v1/namespaces/default/quidditchstates"

/* The text of {data: {n: ...}}, as of that resourceVersion ("" none). */
static inline char *map_of(const char *name, int n, const char *rv)
{
    char *s;
    assert_true(asprintf(&s,
                         "{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"%s\"},"
                         "\"data\":{\"n\":\"%d\"}}",
                         name, rv, n) > 0);
    return s;
}
static inline const char *rv_of(const json_t *o)
{
    return json_string_value(json_object_get(json_object_get(o, "metadata"), "resourceVersion"));
}
static inline int n_of(const json_t *o)
{
    const char *s = json_string_value(json_object_get(json_object_get(o, "data"), "n"));
    return s ? (int)strtol(s, NULL, 10) : -1;
}
/* Makes or changes a map past all faults; its version, to be freed by json_decref of the tree. */
static inline json_t *put_map(world *w, const char *name, int n)
{
    json_t *o = NULL;
    char target[128], *body = map_of(name, n, "");
    snprintf(target, sizeof target, MAPS "/%s", name);
    if (kube_model_do(w->m, "PUT", target, body, &o) != 200) {
        json_decref(o);
        assert_int_equal(kube_model_do(w->m, "POST", MAPS, body, &o), 201);
    }
    free(body);
    return o;
}
/* What a stored map says; -1: it is not there. */
static inline int stored(world *w, const char *name)
{
    json_t *o = kube_model_get(w->m, "configmaps", "default", name);
    int n = o ? n_of(o) : -1;
    json_decref(o);
    return n;
}

#endif
