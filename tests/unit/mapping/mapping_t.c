/* mapping_t.c: mappings read, written, merged; their conflicts and limits. */
#include "mapping/mapping.h"
#include "unit/unit.h"

static qd_analyzers *analyzers;

/* The mapping as written back, or type, reason and causes of the error. */
static const char *parsed(const char *json)
{
    static char line[8192];
    qd_mapping *m = NULL;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    qd_err e;
    qd_err_init(&e);
    if (qd_mapping_parse(qd_str_c(json), analyzers, &s, QD_MAPPING_UPDATE, &m, &e)) {
        snprintf(line, sizeof line, "%s: %s%s%s", qd_err_es_type(&e), qd_err_reason(&e),
                 e.cause ? " <- " : "", e.cause ? qd_err_es_type(e.cause) : "");
    } else {
        snprintf(line, sizeof line, "%.*s", QD_STR_ARG(qd_mapping_json(m)));
        qd_mapping *again = NULL;
        assert_int_equal(
            qd_mapping_parse(qd_mapping_json(m), analyzers, &s, QD_MAPPING_UPDATE, &again, NULL),
            0);
        assert_true(qd_str_eq(qd_mapping_json(m), qd_mapping_json(again)));
        qd_mapping_unref(again);
        qd_mapping_unref(m);
    }
    qd_err_fini(&e);
    return line;
}

static void expect(const char *json, const char *want)
{
    const char *got = parsed(json);
    if (strcmp(got, want) != 0) fail_msg("%s\n got %s\nwant %s", json, got, want);
}

static const char *merged(const char *old, const char *update)
{
    static char line[8192];
    qd_mapping *m = NULL, *n = NULL;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    qd_err e;
    qd_err_init(&e);
    assert_int_equal(qd_mapping_parse(qd_str_c(old), analyzers, &s, QD_MAPPING_UPDATE, &m, &e), 0);
    if (qd_mapping_merge(m, qd_str_c(update), QD_MAPPING_UPDATE, &n, &e)) {
        snprintf(line, sizeof line, "%s: %s", qd_err_es_type(&e), qd_err_reason(&e));
    } else {
        snprintf(line, sizeof line, "%.*s", QD_STR_ARG(qd_mapping_json(n)));
        qd_mapping_unref(n);
    }
    qd_err_fini(&e);
    qd_mapping_unref(m);
    return line;
}

static void expect_merge(const char *old, const char *update, const char *want)
{
    const char *got = merged(old, update);
    if (strcmp(got, want) != 0) fail_msg("%s + %s\n got %s\nwant %s", old, update, got, want);
}

#define P(x) "{\"properties\":{" x "}}"

