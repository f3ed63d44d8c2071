/*
 * processors_t.c: each processor on documents: what it makes of them, or why it refuses; pipelines
 * that are refused when they are stored; failures, nesting, limits.
 */
#include "ingest/ingest.h"
#include "script/script.h"
#include "unit/unit.h"
#include <stdio.h>

static qd_account account;
static qd_ingest_settings settings;

/* processors, source, what comes of it: "{…}" the source, "drop", or a part of the reason. */
static const struct row {
    const char *processors, *source, *want;
} rows[] = {
    {"{\"set\":{\"field\":\"a.b\",\"value\":1}}", "{\"x\":1.50}", "{\"x\":1.50,\"a\":{\"b\":1}}"},
    {"{\"set\":{\"field\":\"a\",\"value\":\"{{x}}-{{{y.0}}}\"}}",
     "{\"x\":\"q\\\"\",\"y\":[\"z\\\"\"]}",
     "{\"x\":\"q\\\"\",\"y\":[\"z\\\"\"],\"a\":\"q\\\\\\\"-z\\\"\"}"},
    {"{\"set\":{\"field\":\"a\",\"value\":\"{{#l}}<{{n}}{{x}}>{{/l}}{{^z}}no{{/z}} {{l.size}}\"}}",
     "{\"x\":1,\"l\":[{\"n\":2},{\"n\":3}]}",
     "{\"x\":1,\"l\":[{\"n\":2},{\"n\":3}],\"a\":\"<21><31>no 2\"}"},
    {"{\"set\":{\"field\":\"a\",\"value\":\"{{#join}}t{{/"
     "join}}|{{t}}|{{_source.t.0}}|{{_index}}\"}}",
     "{\"t\":[1,\"b\"]}", "{\"t\":[1,\"b\"],\"a\":\"1,b|{0=1, 1=b}|1|i\"}"},
    {"{\"set\":{\"field\":\"a\",\"value\":\"{{#toJson}}_source.m{{/toJson}}{{#_source}}{{m.k.0}}{{/"
     "_source}}\"}}",
     "{\"m\":{\"k\":[1.50]}}", "{\"m\":{\"k\":[1.50]},\"a\":\"{\\\"k\\\":[1.50]}1.5\"}"},
    {"{\"set\":{\"field\":\"a\",\"value\":\"{{x}}\",\"media_type\":\"text/plain\"}}",
     "{\"x\":\"q\\\"\"}", "{\"x\":\"q\\\"\",\"a\":\"q\\\"\"}"},
    {"{\"set\":{\"field\":\"a\",\"copy_from\":\"x\"}}", "{\"x\":{\"y\":[1]}}",
     "{\"x\":{\"y\":[1]},\"a\":{\"y\":[1]}}"},
    {"{\"set\":{\"field\":\"a\",\"value\":2,\"override\":false}}", "{\"a\":1}", "{\"a\":1}"},
    {"{\"set\":{\"field\":\"a.b\",\"value\":2}}", "{\"a\":1}",
     "cannot set [b] with parent object of type [java.lang.Integer] as part of path [a.b]"},
    {"{\"set\":{\"field\":\"_id\",\"value\":\"{{_ingest.pipeline}}\"}}", "{}", "{}"},
    {"{\"remove\":{\"field\":[\"a\",\"b.c\"]}}", "{\"a\":1,\"b\":{\"c\":1,\"d\":2}}",
     "{\"b\":{\"d\":2}}"},
    {"{\"remove\":{\"field\":\"x\"}}", "{}", "field [x] not present as part of path [x]"},
    {"{\"remove\":{\"field\":\"x\",\"ignore_missing\":true}}", "{}", "{}"},
    {"{\"remove\":{\"field\":\"_index\"}}", "{}", "cannot remove metadata field [_index]"},
    {"{\"remove\":{\"keep\":[\"a\",\"b.c\"]}}", "{\"a\":1,\"b\":{\"c\":1,\"d\":2},\"e\":3}",
     "{\"a\":1,\"b\":{\"c\":1}}"},
    {"{\"rename\":{\"field\":\"a\",\"target_field\":\"b.c\"}}", "{\"a\":1}", "{\"b\":{\"c\":1}}"},
    {"{\"rename\":{\"field\":\"a\",\"target_field\":\"b\"}}", "{}", "field [a] doesn't exist"},
    {"{\"rename\":{\"field\":\"a\",\"target_field\":\"b\"}}", "{\"a\":1,\"b\":2}",
     "field [b] already exists"},
    {"{\"convert\":{\"field\":\"a\",\"type\":\"integer\"}}", "{\"a\":[\"1\",\"0x10\"]}",
     "{\"a\":[1,16]}"},
    {"{\"convert\":{\"field\":\"a\",\"type\":\"integer\"}}", "{\"a\":\"x\"}",
     "unable to convert [x] to integer"},
    {"{\"convert\":{\"field\":\"a\",\"type\":\"auto\"}}", "{\"a\":\"12.5\"}", "{\"a\":12.5}"},
    {"{\"convert\":{\"field\":\"a\",\"type\":\"boolean\"}}", "{\"a\":\"yes\"}",
     "[yes] is not a boolean value, cannot convert to boolean"},
    {"{\"convert\":{\"field\":\"a\",\"type\":\"string\"}}", "{\"a\":1.50}", "{\"a\":\"1.5\"}"},
    {"{\"convert\":{\"field\":\"a\",\"type\":\"ip\"}}", "{\"a\":\"1.2.3\"}",
     "'1.2.3' is not an IP string literal."},
    {"{\"lowercase\":{\"field\":\"a\"}}",
     "{\"a\":\"\xc3\x84"
     "BC\"}",
     "{\"a\":\"\xc3\xa4"
     "bc\"}"},
    {"{\"uppercase\":{\"field\":\"a\",\"target_field\":\"b\"}}",
     "{\"a\":[\"x\",\"stra\xc3\x9f"
     "e\"]}",
     "{\"a\":[\"x\",\"stra\xc3\x9f"
     "e\"],\"b\":[\"X\",\"STRASSE\"]}"},
    {"{\"lowercase\":{\"field\":\"a\"}}", "{\"a\":1}",
     "field [a] of type [java.lang.Integer] cannot be cast to [java.lang.String]"},
    {"{\"lowercase\":{\"field\":\"a\"}}", "{\"a\":null}", "field [a] is null, cannot process it."},
    {"{\"trim\":{\"field\":\"a\"}}", "{\"a\":\" \\t x \"}", "{\"a\":\"x\"}"},
    {"{\"split\":{\"field\":\"a\",\"separator\":\",\"}}", "{\"a\":\"1,2,,\"}",
     "{\"a\":[\"1\",\"2\"]}"},
    {"{\"split\":{\"field\":\"a\",\"separator\":\"\\\\s*,\\\\s*\",\"preserve_trailing\":true}}",
     "{\"a\":\"1 , 2,\"}", "{\"a\":[\"1\",\"2\",\"\"]}"},
    {"{\"split\":{\"field\":\"a\",\"separator\":\"\"}}", "{\"a\":\"abc\"}",
     "{\"a\":[\"a\",\"b\",\"c\"]}"},
    {"{\"join\":{\"field\":\"a\",\"separator\":\"-\"}}", "{\"a\":[1,\"b\",null,2.50]}",
     "{\"a\":\"1-b-null-2.5\"}"},
    {"{\"append\":{\"field\":\"a\",\"value\":[\"x\",\"{{b}}\"]}}", "{\"a\":1,\"b\":\"y\"}",
     "{\"a\":[1,\"x\",\"y\"],\"b\":\"y\"}"},
    {"{\"append\":{\"field\":\"a\",\"value\":[1,2],\"allow_duplicates\":false}}", "{\"a\":[1]}",
     "{\"a\":[1,2]}"},
    {"{\"gsub\":{\"field\":\"a\",\"pattern\":\"(\\\\d)(\\\\d)\",\"replacement\":\"$2$1\\\\$\"}}",
     "{\"a\":\"12-34\"}", "{\"a\":\"21$-43$\"}"},
    {"{\"gsub\":{\"field\":\"a\",\"pattern\":\"(?<=x)y(?!z)\",\"replacement\":\"\"}}",
     "{\"a\":\"xy xyz y\"}", "{\"a\":\"x xyz y\"}"},
    {"{\"gsub\":{\"field\":\"a\",\"pattern\":\"x*\",\"replacement\":\"-\"}}", "{\"a\":\"ab\"}",
     "{\"a\":\"-a-b-\"}"},
    {"{\"gsub\":{\"field\":\"a\",\"pattern\":\"\\\\p{Punct}+\",\"replacement\":\"_\"}}",
     "{\"a\":\"a.;b\"}", "{\"a\":\"a_b\"}"},
    {"{\"gsub\":{\"field\":\"a\",\"pattern\":\"(a+)+$\",\"replacement\":\"\"}}",
     "{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}", "steps"},
    {"{\"date\":{\"field\":\"a\",\"formats\":[\"dd/MM/yyyy\"],\"timezone\":\"Europe/Amsterdam\"}}",
     "{\"a\":\"12/06/2010\"}",
     "{\"a\":\"12/06/2010\",\"@timestamp\":\"2010-06-12T00:00:00.000+02:00\"}"},
    {"{\"date\":{\"field\":\"a\",\"target_field\":\"a\",\"formats\":[\"UNIX\"]}}", "{\"a\":1.5}",
     "{\"a\":\"1970-01-01T00:00:01.500Z\"}"},
    {"{\"date\":{\"field\":\"a\",\"target_field\":\"a\",\"formats\":[\"TAI64N\"]}}",
     "{\"a\":\"@4000000050d506482dbdf024\"}", "{\"a\":\"2012-12-22T01:00:46.767Z\"}"},
    {"{\"date\":{\"field\":\"a\",\"target_field\":\"a\",\"formats\":[\"ISO8601\"],\"output_"
     "format\":"
     "\"yyyy/MM/dd\"}}",
     "{\"a\":\"2020-02-03T04:05:06Z\"}", "{\"a\":\"2020/02/03\"}"},
    {"{\"date\":{\"field\":\"a\",\"formats\":[\"yyyy\",\"UNIX_MS\"]}}", "{\"a\":\"x\"}",
     "unable to parse date [x]"},
    {"{\"json\":{\"field\":\"a\"}}", "{\"a\":\"{\\\"b\\\":[1,null]}\"}",
     "{\"a\":{\"b\":[1,null]}}"},
    {"{\"json\":{\"field\":\"a\",\"add_to_root\":true,\"add_to_root_conflict_strategy\":\"merge\"}"
     "}",
     "{\"a\":\"{\\\"c\\\":{\\\"e\\\":2}}\",\"c\":{\"d\":1}}",
     "{\"a\":\"{\\\"c\\\":{\\\"e\\\":2}}\",\"c\":{\"d\":1,\"e\":2}}"},
    {"{\"json\":{\"field\":\"a\",\"add_to_root\":true}}", "{\"a\":\"1\"}",
     "cannot add non-map fields to root of document"},
    {"{\"json\":{\"field\":\"a\"}}", "{\"a\":\"{x\"}", "Unexpected character"},
    {"{\"kv\":{\"field\":\"a\",\"field_split\":\"&\",\"value_split\":\"=\"}}",
     "{\"a\":\"b=1&c=2&b=3\"}", "{\"a\":\"b=1&c=2&b=3\",\"b\":[\"1\",\"3\"],\"c\":\"2\"}"},
    {"{\"kv\":{\"field\":\"a\",\"field_split\":\" \",\"value_split\":\"=\",\"target_field\":\"t\","
     "\"prefix\":\"p_\",\"strip_brackets\":true,\"exclude_keys\":[\"c\"],\"trim_key\":\"#\"}}",
     "{\"a\":\"#b=(1) c=2\"}", "{\"a\":\"#b=(1) c=2\",\"t\":{\"p_b\":\"1\"}}"},
    {"{\"kv\":{\"field\":\"a\",\"field_split\":\" \",\"value_split\":\"=\"}}", "{\"a\":\"b\"}",
     "field [a] does not contain value_split [=]"},
    {"{\"csv\":{\"field\":\"a\",\"target_fields\":[\"b\",\"c\",\"d\"],\"empty_value\":\"-\"}}",
     "{\"a\":\"1,\\\"x\\\"\\\"y,\\\",\"}",
     "{\"a\":\"1,\\\"x\\\"\\\"y,\\\",\",\"b\":\"1\",\"c\":\"x\\\"y,\"}"},
    {"{\"kv\":{\"field\":\"a\",\"field_split\":\" \",\"value_split\":\"=\",\"trim_value\":"
     "\"\xc3\xa9\"}}",
     "{\"a\":\"b=\xc3\xa8x\xc3\xa9\"}", "{\"a\":\"b=\xc3\xa8x\xc3\xa9\",\"b\":\"\xc3\xa8x\"}"},
    {"{\"csv\":{\"field\":\"a\",\"target_fields\":[\"b\"]}}", "{\"a\":\"\\\"x\"}",
     "Unmatched quote"},
    {"{\"dissect\":{\"field\":\"a\",\"pattern\":\"[%{t}] %{+n/2} %{+n/1}: %{*k}=%{&k}%{?skip}\","
     "\"append_separator\":\"_\"}}",
     "{}", "Unable to parse pattern"},
    {"{\"dissect\":{\"field\":\"a\",\"pattern\":\"[%{t->}] %{+n/2} %{+n/1}: %{*k}=%{&k}\","
     "\"append_separator\":\"_\"}}",
     "{\"a\":\"[x] one two: key=val\"}",
     "{\"a\":\"[x] one two: key=val\",\"t\":\"x\",\"n\":\"two_one\",\"key\":\"val\"}"},
    {"{\"dissect\":{\"field\":\"a\",\"pattern\":\"%{x->} %{y}\"}}", "{\"a\":\"1    2\"}",
     "{\"a\":\"1    2\",\"x\":\"1\",\"y\":\"2\"}"},
    {"{\"dissect\":{\"field\":\"a\",\"pattern\":\"%{x},%{y}\"}}", "{\"a\":\"1 2\"}",
     "Unable to find match for dissect pattern: %{x},%{y} against source: 1 2"},
    {"{\"grok\":{\"field\":\"a\",\"patterns\":[\"%{IP:ip} %{NUMBER:n.x:int}\",\"%{WORD:w}\"]}}",
     "{\"a\":\"1.2.3.4 55\"}", "{\"a\":\"1.2.3.4 55\",\"ip\":\"1.2.3.4\",\"n\":{\"x\":55}}"},
    {"{\"grok\":{\"field\":\"a\",\"patterns\":[\"^%{IP:ip}$\"]}}", "{\"a\":\"x\"}",
     "Provided Grok expressions do not match field value: [x]"},
    {"{\"redact\":{\"field\":\"a\",\"patterns\":[\"%{IP:CLIENT}\",\"%{EMAILADDRESS:MAIL}\"]}}",
     "{\"a\":\"55.3.244.1 wrote to a@b.org and 10.0.0.1\"}",
     "{\"a\":\"<CLIENT> wrote to <MAIL> and <CLIENT>\"}"},
    {"{\"drop\":{}}", "{}", "drop"},
    {"{\"fail\":{\"message\":\"no {{a}}\"}}", "{\"a\":1}", "no 1"},
    {"{\"fail\":{\"message\":\"no\",\"on_failure\":[{\"set\":{\"field\":\"e\",\"value\":"
     "\"{{_ingest.on_failure_message}} {{_ingest.on_failure_processor_type}} "
     "{{_ingest.on_failure_processor_tag}}\"}}],\"tag\":\"T\"}}",
     "{}", "{\"e\":\"no fail T\"}"},
    {"{\"fail\":{\"message\":\"no\",\"on_failure\":[{\"drop\":{}}]}}", "{}", "drop"},
    {"{\"fail\":{\"message\":\"no\",\"ignore_failure\":true}},{\"set\":{\"field\":\"a\",\"value\":"
     "1}}",
     "{}", "{\"a\":1}"},
    {"{\"pipeline\":{\"name\":\"other\"}},{\"set\":{\"field\":\"b\",\"value\":1}}", "{}",
     "{\"other\":true,\"b\":1}"},
    {"{\"pipeline\":{\"name\":\"none\"}}", "{}",
     "Pipeline processor configured for non-existent pipeline [none]"},
    {"{\"pipeline\":{\"name\":\"none\",\"ignore_missing_pipeline\":true}}", "{}", "{}"},
    {"{\"pipeline\":{\"name\":\"loop\"}}", "{}", "Cycle detected for pipeline: loop"},
    {"{\"foreach\":{\"field\":\"a\",\"processor\":{\"uppercase\":{\"field\":\"_ingest._value\"}}}}",
     "{\"a\":[\"x\",\"y\"]}", "{\"a\":[\"X\",\"Y\"]}"},
    {"{\"foreach\":{\"field\":\"a\",\"processor\":{\"foreach\":{\"field\":\"_ingest._value\","
     "\"processor\":{\"set\":{\"field\":\"_ingest._value\",\"value\":\"{{_ingest._value}}!\"}}}}}}",
     "{\"a\":[[\"x\"],[\"y\",1]]}", "{\"a\":[[\"x!\"],[\"y!\",\"1!\"]]}"},
    {"{\"foreach\":{\"field\":\"a\",\"processor\":{\"set\":{\"field\":\"_ingest._key\",\"value\":"
     "\"k_{{_ingest._key}}\"}}}}",
     "{\"a\":{\"x\":1}}", "{\"a\":{\"k_x\":1}}"},
    {"{\"dot_expander\":{\"field\":\"a.b\"}}", "{\"a.b\":1,\"a\":{\"c\":2}}",
     "{\"a\":{\"c\":2,\"b\":1}}"},
    {"{\"dot_expander\":{\"field\":\"*\"}}", "{\"a.b\":1,\"c.d.e\":2}",
     "{\"a\":{\"b\":1},\"c\":{\"d\":{\"e\":2}}}"},
    {"{\"dot_expander\":{\"field\":\"a.b\"}}", "{\"a.b\":1,\"a\":{\"b\":2}}",
     "{\"a\":{\"b\":[2,1]}}"},
    {"{\"dot_expander\":{\"field\":\"a.b\"}}", "{\"a.b\":1,\"a\":2}", "cannot expand [a.b]"},
    {"{\"sort\":{\"field\":\"a\",\"order\":\"desc\"}}", "{\"a\":[1,10,2]}", "{\"a\":[10,2,1]}"},
    {"{\"sort\":{\"field\":\"a\"}}", "{\"a\":[1,\"x\"]}", "cannot be compared"},
    {"{\"bytes\":{\"field\":\"a\"}}", "{\"a\":\"1kb\"}", "{\"a\":1024}"},
    {"{\"bytes\":{\"field\":\"a\"}}", "{\"a\":\"8xx\"}", "failed to parse setting [Ingest Field]"},
    {"{\"urldecode\":{\"field\":\"a\"}}", "{\"a\":\"a%20b+c%C3%A4\"}", "{\"a\":\"a b c\xc3\xa4\"}"},
    {"{\"urldecode\":{\"field\":\"a\"}}", "{\"a\":\"%2\"}", "Could not URL-decode value."},
    {"{\"html_strip\":{\"field\":\"a\"}}", "{\"a\":\"<b>x</b> &amp; y\"}", "{\"a\":\"x & y\"}"},
    {"{\"uri_parts\":{\"field\":\"a\",\"target_field\":\"u\",\"keep_original\":false}}",
     "{\"a\":\"http://me:pw@example.com:80/x/y.gif?k=v#f\"}",
     "{\"a\":\"http://me:pw@example.com:80/x/y.gif?k=v#f\",\"u\":{\"domain\":\"example.com\","
     "\"fragment\":\"f\",\"path\":\"/x/y.gif\",\"extension\":\"gif\",\"port\":80,\"query\":\"k=v\","
     "\"scheme\":\"http\",\"user_info\":\"me:pw\",\"username\":\"me\",\"password\":\"pw\"}}"},
    {"{\"registered_domain\":{\"field\":\"a\",\"target_field\":\"u\"}}",
     "{\"a\":\"www.example.ac.uk\"}",
     "{\"a\":\"www.example.ac.uk\",\"u\":{\"domain\":\"www.example.ac.uk\",\"registered_domain\":"
     "\"example.ac.uk\",\"top_level_domain\":\"ac.uk\",\"subdomain\":\"www\"}}"},
    {"{\"user_agent\":{\"field\":\"a\",\"properties\":[\"name\",\"version\",\"os\",\"device\"]}}",
     "{\"a\":\"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_2) Chrome/33.0.1750.149 "
     "Safari/537.36\"}",
     "{\"a\":\"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_2) Chrome/33.0.1750.149 Safari/537.36\","
     "\"user_agent\":{\"name\":\"Chrome\",\"version\":\"33.0.1750.149\",\"os\":{\"name\":\"Mac OS "
     "X\","
     "\"version\":\"10.9.2\",\"full\":\"Mac OS X 10.9.2\"},\"device\":{\"name\":\"Mac\"}}}"},
    {"{\"fingerprint\":{\"fields\":[\"b\",\"a\"],\"method\":\"MD5\"}},{\"remove\":{\"field\":"
     "[\"a\",\"b\"]}}",
     "{\"a\":\"x\",\"b\":1}", "{\"fingerprint\":\"PLi/qMXxIJ8mx7sDVJBkmg==\"}"},
    {"{\"fingerprint\":{\"fields\":[\"c\"]}}", "{}",
     "missing field [c] when calculating fingerprint"},
    {"{\"community_id\":{\"target_field\":\"c\"}},{\"remove\":{\"keep\":\"c\"}}",
     "{\"source\":{\"ip\":\"128.232.110.120\",\"port\":34855},\"destination\":{\"ip\":"
     "\"66.35.250.204\",\"port\":80},\"network\":{\"transport\":\"TCP\"}}",
     "{\"c\":\"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\"}"},
    {"{\"community_id\":{\"target_field\":\"c\"}},{\"remove\":{\"keep\":\"c\"}}",
     "{\"destination\":{\"ip\":\"128.232.110.120\",\"port\":34855},\"source\":{\"ip\":"
     "\"66.35.250.204\",\"port\":80},\"network\":{\"iana_number\":\"6\"}}",
     "{\"c\":\"1:LQU9qZlK+B5F3KDmev6m5PMibrg=\"}"},
    {"{\"network_direction\":{\"internal_networks\":[\"private\"],\"source_ip\":\"s\","
     "\"destination_ip\":\"d\",\"target_field\":\"w\"}}",
     "{\"s\":\"10.1.2.3\",\"d\":\"8.8.8.8\"}",
     "{\"s\":\"10.1.2.3\",\"d\":\"8.8.8.8\",\"w\":\"outbound\"}"},
    {"{\"circle\":{\"field\":\"c\",\"error_distance\":10,\"shape_type\":\"shape\"}}",
     "{\"c\":\"CIRCLE (0 0 10)\"}", "{\"c\":\"POLYGON ((10.0 0.0, "},
    {"{\"geoip\":{\"field\":\"a\"}}", "{\"a\":\"1.2.3.4\"}",
     "{\"a\":\"1.2.3.4\",\"tags\":[\"_geoip_database_unavailable_GeoLite2-City.mmdb\"]}"},
    {"{\"set\":{\"field\":\"a.a.a.a\",\"value\":1}},{\"set\":{\"field\":\"a.a.a.a\",\"copy_from\":"
     "\"a\"}},{\"set\":{\"field\":\"a.a.a.a.a.a.a\",\"copy_from\":\"a\"}}",
     "{}", "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"},
};

