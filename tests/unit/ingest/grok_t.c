/*
 * grok_t.c: every pattern of both sets compiles, lines of well known logs come apart, a pattern
 * that stands for itself is refused, and one that would take for ever ends.
 */
#include "ingest/grok.h"
#include "unit/unit.h"
#include <stdio.h>

static qd_account account;

static int make(qd_arena *a, const char *pattern, bool ecs, qd_grok **out, qd_err *err)
{
    qd_str *text = qd_arena_alloc(a, sizeof *text);
    *text = qd_arena_str(a, qd_str_c(pattern));
    qd_grok_spec spec = {.patterns = text, .npatterns = 1, .ecs = ecs};
    return qd_grok_make(a, &spec, out, err);
}

static void all_compile(void **state)
{
    (void)state;
    for (int ecs = 0; ecs < 2; ecs++) {
        uint32_t n = 0;
        const char *name;
        qd_buf b;
        qd_buf_init(&b, NULL, 1 << 20);
        for (; qd_grok_pattern(n, ecs, &name, &b); n++) {
            qd_arena a;
            qd_grok *g;
            qd_err err;
            char pattern[256];
            qd_arena_init(&a, &account, 0);
            qd_err_init(&err);
            snprintf(pattern, sizeof pattern, "%%{%s:x}", name);
            if (make(&a, pattern, ecs, &g, &err)) fail_msg("%s: %s", name, qd_err_reason(&err));
            qd_err_fini(&err);
            qd_arena_fini(&a);
            qd_buf_reset(&b);
        }
        qd_buf_fini(&b);
        assert_true(n > 300);
    }
}

static void names_are_unique(void **state)
{
    (void)state;
    const char *name, *other;
    qd_buf b;
    qd_buf_init(&b, NULL, 1 << 24);
    for (uint32_t n = 0; qd_grok_pattern(n, false, &name, &b); n++) {
        for (uint32_t k = 0; k < n && qd_grok_pattern(k, false, &other, &b); k++) {
            if (strcmp(name, other) == 0) fail_msg("%s is there twice", name);
        }
        qd_buf_reset(&b);
    }
    qd_buf_fini(&b);
}

static const struct line {
    const char *pattern, *text;
    bool ecs;
    const char *name, *value; /* one of the captures; name NULL: nothing matches */
} lines[] = {
    {"^%{IP:a}$", "2001:db8::ff00:42:8329", 0, "a", "2001:db8::ff00:42:8329"},
    {"^%{IP:a}$", "::ffff:10.1.2.3", 0, "a", "::ffff:10.1.2.3"},
    {"^%{IP:a}$", "::1", 0, "a", "::1"},
    {"^%{IP:a}$", "1.2.3.256", 0, NULL, NULL},
    {"^%{IPV6:a}$", "1:2:3:4:5:6:7:8", 0, "a", "1:2:3:4:5:6:7:8"},
    {"^%{IPV6:a}$", "1:2:3:4:5:6:7:8:9", 0, NULL, NULL},
    {"^%{MAC:a}$", "00:1b:44:11:3a:b7", 0, "a", "00:1b:44:11:3a:b7"},
    {"^%{UUID:a}$", "123e4567-e89b-12d3-a456-426614174000", 0, "a",
     "123e4567-e89b-12d3-a456-426614174000"},
    {"^%{EMAILADDRESS:a}$", "jane.doe+x@example.org", 0, "a", "jane.doe+x@example.org"},
    {"^%{URI:a}$", "https://u:p@host.example:8080/a/b?c=d&e=f", 0, "a",
     "https://u:p@host.example:8080/a/b?c=d&e=f"},
    {"%{URI}", "http://h:81/", 0, "port", "81"},
    {"^%{TIMESTAMP_ISO8601:a}$", "2026-02-03T04:05:06.789+01:00", 0, "a",
     "2026-02-03T04:05:06.789+01:00"},
    {"%{LOGLEVEL:a}", "an ERROR it is", 0, "a", "ERROR"},
    {"%{QS:a}", "say \"a \\\" b\" now", 0, "a", "\"a \\\" b\""},
    {"%{WINPATH:a}", "in C:\\Windows\\x.log", 0, "a", "C:\\Windows\\x.log"},
    {"%{NUMBER:a:float} %{WORD:b}", "12.5 ms", 0, "a", "12.5"},
    {"(?<first.name>\\w+) (?<b>\\w+)", "Ada L", 0, "first.name", "Ada"},
    {"%{COMBINEDAPACHELOG}",
     "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /apache_pb.gif HTTP/1.0\" 200 2326 "
     "\"http://www.example.com/start.html\" \"Mozilla/4.08\"",
     0, "request", "/apache_pb.gif"},
    {"%{COMBINEDAPACHELOG}",
     "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /apache_pb.gif HTTP/1.0\" 200 2326 "
     "\"http://www.example.com/start.html\" \"Mozilla/4.08\"",
     1, "http.response.status_code", "200"},
    {"%{SYSLOGBASE} %{GREEDYDATA:m}", "Mar  7 04:02:01 host sshd[4711]: Accepted", 0, "pid",
     "4711"},
    {"%{SYSLOGBASE} %{GREEDYDATA:m}", "Mar  7 04:02:01 host sshd[4711]: Accepted", 1,
     "process.name", "sshd"},
    {"%{SYSLOG5424LINE}", "<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - it failed", 0,
     "syslog5424_msg", "it failed"},
    {"%{CISCOFW106023}",
     "Deny tcp src outside:192.0.2.1/1024 dst inside:10.0.0.1/22 by access-group \"acl\" [0x0, "
     "0x0]",
     0, "dst_port", "22"},
    {"%{NAGIOSLOGLINE}", "[1427925600] CURRENT SERVICE STATE: web;nagios;OK;HARD;1;nagiosTest OK",
     0, "nagios_service", "nagios"},
    {"%{HAPROXYHTTPBASE}",
     "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - "
     "---- 1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html HTTP/1.1\"",
     0, "backend_name", "static"},
    {"%{BIND9}",
     "17-Feb-2018 23:06:56.326 queries: info: client 172.26.0.1#12345 (test.example.com): query: "
     "test.example.com IN A +E(0)K (172.26.0.3)",
     0, "clientip", "172.26.0.1"},
    {"%{CATALINALOG}", "Jan 9, 2014 7:13:13 AM org.a.B something", 0, "class", "org.a.B"},
    {"%{JAVASTACKTRACEPART}", "  at com.x.Y.<init>(Y.java:42)", 0, "line", "42"},
    {"%{RUBY_LOGGER}", "I, [2001-01-01T01:02:03.0 #23]  INFO -- prog: text", 0, "progname", "prog"},
    {"%{MONGO3_LOG}", "2014-11-03T18:28:32.450-0500 I NETWORK  [initandlisten] waiting", 0,
     "component", "NETWORK"},
    {"%{BACULA_LOGLINE}", "09-Mar 22:00 host JobId 12: End auto prune.", 0, "jobid", "12"},
    {"%{S3_ACCESS_LOG}",
     "owner bucket [19/May/2015:01:42:45 +0000] 36.244.24.78 arn:aws:iam::1:u 36B4 REST.GET.OBJECT "
     "key \"GET /b/k HTTP/1.1\" 200 - 2832 2832 40 38 \"-\" \"agent\" -",
     0, "operation", "REST.GET.OBJECT"},
};