static void written_as_elasticsearch_writes(void **state)
{
    (void)state;
    expect("{}", "{}");
    expect("{\"_doc\":{\"properties\":{\"a\":{\"type\":\"long\"}}}}",
           P("\"a\":{\"type\":\"long\"}"));
    expect(P("\"b\":{\"type\":\"text\",\"index\":true},\"a\":{\"type\":\"keyword\",\"ignore_"
             "above\":256,\"index\":\"false\"}"),
           P("\"a\":{\"type\":\"keyword\",\"index\":false,\"ignore_above\":256},\"b\":{\"type\":"
             "\"text\"}"));
    expect(P("\"n\":{\"type\":\"long\",\"coerce\":true,\"null_value\":5,\"doc_values\":true}"),
           P("\"n\":{\"type\":\"long\",\"coerce\":true,\"null_value\":5}"));
    expect(
        P("\"t\":{\"type\":\"text\",\"search_analyzer\":\"whitespace\"}"),
        P("\"t\":{\"type\":\"text\",\"analyzer\":\"default\",\"search_analyzer\":\"whitespace\"}"));
    expect(P("\"t\":{\"fields\":{\"z\":{\"type\":\"long\"},\"k\":{\"type\":\"keyword\"}},\"type\":"
             "\"text\",\"copy_to\":\"a\"},\"a\":{\"type\":\"text\"}"),
           P("\"a\":{\"type\":\"text\"},\"t\":{\"type\":\"text\",\"fields\":{\"k\":{\"type\":"
             "\"keyword\"},\"z\":{\"type\":\"long\"}},\"copy_to\":[\"a\"]}"));
    expect(P("\"o\":{\"type\":\"object\"},\"p\":{\"properties\":{}},\"q\":{\"enabled\":false},"
             "\"r\":{\"dynamic\":\"strict\",\"properties\":{\"x\":{\"type\":\"ip\"}}}"),
           P("\"o\":{\"type\":\"object\"},\"p\":{\"type\":\"object\"},\"q\":{\"type\":\"object\","
             "\"enabled\":false},"
             "\"r\":{\"dynamic\":\"strict\",\"properties\":{\"x\":{\"type\":\"ip\"}}}"));
    expect(P("\"a.b.c\":{\"type\":\"byte\"},\"a.d\":{\"type\":\"short\"}"),
           P("\"a\":{\"properties\":{\"b\":{\"properties\":{\"c\":{\"type\":\"byte\"}}},\"d\":{"
             "\"type\":\"short\"}}}"));
    expect("{\"_meta\":{ \"v\": [1, 2] "
           "},\"_source\":{\"excludes\":[\"x\"],\"enabled\":true},\"_routing\":{\"required\":true},"
           "\"date_detection\":false,\"dynamic\":false,\"properties\":{\"d\":{\"type\":\"date\","
           "\"format\":\"yyyy||epoch_second\"}}}",
           "{\"dynamic\":\"false\",\"_meta\":{\"v\":[1,2]},\"_routing\":{\"required\":true},\"_"
           "source\":{\"excludes\":[\"x\"]},"
           "\"date_detection\":false,\"properties\":{\"d\":{\"type\":\"date\",\"format\":\"yyyy||"
           "epoch_second\"}}}");
    expect(
        P("\"s\":{\"type\":\"scaled_float\",\"scaling_factor\":100,\"meta\":{\"unit\":\"m\"}}"),
        P("\"s\":{\"type\":\"scaled_float\",\"meta\":{\"unit\":\"m\"},\"scaling_factor\":100.0}"));
}

static void types_of_several_fields(void **state)
{
    (void)state;
    expect(P("\"w\":{\"type\":\"wildcard\",\"ignore_above\":9,\"null_value\":\"x\"}"),
           P("\"w\":{\"type\":\"wildcard\",\"ignore_above\":9,\"null_value\":\"x\"}"));
    expect(P("\"f\":{\"type\":\"flattened\",\"depth_limit\":20,\"index\":false}"),
           P("\"f\":{\"type\":\"flattened\",\"index\":false}"));
    expect(P("\"f\":{\"type\":\"flat_object\"}"), P("\"f\":{\"type\":\"flat_object\"}"));
    expect(P("\"s\":{\"type\":\"search_as_you_type\"}"),
           P("\"s\":{\"type\":\"search_as_you_type\",\"doc_values\":false,\"max_shingle_size\":"
             "3}"));
    expect(P("\"d\":{\"type\":\"date_range\",\"format\":\"yyyy\",\"coerce\":true}"),
           P("\"d\":{\"type\":\"date_range\",\"coerce\":true,\"format\":\"yyyy\"}"));
    expect_merge(P("\"f\":{\"type\":\"flattened\"}"),
                 P("\"f\":{\"type\":\"flattened\",\"depth_limit\":5}"),
                 P("\"f\":{\"type\":\"flattened\",\"depth_limit\":5}"));
    expect_merge(P("\"s\":{\"type\":\"search_as_you_type\"}"),
                 P("\"s\":{\"type\":\"search_as_you_type\",\"max_shingle_size\":4}"),
                 "illegal_argument_exception: Mapper for [s] conflicts with existing "
                 "mapper:\n\tCannot update parameter [max_shingle_size] from [3] to [4]");
    expect_merge(P("\"r\":{\"type\":\"long_range\"}"), P("\"r\":{\"type\":\"long\"}"),
                 "illegal_argument_exception: mapper [r] cannot be changed from type "
                 "[long_range] to [long]");
}

