/* config_t.c: what people notice of settings: precedence, refusals with their place, updates. */
#include "config/config.h"
#include "config/print.h"
#include "config/value.h"
#include "unit/unit.h"

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static const char *fake_env(const char *name)
{
    if (strcmp(name, "REST_PORT") == 0) return "9211";
    if (strcmp(name, "NODE_ID") == 0) return "from-env";
    if (strcmp(name, "BIND_ADDR") == 0) return "0.0.0.0";
    if (strcmp(name, "MASTER_ADDRESSES") == 0) return "m0:9301,...";
    if (strcmp(name, "MY_DIR") == 0) return "/srv/x";
    return NULL;
}

static const char *k8s_env(const char *name)
{
    return strcmp(name, "USE_K8S_COORDINATION") == 0 ? "true" : NULL;
}

static const char *named_env;

static const char *named_at(size_t i)
{
    return i == 0 ? named_env : NULL;
}

static int open_config(qd_config **c, const char *yaml, qd_err *err)
{
    int rc = qd_config_open(4ll << 30, c, err);
    if (rc == 0) rc = qd_config_file(*c, qd_str_c(yaml), "quidditch.yml", fake_env, err);
    return rc;
}

static void flags_come_before_environment_before_file(void **state)
{
    (void)state;
    qd_config *c;
    assert_int_equal(open_config(&c,
                                 "http.port: 1\n"
                                 "cluster:\n  name: abc\n"
                                 "node:\n  name: from-file\n  roles: [master, data]\n"
                                 "path.data: ${MY_DIR}/data\n"
                                 "path.logs: ${NO_SUCH:/var/log}\n",
                                 NULL),
                     0);
    assert_int_equal(qd_config_environment(c, fake_env, NULL), 0);
    assert_int_equal(qd_config_flag(c, QD_STR("http.port=9299"), NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    assert_int_equal(qd_config_i64(c, QD_SET_HTTP_PORT), 9299);
    assert_string_equal(qd_config_text(c, QD_SET_NODE_NAME).p, "from-env");
    assert_string_equal(qd_config_text(c, QD_SET_CLUSTER_NAME).p, "abc");
    assert_string_equal(qd_config_text(c, QD_SET_PATH_DATA).p, "/srv/x/data");
    assert_string_equal(qd_config_text(c, QD_SET_PATH_LOGS).p, "/var/log");
    assert_int_equal(qd_config_i64(c, QD_SET_HTTP_MAX_CONTENT_LENGTH), 100 << 20);
    assert_int_equal(qd_config_memory(c), 2ll << 30);
    assert_int_equal(qd_config_i64(c, QD_SET_INDEX_BUFFER), (2ll << 30) / 10);
    assert_int_equal(qd_config_index_buffer(c), (2ll << 30) / 10);
    uint32_t n;
    const qd_str *roles = qd_values_list(qd_config_values(c), QD_SET_NODE_ROLES, &n);
    assert_int_equal(n, 2);
    assert_string_equal(roles[1].p, "data");
    const qd_str *masters = qd_values_list(qd_config_values(c), QD_SET_COORDINATION_MASTERS, &n);
    assert_int_equal(n, 1);
    assert_string_equal(masters[0].p, "m0:9301");
    assert_false(qd_config_bool(c, QD_SET_SECURITY_ENABLED));
    assert_true(qd_values_is_set(qd_config_values(c), QD_SET_SECURITY_ENABLED)); /* BIND_ADDR */
    qd_buf b;
    qd_buf_init(&b, NULL, 1000);
    assert_int_equal(qd_config_origin(c, QD_STR("cluster.name"), &b), 0);
    assert_string_equal(b.p, "file quidditch.yml, line 3");
    qd_buf_fini(&b);
    qd_config_close(c);
}

static void refusal(const char *yaml, const char *want)
{
    qd_err err;
    qd_err_init(&err);
    qd_config *c = NULL;
    assert_int_not_equal(open_config(&c, yaml, &err), 0);
    if (!strstr(qd_err_reason(&err), want)) {
        print_message("# got: %s\n", qd_err_reason(&err));
        assert_string_equal(qd_err_reason(&err), want);
    }
    qd_err_fini(&err);
    qd_config_close(c);
}

static void a_bad_file_is_refused_with_name_nearest_and_line(void **state)
{
    (void)state;
    refusal("a: 1\n", "unknown setting [a]");
    refusal("\nhttp.prt: 1\n",
            "unknown setting [http.prt] did you mean [http.port]? (quidditch.yml, line 2)");
    refusal("http.port: 70000\n",
            "Failed to parse value [70000] for setting [http.port] must be <= 65535");
    refusal("http.port: x\n", "Failed to parse value [x] for setting [http.port]");
    refusal("http:\n  port: 1\nhttp.port: 2\n", "line 3: setting [http.port] stands in line 2");
    refusal(
        "http.max_content_length: 100\n",
        "failed to parse setting [http.max_content_length] with value [100] as a size in bytes: "
        "unit is missing or unrecognized");
    refusal("http.read_timeout: 10\n",
            "failed to parse setting [http.read_timeout] with value [10] as a time value: unit is "
            "missing or unrecognized");
    refusal("http.cors.enabled: yes\n", "Failed to parse value [yes] as only [true] or [false]");
    refusal("node.roles: [data, nurse]\n", "[node.roles] must be one of [master, coordination");
    refusal("cluster.routing.allocation.exclude._ip: 10.0.0.*,fe80::1,10.1.2.3,host7\n",
            "invalid IP address [host7] for [cluster.routing.allocation.exclude._ip]");
    refusal("node.memory: 1mb\n", "must be >= [64mb]");
    refusal("path.data: ${NO_SUCH_VARIABLE}\n", "Could not resolve placeholder 'NO_SUCH_VARIABLE'");
    refusal("a: &x [1]\nb: *x\n", "anchors");
    refusal("- a\n", "must hold settings");
    refusal("http.port: [1\n", "line");
    refusal("http.port: [1, 2]\n", "Found list type value");
}

static void modes_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    qd_err err;
    qd_err_init(&err);
    qd_config *c;
    assert_int_equal(open_config(&c, "coordination.mode: master\n", &err), 0);
    assert_int_equal(qd_config_environment(c, k8s_env, &err), 0);
    assert_int_equal(qd_config_ready(c, &err), QD_E_CONFIG);
    assert_non_null(strstr(qd_err_reason(&err), "[k8s-native]"));
    assert_non_null(strstr(qd_err_reason(&err), "[master] (quidditch.yml)"));
    qd_config_close(c);
    qd_err_fini(&err);
}

/* USE_K8S_COORDINATION=true beside coordination.mode of file, flag, or the environment. */
static void another_mode(const char *yaml, const char *flag, const char *named, const char *want)
{
    qd_err err;
    qd_config *c;
    qd_err_init(&err);
    assert_int_equal(open_config(&c, yaml, &err), 0);
    assert_int_equal(qd_config_environment(c, k8s_env, &err), 0);
    named_env = named;
    assert_int_equal(qd_config_environment_names(c, named_at, &err), 0);
    if (flag) assert_int_equal(qd_config_flag(c, qd_str_c(flag), &err), 0);
    int rc = qd_config_ready(c, &err);
    assert_int_equal(rc, want ? QD_E_CONFIG : 0);
    if (want) assert_non_null(strstr(qd_err_reason(&err), want));
    if (!want) assert_string_equal(qd_config_text(c, QD_SET_COORDINATION_MODE).p, "k8s-native");
    qd_config_close(c);
    qd_err_fini(&err);
}

static void use_k8s_coordination_stands_alone(void **state)
{
    (void)state;
    another_mode("", NULL, NULL, NULL);
    another_mode("coordination.mode: k8s-native\n", "coordination.mode=k8s-native",
                 "coordination.mode=k8s-native", NULL);
    another_mode("coordination.mode: auto\n", NULL, NULL, "[auto] (quidditch.yml)");
    another_mode("", "coordination.mode=master", NULL, "[master] (flag -E)");
    another_mode("", NULL, "coordination.mode=master", "[master] (environment)");
}

typedef struct seen {
    int checks, applies;
    int64_t last;
    int refuse;
} seen;

static int on_check(void *arg, const qd_values *next, qd_err *err)
{
    seen *s = arg;
    (void)next;
    s->checks++;
    return s->refuse ? qd_err_set(err, QD_E_ARG, "no") : 0;
}

static void on_apply(void *arg, const qd_values *next)
{
    seen *s = arg;
    s->applies++;
    s->last = qd_values_i64(next, QD_SET_SEARCH_MAX_BUCKETS);
}

static qd_settings *one(const char *key, const char *value)
{
    qd_settings *s;
    assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
    assert_int_equal(qd_settings_put(s, qd_str_c(key), qd_str_c(value), NULL), 0);
    assert_int_equal(qd_settings_seal(s, NULL), 0);
    return s;
}

typedef struct told {
    int n;
    char last[512];
} told;

static void on_left(void *arg, qd_str key, qd_str value, const char *why)
{
    told *t = arg;
    t->n++;
    snprintf(t->last, sizeof t->last, "%.*s=%.*s: %s", QD_STR_ARG(key), QD_STR_ARG(value), why);
}

static void cluster_settings_are_checked_by_all_before_any_applies(void **state)
{
    (void)state;
    qd_config *c;
    assert_int_equal(open_config(&c, "search.max_buckets: 5\n", NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    seen first = {0}, second = {0}, other = {0};
    told left = {0};
    const char *key = "search.max_buckets";
    assert_int_equal(qd_config_listen(c, key, on_check, on_apply, &first, NULL), 0);
    assert_int_equal(qd_config_listen(c, "search.", on_check, on_apply, &second, NULL), 0);
    assert_int_equal(qd_config_listen(c, "http.", on_check, on_apply, &other, NULL), 0);
    qd_settings *s = one(key, "7");
    second.refuse = 1;
    assert_int_equal(qd_config_try(c, s, NULL), QD_E_ARG);
    assert_int_equal(qd_config_cluster(c, s, NULL, on_left, &left, NULL), 0);
    assert_int_equal(left.n, 1);
    assert_int_equal(first.applies, 0);
    assert_int_equal(qd_config_i64(c, QD_SET_SEARCH_MAX_BUCKETS), 5);
    second.refuse = 0;
    const qd_values *before = qd_config_values(c);
    assert_int_equal(qd_config_try(c, s, NULL), 0);
    assert_int_equal(qd_config_cluster(c, s, NULL, on_left, &left, NULL), 0);
    assert_int_equal(left.n, 1);
    assert_int_equal(first.last, 7);
    assert_int_equal(second.applies, 1);
    assert_int_equal(other.checks, 0);
    assert_int_equal(qd_values_i64(before, QD_SET_SEARCH_MAX_BUCKETS), 5);   /* still readable */
    assert_int_equal(qd_config_cluster(c, NULL, NULL, NULL, NULL, NULL), 0); /* the file's */
    assert_ptr_equal(qd_config_values(c), before); /* which takes no more memory */
    assert_int_equal(first.last, 5);
    qd_settings_unref(s);
    qd_config_close(c);
}

/* What is stored may be of another version: it stops no other setting, and is told by its name. */
static void each_setting_of_the_cluster_is_applied_for_itself(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"path.data", "/x",
         "path.data=/x: persistent setting [path.data], not dynamically updateable"},
        {"no.such", "1", "no.such=1: persistent setting [no.such], not recognized"},
        {"logger.enginee", "debug",
         "logger.enginee=debug: unknown setting [logger.enginee] did you mean [logger.engine]? No "
         "component of the log has that name"},
        {"logger.http", "bogus",
         "logger.http=bogus: unknown value for [logger.http] must be one of [trace, debug, info, "
         "warn, "
         "error, fatal, off] but was: bogus"},
        {"search.max_open_scroll_context", "-1",
         "search.max_open_scroll_context=-1: Failed to parse value [-1] for setting "
         "[search.max_open_scroll_context] must be >= 0"},
        {"cluster.routing.allocation.disk.watermark.low", "99%",
         "cluster.routing.allocation.disk.watermark.low=99%: low disk watermark [99%] more than "
         "high "
         "disk watermark [90%]"},
        {"indices.breaker.total.limit", "1b",
         "indices.breaker.total.limit=1b: it is below the floor and counts as [67108864b]"},
    };
    qd_config *c;
    assert_int_equal(open_config(&c, "", NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    for (size_t i = 0; i < QD_COUNT_OF(bad); i++) {
        told left = {0};
        qd_settings *s;
        assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
        assert_int_equal(qd_settings_put(s, qd_str_c(bad[i][0]), qd_str_c(bad[i][1]), NULL), 0);
        assert_int_equal(qd_settings_put(s, QD_STR("search.max_buckets"), QD_STR("7"), NULL), 0);
        assert_int_equal(qd_settings_seal(s, NULL), 0);
        assert_int_equal(qd_config_cluster(c, s, NULL, on_left, &left, NULL), 0);
        assert_string_equal(left.last, bad[i][2]);
        assert_int_equal(left.n, 1);
        assert_int_equal(qd_config_i64(c, QD_SET_SEARCH_MAX_BUCKETS), 7);
        assert_int_equal(qd_config_cluster(c, NULL, NULL, NULL, NULL, NULL), 0);
        qd_settings_unref(s);
    }
    qd_config_close(c);
}

static qd_settings *text_set(const char *const *pairs)
{
    qd_settings *s;
    assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
    for (; *pairs; pairs += 2)
        assert_int_equal(qd_settings_put(s, qd_str_c(pairs[0]), qd_str_c(pairs[1]), NULL), 0);
    assert_int_equal(qd_settings_seal(s, NULL), 0);
    return s;
}

/* Two that do not fit each other: as many as go together are used, and what fits only together is.
 */
static void as_many_as_fit_each_other(void **state)
{
    (void)state;
#define MARK "cluster.routing.allocation.disk.watermark."
    static const char *const together[] = {MARK "low",         "95%", MARK "high", "96%",
                                           MARK "flood_stage", "97%", NULL};
    static const char *const crossed[] = {
        MARK "low",           "95%", MARK "high", "20%", MARK "flood_stage", "10%",
        "search.max_buckets", "7",   NULL};
    told left = {0};
    qd_config *c;
    assert_int_equal(open_config(&c, "", NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    qd_settings *s = text_set(together);
    assert_int_equal(qd_config_cluster(c, s, NULL, on_left, &left, NULL), 0);
    assert_int_equal(left.n, 0);
    assert_string_equal(qd_config_text(c, QD_SET_DISK_LOW).p, "95%");
    qd_settings_unref(s);
    s = text_set(crossed);
    assert_int_equal(qd_config_cluster(c, s, NULL, on_left, &left, NULL), 0);
    assert_int_equal(left.n, 3);
    assert_string_equal(qd_config_text(c, QD_SET_DISK_LOW).p, "85%");
    assert_int_equal(qd_config_i64(c, QD_SET_SEARCH_MAX_BUCKETS), 7);
    qd_settings_unref(s);
    qd_config_close(c);
#undef MARK
}

/* The way back of a node that a setting has locked out. */
static void settings_that_are_ignored_have_no_force(void **state)
{
    (void)state;
    static const char *const set[] = {"search.max_buckets",
                                      "7",
                                      "search.max_open_pit_context",
                                      "8",
                                      "search.max_open_scroll_context",
                                      "9",
                                      NULL};
    told left = {0};
    qd_config *c;
    assert_int_equal(open_config(&c, "search.max_open_pit_context: 5\n", NULL), 0);
    assert_int_equal(
        qd_config_flag(c, QD_STR("cluster.settings.ignore=search.max_open_*,no.such"), NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    qd_settings *s = text_set(set);
    assert_int_equal(qd_config_cluster(c, s, NULL, on_left, &left, NULL), 0);
    assert_int_equal(left.n, 2);
    assert_int_equal(qd_config_i64(c, QD_SET_SEARCH_MAX_BUCKETS), 7);
    assert_int_equal(qd_config_i64(c, QD_SET_SEARCH_MAX_PITS), 5);
    assert_int_equal(qd_config_i64(c, QD_SET_SEARCH_MAX_SCROLLS), 500);
    qd_settings_unref(s);
    qd_config_close(c);
}

/* With less no request is served; a node that plans with little memory has a floor of its own. */
static void the_limit_of_all_memory_has_a_floor(void **state)
{
    (void)state;
    static const char *const lines[][2] = {
        {"indices.breaker.total.limit: 1b\n",
         "failed to parse value [1b] for setting [indices.breaker.total.limit], must be >= [64mb]: "
         "with less this node serves no request"},
        {"node.memory: 64mb\nindices.breaker.total.limit: 31mb\n",
         "failed to parse value [31mb] for setting [indices.breaker.total.limit], must be >= "
         "[32mb]: with less this node serves no request"},
        {"node.memory: 64mb\nindices.breaker.total.limit: 32mb\n", NULL},
    };
    for (size_t i = 0; i < QD_COUNT_OF(lines); i++) {
        qd_config *c;
        qd_err err;
        qd_err_init(&err);
        assert_int_equal(open_config(&c, lines[i][0], &err), 0);
        assert_int_equal(qd_config_ready(c, &err), lines[i][1] ? QD_E_ARG : 0);
        if (lines[i][1]) assert_string_equal(qd_err_reason(&err), lines[i][1]);
        qd_err_fini(&err);
        qd_config_close(c);
    }
}

/* An attribute without a name no node has: awareness of it would leave every copy unassigned. */
static void lists_have_no_empty_items(void **state)
{
    (void)state;
    static const char *const forms[] = {"[\" zone \", \"\", rack]", "zone,,rack,"};
    for (size_t i = 0; i < 2; i++) {
        char yaml[128];
        qd_config *c;
        uint32_t n;
        snprintf(yaml, sizeof yaml, "cluster.routing.allocation.awareness.attributes: %s\n",
                 forms[i]);
        assert_int_equal(open_config(&c, yaml, NULL), 0);
        assert_int_equal(qd_config_ready(c, NULL), 0);
        const qd_str *names = qd_values_list(qd_config_values(c), QD_SET_ALLOC_AWARENESS, &n);
        assert_int_equal(n, 2);
        assert_true(qd_str_is(names[0], "zone"));
        assert_true(qd_str_is(names[1], "rack"));
        qd_config_close(c);
    }
}

static void reload_applies_what_it_can_and_names_the_rest(void **state)
{
    (void)state;
    qd_config *c;
    assert_int_equal(open_config(&c, "http.port: 1\nlogger.level: info\n", NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    qd_buf restart;
    qd_buf_init(&restart, NULL, 1000);
    assert_int_equal(
        qd_config_reload(c, QD_STR("http.port: 2\nlogger.level: debug\n"), no_env, &restart, NULL),
        0);
    assert_string_equal(restart.p, "http.port");
    assert_int_equal(qd_config_i64(c, QD_SET_HTTP_PORT), 1);
    assert_string_equal(qd_config_text(c, QD_SET_LOGGER_LEVEL).p, "debug");
    assert_int_not_equal(qd_config_reload(c, QD_STR("nope: 2\n"), no_env, &restart, NULL), 0);
    assert_string_equal(qd_config_text(c, QD_SET_LOGGER_LEVEL).p, "debug");
    qd_buf_fini(&restart);
    qd_config_close(c);
}

static void values_are_read_as_elasticsearch_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"10b", 10},        {"1kb", 1024}, {"1K", 1024},       {"1.5gb", 1610612736},
                {" 2mb ", 2 << 20}, {"0", 0},      {"-1", -1},         {"3 tb", 3ll << 40},
                {"1PB", 1ll << 50}, {"-1b", -1},   {"512M", 512 << 20}};
    static const char *const bad[] = {"",     "10",   "1.5b",      "kb",
                                      "10xb", "-5kb", "9999999pb", "1..5kb"};
    int64_t v;
    for (size_t i = 0; i < QD_COUNT_OF(good); i++) {
        assert_int_equal(qd_value_bytes(qd_str_c(good[i].text), "x", &v, NULL), 0);
        assert_int_equal(v, good[i].bytes);
    }
    for (size_t i = 0; i < QD_COUNT_OF(bad); i++)
        assert_int_not_equal(qd_value_bytes(qd_str_c(bad[i]), "x", &v, NULL), 0);
    static const struct {
        const char *text;
        int64_t ns;
    } times[] = {{"1s", 1000000000},   {"5ms", 5000000},      {"7micros", 7000},      {"3nanos", 3},
                 {"2m", 120000000000}, {"1h", 3600000000000}, {"1d", 86400000000000}, {"0", 0},
                 {"-1", QD_TIME_NONE}, {"10S", 10000000000}};
    static const char *const late[] = {"", "10", "1.5s", "-2s", "10M", "s", "1w", "00"};
    for (size_t i = 0; i < QD_COUNT_OF(times); i++) {
        assert_int_equal(qd_value_time(qd_str_c(times[i].text), "x", &v, NULL), 0);
        assert_int_equal(v, times[i].ns);
    }
    for (size_t i = 0; i + 1 < QD_COUNT_OF(late); i++)
        assert_int_not_equal(qd_value_time(qd_str_c(late[i]), "x", &v, NULL), 0);
    char text[32];
    assert_string_equal(qd_bytes_text(1610612736, text), "1.5gb");
    assert_string_equal(qd_bytes_text(512, text), "512b");
    assert_string_equal(qd_time_text(1500000000, text), "1.5s");
    assert_string_equal(qd_time_text(QD_TIME_NONE, text), "-1");
}

static void settings_pass_through_json_nested_and_flat(void **state)
{
    (void)state;
    const char *body =
        "{\"index\":{\"number_of_shards\":3,\"analysis.filter\":{\"x\":{\"type\":"
        "\"stop\",\"stopwords\":[\"a\",\"b\"]}},\"hidden\":true},\"refresh_interval\":null}";
    qd_json_reader r = QD_JSON_READER(NULL);
    qd_json_reader_init(&r, qd_str_c(body), QD_JSON_STRICT_KEYS, 0);
    qd_settings *s, *p;
    assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
    assert_int_equal(qd_json_next(&r), QD_JSON_OBJECT);
    assert_int_equal(qd_settings_put_json(s, &r, QD_STR(""), NULL), 0);
    assert_int_equal(qd_settings_seal(s, NULL), 0);
    assert_int_equal(qd_settings_prefixed(s, QD_STR("index."), &p, NULL), 0);
    qd_buf b;
    qd_buf_init(&b, NULL, 10000);
    qd_json_writer w;
    qd_json_writer_init(&w, &b, false);
    qd_settings_write(p, &w, false, NULL, NULL);
    assert_string_equal(b.p,
                        "{\"index\":{\"analysis\":{\"filter\":{\"x\":{\"stopwords\":[\"a\",\"b\"],"
                        "\"type\":\"stop\"}}},\"hidden\":\"true\",\"number_of_shards\":\"3\","
                        "\"refresh_interval\":null}}");
    qd_buf_reset(&b);
    qd_json_writer_init(&w, &b, false);
    qd_settings_write(p, &w, true, NULL, NULL);
    assert_non_null(strstr(b.p, "\"index.analysis.filter.x.stopwords\":[\"a\",\"b\"]"));
    assert_int_equal(qd_schema_check(&qd_schema_index, p, false, NULL), 0);
    qd_values *v;
    assert_int_equal(qd_values_new(&qd_schema_index, p, 0, &v, NULL), 0);
    assert_int_equal(qd_values_i64(v, QD_IX_NUMBER_OF_SHARDS), 3);
    assert_int_equal(qd_values_ms(v, QD_IX_REFRESH_INTERVAL), 1000); /* null: the default */
    assert_int_equal(qd_values_ms(v, QD_IX_GC_DELETES), 60000);
    qd_values_unref(v);
    qd_buf_fini(&b);
    qd_settings_unref(s);
    qd_settings_unref(p);
    qd_json_reader_fini(&r);
}

static void index_refusal(const char *key, const char *value, bool update, const char *want)
{
    qd_err err;
    qd_err_init(&err);
    qd_settings *s = one(key, value);
    int rc = update ? qd_schema_check_dynamic(&qd_schema_index, s, "index", &err)
                    : qd_schema_check(&qd_schema_index, s, false, &err);
    assert_int_not_equal(rc, 0);
    assert_string_equal(qd_err_reason(&err), want);
    qd_settings_unref(s);
    qd_err_fini(&err);
}

static void index_settings_are_refused_with_elasticsearchs_words(void **state)
{
    (void)state;
    index_refusal("index.number_of_shards", "0", false,
                  "Failed to parse value [0] for setting [index.number_of_shards] must be >= 1");
    index_refusal(
        "index.number_of_shards", "1025", false,
        "Failed to parse value [1025] for setting [index.number_of_shards] must be <= 1024");
    index_refusal("index.number_of_shards", "2", true,
                  "final index setting [index.number_of_shards], not updateable");
    index_refusal("index.uuid", "x", false,
                  "private index setting [index.uuid] can not be set explicitly");
    index_refusal("index.number_of_replica", "1", false,
                  "unknown setting [index.number_of_replica] did you mean "
                  "[index.number_of_replicas]?");
    index_refusal(
        "index.refresh_interval", "-5s", false,
        "failed to parse setting [index.refresh_interval] with value [-5s] as a time value: "
        "negative durations are not supported");
    index_refusal("index.routing.allocation.include._tier_preference", "data_hot, data_lukewarm",
                  false,
                  "unknown value for [index.routing.allocation.include._tier_preference] must be "
                  "one of [data_hot, data_warm, data_cold, data_content, data_frozen] but was: "
                  "data_lukewarm");
    index_refusal("index.routing.allocation.require._host_ip", "10.0.0", false,
                  "invalid IP address [10.0.0] for [index.routing.allocation.require._host_ip]");
}

static void the_indexing_buffer_is_never_tiny_by_percentage(void **state)
{
    (void)state;
    qd_config *c;
    assert_int_equal(open_config(&c, "node.memory: 100mb\n", NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    assert_int_equal(qd_config_index_buffer(c), 48 << 20);
    qd_config_close(c);
    const char *exact = "node.memory: 100mb\nindices.memory.index_buffer_size: 4mb\n";
    assert_int_equal(open_config(&c, exact, NULL), 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    assert_int_equal(qd_config_index_buffer(c), 4 << 20);
    qd_config_close(c);
}

static void defaults_of_both_tables_are_valid(void **state)
{
    (void)state;
    qd_values *v;
    assert_int_equal(qd_values_new(&qd_schema_node, NULL, 1ll << 30, &v, NULL), 0);
    qd_values_unref(v);
    assert_int_equal(qd_values_new(&qd_schema_index, NULL, 1ll << 30, &v, NULL), 0);
    qd_values_unref(v);
    for (uint32_t i = 0; i < qd_schema_node.n; i++) { /* no key stands twice */
        uint32_t id;
        qd_str key = qd_str_c(qd_schema_node.defs[i].key);
        if (qd_schema_node.defs[i].type == QD_ST_GROUP) continue;
        assert_non_null(qd_schema_find(&qd_schema_node, key, &id));
        assert_int_equal(id, i);
    }
}

static void unknown_stored_settings_are_archived(void **state)
{
    (void)state;
    qd_settings *s, *out;
    assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
    assert_int_equal(qd_settings_put(s, QD_STR("index.gone"), QD_STR("1"), NULL), 0);
    assert_int_equal(qd_settings_put(s, QD_STR("index.hidden"), QD_STR("maybe"), NULL), 0);
    assert_int_equal(qd_settings_put(s, QD_STR("index.priority"), QD_STR("3"), NULL), 0);
    assert_int_equal(qd_settings_seal(s, NULL), 0);
    uint32_t moved;
    assert_int_equal(qd_schema_archive(&qd_schema_index, s, &out, &moved, NULL), 0);
    assert_int_equal(moved, 2);
    assert_string_equal(qd_settings_text(out, "archived.index.gone").p, "1");
    assert_string_equal(qd_settings_text(out, "index.priority").p, "3");
    assert_int_equal(qd_schema_check(&qd_schema_index, out, true, NULL), 0);
    qd_settings_unref(s);
    qd_settings_unref(out);
}

static void the_printed_file_is_read_back_without_a_complaint(void **state)
{
    (void)state;
    qd_buf b;
    qd_buf_init(&b, NULL, 1 << 20);
    assert_int_equal(qd_schema_print_yaml(&qd_schema_node, &b), 0);
    /* Remove the comment sign before every setting that has a value. */
    qd_buf un;
    qd_buf_init(&un, NULL, 1 << 20);
    for (qd_str rest = qd_buf_view(&b); rest.p;) {
        qd_str line = qd_str_split(&rest, '\n');
        bool setting = line.n > 2 && line.p[0] == '#' && line.p[1] != ' ' && line.p[1] != '#';
        if (setting && !qd_str_ends(line, QD_STR(":")))
            qd_buf_str(&un, qd_str_sub(line, 1, line.n));
        else
            qd_buf_str(&un, line);
        qd_buf_char(&un, '\n');
    }
    qd_config *c;
    qd_err err;
    qd_err_init(&err);
    int rc = open_config(&c, un.p, &err);
    if (rc != 0) print_message("# %s\n", qd_err_reason(&err));
    assert_int_equal(rc, 0);
    assert_int_equal(qd_config_ready(c, NULL), 0);
    qd_config_close(c);
    qd_err_fini(&err);
    qd_buf_fini(&b);
    qd_buf_fini(&un);
}

/* What one product's users expect is the default under its identity, below all other sources. */
static void some_defaults_follow_the_identity(void **state)
{
    static const struct {
        const char *file;
        bool by_name; /* action.destructive_requires_name */
        int64_t clauses;
        const char *block;
    } rows[] = {
        {"http.port: 1\n", true, 4096, "write"},
        {"compatibility.identity: es8\n", true, 4096, "write"},
        {"compatibility.identity: es7\n", false, 1024, "write"},
        {"compatibility.identity: es7.10.2\n", false, 1024, "write"},
        {"compatibility.identity: os2\n", false, 1024, "metadata_write"},
        {"compatibility.identity: os3\naction.destructive_requires_name: true\n", true, 1024,
         "metadata_write"},
    };
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(rows); i++) {
        qd_config *c;
        assert_int_equal(open_config(&c, rows[i].file, NULL), 0);
        assert_int_equal(qd_config_ready(c, NULL), 0);
        assert_int_equal(qd_config_bool(c, QD_SET_ACTION_DESTRUCTIVE), rows[i].by_name);
        assert_int_equal(qd_config_i64(c, QD_SET_MAX_CLAUSES), rows[i].clauses);
        assert_string_equal(qd_config_text(c, QD_SET_CLUSTER_NO_MASTER_BLOCK).p, rows[i].block);
        qd_config_close(c);
    }
}

static void running_out_of_memory_loses_nothing(void **state)
{
    (void)state;
    int64_t used = qd_account_used(&qd_account_root);
    for (uint64_t n = 1;; n++) {
        qd_mem_fail_at(n, true);
        qd_config *c = NULL;
        int rc = open_config(&c, "http.port: 1\nnode.roles: [data]\npath.data: ${MY_DIR}\n", NULL);
        if (rc == 0) rc = qd_config_environment(c, fake_env, NULL);
        if (rc == 0) rc = qd_config_ready(c, NULL);
        qd_mem_fail_at(0, false);
        qd_config_close(c);
        assert_int_equal(qd_account_used(&qd_account_root), used);
        if (rc == 0) break;
        assert_int_equal(rc, QD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_come_before_environment_before_file),
        cmocka_unit_test(lists_have_no_empty_items),
        cmocka_unit_test(some_defaults_follow_the_identity),
        cmocka_unit_test(a_bad_file_is_refused_with_name_nearest_and_line),
        cmocka_unit_test(modes_that_contradict_each_other_are_refused),
        cmocka_unit_test(use_k8s_coordination_stands_alone),
        cmocka_unit_test(cluster_settings_are_checked_by_all_before_any_applies),
        cmocka_unit_test(each_setting_of_the_cluster_is_applied_for_itself),
        cmocka_unit_test(as_many_as_fit_each_other),
        cmocka_unit_test(settings_that_are_ignored_have_no_force),
        cmocka_unit_test(the_limit_of_all_memory_has_a_floor),
        cmocka_unit_test(reload_applies_what_it_can_and_names_the_rest),
        cmocka_unit_test(values_are_read_as_elasticsearch_reads_them),
        cmocka_unit_test(settings_pass_through_json_nested_and_flat),
        cmocka_unit_test(index_settings_are_refused_with_elasticsearchs_words),
        cmocka_unit_test(the_indexing_buffer_is_never_tiny_by_percentage),
        cmocka_unit_test(defaults_of_both_tables_are_valid),
        cmocka_unit_test(unknown_stored_settings_are_archived),
        cmocka_unit_test(the_printed_file_is_read_back_without_a_complaint),
        cmocka_unit_test(running_out_of_memory_loses_nothing),
    };
    return unit_run(tests);
}
