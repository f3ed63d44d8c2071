/* client_t.c: requests, their outcomes, repeats and limits; lists in pages; rights. */
#include "unit/kube/rig.h"
#include <kube/lenient.h>
#include <kube/list.h>
#include <kube/rules.h>

typedef struct told {
    rig w;
    kube_client *c;
    uint32_t done;
    kube_result last;
    char object[256];
} told;

static void on_done(kube_request *r)
{
    told *t = r->user;
    t->done++;
    t->last = r->result;
    t->object[0] = 0;
    if (r->result.object) {
        char *text = json_dumps(r->result.object, JSON_COMPACT | JSON_SORT_KEYS);
        (void)snprintf(t->object, sizeof t->object, "%s", text);
        free(text);
    }
}

static void begin(told *t, const kube_client_options *o)
{
    memset(t, 0, sizeof *t);
    rig_init(&t->w);
    t->c = kube_client_make(&t->w.env, &t->w.transport, o);
    assert_non_null(t->c);
}

static void over(told *t)
{
    kube_client_free(t->c);
    rig_fini(&t->w);
}

static kube_request get(told *t)
{
    return (kube_request){.method = "GET", .path = "/api/v1/x", .done = on_done, .user = t};
}

static kube_request put(told *t)
{
    return (kube_request){
        .method = "PUT", .path = "/api/v1/x", .text = {"{}", 2}, .done = on_done, .user = t};
}

static void answers_are_told(void **state)
{
    (void)state;
    told t;
    begin(&t, NULL);
    kube_request r = get(&t);
    assert_int_equal(kube_send(t.c, &r), 0);
    assert_int_equal(t.done, 0);
    assert_int_equal(t.w.n, 1);
    assert_string_equal(t.w.open[0]->target, "/api/v1/x");
    assert_int_equal(t.w.open[0]->timeout_ns, 30 * KUBE_SECOND_NS);
    rig_answer(&t.w, t.w.open[0], 200, "{\"metadata\":{\"resourceVersion\":\"7\"}}");
    assert_int_equal(t.done, 1);
    assert_int_equal(t.last.outcome, KUBE_DONE);
    assert_int_equal(t.last.code, 200);
    assert_string_equal(t.object, "{\"metadata\":{\"resourceVersion\":\"7\"}}");
    r = put(&t);
    r.text.n = 0;
    r.object = json_pack("{s:i}", "a", 1);
    assert_int_equal(kube_send(t.c, &r), 0);
    json_decref(r.object);
    assert_int_equal(t.w.open[0]->body.n, 7);
    assert_memory_equal(t.w.open[0]->body.p, "{\"a\":1}", 7);
    rig_answer(&t.w, t.w.open[0], 409,
               "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"was changed\"}");
    assert_int_equal(t.last.outcome, KUBE_REFUSED);
    assert_int_equal(t.last.code, 409);
    assert_string_equal(t.last.reason, "Conflict");
    assert_string_equal(t.last.message, "was changed");
    assert_int_equal(kube_result_rc(&t.last), QD_E_CONFLICT);
    over(&t);
}

