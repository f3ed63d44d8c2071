/* doc_t.c: tables of (mapping, document) to what reaches the sink, what is added, or what is said.
 */
#include "base/str.h"
#include "mapping/doc_parser.h"
#include "unit/unit.h"

static qd_analyzers *analyzers;
static qd_doc_parser *parser;

static int on_text(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    (void)err;
    (void)qd_buf_printf(arg, "%.*s=", QD_STR_ARG(f->name));
    for (uint32_t i = 0; i < n; i++)
        (void)qd_buf_printf(arg, "%s%.*s", i ? "|" : "", QD_STR_ARG(v[i]));
    return qd_buf_char(arg, ';');
}

static int on_i64(void *arg, const qd_field *f, const int64_t *v, uint32_t n, qd_err *err)
{
    (void)err;
    (void)qd_buf_printf(arg, "%.*s=", QD_STR_ARG(f->name));
    for (uint32_t i = 0; i < n; i++) {
        char text[128];
        qd_field_text(f, v[i], NULL, NULL, text);
        (void)qd_buf_printf(arg, "%s%s", i ? "|" : "", text);
    }
    return qd_buf_char(arg, ';');
}

static int on_ip(void *arg, const qd_field *f, const uint8_t (*v)[16], uint32_t n, qd_err *err)
{
    (void)err;
    (void)qd_buf_printf(arg, "%.*s=", QD_STR_ARG(f->name));
    for (uint32_t i = 0; i < n; i++) {
        char text[46];
        qd_ip_print(text, v[i]);
        (void)qd_buf_printf(arg, "%s%s", i ? "|" : "", text);
    }
    return qd_buf_char(arg, ';');
}

static int on_name(void *arg, const qd_field *f, qd_err *err)
{
    (void)err;
    return qd_buf_printf(arg, "?%.*s;", QD_STR_ARG(f->name));
}

static int on_ignored(void *arg, const qd_field *f, qd_err *err)
{
    (void)err;
    return qd_buf_printf(arg, "!%.*s;", QD_STR_ARG(f->name));
}

static int on_stored(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    (void)err;
    (void)qd_buf_printf(arg, "stored %.*s=", QD_STR_ARG(f->name));
    for (uint32_t i = 0; i < n; i++)
        (void)qd_buf_printf(arg, "%s%.*s", i ? "|" : "", QD_STR_ARG(v[i]));
    return qd_buf_char(arg, ';');
}

static int on_nested_begin(void *arg, qd_str path, qd_err *err)
{
    (void)err;
    return qd_buf_printf(arg, "%.*s{", QD_STR_ARG(path));
}

static int on_nested_end(void *arg, qd_err *err)
{
    (void)err;
    return qd_buf_c(arg, "}");
}

static qd_doc_sink sink_to(qd_buf *b)
{
    return (qd_doc_sink){.arg = b,
                         .text = on_text,
                         .terms = on_text,
                         .i64 = on_i64,
                         .ip = on_ip,
                         .field_name = on_name,
                         .ignored = on_ignored,
                         .stored = on_stored,
                         .nested_begin = on_nested_begin,
                         .nested_end = on_nested_end};
}

static qd_mapping *mapping(const char *json)
{
    qd_mapping *m = NULL;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    qd_err e;
    qd_err_init(&e);
    if (qd_mapping_parse(qd_str_c(json), analyzers, &s, QD_MAPPING_UPDATE, &m, &e)) {
        fail_msg("%s: %s", json, qd_err_reason(&e));
    }
    return m;
}

/* What becomes of the document: the sink's lines, "+" and the update, or "error: " with causes. */
static const char *outcome(const char *map, const char *document)
{
    static char line[8192];
    qd_buf b;
    qd_err e;
    qd_doc_result result;
    qd_mapping *m = mapping(map);
    qd_buf_init(&b, NULL, sizeof line - 1);
    qd_err_init(&e);
    qd_doc_sink sink = sink_to(&b);
    char *copy = malloc(strlen(document) + 1); /* no byte readable behind it */
    memcpy(copy, document, strlen(document));
    qd_doc_input in = {.source = {copy, strlen(document)}, .id = QD_STR("1")};
    int rc = qd_doc_parse(parser, m, &in, &sink, &result, &e);
    if (rc) {
        (void)qd_buf_printf(&b, "%s: %s", qd_err_es_type(&e), qd_err_reason(&e));
        for (qd_err *c = e.cause; c; c = c->cause) {
            (void)qd_buf_printf(&b, " <- %s: %s", qd_err_es_type(c), qd_err_reason(c));
        }
    } else if (result.merged) {
        (void)qd_buf_printf(&b, "+%.*s", QD_STR_ARG(qd_mapping_json(result.merged)));
        qd_mapping_unref(result.merged);
    }
    snprintf(line, sizeof line, "%.*s", QD_STR_ARG(qd_buf_view(&b)));
    qd_buf_fini(&b);
    qd_err_fini(&e);
    qd_mapping_unref(m);
    free(copy);
    return line;
}

static void expect(const char *map, const char *document, const char *want)
{
    const char *got = outcome(map, document);
    if (strcmp(got, want) != 0) fail_msg("%s\n%s\n got %s\nwant %s", map, document, got, want);
}