static void bad_mappings_are_refused(void **state)
{
    (void)state;
    expect(
        P("\"a\":{\"type\":\"alias\",\"path\":\"a\"}"),
        "mapper_parsing_exception: Invalid [path] value [a] for field alias [a]: an alias cannot "
        "refer to itself.");
    expect(
        P("\"a\":{\"type\":\"alias\",\"path\":\"b\",\"fields\":{}},\"b\":{\"type\":\"long\"}"),
        "mapper_parsing_exception: Failed to parse mapping: unknown parameter [fields] on mapper "
        "[a] of type [alias] <- mapper_parsing_exception");
    expect(
        P("\"b\":{\"type\":\"long\",\"fields\":{\"a\":{\"type\":\"alias\",\"path\":\"b\"}}}"),
        "mapper_parsing_exception: Failed to parse mapping: Type [alias] cannot be used in multi "
        "field <- mapper_parsing_exception");
    expect(P("\"b\":{\"type\":\"binary\",\"index\":true}"),
           "mapper_parsing_exception: Failed to parse mapping: unknown parameter [index] on mapper "
           "[b] of type [binary] <- mapper_parsing_exception");
#define FAILED(x)                                                                                  \
    "mapper_parsing_exception: Failed to parse mapping: " x " <- mapper_parsing_exception"
#define FAILED_ARG(x)                                                                              \
    "mapper_parsing_exception: Failed to parse mapping: " x " <- illegal_argument_exception"
    expect(P("\"b\":{\"type\":\"foo\"}"),
           FAILED("No handler for type [foo] declared on field [b]"));
    expect(P("\"b\":{\"index\":true}"), FAILED("No type specified for field [b]"));
    expect(P("\"b\":{\"type\":\"long\",\"fo\":1}"),
           FAILED("unknown parameter [fo] on mapper [b] of type [long]"));
    expect("{\"foo\":{}}",
           FAILED("Root mapping definition has unsupported parameters:  [foo : {}]"));
    expect(P("\"b\":{\"type\":\"object\",\"foo\":1}"),
           FAILED("Mapping definition for [b] has unsupported parameters:  [foo : 1]"));
    expect(P("\"b\":{\"type\":\"long\",\"index\":\"no\"}"),
           FAILED_ARG("Failed to parse value [no] as only [true] or [false] are allowed."));
    expect(P("\"b\":{\"type\":\"text\",\"analyzer\":\"foo\"}"),
           FAILED_ARG("analyzer [foo] has not been configured in mappings"));
    expect(P("\"b\":{\"type\":\"keyword\",\"normalizer\":\"foo\"}"),
           FAILED("normalizer [foo] not found for field [b]"));
    expect(P("\"b\":{\"type\":\"long\",\"index\":null}"),
           FAILED("[index] on mapper [b] of type [long] must not have a [null] value"));
    expect(P("\"b\":{\"type\":\"long\",\"fields\":{\"x\":{\"type\":\"object\"}}}"),
           FAILED("Type [object] cannot be used in multi field"));
    expect(P("\"b\":{\"type\":\"scaled_float\"}"),
           FAILED_ARG("Field [scaling_factor] is required"));
    assert_non_null(strstr(parsed(P("\"b\":{\"type\":\"date\",\"format\":\"foo\"}")),
                           "Error parsing [format] on field [b]: Invalid format: [foo]"));
    assert_non_null(strstr(parsed("{\"properties\":"), "x_content_e_o_f_exception"));
    assert_non_null(strstr(parsed(P("\"a\":{\"type\":\"long\"},\"a\":{\"type\":\"long\"}")),
                           "Duplicate field 'a'"));
    expect(P("\"a\":{\"type\":\"keyword\",\"copy_to\":\"o\"},\"o\":{\"type\":\"object\"}"),
           "illegal_argument_exception: Cannot copy to field [o] since it is mapped as an object");
    assert_non_null(strstr(parsed("{\"runtime\":{\"a\":{\"type\":\"text\"}}}"),
                           "No handler for type [text] declared on runtime field [a]"));
    assert_non_null(strstr(parsed("{\"runtime\":{\"a\":null}}"),
                           "Runtime field [a] was set to null but its removal is not supported"));
    static char deep[70000];
    size_t n = 0;
    for (int i = 0; i < 400; i++)
        n += (size_t)snprintf(deep + n, sizeof deep - n, "{\"properties\":{\"a\":");
    n += (size_t)snprintf(deep + n, sizeof deep - n, "{\"type\":\"long\"}");
    for (int i = 0; i < 400; i++) n += (size_t)snprintf(deep + n, sizeof deep - n, "}}");
    assert_non_null(strstr(parsed(deep), "exce"));
}

