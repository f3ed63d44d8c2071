/* watch_t.c: lines out of chunks split anywhere, and watches that live on through everything. */
#include "unit/kube/rig.h"
#include <kube/watch.h>

/* --- lines --- */

typedef struct gathered {
    char text[512];
    uint32_t n;
    int32_t fail_at;
} gathered;

static int32_t on_line(void *arg, qd_str line)
{
    gathered *g = arg;
    size_t n = strlen(g->text);
    (void)snprintf(g->text + n, sizeof g->text - n, "[%.*s]", (int)line.n, line.p);
    g->n++;
    return g->fail_at && (int32_t)g->n == g->fail_at ? 77 : 0;
}

static void lines_survive_every_split(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":1}\n\r\n{\"b\":\"\xc3\xa4\"}\r\nlast";
    static const char want[] = "[{\"a\":1}][{\"b\":\"\xc3\xa4\"}]";
    size_t all = sizeof text - 1;
    rig w;
    rig_init(&w);
    for (size_t i = 0; i <= all; i++) {
        for (size_t k = i; k <= all; k++) {
            gathered g = {{0}, 0, 0};
            kube_lines l = {.env = &w.env, .max = 100, .line = on_line, .arg = &g};
            assert_int_equal(kube_lines_feed(&l, (qd_str){text, i}), 0);
            assert_int_equal(kube_lines_feed(&l, (qd_str){text + i, k - i}), 0);
            assert_int_equal(kube_lines_feed(&l, (qd_str){text + k, all - k}), 0);
            assert_string_equal(g.text, want);
            assert_int_equal(kube_lines_feed(&l, (qd_str){"\n", 1}), 0);
            assert_int_equal(g.n, 3);
            kube_lines_clear(&l);
        }
    }
    rig_fini(&w);
}

static void lines_have_a_bound(void **state)
{
    (void)state;
    static const char eleven[] = "0123456789a\n";
    rig w;
    rig_init(&w);
    for (size_t split = 1; split < 12; split++) {
        gathered g = {{0}, 0, 0};
        kube_lines l = {.env = &w.env, .max = 10, .line = on_line, .arg = &g};
        assert_int_equal(kube_lines_feed(&l, (qd_str){"0123456789\n", 11}), 0);
        int32_t rc = kube_lines_feed(&l, (qd_str){eleven, split});
        if (!rc) rc = kube_lines_feed(&l, (qd_str){eleven + split, 12 - split});
        assert_int_equal(rc, QD_E_TOO_LARGE);
        assert_int_equal(g.n, 1);
        kube_lines_clear(&l);
    }
    gathered g = {{0}, 0, 2};
    kube_lines l = {.env = &w.env, .max = 10, .line = on_line, .arg = &g};
    assert_int_equal(kube_lines_feed(&l, (qd_str){"a\nb\nc\n", 6}), 77);
    assert_int_equal(g.n, 2);
    kube_lines_clear(&l);
    rig_fini(&w);
}

/* --- watches --- */

typedef struct seen {
    rig w;
    kube_client *c;
    kube_watch watch;
    char events[512];
    uint32_t relists, ups, downs;
    int32_t stop_at_event, stop_at_relist;
} seen;

static void on_event(kube_watch *w, int32_t type, json_t *object)
{
    seen *s = w->user;
    size_t n = strlen(s->events);
    (void)snprintf(s->events + n, sizeof s->events - n, "%c%s@%s ", "?AMDB"[type],
                   kube_object_name(object), kube_object_version(object));
    if (s->stop_at_event) kube_watch_stop(w);
}
static void on_relist(kube_watch *w)
{
    seen *s = w->user;
    s->relists++;
    if (s->stop_at_relist) kube_watch_stop(w);
}
static void on_connected(kube_watch *w, int32_t yes)
{
    seen *s = w->user;
    if (yes)
        s->ups++;
    else
        s->downs++;
}

static void begin(seen *s)
{
    memset(s, 0, sizeof *s);
    rig_init(&s->w);
    s->c = kube_client_make(&s->w.env, &s->w.transport, NULL);
    assert_non_null(s->c);
    s->watch = (kube_watch){.group = "quidditch.io",
                            .version = "v1",
                            .ns = "a",
                            .plural = "states",
                            .name = "root",
                            .event = on_event,
                            .relist = on_relist,
                            .connected = on_connected,
                            .user = s};
    assert_int_equal(kube_watch_start(s->c, &s->watch, "5"), 0);
    assert_int_equal(s->w.n, 0);
    rig_pass(&s->w, 0);
    assert_int_equal(s->w.n, 1);
}

static void over(seen *s)
{
    kube_watch_stop(&s->watch);
    kube_client_free(s->c);
    rig_fini(&s->w);
}

static void event(seen *s, const char *type, const char *name, const char *version)
{
    char text[256];
    int n = snprintf(text, sizeof text,
                     "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"%s\","
                     "\"resourceVersion\":\"%s\"}}}\n",
                     type, name, version);
    rig_chunk(s->w.open[0], text, (size_t)n);
}