#define PROPS(x) "{\"dynamic\":\"strict\",\"properties\":{" x "}}"

static void unsigned_numbers(void **state)
{
    (void)state;
#define UL PROPS("\"u\":{\"type\":\"unsigned_long\"}")
    expect(UL, "{\"u\":[0,18446744073709551615,\"9223372036854775808\",1e3,\"2.0\",\"\",null]}",
           "u=0|18446744073709551615|9223372036854775808|1000|2;");
    expect(UL, "{\"u\":true}",
           "document_parsing_exception: [1:6] failed to parse field [u] of type [unsigned_long] in "
           "document with id '1'. Preview of field's value: 'true' <- illegal_argument_exception: "
           "For input string: \"true\"");
    expect(UL, "{\"u\":{}}",
           "document_parsing_exception: [1:6] failed to parse field [u] of type [unsigned_long] in "
           "document with id '1'. Preview of field's value: '{}' <- illegal_argument_exception: "
           "Cannot parse object as number");
    expect(PROPS("\"u\":{\"type\":\"unsigned_long\",\"ignore_malformed\":true}"),
           "{\"u\":[-1,0.5,3]}", "u=3;!u;");
#undef UL
}

static void bytes_words_and_constants(void **state)
{
    (void)state;
    expect(PROPS("\"b\":{\"type\":\"binary\",\"store\":true}"), "{\"b\":\"YWJj\"}",
           "stored b=abc;?b;");
    expect(PROPS("\"b\":{\"type\":\"binary\",\"doc_values\":true}"),
           "{\"b\":[\"YQ==\",\"YWI=\",\"\",\" YWJj \"]}", "b=a|ab||abc;");
    expect(PROPS("\"b\":{\"type\":\"binary\"}"), "{\"b\":\"!\"}", "");
    expect(PROPS("\"n\":{\"type\":\"token_count\",\"analyzer\":\"stop\"}"),
           "{\"n\":[\"the quick fox\",\"a\",\"\"]}", "n=3|1|0;");
    expect(PROPS("\"n\":{\"type\":\"token_count\",\"analyzer\":\"stop\","
                 "\"enable_position_increments\":false,\"null_value\":9}"),
           "{\"n\":[\"the quick fox\",null]}", "n=2|9;");
#define CK PROPS("\"c\":{\"type\":\"constant_keyword\"}")
    expect(CK, "{\"c\":[5,\"5\"]}",
           "+{\"dynamic\":\"strict\",\"properties\":{\"c\":{\"type\":\"constant_keyword\","
           "\"value\":\"5\"}}}");
    expect(PROPS("\"c\":{\"type\":\"constant_keyword\",\"value\":5}"), "{\"c\":\"5\"}", "");
#undef CK
}

static void values_of_all_types(void **state)
{
    (void)state;
    expect(PROPS("\"t\":{\"type\":\"text\"}"), "{\"t\":\"some words\"}", "t=some words;");
    expect(PROPS("\"t\":{\"type\":\"text\"}"), "{\"t\":[\"a\",[\"b\",null],12,true,1.50]}",
           "t=a|b|12|true|1.50;");
    expect(PROPS("\"k\":{\"type\":\"keyword\"}"), "{\"k\":[\"x\",7,false]}", "k=x|7|false;");
    expect(PROPS("\"k\":{\"type\":\"keyword\",\"ignore_above\":3}"),
           "{\"k\":[\"abc\",\"abcd\",\"\xC3\xA9\xC3\xA9\xC3\xA9\"]}",
           "k=abc|\xC3\xA9\xC3\xA9\xC3\xA9;!k;");
    expect(PROPS("\"k\":{\"type\":\"keyword\",\"null_value\":\"NULL\"}"), "{\"k\":[null,\"a\"]}",
           "k=NULL|a;");
    expect(PROPS("\"n\":{\"type\":\"long\"}"),
           "{\"n\":[1,-2,\"3\",4.9,\"5.9\",9223372036854775807,\"\",null]}",
           "n=1|-2|3|4|5|9223372036854775807;");
    expect(PROPS("\"n\":{\"type\":\"integer\",\"null_value\":9}"), "{\"n\":[2147483647,null]}",
           "n=2147483647|9;");
    expect(PROPS("\"n\":{\"type\":\"byte\"}"), "{\"n\":[127,\"-128\"]}", "n=127|-128;");
    expect(PROPS("\"n\":{\"type\":\"double\"}"), "{\"n\":[1,1.5,\"2.5e3\",-0.0,1e22]}",
           "n=1.0|1.5|2500.0|-0.0|1.0E22;");
    expect(PROPS("\"n\":{\"type\":\"float\"}"), "{\"n\":[1.1,16777217]}", "n=1.1|1.6777216E7;");
    expect(PROPS("\"n\":{\"type\":\"half_float\"}"), "{\"n\":[1.1,65504]}", "n=1.0996094|65504.0;");
    expect(PROPS("\"n\":{\"type\":\"scaled_float\",\"scaling_factor\":100}"),
           "{\"n\":[1.234,\"5.678\",-1.005]}", "n=1.23|5.68|-1.0;");
    expect(PROPS("\"b\":{\"type\":\"boolean\"}"), "{\"b\":[true,\"false\",\"\"]}",
           "b=true|false|false;");
    expect(PROPS("\"d\":{\"type\":\"date\"}"),
           "{\"d\":[\"2015-01-01\",1420070400001,\"2015-01-01T12:10:30+01:00\"]}",
           "d=2015-01-01T00:00:00.000Z|2015-01-01T00:00:00.001Z|2015-01-01T11:10:30.000Z;");
    expect(PROPS("\"d\":{\"type\":\"date\",\"format\":\"yyyy\"}"), "{\"d\":2015}", "d=2015;");
    expect(PROPS("\"i\":{\"type\":\"ip\"}"),
           "{\"i\":[\"10.0.0.1\",\"2001:DB8::1\",\"::ffff:1.2.3.4\"]}",
           "i=10.0.0.1|2001:db8::1|1.2.3.4;");
}