static void merges_keep_what_was(void **state)
{
    (void)state;
    expect_merge(P("\"c\":{\"type\":\"constant_keyword\"}"),
                 P("\"c\":{\"type\":\"constant_keyword\",\"value\":\"x\"}"),
                 P("\"c\":{\"type\":\"constant_keyword\",\"value\":\"x\"}"));
    expect_merge(P("\"c\":{\"type\":\"constant_keyword\",\"value\":\"x\"}"),
                 P("\"c\":{\"type\":\"constant_keyword\"}"),
                 "illegal_argument_exception: Mapper for [c] conflicts with existing mapper:\n\t"
                 "Cannot update parameter [value] from [x] to [null]");
    expect_merge(P("\"a\":{\"type\":\"alias\",\"path\":\"b\"},\"b\":{\"type\":\"long\"}"),
                 P("\"a\":{\"type\":\"alias\",\"path\":\"c\"},\"c\":{\"type\":\"long\"}"),
                 P("\"a\":{\"type\":\"alias\",\"path\":\"c\"},\"b\":{\"type\":\"long\"},"
                   "\"c\":{\"type\":\"long\"}"));
#define CONFLICT(field, param, from, to)                                                           \
    "illegal_argument_exception: Mapper for [" field                                               \
    "] conflicts with existing mapper:\n\tCannot update parameter [" param "] from [" from         \
    "] to [" to "]"
    expect_merge("{}", P("\"a\":{\"type\":\"long\"}"), P("\"a\":{\"type\":\"long\"}"));
    expect_merge(P("\"a\":{\"type\":\"long\"}"), P("\"b\":{\"type\":\"ip\"}"),
                 P("\"a\":{\"type\":\"long\"},\"b\":{\"type\":\"ip\"}"));
    expect_merge(
        P("\"a\":{\"type\":\"long\"}"), P("\"a\":{\"type\":\"text\"}"),
        "illegal_argument_exception: mapper [a] cannot be changed from type [long] to [text]");
    expect_merge(
        P("\"o\":{\"properties\":{\"a\":{\"type\":\"long\"}}}"), P("\"o.a\":{\"type\":\"date\"}"),
        "illegal_argument_exception: mapper [o.a] cannot be changed from type [long] to [date]");
    expect_merge(P("\"a\":{\"type\":\"text\"}"),
                 P("\"a\":{\"type\":\"text\",\"analyzer\":\"whitespace\"}"),
                 CONFLICT("a", "analyzer", "default", "whitespace"));
    expect_merge(
        P("\"a\":{\"type\":\"keyword\"}"),
        P("\"a\":{\"type\":\"keyword\",\"index\":false,\"doc_values\":false}"),
        CONFLICT("a", "index", "true",
                 "false") "\n\tCannot update parameter [doc_values] from [true] to [false]");
    expect_merge(P("\"a\":{\"type\":\"keyword\"}"),
                 P("\"a\":{\"type\":\"keyword\",\"ignore_above\":10}"),
                 P("\"a\":{\"type\":\"keyword\",\"ignore_above\":10}"));
    expect_merge(P("\"a\":{\"type\":\"text\"}"), P("\"a\":{\"type\":\"text\",\"norms\":false}"),
                 P("\"a\":{\"type\":\"text\",\"norms\":false}"));
    expect_merge(P("\"a\":{\"type\":\"text\",\"norms\":false}"), P("\"a\":{\"type\":\"text\"}"),
                 CONFLICT("a", "norms", "false", "true"));
    expect_merge(P("\"a\":{\"type\":\"long\"}"),
                 P("\"a\":{\"properties\":{\"b\":{\"type\":\"long\"}}}"),
                 "illegal_argument_exception: mapper [a] cannot be changed from type [long] to "
                 "[ObjectMapper]");
    expect_merge(
        P("\"a\":{\"type\":\"object\"}"), P("\"a\":{\"type\":\"long\"}"),
        "illegal_argument_exception: can't merge a non object mapping [a] with an object mapping");
    expect_merge(P("\"t\":{\"type\":\"text\",\"fields\":{\"m\":{\"type\":\"keyword\"}}}"),
                 P("\"t\":{\"type\":\"text\",\"fields\":{\"a\":{\"type\":\"long\"}}}"),
                 P("\"t\":{\"type\":\"text\",\"fields\":{\"a\":{\"type\":\"long\"},\"m\":{\"type\":"
                   "\"keyword\"}}}"));
    expect_merge(
        P("\"t\":{\"type\":\"text\",\"fields\":{\"m\":{\"type\":\"keyword\"}}}"),
        P("\"t\":{\"type\":\"text\",\"fields\":{\"m\":{\"type\":\"long\"}}}"),
        "illegal_argument_exception: mapper [t.m] cannot be changed from type [keyword] to [long]");
    expect_merge("{\"dynamic\":\"strict\"}", "{\"dynamic\":true}", "{\"dynamic\":\"true\"}");
    expect_merge(
        P("\"o\":{\"enabled\":false}"), P("\"o\":{\"type\":\"object\",\"enabled\":true}"),
        "mapper_exception: the [enabled] parameter can't be updated for the object mapping [o]");
    expect_merge("{}", "{\"_source\":{\"enabled\":false}}",
                 "illegal_argument_exception: Mapper for [_source] conflicts with existing "
                 "mapper:\n\tCannot update parameter "
                 "[enabled] from [true] to [false]");
}