/* What a write's end says about its effect. */
static void writes_tell_whether_they_happened(void **state)
{
    (void)state;
    static const struct {
        int32_t outcome, status;
        const char *body;
        int32_t is;
    } all[] = {
        {KUBE_ANSWERED, 200, "{}", KUBE_DONE},        {KUBE_ANSWERED, 201, "{}", KUBE_DONE},
        {KUBE_ANSWERED, 200, "<html>", KUBE_UNKNOWN}, {KUBE_ANSWERED, 200, "", KUBE_UNKNOWN},
        {KUBE_ANSWERED, 200, "[]", KUBE_UNKNOWN},     {KUBE_ANSWERED, 302, "", KUBE_UNKNOWN},
        {KUBE_ANSWERED, 400, "", KUBE_REFUSED},       {KUBE_ANSWERED, 401, "", KUBE_REFUSED},
        {KUBE_ANSWERED, 403, "", KUBE_REFUSED},       {KUBE_ANSWERED, 404, "", KUBE_REFUSED},
        {KUBE_ANSWERED, 408, "", KUBE_UNKNOWN},       {KUBE_ANSWERED, 409, "", KUBE_REFUSED},
        {KUBE_ANSWERED, 422, "", KUBE_REFUSED},       {KUBE_ANSWERED, 429, "", KUBE_UNKNOWN},
        {KUBE_ANSWERED, 500, "", KUBE_UNKNOWN},       {KUBE_ANSWERED, 503, "", KUBE_UNKNOWN},
        {KUBE_ANSWERED, 504, "", KUBE_UNKNOWN},       {KUBE_NOT_SENT, 0, "", KUBE_REFUSED},
        {KUBE_NO_ANSWER, 0, "", KUBE_UNKNOWN},        {KUBE_NO_ANSWER, 200, "", KUBE_UNKNOWN},
        {KUBE_TOO_LARGE, 200, "", KUBE_UNKNOWN},      {KUBE_TOO_LARGE, 409, "", KUBE_REFUSED}};
    told t;
    begin(&t, NULL);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        kube_request r = put(&t);
        assert_int_equal(kube_send(t.c, &r), 0);
        rig_end(&t.w, t.w.open[0], all[i].outcome, all[i].status, all[i].body, -1);
        assert_int_equal(t.done, i + 1);
        assert_int_equal(t.last.outcome, all[i].is);
        assert_int_equal(t.last.attempts, 1);
        assert_int_equal(t.w.started, i + 1);
        assert_true(all[i].is == KUBE_DONE || t.last.message[0]);
        assert_true((kube_result_rc(&t.last) == 0) == (all[i].is == KUBE_DONE));
        assert_null(t.w.timers.first);
    }
    kube_request r = put(&t);
    r.repeat = 1;
    assert_int_equal(kube_send(t.c, &r), QD_E_ARG);
    over(&t);
}

static void reads_are_repeated(void **state)
{
    (void)state;
    told t;
    begin(&t, NULL);
    kube_request r = get(&t);
    r.repeat = 1;
    assert_int_equal(kube_send(t.c, &r), 0);
    rig_end(&t.w, t.w.open[0], KUBE_NO_ANSWER, 0, "", -1);
    assert_int_equal(t.w.n, 0);
    rig_pass(&t.w, KUBE_SECOND_NS / 10);
    assert_int_equal(t.w.n, 1);
    rig_answer(&t.w, t.w.open[0], 500, "no");
    rig_pass(&t.w, KUBE_SECOND_NS);
    assert_int_equal(t.w.n, 1);
    /* Retry-After is waited for */
    rig_end(&t.w, t.w.open[0], KUBE_ANSWERED, 429, "", 3 * KUBE_SECOND_NS);
    rig_pass(&t.w, 3 * KUBE_SECOND_NS);
    assert_int_equal(t.w.n, 0);
    rig_pass(&t.w, KUBE_SECOND_NS);
    assert_int_equal(t.w.n, 1);
    assert_int_equal(t.done, 0);
    rig_answer(&t.w, t.w.open[0], 200, "{}");
    assert_int_equal(t.done, 1);
    assert_int_equal(t.last.attempts, 4);
    /* its answers that say something are not */
    r = get(&t);
    r.repeat = 1;
    assert_int_equal(kube_send(t.c, &r), 0);
    rig_answer(&t.w, t.w.open[0], 404, "");
    assert_int_equal(t.done, 2);
    /* until its time is over */
    r = get(&t);
    r.repeat = 1;
    r.timeout_ns = 10 * KUBE_SECOND_NS;
    int64_t from = t.w.now;
    assert_int_equal(kube_send(t.c, &r), 0);
    for (int i = 0; i < 1000 && t.done == 2; i++) {
        if (t.w.n) rig_end(&t.w, t.w.open[0], KUBE_NOT_SENT, 0, "", -1);
        if (t.done == 2) rig_pass(&t.w, KUBE_SECOND_NS / 10);
    }
    assert_int_equal(t.done, 3);
    assert_int_equal(t.last.outcome, KUBE_REFUSED);
    assert_true(t.w.now - from <= 10 * KUBE_SECOND_NS);
    assert_true(t.last.attempts > 3);
    /* 401: once more, as the token may have been replaced */
    r = get(&t);
    r.repeat = 1;
    assert_int_equal(kube_send(t.c, &r), 0);
    rig_answer(&t.w, t.w.open[0], 401, "");
    rig_pass(&t.w, KUBE_SECOND_NS);
    rig_answer(&t.w, t.w.open[0], 401, "");
    assert_int_equal(t.done, 4);
    assert_int_equal(kube_result_rc(&t.last), QD_E_SECURITY);
    over(&t);
}