/* NULs of grams and keyed terms end their texts here. */
static void values_beside_others(void **state)
{
    (void)state;
    expect(PROPS("\"w\":{\"type\":\"wildcard\",\"ignore_above\":3}"), "{\"w\":[\"Abc\",\"abcd\"]}",
           "w=Abc;!w;w..grams=||abc|bc|c;");
    expect(PROPS("\"w\":{\"type\":\"wildcard\",\"null_value\":\"n\"}"), "{\"w\":null}",
           "w=n;w..grams=||n;");
    expect(PROPS("\"f\":{\"type\":\"flattened\"}"),
           "{\"f\":{\"a\":1,\"b\":{\"c\":[true,{\"d\":\"x\"}]},\"e\":null}}",
           "f=1|true|x;f._keyed=a|b.c|b.c.d;");
    expect(PROPS("\"f\":{\"type\":\"flattened\",\"index\":false,\"doc_values\":false}"),
           "{\"f\":{\"a\":1}}", "");
    expect(PROPS("\"s\":{\"type\":\"search_as_you_type\",\"max_shingle_size\":2}"),
           "{\"s\":\"a b\"}", "s=a b;s._2gram=a b;s._index_prefix=a b;");
    expect(PROPS("\"t\":{\"type\":\"text\",\"fields\":{\"s\":{\"type\":\"search_as_you_type\"}}}"),
           "{\"t\":\"a\"}", "t=a;t.s=a;t.s._2gram=a;t.s._3gram=a;t.s._index_prefix=a;");
    expect(PROPS("\"r\":{\"type\":\"integer_range\"}"), "{\"r\":[{\"gt\":4,\"lt\":\"8\"}]}",
           "r=\x80;r..min=5;r..max=7;");
    expect(PROPS("\"r\":{\"type\":\"date_range\",\"doc_values\":false}"),
           "{\"r\":{\"gte\":\"2015\",\"lte\":\"2015\"}}",
           "?r;r..values=\x80;r..min=2015-01-01T00:00:00.000Z;"
           "r..max=2015-01-01T23:59:59.999Z;");
    expect(PROPS("\"r\":{\"type\":\"ip_range\"}"), "{\"r\":\"10.0.0.0/8\"}",
           "r=;r..min=10.0.0.0;r..max=10.255.255.255;");
    expect(PROPS("\"r\":{\"type\":\"long_range\"}"), "{\"r\":null}", "");
}

static void objects_dots_and_arrays(void **state)
{
    (void)state;
#define AB                                                                                         \
    "\"a\":{\"properties\":{\"b\":{\"type\":\"long\"},\"c\":{\"properties\":{\"d\":{\"type\":"     \
    "\"keyword\"}}}}}"
    expect(PROPS(AB), "{\"a\":{\"b\":1,\"c\":{\"d\":\"x\"}}}", "a.b=1;a.c.d=x;");
    expect(PROPS(AB), "{\"a.b\":1,\"a.c.d\":\"x\",\"a\":{\"c.d\":\"y\"}}", "a.b=1;a.c.d=x|y;");
    expect(PROPS(AB), "{\"a\":[{\"b\":1},{\"b\":[2,3]},null,{}]}", "a.b=1|2|3;");
    expect(PROPS("\"a.b\":{\"type\":\"long\"}"), "{\"a\":{\"b\":1}}", "a.b=1;");
    expect("{\"properties\":{\"o\":{\"type\":\"object\",\"enabled\":false}}}",
           "{\"o\":{\"x\":[1,{\"y\":2}]}}", "");
    expect("{\"properties\":{\"o\":{\"type\":\"object\",\"enabled\":false}}}",
           "{\"o.z\":7,\"o\":3}", "");
    expect("{\"enabled\":false}", "{\"o\":{\"x\":1}}", "");
    expect("{\"dynamic\":false}", "{\"o\":{\"x\":1},\"p\":[1,2],\"q.r\":5}", "");
    expect("{\"dynamic\":false,\"properties\":{\"a\":{\"type\":\"long\"}}}",
           "{\"a\":1,\"p\":[1,2]}", "a=1;");
}

