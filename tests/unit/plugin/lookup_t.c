/*
 * lookup_t.c: a plugin uses what another one provides: in whatever order they are named, never in a
 * circle, never of another version, and never longer than the other one lives.
 */
#include "base/log.h"
#include "base/str.h"
#include "plugin/conform.h"
#include "plugin/host_int.h"
#include "unit/unit.h"
#include <pthread.h>
#include <quidditch/storage.h>

typedef struct node {
    qd_plugin_host *host;
    qd_err err;
    int rc;
} node;

/* Loads the plugins that `allow` names, with settings KEY, VALUE, ..., NULL. */
static void load(node *nd, const char *allow, const char *const *settings)
{
    static qd_str names[8], path;
    static qd_pair pairs[8];
    size_t n = 0, m = 0;
    for (qd_str rest = qd_str_c(allow); rest.p; n++) names[n] = qd_str_split(&rest, ',');
    for (; settings && settings[2 * m]; m++)
        pairs[m] = (qd_pair){qd_str_c(settings[2 * m]), qd_str_c(settings[2 * m + 1])};
    path = QD_STR(TOY_DIR);
    qd_plugin_host_config config = {.env = qd_env_system(),
                                    .paths = &path,
                                    .npaths = 1,
                                    .build_tree = true,
                                    .allow = names,
                                    .nallow = n,
                                    .settings = pairs,
                                    .nsettings = m};
    qd_err_init(&nd->err);
    assert_int_equal(qd_plugin_host_open(&config, &nd->host, NULL), 0);
    nd->rc = qd_plugin_host_load(nd->host, &nd->err);
}

static void end(node *nd)
{
    qd_plugin_host_close(nd->host);
    qd_err_fini(&nd->err);
}

static qd_plugin_info info_of(const node *nd, const char *name)
{
    qd_plugin_info info = {0};
    for (size_t i = 0; i < qd_plugin_count(nd->host); i++) {
        qd_plugin_info_get(nd->host, i, &info);
        if (strcmp(info.name, name) == 0) return info;
    }
    fail_msg("no plugin %s", name);
    return info;
}

static void refused(const node *nd, const char *name, const char *why)
{
    qd_plugin_info info = info_of(nd, name);
    if (info.state != QD_PLUGIN_REFUSED) fail_msg("%s was not refused", name);
    if (!strstr(info.reason, why)) fail_msg("no \"%s\" in: %s", why, info.reason);
}

static void show(void *arg, const char *text)
{
    if (strncmp(text, "not ok", 6) == 0 || text[0] == '#') print_message("%s\n", text);
    *(uint32_t *)arg += 1;
}

static void a_tier_over_a_tier_conforms(void **state)
{
    (void)state;
    node nd;
    qd_str folder = QD_STR("/nowhere");
    load(&nd, "toy-volatile,toy-wrap", NULL);
    assert_int_equal(nd.rc, 0);
    assert_int_equal(qd_plugin_host_start(nd.host, &nd.err), 0);
    qd_self *self;
    const qd_storage_vtable *vt =
        qd_plugin_find(nd.host, QD_KIND_STORAGE, QD_STR("toy-wrap"), &self);
    assert_non_null(vt);
    const qd_storage_vtable *over =
        qd_plugin_find(nd.host, QD_KIND_STORAGE, QD_STR("toy-volatile"), NULL);
    assert_true(vt->open != over->open && vt->head.flags == over->head.flags);
    uint32_t lines = 0;
    qd_conform_run run;
    qd_conform_begin(&run, qd_env_system(), self, folder, NULL, 0, show, &lines);
    qd_conform_kind(&run, QD_KIND_STORAGE, "toy-wrap", vt);
    assert_int_equal(qd_conform_end(&run), 0);
    assert_true(lines > 20);
    end(&nd);
}

/* The wrapper stands first, and nothing says that it depends on the other. */
static void the_order_of_names_does_not_matter(void **state)
{
    (void)state;
    static const char *const orders[] = {"toy-wrap,toy-volatile", "toy-volatile,toy-wrap",
                                         "toy-wrap-b,toy-wrap,toy-volatile"};
    static const char *const settings[] = {"plugin.toy-wrap-b.over", "toy-wrap", NULL};
    for (size_t i = 0; i < QD_COUNT_OF(orders); i++) {
        node nd;
        load(&nd, orders[i], i == 2 ? settings : NULL);
        if (nd.rc) print_message("%s\n", qd_err_reason(&nd.err));
        assert_int_equal(nd.rc, 0);
        qd_plugin_info first;
        qd_plugin_info_get(nd.host, 0, &first);
        assert_string_equal(first.name, "toy-volatile");
        assert_int_equal(info_of(&nd, "toy-wrap").state, QD_PLUGIN_LOADED);
        assert_int_equal(qd_plugin_host_start(nd.host, &nd.err), 0);
        end(&nd);
    }
}