static qd_ingest_pipeline *find(void *arg, qd_str id)
{
    qd_ingest_pipeline *p;
    const char *text = NULL;
    (void)arg;
    if (qd_str_is(id, "other"))
        text = "{\"processors\":[{\"set\":{\"field\":\"other\",\"value\":true}}]}";
    if (qd_str_is(id, "loop")) text = "{\"processors\":[{\"pipeline\":{\"name\":\"loop\"}}]}";
    if (!text) return NULL;
    assert_int_equal(qd_ingest_compile(&settings, id, qd_str_c(text), &p, NULL), 0);
    return p;
}

static void run_row(const struct row *r)
{
    char text[4096];
    qd_ingest_pipeline *p = NULL;
    qd_ingest_run *run;
    qd_ingest_calls calls = {.find = find};
    qd_ingest_doc doc = {.index = QD_STR("i"), .id = QD_STR("1"), .source = qd_str_c(r->source)},
                  out;
    qd_arena a;
    qd_err err;
    qd_err_init(&err);
    qd_arena_init(&a, &account, 0);
    snprintf(text, sizeof text, "{\"processors\":[%s]}", r->processors);
    assert_int_equal(qd_ingest_run_open(&settings, &calls, &run, NULL), 0);
    int rc = qd_ingest_compile(&settings, QD_STR("p"), qd_str_c(text), &p, &err);
    if (!rc) rc = qd_ingest_begin(run, &doc, &err);
    if (!rc) rc = qd_ingest_apply(run, p, &err);
    if (!rc) rc = qd_ingest_end(run, &a, &out, &err);
    if (rc < 0) {
        if (!strstr(qd_err_reason(&err), r->want))
            fail_msg("%s: %s", r->processors, qd_err_reason(&err));
    } else if (rc == QD_INGEST_DROPPED) {
        assert_string_equal(r->want, "drop");
    } else if (!qd_str_starts(out.source, qd_str_c(r->want))) {
        fail_msg("%s:\n %.*s\n %s", r->processors, QD_STR_ARG(out.source), r->want);
    }
    qd_ingest_unref(p);
    qd_ingest_run_close(run);
    qd_arena_fini(&a);
    qd_err_fini(&err);
}