static void multi_fields_copies_and_storage(void **state)
{
    (void)state;
    expect(PROPS("\"t\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\",\"ignore_"
                 "above\":4}}}"),
           "{\"t\":[\"abc\",\"abcdef\"]}", "t=abc|abcdef;t.raw=abc;!t.raw;");
    expect(PROPS("\"a\":{\"type\":\"keyword\",\"copy_to\":[\"all\"]},\"n\":{\"type\":\"long\","
                 "\"copy_to\":\"all\"},\"all\":{\"type\":\"text\"}"),
           "{\"a\":\"x\",\"n\":5}", "a=x;all=x|5;n=5;");
    expect(PROPS("\"a\":{\"type\":\"keyword\",\"doc_values\":false}"), "{\"a\":\"x\"}", "a=x;?a;");
    expect(PROPS("\"a\":{\"type\":\"keyword\",\"doc_values\":false,\"index\":false}"),
           "{\"a\":\"x\"}", "");
    expect(PROPS("\"a\":{\"type\":\"text\",\"norms\":false}"), "{\"a\":\"x\"}", "a=x;?a;");
    expect(PROPS("\"a\":{\"type\":\"text\",\"store\":true}"), "{\"a\":\"x\"}", "a=x;stored a=x;");
    expect(PROPS("\"a\":{\"type\":\"date\",\"store\":true,\"index\":false,\"doc_values\":false}"),
           "{\"a\":\"2015\"}", "stored a=2015-01-01T00:00:00.000Z;?a;");
}

static void malformed_values_are_said_or_ignored(void **state)
{
    (void)state;
#define FAILED(pos, type, value)                                                                   \
    "document_parsing_exception: [" pos "] failed to parse field [x] of type [" type               \
    "] in document with id '1'. "                                                                  \
    "Preview of field's value: '" value "' <- "
    expect(PROPS("\"x\":{\"type\":\"long\"}"), "{\"x\":\"abc\"}",
           FAILED("1:6", "long", "abc") "illegal_argument_exception: For input string: \"abc\"");
    expect(PROPS("\"x\":{\"type\":\"integer\"}"), "{\"x\":\"abc\"}",
           FAILED("1:6", "integer", "abc") "number_format_exception: For input string: \"abc\"");
    expect(PROPS("\"x\":{\"type\":\"byte\"}"), "{\"x\":128}",
           FAILED("1:6", "byte",
                  "128") "illegal_argument_exception: Value [128] is out of range for a byte");
    expect(
        PROPS("\"x\":{\"type\":\"long\"}"), "{\"x\":{\"a\":1,\"b\":[true,\"y\"]}}",
        FAILED("1:6", "long",
               "{a=1, b=[true, y]}") "illegal_argument_exception: Cannot parse object as number");
    expect(PROPS("\"x\":{\"type\":\"keyword\"}"), "{\"x\":{\"a\":1}}",
           FAILED("1:6", "keyword",
                  "{a=1}") "illegal_state_exception: Can't get text on a START_OBJECT at 1:6");
    expect(PROPS("\"x\":{\"type\":\"long\",\"coerce\":false}"), "{\"x\":\"5\"}",
           FAILED("1:6", "long", "5") "illegal_argument_exception: Long value passed as String");
    expect(PROPS("\"x\":{\"type\":\"integer\",\"coerce\":false}"), "{\"x\":5.5}",
           FAILED("1:6", "integer", "5.5") "illegal_argument_exception: 5.5 cannot be converted to "
                                           "Integer without data loss");
    expect(PROPS("\"x\":{\"type\":\"double\"}"), "{\"x\":1e400}",
           FAILED("1:6", "double", "1e400") "illegal_argument_exception: [double] supports only "
                                            "finite values, but got [Infinity]");
    expect(PROPS("\"x\":{\"type\":\"double\"}"), "{\"x\":\"NaN\"}",
           FAILED("1:6", "double", "NaN") "illegal_argument_exception: [double] supports only "
                                          "finite values, but got [NaN]");
    expect(PROPS("\"x\":{\"type\":\"boolean\"}"), "{\"x\":\"yes\"}",
           FAILED("1:6", "boolean", "yes") "illegal_argument_exception: Failed to parse value "
                                           "[yes] as only [true] or [false] are allowed.");
    expect(PROPS("\"x\":{\"type\":\"ip\"}"), "{\"x\":\"1.2.3\"}",
           FAILED("1:6", "ip",
                  "1.2.3") "illegal_argument_exception: '1.2.3' is not an IP string literal.");
    expect(
        PROPS("\"x\":{\"type\":\"date\"}"), "{\"x\":\"soon\"}",
        FAILED("1:6", "date",
               "soon") "illegal_argument_exception: failed to parse date field [soon] with format "
                       "[strict_date_optional_time||epoch_millis] <- date_time_parse_exception: "
                       "Failed to parse with all enclosed parsers");
    expect(PROPS("\"x\":{\"type\":\"long\",\"ignore_malformed\":true},\"y\":{\"type\":\"long\"}"),
           "{\"x\":[\"abc\",1,{\"z\":2}],\"y\":3}", "x=1;!x;y=3;");
    expect(PROPS("\"o\":{\"properties\":{\"a\":{\"type\":\"long\"}}}"), "{\"o\":5}",
           "document_parsing_exception: [1:6] object mapping for [o] tried to parse field [o] as "
           "object, but found a concrete value");
    const char *got = outcome(PROPS("\"x\":{\"type\":\"long\"}"), "{\"x\":9223372036854775808}");
    assert_non_null(strstr(got, "x_content_parse_exception: [1:6] Numeric value "
                                "(9223372036854775808) out of range of long"));
}