static void lines_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct line *l = &lines[i];
        qdi_regex_room room = {0};
        qd_arena a;
        qd_grok *g;
        qd_grok_match m;
        qd_grok_value v;
        qd_err err;
        bool met = false;
        qd_arena_init(&a, &account, 0);
        qd_err_init(&err);
        if (make(&a, l->pattern, l->ecs, &g, &err))
            fail_msg("%s: %s", l->pattern, qd_err_reason(&err));
        int found = qd_grok_find(g, &room, qd_str_c(l->text), 0, &m, &err);
        if (found != (l->name != NULL)) fail_msg("%s on %s: %d", l->pattern, l->text, found);
        for (uint32_t k = 0; found && qd_grok_value_at(g, &room, qd_str_c(l->text), k, &v); k++) {
            if (!qd_str_is(v.name, l->name) || !v.text.p) continue;
            if (!qd_str_is(v.text, l->value))
                fail_msg("%s: [%.*s] for [%s]", l->pattern, QD_STR_ARG(v.text), l->value);
            met = true;
        }
        if (found && !met) fail_msg("%s on %s: no %s", l->pattern, l->text, l->name);
        qdi_regex_room_free(&room);
        qd_err_fini(&err);
        qd_arena_fini(&a);
    }
}

static void refused(const char *name, const char *definition, const char *other,
                    const char *other_definition, const char *reason)
{
    qd_str pattern = QD_STR("%{A}"), names[2] = {qd_str_c(name), qd_str_c(other)},
           texts[2] = {qd_str_c(definition), qd_str_c(other_definition)};
    qd_grok_spec spec = {.patterns = &pattern,
                         .npatterns = 1,
                         .names = names,
                         .definitions = texts,
                         .ndefinitions = other ? 2 : 1};
    qd_arena a;
    qd_grok *g;
    qd_err err;
    qd_arena_init(&a, &account, 0);
    qd_err_init(&err);
    assert_int_equal(qd_grok_make(&a, &spec, &g, &err), QD_E_ARG);
    if (!strstr(qd_err_reason(&err), reason)) fail_msg("%s", qd_err_reason(&err));
    qd_err_fini(&err);
    qd_arena_fini(&a);
}

static void circles_are_refused(void **state)
{
    (void)state;
    refused("A", "%{A}", NULL, NULL, "circular reference");
    refused("A", "%{B}", "B", "x%{A}", "circular reference");
    refused("A", "%{NOTHING}", NULL, NULL, "Unable to find pattern [NOTHING]");
    refused("A", "x", "B", "%{B}", "circular reference");
    refused("A", "%{B}%{B}%{B}%{B}%{B}%{B}%{B}%{B}%{B}%{B}", "B",
            "%{NAGIOSLOGLINE}%{NAGIOSLOGLINE}%{NAGIOSLOGLINE}%{NAGIOSLOGLINE}%{NAGIOSLOGLINE}", "");
}

static void the_catastrophic_ends(void **state)
{
    (void)state;
    char text[2001];
    qdi_regex_room room = {0};
    qd_arena a;
    qd_grok *g;
    qd_grok_match m;
    qd_err err;
    memset(text, 'a', 2000);
    text[2000] = 0;
    qd_arena_init(&a, &account, 0);
    qd_err_init(&err);
    assert_int_equal(make(&a, "(a+)+b|(a|aa)+$c", false, &g, &err), 0);
    assert_int_equal(qd_grok_find(g, &room, qd_str_c(text), 0, &m, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "steps"));
    qdi_regex_room_free(&room);
    qd_err_fini(&err);
    qd_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_compile),           cmocka_unit_test(names_are_unique),
        cmocka_unit_test(lines_match),           cmocka_unit_test(circles_are_refused),
        cmocka_unit_test(the_catastrophic_ends),
    };
    qd_account_init(&account, "test", NULL, 0);
    int rc = unit_run(tests);
    return qd_account_used(&account) ? 1 : rc;
}