/* How long until it connects again; it has to within a minute. */
static int64_t reconnects(seen *s)
{
    int64_t from = s->w.now;
    while (s->w.n == 0 && s->w.now - from < 60 * KUBE_SECOND_NS)
        rig_pass(&s->w, KUBE_SECOND_NS / 100);
    assert_int_equal(s->w.n, 1);
    return s->w.now - from;
}

static int64_t server_seconds(const seen *s)
{
    const char *at = strstr(s->w.open[0]->target, "timeoutSeconds=");
    assert_non_null(at);
    return strtoll(at + 15, NULL, 10);
}

static void watches_resume_where_they_were(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    const char *target = s.w.open[0]->target;
    assert_non_null(strstr(target, "/apis/quidditch.io/v1/namespaces/a/states?watch=1"));
    assert_non_null(strstr(target, "allowWatchBookmarks=true"));
    assert_non_null(strstr(target, "fieldSelector=metadata.name%3Droot"));
    assert_non_null(strstr(target, "resourceVersion=5"));
    assert_true(server_seconds(&s) >= 300 && server_seconds(&s) < 600);
    assert_true(s.w.open[0]->timeout_ns > server_seconds(&s) * KUBE_SECOND_NS);
    rig_chunk(s.w.open[0], "", 0);
    assert_int_equal(s.ups, 1);
    event(&s, "ADDED", "root", "6");
    event(&s, "MODIFIED", "root", "8");
    event(&s, "BOOKMARK", "", "20");
    rig_answer(&s.w, s.w.open[0], 200, "");
    assert_int_equal(s.downs, 1);
    assert_true(reconnects(&s) <= KUBE_SECOND_NS);
    assert_non_null(strstr(s.w.open[0]->target, "resourceVersion=20"));
    event(&s, "DELETED", "root", "21");
    event(&s, "NEWKIND", "root", "22"); /* of a later server: passed over */
    rig_end(&s.w, s.w.open[0], KUBE_NO_ANSWER, 200, "", -1);
    (void)reconnects(&s);
    assert_non_null(strstr(s.w.open[0]->target, "resourceVersion=21"));
    assert_string_equal(s.events, "Aroot@6 Mroot@8 B@20 Droot@21 ");
    assert_int_equal(s.ups, 2);
    assert_int_equal(s.downs, 2);
    assert_int_equal(s.relists, 0);
    over(&s);
}

static void failures_are_waited_out(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    int64_t longest = 0;
    for (int i = 0; i < 12; i++) {
        rig_end(&s.w, s.w.open[0], i % 2 ? KUBE_NOT_SENT : KUBE_ANSWERED, i % 2 ? 0 : 503, "", -1);
        int64_t wait = reconnects(&s);
        if (wait > longest) longest = wait;
        assert_true(i < 8 || wait >= 5 * KUBE_SECOND_NS);
        assert_true(wait <= 11 * KUBE_SECOND_NS);
    }
    assert_int_equal(s.ups + s.downs, 0);
    assert_non_null(strstr(s.w.log, "watch of states root"));
    event(&s, "MODIFIED", "root", "6");
    rig_end(&s.w, s.w.open[0], KUBE_NO_ANSWER, 200, "", -1);
    assert_true(reconnects(&s) <= KUBE_SECOND_NS);
    /* what the server asks for */
    rig_end(&s.w, s.w.open[0], KUBE_ANSWERED, 429, "", 20 * KUBE_SECOND_NS);
    assert_true(reconnects(&s) >= 20 * KUBE_SECOND_NS);
    /* one that is silent is given up, and one that lived was no failure */
    for (int i = 0; i < 10; i++) {
        rig_chunk(s.w.open[0], "", 0);
        rig_pass(&s.w, 119 * KUBE_SECOND_NS);
        assert_int_equal(s.w.n, 1);
        rig_pass(&s.w, 2 * KUBE_SECOND_NS);
        (void)reconnects(&s);
        assert_int_equal(s.w.started, 15 + i + 1);
    }
    rig_chunk(s.w.open[0], "", 0);
    for (int i = 0; i < 10; i++) {
        rig_pass(&s.w, 100 * KUBE_SECOND_NS);
        event(&s, "BOOKMARK", "", "30");
    }
    assert_int_equal(s.w.started, 25);
    /* a transport that takes nothing */
    s.w.refuse = QD_E_NOMEM;
    rig_answer(&s.w, s.w.open[0], 200, "");
    rig_pass(&s.w, 30 * KUBE_SECOND_NS);
    s.w.refuse = 0;
    (void)reconnects(&s);
    over(&s);
}