static void circles_are_refused_by_their_chain(void **state)
{
    (void)state;
    static const char *const two[] = {"plugin.toy-wrap.over", "toy-wrap-b",
                                      "plugin.toy-wrap-b.over", "toy-wrap", NULL};
    static const char *const one[] = {"plugin.toy-wrap.over", "toy-wrap", NULL};
    node nd;
    load(&nd, "toy-wrap,toy-wrap-b", two);
    refused(&nd, "toy-wrap-b", "found the circle toy-wrap -> toy-wrap-b -> toy-wrap");
    refused(&nd, "toy-wrap", "found the circle toy-wrap -> toy-wrap-b -> toy-wrap");
    end(&nd);
    load(&nd, "toy-wrap,toy-volatile", one);
    refused(&nd, "toy-wrap", "wants storage [toy-wrap], but no loaded plugin provides it");
    end(&nd);
    load(&nd, "toy-wrap,toy-late,toy-volatile", NULL);
    qd_self *wrap = info_of(&nd, "toy-wrap").self, *low = info_of(&nd, "toy-volatile").self, *owner;
    const void *vt;
    assert_int_equal(qdi_lookup(low, QD_KIND_STORAGE, "toy-wrap", QD_STORAGE_MAJOR,
                                QD_STORAGE_MINOR, &vt, &owner, &nd.err),
                     QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&nd.err), "toy-volatile -> toy-wrap -> toy-volatile"));
    qd_err_fini(&nd.err);
    qd_err_init(&nd.err);
    assert_int_equal(qdi_lookup(wrap, QD_KIND_STORAGE, "toy-wrap", QD_STORAGE_MAJOR,
                                QD_STORAGE_MINOR, &vt, &owner, &nd.err),
                     QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&nd.err), "toy-wrap -> toy-wrap"));
    end(&nd);
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *why;
    } cases[] = {
        {"plugin.toy-wrap.over", "absent",
         "plugin [toy-wrap] wants storage [absent], but no loaded plugin provides it"},
        {"plugin.toy-wrap.minor", "9", "wanted version 0.2 of the kind, found 0.9"},
    };
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        const char *settings[] = {cases[i].key, cases[i].value, NULL};
        node nd;
        load(&nd, "toy-wrap,toy-volatile", settings);
        refused(&nd, "toy-wrap", cases[i].why);
        assert_int_equal(info_of(&nd, "toy-volatile").state, QD_PLUGIN_LOADED);
        assert_int_equal(nd.host->edges.n, 0); /* it uses nothing any more */
        end(&nd);
    }
}

/* One look-up of a storage tier. */
typedef struct asked {
    qd_self *self;
    const char *name;
    int32_t rc;
} asked;

static void *ask(void *arg)
{
    asked *a = arg;
    const void *vt;
    qd_self *owner;
    a->rc = qdi_lookup(a->self, QD_KIND_STORAGE, a->name, QD_STORAGE_MAJOR, QD_STORAGE_MINOR, &vt,
                       &owner, NULL);
    return NULL;
}

static int32_t on_another_thread(asked *a)
{
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, ask, a), 0);
    pthread_join(t, NULL);
    return a->rc;
}

/* Of a provider that is loaded and not started, a job or another thread gets nothing. */
static void nobody_else_looks_up_before_all_are_started(void **state)
{
    (void)state;
    node nd;
    load(&nd, "toy-late,toy-volatile", NULL);
    asked a = {.self = info_of(&nd, "toy-late").self, .name = "toy-volatile"};
    assert_int_equal(on_another_thread(&a), QD_E_STATE);
    assert_int_equal(nd.host->edges.n, 0);
    (void)ask(&a); /* a tool, which loads and never starts */
    assert_int_equal(a.rc, 0);
    assert_int_equal(info_of(&nd, "toy-volatile").state, QD_PLUGIN_LOADED);
    assert_int_equal(qd_plugin_host_start(nd.host, &nd.err), 0);
    assert_int_equal(on_another_thread(&a), 0);
    end(&nd);
}

/* In start the other one is started first; on a thread of its own it may look up afterwards. */
static void it_may_look_up_when_it_starts(void **state)
{
    (void)state;
    static const char *const thread[] = {"plugin.toy-late.thread", "true", NULL};
    node nd;
    load(&nd, "toy-late,toy-volatile", NULL);
    assert_int_equal(qd_plugin_host_start(nd.host, &nd.err), 0);
    assert_int_equal(nd.host->edges.n, 1);
    qd_self *late = info_of(&nd, "toy-late").self, *low = info_of(&nd, "toy-volatile").self;
    asked a = {.self = late, .name = "toy-volatile"};
    assert_int_equal(on_another_thread(&a), 0);
    assert_ptr_equal(qdi_stop_begin(nd.host), late); /* toy-volatile stands last, and stops last */
    assert_int_equal(on_another_thread(&a), QD_E_CLOSED);
    assert_ptr_equal(qdi_stop_begin(nd.host), low);
    assert_null(qdi_stop_begin(nd.host));
    nd.host->edges.n = 0;
    a = (asked){.self = late, .name = "toy-volatile"};
    assert_int_equal(on_another_thread(&a), QD_E_CLOSED);
    assert_int_equal(nd.host->edges.n, 0); /* what is stopped is not kept as used */
    late->state = low->state = QD_PLUGIN_STARTED;
    end(&nd);
    load(&nd, "toy-late,toy-volatile", thread);
    assert_int_equal(qd_plugin_host_start(nd.host, &nd.err), QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&nd.err), "wanted the thread of init or start"));
    end(&nd);
}

int main(void)
{
    qd_log_level_set(NULL, QD_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tier_over_a_tier_conforms),
        cmocka_unit_test(the_order_of_names_does_not_matter),
        cmocka_unit_test(circles_are_refused_by_their_chain),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(nobody_else_looks_up_before_all_are_started),
        cmocka_unit_test(it_may_look_up_when_it_starts),
    };
    return unit_run(tests);
}