static void requests_wait_for_their_turn(void **state)
{
    (void)state;
    told t;
    kube_client_options o = {.open_max = 2, .queue_max = 2};
    begin(&t, &o);
    kube_request r[6];
    for (int i = 0; i < 6; i++) {
        r[i] = put(&t);
        r[i].timeout_ns = (i == 3 ? 5 : 60) * KUBE_SECOND_NS;
    }
    for (int i = 0; i < 4; i++) assert_int_equal(kube_send(t.c, &r[i]), 0);
    assert_int_equal(kube_send(t.c, &r[4]), QD_E_REJECTED);
    assert_int_equal(kube_client_open(t.c), 2);
    assert_int_equal(kube_client_waiting(t.c), 2);
    rig_pass(&t.w, 6 * KUBE_SECOND_NS); /* the fourth gives up: it was never sent */
    assert_int_equal(t.done, 1);
    assert_int_equal(t.last.outcome, KUBE_REFUSED);
    assert_int_equal(t.last.attempts, 0);
    rig_answer(&t.w, &r[0].exchange, 200, "{}");
    assert_int_equal(kube_client_waiting(t.c), 0);
    assert_ptr_equal(t.w.open[1], &r[2].exchange);
    assert_int_equal(r[2].exchange.timeout_ns, 54 * KUBE_SECOND_NS); /* waiting counts */
    assert_int_equal(kube_send(t.c, &r[4]), 0);
    /* what waits was certainly not sent; what is open may have been */
    assert_int_equal(kube_cancel(&r[4]), KUBE_REFUSED);
    assert_int_equal(kube_send(t.c, &r[5]), 0);
    assert_int_equal(kube_cancel(&r[2]), KUBE_UNKNOWN);
    assert_ptr_equal(t.w.open[1], &r[5].exchange);
    t.w.cancel_outcome = KUBE_NOT_SENT;
    assert_int_equal(kube_cancel(&r[5]), KUBE_REFUSED);
    assert_int_equal(kube_cancel(&r[5]), KUBE_REFUSED);
    assert_int_equal(t.done, 2);
    /* a transport that takes nothing */
    t.w.refuse = QD_E_NOMEM;
    r[4] = put(&t);
    assert_int_equal(kube_send(t.c, &r[4]), 0);
    assert_int_equal(t.done, 2);
    rig_pass(&t.w, 0);
    assert_int_equal(t.done, 3);
    assert_int_equal(t.last.outcome, KUBE_REFUSED);
    t.w.refuse = 0;
    /* the client goes while one is open and one waits */
    r[0] = put(&t);
    r[0].object = json_object();
    assert_int_equal(kube_send(t.c, &r[0]), 0);
    json_decref(r[0].object);
    r[2] = put(&t);
    assert_int_equal(kube_send(t.c, &r[2]), 0);
    over(&t);
    assert_int_equal(t.done, 3);
}

static void paths_are_encoded(void **state)
{
    (void)state;
    char p[KUBE_PATH_MAX], small[8], name[900];
    assert_int_equal(kube_path(p, "", "v1", NULL, "nodes", NULL, NULL, NULL), 0);
    assert_string_equal(p, "/api/v1/nodes");
    assert_int_equal(
        kube_path(p, "quidditch.io", "v1", "a", "quidditchindices", "b c/d", "status", "x=1"), 0);
    assert_string_equal(p,
                        "/apis/quidditch.io/v1/namespaces/a/quidditchindices/b%20c%2Fd/status?x=1");
    assert_int_equal(kube_encode(small, sizeof small, "a=\xc3"), 0);
    assert_string_equal(small, "a%3D%C3");
    assert_int_equal(kube_encode(small, sizeof small,
                                 "a=\xc3"
                                 "b"),
                     QD_E_ARG);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(kube_path(p, "", "v1", NULL, "nodes", name, NULL, NULL), QD_E_ARG);
}

/* --- lists --- */

typedef struct listing {
    told t;
    kube_list l;
    char names[256];
    uint32_t again, done;
    int32_t page_rc, cancel;
} listing;

static int32_t on_page(kube_list *l, json_t *items)
{
    listing *g = l->user;
    for (size_t i = 0; i < json_array_size(items); i++) {
        size_t n = strlen(g->names);
        (void)snprintf(g->names + n, sizeof g->names - n, "%s ",
                       kube_object_name(json_array_get(items, i)));
    }
    if (g->cancel) kube_list_cancel(l);
    return g->page_rc;
}
static void on_again(kube_list *l)
{
    listing *g = l->user;
    g->again++;
    g->names[0] = 0;
}
static void on_list(kube_list *l)
{
    ((listing *)l->user)->done++;
}