static void a_history_that_is_gone_is_told(void **state)
{
    (void)state;
    static const char expired[] =
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\","
        "\"message\":\"too old\"}}\n";
    seen s;
    begin(&s);
    rig_answer(&s.w, s.w.open[0], 410, "{\"reason\":\"Expired\"}");
    rig_pass(&s.w, 0);
    assert_int_equal(s.relists, 1);
    rig_pass(&s.w, 100 * KUBE_SECOND_NS); /* it rests */
    assert_int_equal(s.w.n, 0);
    assert_int_equal(kube_watch_resume(&s.watch, ""), QD_E_ARG);
    assert_int_equal(kube_watch_resume(&s.watch, "40"), 0);
    rig_pass(&s.w, 0);
    assert_non_null(strstr(s.w.open[0]->target, "resourceVersion=40"));
    event(&s, "MODIFIED", "root", "41");
    /* as an event, and what follows it in the chunk is not looked at */
    char both[512];
    (void)snprintf(both, sizeof both, "%s%s", expired,
                   "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"99\"}}}\n");
    rig_chunk(s.w.open[0], both, strlen(both));
    assert_int_equal(s.w.n, 0);
    rig_pass(&s.w, 0);
    assert_int_equal(s.relists, 2);
    assert_string_equal(s.events, "Mroot@41 ");
    assert_int_equal(s.watch.result.code, 410);
    assert_string_equal(s.watch.result.reason, "Expired");
    /* again and again: not in a hurry */
    int64_t from = s.w.now;
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(kube_watch_resume(&s.watch, "50"), 0);
        rig_pass(&s.w, 0);
        rig_answer(&s.w, s.w.open[0], 410, "");
        for (int k = 0; s.relists == 2 + i && k < 2000; k++) rig_pass(&s.w, KUBE_SECOND_NS / 100);
        assert_int_equal(s.relists, 3 + i);
    }
    assert_true(s.w.now - from > 5 * KUBE_SECOND_NS);
    over(&s);
}

static void other_errors_are_not_the_end(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"type\":\"ERROR\",\"object\":{\"code\":500,\"message\":\"etcd\"}}\n",
        "{\"type\":\"ERROR\"}\n",
        "nonsense\n",
        "[]\n",
        "{\"type\":\"ADDED\",\"object\":7}\n",
        "{\"type\":\"ADDED\",\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":7}}}\n",
        "{\"object\":null}\n"};
    seen s;
    begin(&s);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rig_chunk(s.w.open[0], bad[i], strlen(bad[i]));
        assert_int_equal(s.w.n, 0);
        (void)reconnects(&s);
        assert_non_null(strstr(s.w.open[0]->target, "resourceVersion=5"));
    }
    assert_int_equal(s.relists, 0);
    assert_string_equal(s.events, "");
    /* an event too large for us: the owner reads anew */
    char *big = malloc(1 << 20);
    memset(big, 'x', 1 << 20);
    for (int i = 0; i < 5 && s.w.n; i++) rig_chunk(s.w.open[0], big, 1 << 20);
    free(big);
    assert_int_equal(s.w.n, 0);
    rig_pass(&s.w, 20 * KUBE_SECOND_NS);
    assert_int_equal(s.relists, 1);
    over(&s);
}

static void a_watch_stops_anywhere(void **state)
{
    (void)state;
    seen s;
    begin(&s);
    s.stop_at_event = 1;
    static const char two[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\","
                              "\"resourceVersion\":\"6\"}}}\n"
                              "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"y\","
                              "\"resourceVersion\":\"7\"}}}\n";
    rig_chunk(s.w.open[0], two, 20);
    rig_chunk(s.w.open[0], two + 20, sizeof two - 21);
    assert_string_equal(s.events, "Ax@6 ");
    assert_int_equal(s.w.n, 0);
    rig_pass(&s.w, 100 * KUBE_SECOND_NS);
    assert_int_equal(s.w.n, 0);
    /* and begins again */
    s.stop_at_event = 0;
    assert_int_equal(kube_watch_start(s.c, &s.watch, "6"), 0);
    assert_int_equal(kube_watch_start(s.c, &s.watch, "6"), QD_E_STATE);
    rig_pass(&s.w, 0);
    event(&s, "ADDED", "z", "9");
    assert_string_equal(s.events, "Ax@6 Az@9 ");
    s.stop_at_relist = 1;
    rig_answer(&s.w, s.w.open[0], 410, "");
    rig_pass(&s.w, 60 * KUBE_SECOND_NS);
    assert_int_equal(s.relists, 1);
    assert_int_equal(kube_watch_start(s.c, &s.watch, "6"), 0);
    kube_watch_stop(&s.watch);
    rig_pass(&s.w, 60 * KUBE_SECOND_NS);
    assert_int_equal(s.w.n, 0);
    assert_int_equal(kube_watch_start(s.c, &s.watch, ""), QD_E_ARG);
    over(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_survive_every_split),
        cmocka_unit_test(lines_have_a_bound),
        cmocka_unit_test(watches_resume_where_they_were),
        cmocka_unit_test(failures_are_waited_out),
        cmocka_unit_test(a_history_that_is_gone_is_told),
        cmocka_unit_test(other_errors_are_not_the_end),
        cmocka_unit_test(a_watch_stops_anywhere),
    };
    return unit_run(tests);
}
