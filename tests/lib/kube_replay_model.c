/*
 * kube_replay_model.c: the model plays recorded requests, over its transport, in virtual time. User
 * "nobody" has no rights.
 */
#include "lib/kube_model.h"
#include "lib/kube_replay.h"
#include <stdlib.h>
#include <string.h>

typedef struct model_player {
    kube_model *m;
    kube_transport *admin, *nobody;
    uint64_t now_ns;
    bool done;
    int events;
    char *text;
    size_t n;
} model_player;

static void add(model_player *p, qd_str bytes)
{
    p->text = realloc(p->text, p->n + bytes.n + 1);
    if (!p->text) exit(2);
    memcpy(p->text + p->n, bytes.p, bytes.n);
    p->n += bytes.n;
}

static void chunk(kube_exchange *x, qd_str bytes)
{
    model_player *p = x->user;
    add(p, bytes);
    for (size_t i = 0; i < bytes.n; i++)
        if (bytes.p[i] == '\n') p->events--;
}

static void done(kube_exchange *x)
{
    model_player *p = x->user;
    p->done = true;
    if (x->answer.n) add(p, x->answer);
}

static kube_answer ask(void *arg, const char *user, const char *method, const char *target,
                       const char *type, const char *body, size_t n, int events)
{
    model_player *p = arg;
    kube_transport *t = *user ? p->nobody : p->admin;
    kube_exchange x = {.method = method,
                       .target = target,
                       .content_type = type,
                       .accept = strcmp(method, "GET") ? NULL : type,
                       .body = {body, n},
                       .timeout_ns = 60 * KUBE_SECOND_NS,
                       .chunk = events ? chunk : NULL,
                       .done = done,
                       .user = p};
    p->done = false;
    p->events = events ? events : 1;
    p->text = NULL;
    p->n = 0;
    add(p, (qd_str){"", 0});
    if (t->start(t, &x) != 0) exit(2);
    while (!p->done && p->events > 0) {
        uint64_t next = kube_model_next(p->m);
        if (next == KUBE_MODEL_NEVER) break;
        p->now_ns = next > p->now_ns ? next : p->now_ns;
        kube_model_turn(p->m, p->now_ns);
    }
    if (!p->done) t->cancel(t, &x);
    return (kube_answer){.status = x.status, .body = p->text, .n = p->n};
}

static void compact(void *arg)
{
    model_player *p = arg;
    kube_model_compact(p->m);
    kube_model_restart(p->m, 0);
}

kube_player kube_replay_model(void)
{
    model_player *p = calloc(1, sizeof *p);
    if (!p) exit(2);
    p->now_ns = 1;
    p->m = kube_model_make(&(kube_model_config){.seed = 1, .now_ns = 1});
    p->admin = kube_model_connect(p->m, "replay", NULL);
    p->nobody = kube_model_connect(p->m, "nobody", "nobody");
    return (kube_player){.ask = ask, .compact = compact, .arg = p};
}

void kube_replay_model_free(kube_player *player)
{
    model_player *p = player->arg;
    p->admin->free(p->admin, NULL, NULL);
    p->nobody->free(p->nobody, NULL, NULL);
    kube_model_free(p->m);
    free(p);
    player->arg = NULL;
}