static void list_begin(listing *g)
{
    memset(g, 0, sizeof *g);
    begin(&g->t, NULL);
    g->l = (kube_list){.group = "quidditch.io",
                       .version = "v1",
                       .ns = "a",
                       .plural = "states",
                       .labels = "a=b,c",
                       .page = on_page,
                       .again = on_again,
                       .done = on_list,
                       .user = g};
    assert_int_equal(kube_list_start(g->t.c, &g->l), 0);
}

static void page(listing *g, const char *version, const char *token, const char *name)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"resourceVersion\":\"%s\",\"continue\":\"%s\"},"
                   "\"items\":[{\"metadata\":{\"name\":\"%s\"}}]}",
                   version, token, name);
    rig_answer(&g->t.w, g->t.w.open[0], 200, body);
}

static void lists_come_in_pages(void **state)
{
    (void)state;
    listing g;
    list_begin(&g);
    assert_string_equal(
        g.t.w.open[0]->target,
        "/apis/quidditch.io/v1/namespaces/a/states?limit=500&labelSelector=a%3Db%2Cc");
    page(&g, "9", "t/1=", "x");
    assert_non_null(strstr(g.t.w.open[0]->target, "&continue=t%2F1%3D"));
    page(&g, "9", "t2", "y");
    /* forgotten in the middle: from the beginning */
    rig_answer(&g.t.w, g.t.w.open[0], 410, "{\"reason\":\"Expired\"}");
    assert_int_equal(g.again, 1);
    assert_null(strstr(g.t.w.open[0]->target, "continue"));
    page(&g, "12", "t3", "x");
    /* a page that is too large: half of it */
    rig_end(&g.t.w, g.t.w.open[0], KUBE_TOO_LARGE, 200, "", -1);
    assert_non_null(strstr(g.t.w.open[0]->target, "limit=250"));
    assert_non_null(strstr(g.t.w.open[0]->target, "continue=t3"));
    page(&g, "13", "", "z"); /* a watch from the first page's moment misses nothing */
    assert_int_equal(g.done, 1);
    assert_int_equal(g.l.rc, 0);
    assert_string_equal(g.names, "x z ");
    assert_string_equal(g.l.resource_version, "12");
    assert_int_equal(g.l.items, 2);
    over(&g.t);
}

static void lists_end(void **state)
{
    (void)state;
    listing g;
    list_begin(&g);
    rig_answer(&g.t.w, g.t.w.open[0], 403, "{\"message\":\"no\"}");
    assert_int_equal(g.l.rc, QD_E_SECURITY);
    over(&g.t);
    /* for ever forgotten */
    list_begin(&g);
    for (int i = 0; i < 6; i++) rig_answer(&g.t.w, g.t.w.open[0], 410, "");
    assert_int_equal(g.done, 1);
    assert_int_equal(g.l.rc, QD_E_LIMIT);
    over(&g.t);
    /* no version: from where would one watch? */
    list_begin(&g);
    rig_answer(&g.t.w, g.t.w.open[0], 200, "{\"items\":[]}");
    assert_int_equal(g.l.rc, QD_E_PARSE);
    over(&g.t);
    /* the owner has had enough */
    list_begin(&g);
    g.page_rc = QD_E_CANCELLED;
    page(&g, "1", "t", "x");
    assert_int_equal(g.l.rc, QD_E_CANCELLED);
    over(&g.t);
    list_begin(&g);
    g.cancel = 1;
    page(&g, "1", "t", "x");
    assert_int_equal(g.done, 0);
    over(&g.t);
    list_begin(&g);
    kube_list_cancel(&g.l);
    kube_list_cancel(&g.l);
    assert_int_equal(g.done, 0);
    over(&g.t);
}

/* --- rights --- */

static const kube_wanted wanted[] = {
    {"quidditch.io", "quidditchstates", "get,list,watch,create", NULL},
    {"quidditch.io", "quidditchindices/status", "update", NULL},
    {"coordination.k8s.io", "leases", "get,create,update", "quidditch-leader"},
    {"", "pods", "get", NULL}};

