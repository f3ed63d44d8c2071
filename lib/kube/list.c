/* list.c: see list.h. */
#include "list.h"
#include <stdio.h>
#include <string.h>

enum { LIMIT_DEFAULT = 500, RESTARTS_MAX = 5, TOKEN_MAX = 4096, SELECTOR_MAX = 384 };

static void end(kube_list *l, int32_t rc)
{
    const kube_env *env = kube_client_env(l->client);
    l->rc = rc;
    l->running = 0;
    kube_free(env, l->next);
    kube_free(env, l->path);
    l->next = l->path = NULL;
    l->done(l);
}

/* "&key=value", encoded. */
static int32_t put_query(char *out, size_t room, size_t *n, const char *key, const char *value)
{
    if (!value || !value[0]) return 0;
    int k = snprintf(out + *n, room - *n, "&%s=", key);
    if (k < 0 || (size_t)k >= room - *n) return QD_E_ARG;
    *n += (size_t)k;
    if (kube_encode(out + *n, room - *n, value)) return QD_E_ARG;
    *n += strlen(out + *n);
    return 0;
}

/* The path of the next page, in memory of its own: tokens are long. */
static int32_t make_path(kube_list *l)
{
    const kube_env *env = kube_client_env(l->client);
    size_t room = KUBE_PATH_MAX + 3 * (SELECTOR_MAX * 2 + TOKEN_MAX) + 64, n;
    char limit[32];
    kube_free(env, l->path);
    if (!(l->path = kube_alloc(env, room))) return QD_E_NOMEM;
    (void)snprintf(limit, sizeof limit, "limit=%u", (unsigned)l->page_limit);
    int32_t rc = kube_path(l->path, l->group, l->version, l->ns, l->plural, NULL, NULL, limit);
    if (rc) return rc;
    n = strlen(l->path);
    if ((rc = put_query(l->path, room, &n, "labelSelector", l->labels))) return rc;
    if ((rc = put_query(l->path, room, &n, "fieldSelector", l->fields))) return rc;
    return put_query(l->path, room, &n, "continue", l->next);
}

static void on_page(kube_request *r);

static int32_t ask(kube_list *l)
{
    int32_t rc = make_path(l);
    if (rc) return rc;
    l->request = (kube_request){.method = "GET",
                                .path = l->path,
                                .timeout_ns = l->timeout_ns,
                                .repeat = 1,
                                .done = on_page,
                                .user = l};
    return kube_send(l->client, &l->request);
}

static void ask_or_end(kube_list *l)
{
    int32_t rc = ask(l);
    if (rc) end(l, rc);
}

/* From the first page on. */
static void again(kube_list *l)
{
    if (++l->restarts > RESTARTS_MAX) {
        end(l, QD_E_LIMIT);
        return;
    }
    kube_free(kube_client_env(l->client), l->next);
    l->next = NULL;
    l->items = 0;
    l->resource_version[0] = 0;
    if (l->again) l->again(l);
    if (l->running) ask_or_end(l);
}

/* Takes what the page says about the rest: the moment, and the token. */
static int32_t take_meta(kube_list *l, const json_t *object)
{
    const kube_env *env = kube_client_env(l->client);
    const char *version = kube_object_version(object);
    const char *token =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "continue"));
    size_t n = strlen(version);
    /* the first page's: a watch from there misses nothing */
    if (!l->resource_version[0]) {
        if (n == 0 || n >= sizeof l->resource_version) return QD_E_PARSE;
        memcpy(l->resource_version, version, n + 1);
    }
    kube_free(env, l->next);
    l->next = NULL;
    if (!token || !token[0]) return 0;
    if (strlen(token) > TOKEN_MAX) return QD_E_PARSE;
    l->next = kube_copy(env, token, strlen(token));
    return l->next ? 0 : QD_E_NOMEM;
}

static void on_page(kube_request *r)
{
    kube_list *l = r->user;
    if (r->result.code == 410) {
        again(l);
        return;
    }
    /* objects so large that a page of them is too much: fewer at once */
    if (r->exchange.outcome == KUBE_TOO_LARGE && l->page_limit > 1) {
        l->page_limit /= 2;
        ask_or_end(l);
        return;
    }
    if (r->result.outcome != KUBE_DONE) {
        end(l, r->exchange.outcome == KUBE_TOO_LARGE ? QD_E_TOO_LARGE : kube_result_rc(&r->result));
        return;
    }
    json_t *items = json_object_get(r->result.object, "items");
    int32_t rc = take_meta(l, r->result.object);
    if (rc == 0 && items && !json_is_array(items) && !json_is_null(items)) rc = QD_E_PARSE;
    if (rc == 0 && json_is_array(items)) {
        l->items += json_array_size(items);
        rc = l->page(l, items);
        if (!l->running) return; /* cancelled from inside */
    }
    if (rc || !l->next)
        end(l, rc);
    else
        ask_or_end(l);
}

int32_t kube_list_start(kube_client *c, kube_list *l)
{
    if (l->running) return QD_E_STATE;
    if (!l->page || !l->done || !l->group || !l->version || !l->plural) return QD_E_ARG;
    if ((l->labels && strlen(l->labels) > SELECTOR_MAX) ||
        (l->fields && strlen(l->fields) > SELECTOR_MAX))
        return QD_E_ARG;
    l->client = c;
    l->next = l->path = NULL;
    l->page_limit = l->limit ? l->limit : LIMIT_DEFAULT;
    l->restarts = 0;
    l->items = 0;
    l->rc = 0;
    l->resource_version[0] = 0;
    int32_t rc = ask(l);
    l->running = rc == 0;
    if (rc) {
        kube_free(kube_client_env(c), l->path);
        l->path = NULL;
    }
    return rc;
}

void kube_list_cancel(kube_list *l)
{
    if (!l->running) return;
    const kube_env *env = kube_client_env(l->client);
    l->running = 0;
    (void)kube_cancel(&l->request);
    kube_free(env, l->next);
    kube_free(env, l->path);
    l->next = l->path = NULL;
}