static void processors_work(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) run_row(&rows[k]);
}

static void targets_change(void **state)
{
    (void)state;
    static const char *const pipelines[][2] = {
        {"{\"processors\":[{\"date_index_name\":{\"field\":\"d\",\"index_name_prefix\":\"e-\","
         "\"date_rounding\":\"M\",\"index_name_format\":\"yyyy-MM\"}}]}",
         "e-2016-04"},
        {"{\"processors\":[{\"reroute\":{\"dataset\":[\"{{none}}\",\"Ng-x\"]}},{\"fail\":"
         "{\"message\":\"not reached\"}}]}",
         "logs-ng_x-default"},
        {"{\"processors\":[{\"reroute\":{\"destination\":\"there\"}}]}", "there"},
        {"{\"processors\":[{\"set\":{\"field\":\"_index\",\"value\":\"x{{n}}\"}}]}", "x7"},
    };
    for (size_t k = 0; k < sizeof pipelines / sizeof pipelines[0]; k++) {
        qd_ingest_pipeline *p;
        qd_ingest_run *run;
        qd_ingest_calls calls = {.find = find};
        qd_ingest_doc doc = {.index = QD_STR("logs-old-default"),
                             .source = QD_STR("{\"d\":\"2016-04-22T16:32:14.968Z\",\"n\":7}")};
        assert_int_equal(qd_ingest_run_open(&settings, &calls, &run, NULL), 0);
        assert_int_equal(
            qd_ingest_compile(&settings, QD_STR("p"), qd_str_c(pipelines[k][0]), &p, NULL), 0);
        assert_int_equal(qd_ingest_begin(run, &doc, NULL), 0);
        assert_true(qd_ingest_apply(run, p, NULL) >= 0);
        qd_str index = qd_ingest_index(run);
        if (!qd_str_is(index, pipelines[k][1])) fail_msg("%.*s", QD_STR_ARG(index));
        qd_ingest_unref(p);
        qd_ingest_run_close(run);
    }
}