static void compare(told *t, kube_rules *r, const char *rules)
{
    char text[2048];
    json_error_t error;
    (void)snprintf(text, sizeof text, "{\"status\":{\"incomplete\":false,\"resourceRules\":[%s]}}",
                   rules);
    json_t *review = json_loads(text, 0, &error);
    assert_non_null(review);
    assert_int_equal(kube_rules_compare(&t->w.env, r, review), 0);
    json_decref(review);
}

static void rules_done(kube_rules *r)
{
    ((told *)r->user)->done++;
}

static void rights_that_are_missing_are_told(void **state)
{
    (void)state;
    told t;
    begin(&t, NULL);
    kube_rules r = {.ns = "search", .wanted = wanted, .n = 4, .done = rules_done, .user = &t};
    assert_int_equal(kube_rules_start(t.c, &r), 0);
    assert_string_equal(t.w.open[0]->method, "POST");
    assert_non_null(strstr(t.w.open[0]->body.p, "\"namespace\":\"search\""));
    rig_answer(&t.w, t.w.open[0], 201,
               "{\"status\":{\"resourceRules\":[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],"
               "\"resources\":[\"*\"]}]}}");
    assert_int_equal(t.done, 1);
    assert_int_equal(r.rc, 0);
    assert_int_equal(r.missing, 0);
    assert_null(r.text);
    compare(
        &t, &r,
        "{\"verbs\":[\"get\",\"list\",\"watch\"],\"apiGroups\":[\"quidditch.io\"],"
        "\"resources\":[\"quidditchstates\"]},"
        "{\"verbs\":[\"update\"],\"apiGroups\":[\"quidditch.io\"],\"resources\":[\"*/status\"]},"
        "{\"verbs\":[\"get\",\"create\"],\"apiGroups\":[\"coordination.k8s.io\"],"
        "\"resources\":[\"leases\"],\"resourceNames\":[\"quidditch-leader\"]},"
        "{\"verbs\":[\"get\"],\"apiGroups\":[\"apps\"],\"resources\":[\"pods\"]}");
    /* create of states; create of leases (a name does not bind it), update; get of pods */
    assert_int_equal(r.missing, 4);
    assert_non_null(strstr(r.text, "pods: \"get\" is not granted"));
    assert_non_null(strstr(r.text, "namespace: search\nrules:\n"));
    assert_non_null(strstr(r.text, "  - apiGroups: [\"quidditch.io\"]\n"
                                   "    resources: [\"quidditchstates\"]\n"
                                   "    verbs: [\"create\"]\n"));
    assert_non_null(strstr(r.text, "  - apiGroups: [\"coordination.k8s.io\"]\n"
                                   "    resources: [\"leases\"]\n"
                                   "    resourceNames: [\"quidditch-leader\"]\n"
                                   "    verbs: [\"update\"]\n"
                                   "  - apiGroups: [\"coordination.k8s.io\"]\n"
                                   "    resources: [\"leases\"]\n"
                                   "    verbs: [\"create\"]\n"));
    assert_null(strstr(r.text, "status\"]"));
    kube_rules_clear(&r);
    /* an answer that is none */
    assert_int_equal(kube_rules_start(t.c, &r), 0);
    rig_answer(&t.w, t.w.open[0], 201, "{}");
    assert_int_equal(r.rc, QD_E_PARSE);
    assert_int_equal(kube_rules_start(t.c, &r), 0);
    rig_answer(&t.w, t.w.open[0], 503, "");
    assert_int_equal(r.rc, QD_E_IO);
    kube_rules_clear(&r);
    over(&t);
}

static void fired(kube_timer *t)
{
    (*(int *)t->user)++;
}

static void timers_fire_in_order(void **state)
{
    (void)state;
    rig w;
    int n[3] = {0};
    kube_timer t[3] = {{0}};
    rig_init(&w);
    for (int i = 0; i < 3; i++) {
        t[i].fired = fired;
        t[i].user = &n[i];
        kube_timers_set(&w.timers, &t[i], 30 - i * 10);
    }
    assert_int_equal(kube_timers_next(&w.timers), 10);
    kube_timers_run(&w.timers, 20);
    assert_int_equal(n[0] + n[1] * 10 + n[2] * 100, 110);
    kube_timers_set(&w.timers, &t[0], 50);
    kube_timers_run(&w.timers, 49);
    assert_int_equal(n[0], 0);
    kube_timers_clear(&w.timers, &t[0]);
    kube_timers_clear(&w.timers, &t[0]);
    kube_timers_run(&w.timers, 100);
    assert_int_equal(n[0], 0);
    for (uint32_t i = 0; i < 40; i++) {
        int64_t wait = kube_backoff_ns(&w.env, i, 100, 1000);
        int64_t most = i < 4 ? 100 << i : 1000;
        assert_true(wait >= (most > 1000 ? 1000 : most) / 2 && wait <= most);
    }
}