static int count(void *arg, const qd_field *f)
{
    (void)f;
    ++*(int *)arg;
    return 0;
}

static void fields_are_found_by_name_and_pattern(void **state)
{
    (void)state;
    qd_mapping *m = NULL;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    assert_int_equal(
        qd_mapping_parse(
            qd_str_c(P("\"a\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}},\"o."
                       "b\":{\"type\":\"long\"},\"o.c\":{\"type\":\"ip\"}")),
            analyzers, &s, QD_MAPPING_UPDATE, &m, NULL),
        0);
    const qd_field *f = qd_mapping_field(m, QD_STR("a.raw"));
    assert_non_null(f);
    assert_string_equal(qd_field_type_name(f), "keyword");
    assert_ptr_equal(f->parent, qd_mapping_field(m, QD_STR("a")));
    assert_null(qd_mapping_field(m, QD_STR("o")));
    assert_true(qd_mapping_is_object(m, QD_STR("o")));
    assert_false(qd_mapping_is_object(m, QD_STR("a")));
    int n = 0;
    assert_int_equal(qd_mapping_match(m, QD_STR("o.*"), count, &n), 0);
    assert_int_equal(n, 2);
    n = 0;
    assert_int_equal(qd_mapping_match(m, QD_STR("*"), count, &n), 0);
    assert_int_equal(n, 4);
    qd_mapping *same = NULL;
    assert_int_equal(qd_mapping_merge(m, QD_STR("{}"), QD_MAPPING_UPDATE, &same, NULL), 0);
    assert_ptr_equal(same, m);
    qd_mapping_unref(same);
    qd_mapping_unref(m);
}