static const char *const wrong[][2] = {
    {"{}", "[processors] required property is missing"},
    {"{\"processors\":{}}", "[processors] property isn't a list, but of type [java.util.HashMap]"},
    {"{\"processors\":[{\"nope\":{}}]}", "No processor type exists with name [nope]"},
    {"{\"processors\":[{\"attachment\":{}}]}", "processor [attachment] is not supported"},
    {"{\"processors\":[{\"script\":{\"source\":\"x +\"}}]}", "compile error"},
    {"{\"processors\":[{\"set\":{\"field\":\"a\",\"value\":1,\"if\":\"true =\"}}]}",
     "compile error"},
    {"{\"processors\":[{\"set\":{}}]}", "[field] required property is missing"},
    {"{\"processors\":[{\"set\":{\"field\":1,\"value\":1}}]}",
     "[field] property isn't a string, but of type [java.lang.Integer]"},
    {"{\"processors\":[{\"set\":{\"field\":\"a\",\"value\":1,\"x\":2}}]}",
     "processor [set] doesn't support one or more provided configuration parameters [x]"},
    {"{\"processors\":[],\"x\":1}", "pipeline [p] doesn't support one or more provided"},
    {"{\"processors\":[],\"on_failure\":[]}", "cannot have an empty on_failure option defined"},
    {"{\"processors\":[{\"drop\":{\"on_failure\":[]}}]}",
     "[on_failure] processors list cannot be empty"},
    {"{\"processors\":[{\"grok\":{\"field\":\"a\",\"patterns\":[\"%{A}\"],\"pattern_definitions\":"
     "{\"A\":\"%{A}\"}}}]}",
     "circular reference in pattern [A]"},
    {"{\"processors\":[{\"gsub\":{\"field\":\"a\",\"pattern\":\"[\",\"replacement\":\"\"}}]}",
     "[pattern] Invalid regex pattern."},
    {"{\"processors\":[{\"set\":{\"field\":\"a\",\"value\":\"{{#x}}y\"}}]}",
     "[value] Failed to close 'x' tag in query-template:1"},
    {"{\"processors\":[{\"set\":{\"field\":\"{{>p}}\",\"value\":1}}]}",
     "[field] Partials are not supported: template [p]"},
    {"{\"processors\":[{\"foreach\":{\"field\":\"a\",\"processor\":{\"drop\":{},\"fail\":{}}}}]}",
     "Must specify exactly one processor type"},
    {"{\"processors\":[{\"date\":{\"field\":\"a\",\"formats\":[\"qqqqqqq\"]}}]}", "[formats]"},
    {"{\"processors\":[{\"date\":{\"field\":\"a\",\"formats\":[\"yyyy\"],\"locale\":\"fr\"}}]}",
     "[locale] locale [fr] is not supported"},
};

