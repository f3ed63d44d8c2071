/* types_t.c: queries on fields whose values stand beside others: grams, keyed terms, runs of words,
 * points of ends. */
#include "unit/query/query_lib.h"

static const char mapping[] =
    "{\"properties\":{"
    "\"w\":{\"type\":\"wildcard\"},\"f\":{\"type\":\"flattened\"},"
    "\"s\":{\"type\":\"search_as_you_type\"},"
    "\"n\":{\"type\":\"integer_range\"},\"l\":{\"type\":\"long_range\",\"doc_values\":false},"
    "\"d\":{\"type\":\"date_range\"},\"a\":{\"type\":\"ip_range\"}}}";

static void cases_of(const query_case *cases, size_t n)
{
    query_index x;
    uint32_t bad = 0;
    qd_mapping_settings set = QD_MAPPING_SETTINGS_DEFAULT;
    query_index_open(&x);
    qd_mapping_unref(x.mapping);
    assert_int_equal(
        qd_mapping_parse(QD_STR(mapping), x.analyzers, &set, QD_MAPPING_UPDATE, &x.mapping, NULL),
        0);
    x.c.mapping = x.mapping;
    for (size_t i = 0; i < n; i++) {
        const char *got = query_text(&x, cases[i].json);
        if (strcmp(got, cases[i].want) == 0) continue;
        bad++;
        print_error("%s\n  want %s\n  got  %s\n", cases[i].json, cases[i].want, got);
    }
    query_index_close(&x);
    assert_int_equal(bad, 0);
}

/* Grams at the ends of a value hold NULs, which end the text of a tree: here none is at an end. */
static void patterns_are_narrowed_by_grams(void **state)
{
    static const query_case cases[] = {
        {"{'wildcard':{'w':'*'}}", "FieldExistsQuery [field=w]"},
        {"{'regexp':{'w':'.*'}}", "FieldExistsQuery [field=w]"},
        {"{'regexp':{'w':''}}", "MatchNoDocsQuery(\"\")"},
        {"{'wildcard':{'w':''}}", "MatchNoDocsQuery(\"\")"},
        {"{'wildcard':{'w':'*abc*'}}", "ConstantScore(#w..grams:abc #w:*abc*)"},
        {"{'wildcard':{'w':'*ABCDEF*'}}", "ConstantScore(#w..grams:abc #w..grams:def #w:*ABCDEF*)"},
        {"{'wildcard':{'w':'*abcd*'}}", "ConstantScore(#w..grams:abc #w..grams:bcd #w:*abcd*)"},
        {"{'wildcard':{'w':'*ab?de*'}}", "ConstantScore(#w..grams:ab* #w..grams:de* #w:*ab?de*)"},
        {"{'wildcard':{'w':'*a*'}}", "ConstantScore(#w:*a*)"},
        {"{'wildcard':{'w':{'value':'*abc*','case_insensitive':true}}}",
         "ConstantScore(#w..grams:abc #w:*abc* (ignore case))"},
        {"{'wildcard':{'w':'*a\\\\*bc*'}}",
         "ConstantScore(#w..grams:a*b #w..grams:*bc #w:*a\\*bc*)"},
        {"{'regexp':{'w':'.*abc.*'}}", "ConstantScore(#w..grams:abc #w:/.*abc.*/)"},
        {"{'regexp':{'w':'.*ab?cde.*'}}", "ConstantScore(#w..grams:cde #w:/.*ab?cde.*/)"},
        {"{'regexp':{'w':'.*[Aa]bc(x|y)def.*'}}", "ConstantScore(#w:/.*[Aa]bc(x|y)def.*/)"},
        {"{'regexp':{'w':'.*[Aa]bc(xy)*def.*'}}",
         "ConstantScore(#w..grams:abc #w..grams:def #w:/.*[Aa]bc(xy)*def.*/)"},
        {"{'regexp':{'w':'.*abc+d{2}efg.*'}}",
         "ConstantScore(#w..grams:abc #w..grams:efg #w:/.*abc+d{2}efg.*/)"},
        {"{'range':{'w':{'gte':'a'}}}", "ConstantScore(#w:[a TO *])"},
    };
    (void)state;
    cases_of(cases, QD_COUNT_OF(cases));
}