static void limits_are_kept(void **state)
{
    (void)state;
    qd_mapping *m = NULL, *n = NULL;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    qd_err e;
    qd_err_init(&e);
    s.total_fields_limit = 3;
    s.field_name_length_limit = 5;
    const char *four = P("\"a\":{\"type\":\"text\",\"fields\":{\"k\":{\"type\":\"keyword\"}}},\"o."
                         "b\":{\"type\":\"long\"}");
    assert_int_equal(qd_mapping_parse(qd_str_c(four), analyzers, &s, QD_MAPPING_UPDATE, &m, &e),
                     QD_E_ARG);
    assert_string_equal(qd_err_reason(&e), "Limit of total fields [3] has been exceeded");
    qd_err_fini(&e);
    assert_int_equal(qd_mapping_parse(qd_str_c(four), analyzers, &s, QD_MAPPING_RECOVERY, &m, &e),
                     0);
    assert_int_equal(
        qd_mapping_merge(m, QD_STR("{\"_meta\":{\"a\":1}}"), QD_MAPPING_UPDATE, &n, &e), 0);
    qd_mapping_unref(n);
    qd_mapping_unref(m);
    assert_int_equal(qd_mapping_parse(qd_str_c(P("\"abcdef\":{\"type\":\"long\"}")), analyzers, &s,
                                      QD_MAPPING_UPDATE, &m, &e),
                     QD_E_ARG);
    assert_string_equal(qd_err_reason(&e),
                        "Field name [abcdef] is longer than the limit of [5] characters");
    qd_err_fini(&e);
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    const char *json = P(
        "\"a\":{\"type\":\"text\",\"fields\":{\"k\":{\"type\":\"keyword\"}}},\"o."
        "b\":{\"type\":\"date\",\"format\":\"yyyy\"},\"al\":{\"type\":\"alias\",\"path\":\"a.k\"},"
        "\"dn\":{\"type\":\"date_nanos\",\"format\":\"yyyy\"}");
    for (uint64_t n = 1;; n++) {
        qd_mapping *m = NULL, *x = NULL;
        (void)qd_mem_fail_at(n, false);
        int rc = qd_mapping_parse(qd_str_c(json), analyzers, &s, QD_MAPPING_UPDATE, &m, NULL);
        if (rc == 0) {
            int rc2 = qd_mapping_merge(m, QD_STR("{\"properties\":{\"z\":{\"type\":\"ip\"}}}"),
                                       QD_MAPPING_UPDATE, &x, NULL);
            if (rc2 == 0)
                qd_mapping_unref(x);
            else
                assert_int_equal(rc2, QD_E_NOMEM);
            qd_mapping_unref(m);
        } else {
            assert_int_equal(rc, QD_E_NOMEM);
        }
        if (qd_mem_fail_at(0, false) < n) break;
    }
}

/* --- values of requests
 * ------------------------------------------------------------------------------- */

static qd_mapping *all_types(void)
{
    qd_mapping *m = NULL;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    assert_int_equal(qd_mapping_parse(qd_str_c(P("\"long\":{\"type\":\"long\"},\"byte\":{\"type\":"
                                                 "\"byte\"},\"double\":{\"type\":\"double\"},"
                                                 "\"float\":{\"type\":\"float\"},\"scaled\":{"
                                                 "\"type\":\"scaled_float\",\"scaling_factor\":10},"
                                                 "\"bool\":{\"type\":\"boolean\"},\"date\":{"
                                                 "\"type\":\"date\"},\"ip\":{\"type\":\"ip\"},"
                                                 "\"ul\":{\"type\":\"unsigned_long\"},"
                                                 "\"dn\":{\"type\":\"date_nanos\"}")),
                                      analyzers, &s, QD_MAPPING_UPDATE, &m, NULL),
                     0);
    return m;
}

static const char *range(const qd_mapping *m, const char *field, const char *lo, bool lo_in,
                         const char *hi, bool hi_in)
{
    static char line[300];
    const qd_field *f = qd_mapping_field(m, qd_str_c(field));
    qd_query_value a = {qd_str_c(lo), true}, b = {qd_str_c(hi), true};
    qd_value_ctx ctx = {.now_ms = 1400000000123};
    qd_point p[2];
    qd_err e;
    qd_err_init(&e);
    int rc = qd_field_range(f, lo ? &a : NULL, lo_in, hi ? &b : NULL, hi_in, &ctx, p, &e);
    if (rc < 0) {
        snprintf(line, sizeof line, "%s", qd_err_reason(&e));
    } else if (rc == 1) {
        snprintf(line, sizeof line, "none");
    } else if (f->value_class == QD_VALUE_IP) {
        char x[46], y[46];
        qd_ip_print(x, p[0].ip);
        qd_ip_print(y, p[1].ip);
        snprintf(line, sizeof line, "%s..%s", x, y);
    } else {
        char x[128], y[128];
        qd_field_text(f, p[0].i64, NULL, NULL, x);
        qd_field_text(f, p[1].i64, NULL, NULL, y);
        snprintf(line, sizeof line, "%s..%s", lo ? x : "*", hi ? y : "*");
    }
    qd_err_fini(&e);
    return line;
}