static void wrong_ones_are_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        qd_ingest_pipeline *p;
        qd_err err;
        qd_err_init(&err);
        int rc = qd_ingest_compile(&settings, QD_STR("p"), qd_str_c(wrong[k][0]), &p, &err);
        assert_true(rc < 0);
        if (!strstr(qd_err_reason(&err), wrong[k][1]))
            fail_msg("%s: %s", wrong[k][0], qd_err_reason(&err));
        qd_err_fini(&err);
    }
}

/* A pipeline that doubles its document again and again ends by its limits. */
static void growth_ends(void **state)
{
    (void)state;
    static char text[65536];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"processors\":[");
    for (int k = 0; k < 60; k++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "%s{\"set\":{\"field\":\"a\",\"value\":[\"{{{a}}}{{{a}}}\"]}},"
                              "{\"append\":{\"field\":\"b\",\"value\":[\"{{{a}}}\"]}}",
                              k ? "," : "");
    snprintf(text + n, sizeof text - n, "]}");
    qd_ingest_pipeline *p;
    qd_ingest_run *run;
    qd_ingest_calls calls = {.find = find};
    qd_ingest_doc doc = {.index = QD_STR("i"), .source = QD_STR("{\"a\":\"xxxxxxxx\"}")};
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_ingest_run_open(&settings, &calls, &run, NULL), 0);
    assert_int_equal(qd_ingest_compile(&settings, QD_STR("p"), qd_str_c(text), &p, &err), 0);
    assert_int_equal(qd_ingest_begin(run, &doc, NULL), 0);
    assert_true(qd_ingest_apply(run, p, &err) < 0);
    qd_err_fini(&err);
    qd_ingest_unref(p);
    qd_ingest_run_close(run);
}