static void bad_documents(void **state)
{
    (void)state;
    expect("{}", "", "document_parsing_exception: [0:0] failed to parse, document is empty");
    expect("{}", "[]",
           "document_parsing_exception: [1:1] Malformed content, must start with an object");
    const char *got = outcome("{}", "{\"a\":1,\"a\":2}");
    assert_non_null(strstr(
        got, "document_parsing_exception: [1:8] failed to parse: [1:11] Duplicate field 'a'"));
    assert_non_null(strstr(got, "<- x_content_parse_exception: [1:11] Duplicate field 'a'"));
    got = outcome("{}", "{\"a\":");
    assert_non_null(strstr(got, "x_content_e_o_f_exception"));
    got = outcome("{}", "{\"a\":1}{");
    assert_non_null(strstr(got, "Malformed content, found extra data after parsing: START_OBJECT"));
    expect(
        "{}", "{\"_id\":\"x\"}",
        "document_parsing_exception: [1:8] failed to parse field [_id] of type [_id] in document "
        "with id '1'. Preview of field's value: 'x' <- document_parsing_exception: [1:8] Field "
        "[_id] is a metadata field and cannot be added inside a document. Use the index API "
        "request parameters.");
    expect("{}", "{\"\":1}",
           "document_parsing_exception: [1:2] failed to parse: field name cannot be an empty "
           "string <- "
           "illegal_argument_exception: field name cannot be an empty string");
    got = outcome("{}", "{\"a.\":1}");
    assert_non_null(strstr(
        got, "field name starting or ending with a [.] makes object resolution ambiguous: [a.]"));
    expect("{\"dynamic\":\"strict\"}", "{\"foo\": 1}",
           "strict_dynamic_mapping_exception: [1:9] mapping set to strict, dynamic introduction of "
           "[foo] within [_doc] is "
           "not allowed");
    expect("{\"properties\":{\"o\":{\"dynamic\":\"strict\",\"properties\":{}}}}",
           "{\"o\":{\"foo\":{\"x\":1}}}",
           "strict_dynamic_mapping_exception: [1:13] mapping set to strict, dynamic introduction "
           "of [foo] within [o] is not "
           "allowed");
    expect("{\"properties\":{\"a\":{\"type\":\"long\"}}}", "{\"a.b\":1}",
           "document_parsing_exception: [1:2] Could not dynamically add mapping for field [a.b]. "
           "Existing mapping for [a] must "
           "be of type object but found [long].");
    expect("{\"_routing\":{\"required\":true}}", "{\"a\":1}",
           "routing_missing_exception: routing is required for [1]");
}

static void dynamic_mapping(void **state)
{
    (void)state;
    expect("{}",
           "{\"s\":\"x\",\"n\":1,\"f\":1.5,\"b\":true,\"d\":\"2015-01-01\",\"e\":null,\"l\":[],"
           "\"o\":{\"i\":\"12\"}}",
           "+{\"properties\":{\"b\":{\"type\":\"boolean\"},\"d\":{\"type\":\"date\"},\"f\":{"
           "\"type\":\"float\"},"
           "\"n\":{\"type\":\"long\"},\"o\":{\"properties\":{\"i\":{\"type\":\"text\",\"fields\":{"
           "\"keyword\":{\"type\":"
           "\"keyword\",\"ignore_above\":256}}}}},\"s\":{\"type\":\"text\",\"fields\":{\"keyword\":"
           "{\"type\":\"keyword\","
           "\"ignore_above\":256}}}}}");
    expect("{}", "{\"d\":\"2015/09/02\"}",
           "+{\"properties\":{\"d\":{\"type\":\"date\",\"format\":\"yyyy/MM/dd "
           "HH:mm:ss||yyyy/MM/dd||epoch_millis\"}}}");
    expect("{\"date_detection\":false}", "{\"d\":\"2015/09/02\"}",
           "+{\"date_detection\":false,\"properties\":{\"d\":{\"type\":\"text\",\"fields\":{"
           "\"keyword\":{\"type\":\"keyword\","
           "\"ignore_above\":256}}}}}");
    expect("{\"numeric_detection\":true}", "{\"a\":\"12\",\"b\":\"1.5\"}",
           "+{\"numeric_detection\":true,\"properties\":{\"a\":{\"type\":\"long\"},\"b\":{\"type\":"
           "\"float\"}}}");
    expect("{\"dynamic_date_formats\":[\"MM/dd/yyyy\"]}", "{\"a\":\"09/25/2015\"}",
           "+{\"dynamic_date_formats\":[\"MM/dd/"
           "yyyy\"],\"properties\":{\"a\":{\"type\":\"date\",\"format\":\"MM/dd/yyyy\"}}}");
    expect("{}", "{\"a.b\":{\"c\":1},\"x\":[{\"y\":1},{\"y\":2,\"z\":true}]}",
           "+{\"properties\":{\"a\":{\"properties\":{\"b\":{\"properties\":{\"c\":{\"type\":"
           "\"long\"}}}}},\"x\":{\"properties\":{"
           "\"y\":{\"type\":\"long\"},\"z\":{\"type\":\"boolean\"}}}}}");
    expect("{}", "{\"o\":{}}", "+{\"properties\":{\"o\":{\"type\":\"object\"}}}");
    /* what is wrong shows before anything is added */
    const char *got = outcome("{}", "{\"a\":[1,\"x\"]}");
    assert_non_null(strstr(got, "failed to parse field [a] of type [long]"));
    expect("{\"dynamic_templates\":[{\"strings\":{\"match_mapping_type\":\"string\",\"unmatch\":\"*"
           "_t\",\"mapping\":{\"type\":\"keyword\"}}},"
           "{\"n\":{\"match\":\"*_i\",\"mapping\":{\"type\":\"integer\",\"copy_to\":\"all_{name}\"}"
           "}}]}",
           "{\"a\":\"x\",\"b_t\":\"y\"}",
           "+{\"dynamic_templates\":[{\"strings\":{\"match_mapping_type\":\"string\",\"unmatch\":"
           "\"*_t\",\"mapping\":{\"type\":\"keyword\"}}},"
           "{\"n\":{\"match\":\"*_i\",\"mapping\":{\"type\":\"integer\",\"copy_to\":\"all_{name}\"}"
           "}}],"
           "\"properties\":{\"a\":{\"type\":\"keyword\"},\"b_t\":{\"type\":\"text\",\"fields\":{"
           "\"keyword\":{\"type\":\"keyword\","
           "\"ignore_above\":256}}}}}");
    expect("{\"dynamic_templates\":[{\"x\":{\"match_pattern\":\"regex\",\"match\":\"^p_\\\\d+$\","
           "\"mapping\":{\"type\":\"{dynamic_type}\",\"store\":true}}}]}",
           "{\"p_12\":5}",
           "+{\"dynamic_templates\":[{\"x\":{\"match_pattern\":\"regex\",\"match\":\"^p_\\\\d+$\","
           "\"mapping\":{\"type\":\"{dynamic_type}\",\"store\":true}}}],"
           "\"properties\":{\"p_12\":{\"type\":\"long\",\"store\":true}}}");
}