static void ranges_of_requests(void **state)
{
    (void)state;
    qd_mapping *m = all_types();
    assert_string_equal(range(m, "long", "1", true, "5", false), "1..4");
    assert_string_equal(range(m, "long", "1.5", false, "5.5", true), "2..5");
    assert_string_equal(range(m, "long", "-1.5", true, "-1.5", true), "none");
    assert_string_equal(range(m, "long", "1e30", true, NULL, true), "none");
    assert_string_equal(range(m, "long", "-1e30", true, "1e30", true),
                        "-9223372036854775808..9223372036854775807");
    assert_string_equal(range(m, "long", "9223372036854775807", false, NULL, true), "none");
    assert_string_equal(range(m, "long", "x", true, NULL, true), "For input string: \"x\"");
    assert_string_equal(range(m, "dn", "2014-11-18", false, "2014-11-19", true),
                        "2014-11-19T00:00:00.000Z..2014-11-19T23:59:59.999999999Z");
    assert_string_equal(range(m, "dn", "1960", true, "2300", true),
                        "1970-01-01T00:00:00.000Z..2262-04-11T23:47:16.854775807Z");
    assert_string_equal(range(m, "dn", "now/d", true, "1e3", true),
                        "failed to parse date field [1e3] with format "
                        "[strict_date_optional_time_nanos||epoch_millis]: [failed to parse date "
                        "field [1e3] with format [strict_date_optional_time_nanos||epoch_millis]]");
    assert_string_equal(range(m, "dn", "2270", true, NULL, true), "none");
    assert_string_equal(range(m, "ul", "-1", true, "1.5", true), "0..1");
    assert_string_equal(range(m, "ul", "0.5", true, "18446744073709551615", false),
                        "1..18446744073709551614");
    assert_string_equal(range(m, "ul", "0", false, "1e30", true), "1..18446744073709551615");
    assert_string_equal(range(m, "ul", "1e30", true, NULL, true), "none");
    assert_string_equal(range(m, "ul", "18446744073709551615", false, NULL, true), "none");
    assert_string_equal(range(m, "ul", NULL, true, "0", false), "none");
    assert_string_equal(range(m, "ul", NULL, true, "-0.5", true), "none");
    assert_string_equal(range(m, "byte", "100", true, "1000", true), "100..127");
    assert_string_equal(range(m, "double", "1.5", false, "2.5", true), "1.5000000000000002..2.5");
    assert_string_equal(range(m, "float", "1.1", true, "2", false), "1.1..1.9999999");
    assert_string_equal(range(m, "scaled", "1.05", true, "2.05", true), "1.1..2.0");
    assert_string_equal(range(m, "bool", "false", false, NULL, true), "true..*");
    assert_string_equal(range(m, "date", "2014-11-18||/M", true, "2014-11-18||/M", true),
                        "2014-11-01T00:00:00.000Z..2014-11-30T23:59:59.999Z");
    assert_string_equal(range(m, "date", "2014-11-18||/M", false, "2014-12", false), "none");
    assert_string_equal(range(m, "date", "2014", true, "2014", true),
                        "2014-01-01T00:00:00.000Z..2014-01-01T23:59:59.999Z");
    assert_string_equal(range(m, "date", "now-1d/d", true, "now", false),
                        "2014-05-12T00:00:00.000Z..2014-05-13T16:53:20.122Z");
    assert_string_equal(range(m, "ip", "10.0.0.0", false, "10.0.1.0", false),
                        "10.0.0.1..10.0.0.255");
    assert_string_equal(range(m, "ip", "::", false, "::1", true), "::1..::1");
    assert_string_equal(
        range(m, "ip", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, NULL, true), "none");
    qd_mapping_unref(m);
}