static void keys_are_terms(void **state)
{
    static const query_case cases[] = {
        {"{'term':{'f':'x'}}", "f:x"},
        {"{'terms':{'f':['x','y']}}", "(f:x y)"},
        {"{'wildcard':{'f':'x*'}}", "f:x*"},
        {"{'exists':{'field':'f'}}", "FieldExistsQuery [field=f]"},
        {"{'range':{'f.a':{'gte':'x'}}}",
         "query_shard_exception: failed to create query: [range] queries on keyed [flattened] "
         "fields must include both an upper and a lower bound. < illegal_argument_exception: "
         "[range] queries on keyed [flattened] fields must include both an upper and a lower "
         "bound."},
        {"{'regexp':{'f.a':'x'}}",
         "query_shard_exception: failed to create query: [regexp] queries are not currently "
         "supported on keyed [flattened] fields. < illegal_argument_exception: [regexp] queries "
         "are not currently supported on keyed [flattened] fields."},
        {"{'term':{'g.a':'x'}}", "MatchNoDocsQuery(\"\")"},
    };
    (void)state;
    cases_of(cases, QD_COUNT_OF(cases));
}

static void runs_of_words_are_terms(void **state)
{
    static const query_case cases[] = {
        {"{'match_phrase':{'s':'a'}}", "s:a"},
        {"{'match_phrase':{'s':'a b'}}", "s._2gram:a b"},
        {"{'match_phrase':{'s':'a b c d'}}", "s._3gram:\"a b c b c d\""},
        {"{'match_phrase':{'s':{'query':'a b','slop':1}}}", "s:\"a b\"~1"},
        {"{'match_phrase_prefix':{'s':'a b'}}", "s._index_prefix:a b"},
        {"{'match_phrase_prefix':{'s':'a b c d'}}", "s:\"a b c d*\""},
        {"{'prefix':{'s':'ab'}}", "ConstantScore(s._index_prefix:ab)"},
        {"{'prefix':{'s':'abcdefghijklmnopqrstu'}}", "s:abcdefghijklmnopqrstu*"},
        {"{'match_bool_prefix':{'s':'a b'}}", "s:a ConstantScore(s._index_prefix:b)"},
        {"{'multi_match':{'query':'a b','type':'bool_prefix','fields':['s','s._2gram']}}",
         "((s:a ConstantScore(s._index_prefix:b)) | ConstantScore(s._index_prefix:a b))~1.0"},
    };
    (void)state;
    cases_of(cases, QD_COUNT_OF(cases));
}

static void intervals_by_their_ends(void **state)
{
#define LEAST "-9223372036854775808"
#define MOST "9223372036854775807"
    static const query_case cases[] = {
        {"{'range':{'n':{'gte':3,'lt':5}}}",
         "ConstantScore(#n..min:[" LEAST " TO 4] #n..max:[3 TO " MOST
         "] #n:intersects[8000000000000003 TO 8000000000000004])"},
        {"{'range':{'l':{'gte':3,'lte':4,'relation':'CONTAINS'}}}",
         "ConstantScore(#l..min:[" LEAST " TO 3] #l..max:[4 TO " MOST
         "] #l..values:contains[8000000000000003 TO 8000000000000004])"},
        {"{'range':{'n':{'gte':3,'lte':4,'relation':'within'}}}",
         "ConstantScore(#n..min:[3 TO 4] #n..max:[3 TO 4] #n:within[8000000000000003 TO "
         "8000000000000004])"},
        {"{'term':{'d':'1970-01-01T00:00:00.001Z'}}",
         "ConstantScore(#d..min:[" LEAST " TO 1] #d..max:[1 TO " MOST
         "] #d:intersects[8000000000000001 TO 8000000000000001])"},
        {"{'range':{'n':{'gt':3,'lt':4}}}", "MatchNoDocsQuery(\"\")"},
        {"{'range':{'n':{}}}", "FieldExistsQuery [field=n]"},
        {"{'exists':{'field':'l'}}", "(_field_names:l)"},
    };
    (void)state;
    cases_of(cases, QD_COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_narrowed_by_grams),
        cmocka_unit_test(keys_are_terms),
        cmocka_unit_test(runs_of_words_are_terms),
        cmocka_unit_test(intervals_by_their_ends),
    };
    return unit_run(tests);
}