static json_t *lenient(const char *text)
{
    json_error_t error;
    return kube_json(text, strlen(text), &error);
}

static const char *name_at(const json_t *list, size_t i)
{
    return kube_object_name(json_array_get(json_object_get(list, "items"), i));
}

static void objects_that_cannot_be_read_hide_no_others(void **state)
{
    (void)state;
    static char deep[1 << 17];
    size_t n =
        (size_t)snprintf(deep, sizeof deep, "%s", "{\"type\":\"ADDED\",\"object\":{\"spec\":");
    for (int i = 0; i < 5000; i++) n += (size_t)snprintf(deep + n, sizeof deep - n, "[{\"a\":");
    deep[n++] = '1';
    for (int i = 0; i < 5000; i++) n += (size_t)snprintf(deep + n, sizeof deep - n, "}]");
    (void)snprintf(deep + n, sizeof deep - n, "%s", ",\"metadata\":{\"name\":\"deep\"}}}\n");
    json_t *list = lenient(
        " {\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[ {\"metadata\":{\"name\":\"a\"}} ,"
        "{\"spec\":{\"x\\u0000y\":\"\\\"]}\"},\"metadata\":{\"managedFields\":[{\"f:x\\u0000y\":{}}"
        "],"
        "\"name\":\"b\"},\"status\":{\"z\":[1,{}]}},{\"metadata\":{\"name\":\"c\"}}]}");
    assert_int_equal(json_array_size(json_object_get(list, "items")), 3);
    assert_string_equal(name_at(list, 0), "a");
    assert_string_equal(name_at(list, 1), "b");
    assert_string_equal(name_at(list, 2), "c");
    const json_t *b = json_array_get(json_object_get(list, "items"), 1);
    assert_true(json_is_true(json_object_get(b, KUBE_UNREADABLE)));
    assert_null(json_object_get(b, "spec"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(b, "status"), "z")), 2);
    assert_null(
        json_object_get(json_array_get(json_object_get(list, "items"), 2), KUBE_UNREADABLE));
    json_decref(list);
    json_t *event = lenient(deep), *object = json_object_get(event, "object");
    assert_string_equal(kube_object_name(object), "deep");
    assert_true(json_is_true(json_object_get(object, KUBE_UNREADABLE)));
    json_decref(event);
    json_t *one = lenient("{\"metadata\":{\"name\":\"o\"},\"spec\":{\"\\u0000\":1}}");
    assert_string_equal(kube_object_name(one), "o");
    json_decref(one);
    one = lenient("{\"metadata\":{\"name\":\"o\",\"name\\u0000x\":\"p\"},"
                  "\"metadata\\u0000x\":{\"name\":\"p\"}}");
    assert_string_equal(kube_object_name(one), "o"); /* a name is not what stands before a NUL */
    assert_true(json_is_true(json_object_get(one, KUBE_UNREADABLE)));
    json_decref(one);
    one = lenient("{\"text\":\"a\\u0000b\"}"); /* as a value it is one */
    assert_null(json_object_get(one, KUBE_UNREADABLE));
    json_decref(one);
    static const char *const none[] = {
        "",           "x",
        "{",          "{\"a\":}",
        "[1",         "{\"items\":[",
        "{\"a\":1}}", "{\"metadata\":{\"name\":\"o\"},\"spec\":{\"a\":"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) assert_null(lenient(none[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_that_cannot_be_read_hide_no_others),
        cmocka_unit_test(answers_are_told),
        cmocka_unit_test(writes_tell_whether_they_happened),
        cmocka_unit_test(reads_are_repeated),
        cmocka_unit_test(requests_wait_for_their_turn),
        cmocka_unit_test(paths_are_encoded),
        cmocka_unit_test(lists_come_in_pages),
        cmocka_unit_test(lists_end),
        cmocka_unit_test(rights_that_are_missing_are_told),
        cmocka_unit_test(timers_fire_in_order),
    };
    return unit_run(tests);
}