static void terms_of_requests(void **state)
{
    (void)state;
    qd_mapping *m = all_types();
    qd_point p;
    qd_value_ctx ctx = {.now_ms = 0};
    assert_int_equal(qd_field_term(qd_mapping_field(m, QD_STR("long")),
                                   (qd_query_value){QD_STR("5"), false}, &ctx, &p, NULL),
                     0);
    assert_int_equal(p.i64, 5);
    assert_int_equal(qd_field_term(qd_mapping_field(m, QD_STR("long")),
                                   (qd_query_value){QD_STR("5.5"), false}, &ctx, &p, NULL),
                     1);
    assert_int_equal(qd_field_term(qd_mapping_field(m, QD_STR("byte")),
                                   (qd_query_value){QD_STR("500"), false}, &ctx, &p, NULL),
                     1);
    assert_int_equal(qd_field_term(qd_mapping_field(m, QD_STR("long")),
                                   (qd_query_value){QD_STR("x"), true}, &ctx, &p, NULL),
                     QD_E_NUMBER_FORMAT);
    assert_int_equal(qd_field_term(qd_mapping_field(m, QD_STR("double")),
                                   (qd_query_value){QD_STR("1.5"), false}, &ctx, &p, NULL),
                     0);
    assert_true(qd_field_f64(qd_mapping_field(m, QD_STR("double")), p.i64) == 1.5);
    assert_int_equal(qd_field_term(qd_mapping_field(m, QD_STR("bool")),
                                   (qd_query_value){QD_STR("true"), false}, &ctx, &p, NULL),
                     0);
    assert_true(qd_str_is(p.bytes, "T"));
    qd_mapping_unref(m);
}

static void order_of_encodings(void **state)
{
    (void)state;
    static const double values[] = {-1e308, -1.5, -1e-310, -0.0, 0.0, 1e-310, 1, 1.5, 1e308};
    for (size_t i = 1; i < sizeof values / sizeof *values; i++) {
        assert_true(qd_f64_encode(values[i - 1]) < qd_f64_encode(values[i]));
        assert_true(qd_f64_decode(qd_f64_encode(values[i])) == values[i]);
        assert_true(qd_f32_encode((float)values[i - 1]) <= qd_f32_encode((float)values[i]));
    }
}

static void addresses(void **state)
{
    (void)state;
    static const char *rows[][2] = {{"1.2.3.4", "1.2.3.4"},
                                    {"::", "::"},
                                    {"::1", "::1"},
                                    {"1::", "1::"},
                                    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
                                    {"2001:0db8::0001", "2001:db8::1"},
                                    {"::ffff:10.0.0.1", "10.0.0.1"},
                                    {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
                                    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
                                    {"1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"}};
    static const char *bad[] = {
        "",          "1.2.3",    "1.2.3.256",      "1.2.3.4.5",         "01.2.3.4",          ":",
        ":::",       "1:2",      "1::2::3",        "1:2:3:4:5:6:7:8:9", "12345::",           "g::",
        "1.2.3.4::", "::1%eth0", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7",    "1:2:3:4:5:6:7::8:9"};
    uint8_t ip[16], hi[16];
    char text[46];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!qd_ip_parse(qd_str_c(rows[i][0]), ip)) fail_msg("%s", rows[i][0]);
        qd_ip_print(text, ip);
        assert_string_equal(text, rows[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (qd_ip_parse(qd_str_c(bad[i]), ip)) fail_msg("%s was read", bad[i]);
    }
    assert_int_equal(qd_ip_cidr(QD_STR("192.168.17.5/20"), ip, hi, NULL), 0);
    qd_ip_print(text, ip);
    assert_string_equal(text, "192.168.16.0");
    qd_ip_print(text, hi);
    assert_string_equal(text, "192.168.31.255");
    assert_int_equal(qd_ip_cidr(QD_STR("a::/33"), ip, hi, NULL), 0);
    qd_ip_print(text, hi);
    assert_string_equal(text, "a:0:7fff:ffff:ffff:ffff:ffff:ffff");
    assert_int_equal(qd_ip_cidr(QD_STR("1.2.3.4/33"), ip, hi, NULL), QD_E_ARG);
    assert_int_equal(qd_ip_cidr(QD_STR("1.2.3.4"), ip, hi, NULL), QD_E_ARG);
}

static int begin(void **state)
{
    (void)state;
    return qd_analyzers_make(NULL, 0, NULL, &analyzers, NULL);
}

static int end(void **state)
{
    (void)state;
    qd_analyzers_unref(analyzers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_as_elasticsearch_writes),
        cmocka_unit_test(types_of_several_fields),
        cmocka_unit_test(bad_mappings_are_refused),
        cmocka_unit_test(merges_keep_what_was),
        cmocka_unit_test(fields_are_found_by_name_and_pattern),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(out_of_memory_is_an_error),
        cmocka_unit_test(ranges_of_requests),
        cmocka_unit_test(terms_of_requests),
        cmocka_unit_test(order_of_encodings),
        cmocka_unit_test(addresses),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, begin, end);
}