/* Of one run: each pipeline, and its script, has gone before the next one runs. */
static void scripts_follow_each_other(void **state)
{
    (void)state;
    qd_ingest_run *run;
    qd_ingest_calls calls = {.find = find};
    qd_ingest_doc doc = {.index = QD_STR("i"), .source = QD_STR("{\"n\":1,\"o\":{\"x\":[1.50]}}")},
                  out;
    assert_int_equal(qd_ingest_run_open(&settings, &calls, &run, NULL), 0);
    for (int k = 0; k < 20; k++) {
        char text[512], want[128];
        qd_arena a;
        qd_ingest_pipeline *p;
        qd_arena_init(&a, &account, 0);
        snprintf(text, sizeof text,
                 "{\"processors\":[{\"script\":{\"if\":\"ctx.o?.x.length == 1 && ctx.n != -%d\","
                 "\"source\":\"ctx.n += params.k; ctx.k%d = ctx.o.x[0]\",\"params\":{\"k\":%d}}}]}",
                 k, k, k);
        snprintf(want, sizeof want, "{\"n\":%d,\"o\":{\"x\":[1.5]},\"k%d\":1.5}", 1 + k, k);
        assert_int_equal(qd_ingest_compile(&settings, QD_STR("p"), qd_str_c(text), &p, NULL), 0);
        assert_int_equal(qd_ingest_begin(run, &doc, NULL), 0);
        assert_int_equal(qd_ingest_apply(run, p, NULL), 0);
        assert_int_equal(qd_ingest_end(run, &a, &out, NULL), 0);
        if (!qd_str_is(out.source, want)) fail_msg("%.*s", QD_STR_ARG(out.source));
        qd_ingest_unref(p);
        assert_int_equal(qd_ingest_begin(run, &doc, NULL), 0); /* lets go of it */
        qd_script_cache_close();
        qd_arena_fini(&a);
    }
    qd_ingest_run_close(run);
}