static void templates_of_objects(void **state)
{
    (void)state;
#define OBJECT_TEMPLATE(body)                                                                      \
    "{\"dynamic_templates\":[{\"o\":{\"match_mapping_type\":\"object\",\"mapping\":" body "}}]"
    expect(
        OBJECT_TEMPLATE("{\"enabled\":false}") "}", "{\"a\":{\"b\":1},\"c\":2}",
        "+" OBJECT_TEMPLATE(
            "{\"enabled\":false}") ",\"properties\":{\"a\":{\"type\":\"object\",\"enabled\":false},"
                                   "\"c\":{\"type\":\"long\"}}}");
    expect(OBJECT_TEMPLATE("{\"dynamic\":\"strict\"}") "}", "{\"a\":{\"b\":1}}",
           "strict_dynamic_mapping_exception: [1:11] mapping set to strict, dynamic introduction "
           "of [b] within [a] is not "
           "allowed");
    expect(OBJECT_TEMPLATE("{\"dynamic\":\"true\"}") "}", "{\"a\":{\"b\":{\"c\":true}}}",
           "+" OBJECT_TEMPLATE("{\"dynamic\":\"true\"}") ",\"properties\":{\"a\":{\"dynamic\":"
                                                         "\"true\",\"properties\":{\"b\":{"
                                                         "\"dynamic\":\"true\",\"properties\":{"
                                                         "\"c\":{\"type\":\"boolean\"}}}}}}}");
}

static void limits_hold_for_new_fields(void **state)
{
    (void)state;
    qd_buf b;
    qd_buf_init(&b, NULL, 1 << 20);
    (void)qd_buf_char(&b, '{');
    for (int i = 0; i < 1100; i++) (void)qd_buf_printf(&b, "%s\"f%d\":%d", i ? "," : "", i, i);
    (void)qd_buf_char(&b, '}');
    const char *got = outcome("{}", b.p);
    assert_non_null(
        strstr(got, "Limit of total fields [1000] has been exceeded while adding new fields ["));
    qd_buf_reset(&b);
    for (int i = 0; i < 25; i++) (void)qd_buf_c(&b, "{\"a\":");
    (void)qd_buf_c(&b, "1");
    for (int i = 0; i < 25; i++) (void)qd_buf_c(&b, "}");
    got = outcome("{}", b.p);
    assert_non_null(
        strstr(got, "Limit of mapping depth [20] has been exceeded due to object field [a.a"));
    qd_buf_reset(&b);
    for (int i = 0; i < 500; i++) (void)qd_buf_c(&b, "{\"a\":");
    (void)qd_buf_c(&b, "1");
    for (int i = 0; i < 500; i++) (void)qd_buf_c(&b, "}");
    got = outcome("{}", b.p);
    assert_non_null(strstr(got, "Limit of mapping depth ["));
    qd_buf_fini(&b);
}