/* An object of many members is what a small one is: order, look-ups, removal, copies. */
static void large_objects(void **state)
{
    (void)state;
    enum { N = 3000 };
    qd_arena a;
    qd_iv map = {.kind = QD_IV_MAP}, copy;
    qd_arena_init(&a, &account, 0);
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < N; k++) {
            qd_iv *at = qd_iv_put(&a, &map, qd_arena_printf(&a, "k%d", k));
            assert_non_null(at);
            assert_int_equal(at->kind, round ? (k % 3 == 1 ? QD_IV_NULL : QD_IV_LONG) : QD_IV_NULL);
            *at = QD_IV_INTEGER(k);
        }
        assert_int_equal(map.n, N);
        assert_int_equal(qd_iv_copy(&a, &map, &copy, NULL), 0);
        for (int k = 1; k < N; k += 3)
            assert_true(qd_iv_remove(&map, qd_arena_printf(&a, "k%d", k)));
        for (int k = 0; k < N; k++) {
            qd_str key = qd_arena_printf(&a, "k%d", k);
            const qd_iv *v = qd_iv_get(&map, key);
            assert_true(k % 3 == 1 ? !v : v && v->i == k);
            assert_int_equal(qd_iv_get(&copy, key)->i, k);
        }
    }
    assert_true(qd_str_is(copy.members[0].key, "k0") && qd_str_is(copy.members[1].key, "k2"));
    qd_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_work),           cmocka_unit_test(targets_change),
        cmocka_unit_test(wrong_ones_are_refused),    cmocka_unit_test(growth_ends),
        cmocka_unit_test(scripts_follow_each_other), cmocka_unit_test(large_objects),
    };
    qd_account_init(&account, "test", NULL, 0);
    settings = (qd_ingest_settings){
        .account = &account, .env = qd_env_system(), .data_path = QD_STR("/nowhere")};
    int rc = unit_run(tests);
    return qd_account_used(&account) ? 1 : rc;
}