static void fields_keep_their_numbers(void **state)
{
    (void)state;
    qd_mapping *m = mapping("{\"properties\":{\"m\":{\"type\":\"long\"},\"z\":{\"type\":\"text\","
                            "\"fields\":{\"k\":{\"type\":\"keyword\"}}}}}");
    qd_mapping *n = NULL;
    assert_int_equal(
        qd_mapping_merge(m,
                         QD_STR("{\"properties\":{\"a\":{\"type\":\"long\"},\"z\":{\"type\":"
                                "\"text\",\"fields\":{\"b\":{\"type\":\"keyword\"}}}}}"),
                         QD_MAPPING_UPDATE, &n, NULL),
        0);
    assert_int_equal(qd_mapping_nfields(m), 3);
    assert_int_equal(qd_mapping_nfields(n), 5);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(qd_str_eq(qd_mapping_field_at(m, i)->name, qd_mapping_field_at(n, i)->name));
    }
    for (uint32_t i = 0; i < 5; i++)
        assert_ptr_equal(qd_mapping_field(n, qd_mapping_field_at(n, i)->name),
                         qd_mapping_field_at(n, i));
    qd_mapping_unref(n);
    qd_mapping_unref(m);
}

static void nested_documents(void **state)
{
    (void)state;
#define KW "{\"type\":\"keyword\"}"
#define NESTED(params)                                                                             \
    PROPS("\"r\":" KW ",\"c\":{\"type\":\"nested\"" params ",\"properties\":{\"a\":" KW            \
          ",\"o\":{\"properties\":{\"b\":" KW                                                      \
          "}},\"v\":{\"type\":\"nested\",\"properties\":{\"n\":{\"type\":\"long\",\"ignore_"       \
          "malformed\":true,\"copy_to\":\"r\"}}}}}")
    expect(NESTED(""),
           "{\"c\":[{\"a\":\"x\",\"o\":{\"b\":\"y\"}},{},{\"a\":[\"z\",\"w\"]}],\"r\":\"q\"}",
           "r=q;c{c.a=x;c.o.b=y;}c{}c{c.a=z|w;}");
    expect(NESTED(""), "{\"c\":null}", "");
    expect(NESTED(""), "{\"c\":[]}", "");
    expect(NESTED(""), "{\"c\":[[{\"a\":\"x\"}],null]}", "c{c.a=x;}");
    /* two levels, values of both orders, copies to the root, one that is left out */
    expect(NESTED(""),
           "{\"c\":[{\"v\":[{\"n\":1},{\"n\":\"bad\"}],\"a\":\"x\"},{\"v\":{\"n\":[2,3]}}]}",
           "r=1|bad|2|3;!c.v.n;c{c.a=x;c.v{c.v.n=1;}c.v{}}c{c.v{c.v.n=2|3;}}");
    /* names with dots go through the nested objects */
    expect(NESTED(""), "{\"c.a\":\"x\",\"c\":{\"o.b\":\"y\"},\"c.v.n\":7}",
           "r=7;c{c.a=x;}c{c.o.b=y;}c{c.v{c.v.n=7;}}");
    expect(NESTED(""), "{\"c.o\":{\"b\":\"x\"},\"c.v\":[{\"n\":1},{\"n\":2}]}",
           "r=1|2;c{c.o.b=x;}c{c.v{c.v.n=1;}c.v{c.v.n=2;}}");
    expect(NESTED(""), "{\"c\":1}",
           "document_parsing_exception: [1:6] object mapping for [c] tried to parse field [c] as "
           "object, but found a concrete value");
    expect(
        NESTED(""), "{\"c\":{\"a\":\"x\",\"z\":1}}",
        "strict_dynamic_mapping_exception: [1:19] mapping set to strict, dynamic introduction of "
        "[z] within [c] is not allowed");
    /* a document above may have the fields, too */
    expect(NESTED(",\"include_in_parent\":true"),
           "{\"c\":[{\"a\":\"x\"},{\"a\":\"y\",\"v\":{\"n\":1}}]}",
           "r=1;c.a=x;c.a=y;c{c.a=x;}c{c.a=y;c.v{c.v.n=1;}}");
    expect(
        PROPS("\"c\":{\"type\":\"nested\",\"properties\":{\"v\":{\"type\":\"nested\",\"include_in_"
              "root\":true,\"include_in_parent\":true,\"properties\":{\"n\":" KW "}}}}"),
        "{\"c\":[{\"v\":{\"n\":\"1\"}}]}", "c.v.n=1;c{c.v.n=1;c.v{c.v.n=1;}}");
    /* new fields of a nested object */
    expect("{\"properties\":{\"c\":{\"type\":\"nested\"}}}",
           "{\"c\":[{\"n\":1},{\"o\":{\"x\":true}}]}",
           "+{\"properties\":{\"c\":{\"type\":\"nested\",\"properties\":{\"n\":{\"type\":\"long\"},"
           "\"o\":{"
           "\"properties\":{\"x\":{\"type\":\"boolean\"}}}}}}}");
}

static void too_many_nested_documents(void **state)
{
    (void)state;
    static char doc[60000];
    size_t n = (size_t)snprintf(doc, sizeof doc, "{\"c\":[{}");
    for (int i = 0; i < 10000; i++) n += (size_t)snprintf(doc + n, sizeof doc - n, ",{}");
    snprintf(doc + n, sizeof doc - n, "]}");
    const char *got = outcome(PROPS("\"c\":{\"type\":\"nested\"}"), doc);
    assert_non_null(strstr(got, "The number of nested documents has exceeded the allowed limit of "
                                "[10000]. This limit can be set by changing the "
                                "[index.mapping.nested_objects.limit] index level setting."));
}

static void steady_parsing_allocates_nothing(void **state)
{
    (void)state;
    qd_mapping *m =
        mapping("{\"properties\":{\"t\":{\"type\":\"text\"},\"n\":{\"type\":\"long\"},\"d\":{"
                "\"type\":\"date\"},\"o\":{\"properties\":{\"k\":{\"type\":\"keyword\"}}}}}");
    qd_buf b;
    qd_err e;
    qd_doc_result result;
    qd_buf_init(&b, NULL, 1 << 16);
    qd_err_init(&e);
    qd_doc_sink sink = sink_to(&b);
    qd_doc_input in = {
        .source = QD_STR(
            "{\"t\":[\"a\\nb\",\"c\"],\"n\":[1,2,3],\"d\":\"2015-01-01\",\"o\":{\"k\":\"x\"}}"),
        .id = QD_STR("1")};
    for (int i = 0; i < 3; i++) {
        qd_buf_reset(&b);
        (void)qd_mem_fail_at(0, false);
        assert_int_equal(qd_doc_parse(parser, m, &in, &sink, &result, &e), 0);
    }
    qd_buf_reset(&b);
    (void)qd_mem_fail_at(1, true);
    int rc = qd_doc_parse(parser, m, &in, &(qd_doc_sink){0}, &result, &e);
    (void)qd_mem_fail_at(0, false);
    assert_int_equal(rc, 0);
    qd_buf_fini(&b);
    qd_mapping_unref(m);
}

static void out_of_memory_leaves_no_trace(void **state)
{
    (void)state;
    qd_mapping *m =
        mapping("{\"properties\":{\"c\":{\"type\":\"constant_keyword\"},\"v\":{\"type\":"
                "\"version\"},\"w\":{\"type\":\"token_count\",\"analyzer\":\"stop\"},"
                "\"b\":{\"type\":\"binary\",\"store\":true}}}");
    bool through = false;
    for (uint64_t n = 1; n < 3000 && !through; n++) {
        qd_doc_parser *p = qd_doc_parser_make(NULL);
        qd_doc_result result;
        qd_err e;
        qd_err_init(&e);
        qd_doc_input in = {.source = QD_STR("{\"t\":[\"a\\nb\",\"c\"],\"n\":[1,2,3],\"d\":\"2015-"
                                            "01-01\",\"o\":{\"k\":\"x\"},\"c\":\"k\","
                                            "\"v\":\"1.0\",\"w\":\"the words\",\"b\":\"AA==\"}"),
                           .id = QD_STR("1")};
        (void)qd_mem_fail_at(n, false);
        int rc = qd_doc_parse(p, m, &in, &(qd_doc_sink){0}, &result, &e);
        through = qd_mem_fail_at(0, false) < n;
        if (rc == 0) {
            assert_non_null(result.merged);
            qd_mapping_unref(result.merged);
        } else {
            assert_true(rc == QD_E_NOMEM || rc == QD_E_DOC_PARSING);
        }
        qd_err_fini(&e);
        qd_doc_parser_free(p);
    }
    assert_true(through);
    qd_mapping_unref(m);
}

static void filtered_source(void **state)
{
    (void)state;
    qd_mapping *m = mapping("{\"_source\":{\"includes\":[\"a*\"],\"excludes\":[\"a.x\"]}}");
    qd_str out;
    assert_int_equal(
        qd_doc_source(parser, m, QD_STR("{\"a\":{\"x\":1,\"y\":2},\"b\":3}"), &out, NULL), 0);
    assert_true(qd_str_is(out, "{\"a\":{\"y\":2}}"));
    qd_mapping_unref(m);
    m = mapping("{\"_source\":{\"enabled\":false}}");
    assert_int_equal(qd_doc_source(parser, m, QD_STR("{\"a\":1}"), &out, NULL), 0);
    assert_null(out.p);
    qd_mapping_unref(m);
}

static int begin(void **state)
{
    (void)state;
    if (qd_analyzers_make(NULL, 0, NULL, &analyzers, NULL)) return -1;
    parser = qd_doc_parser_make(NULL);
    return parser ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    qd_doc_parser_free(parser);
    qd_analyzers_unref(analyzers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_all_types),
        cmocka_unit_test(unsigned_numbers),
        cmocka_unit_test(bytes_words_and_constants),
        cmocka_unit_test(values_beside_others),
        cmocka_unit_test(objects_dots_and_arrays),
        cmocka_unit_test(multi_fields_copies_and_storage),
        cmocka_unit_test(malformed_values_are_said_or_ignored),
        cmocka_unit_test(bad_documents),
        cmocka_unit_test(dynamic_mapping),
        cmocka_unit_test(templates_of_objects),
        cmocka_unit_test(limits_hold_for_new_fields),
        cmocka_unit_test(fields_keep_their_numbers),
        cmocka_unit_test(nested_documents),
        cmocka_unit_test(too_many_nested_documents),
        cmocka_unit_test(steady_parsing_allocates_nothing),
        cmocka_unit_test(out_of_memory_leaves_no_trace),
        cmocka_unit_test(filtered_source),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, begin, end);
}
