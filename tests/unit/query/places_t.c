/* places_t.c: span queries and intervals and the trees they become, and the texts of their errors.
 * Single quotes stand for double ones. */
#include "query_lib.h"

#define T(w) "{'span_term':{'title':'" w "'}}"
#define I(rule) "{'intervals':{'title':" rule "}}"
#define M(text) "{'match':{'query':'" text "'}}"

static void spans(void **state)
{
    static const query_case cases[] = {
        {"{'span_term':{'title':{'value':'quick','boost':2}}}", "title:quick^2.0"},
        {"{'span_near':{'clauses':[" T("a") "," T("b") "],'slop':3}}",
         "spanNear([title:a, title:b], 3, true)"},
        {"{'span_near':{'clauses':[" T("a") "," T("b") "],'in_order':false}}",
         "spanNear([title:a, title:b], 0, false)"},
        {"{'span_near':{'clauses':[" T("a") ",{'span_gap':{'title':2}}," T("b") "]}}",
         "spanNear([title:a, SpanGap(title:2), title:b], 0, true)"},
        {"{'span_near':{'clauses':[" T("a") "]}}", "title:a"},
        {"{'span_or':{'clauses':[" T("a") "," T("b") "]}}", "spanOr([title:a, title:b])"},
        {"{'span_not':{'include':" T("a") ",'exclude':" T("b") ",'pre':1,'post':-2}}",
         "spanNot(title:a, title:b, 1, 0)"},
        {"{'span_first':{'match':" T("a") ",'end':3}}", "spanFirst(title:a, 3)"},
        {"{'span_containing':{'big':" T("a") ",'little':" T("b") "}}",
         "SpanContain(title:a, title:b)"},
        {"{'span_multi':{'match':{'prefix':{'title':'qu'}}}}",
         "SpanMultiTermQueryWrapper(title:qu*)"},
        {"{'field_masking_span':{'query':{'span_term':{'en':'a'}},'field':'title'}}", "title:a"},
    };
    (void)state;
    query_cases(cases, QD_COUNT_OF(cases));
}

static void intervals(void **state)
{
    static const query_case cases[] = {
        {I(M("quick")), "title:quick"},
        {I(M("Quick brown")), "title:UNORDERED(quick,brown)"},
        {I("{'match':{'query':'a b','ordered':true}}"), "title:ORDERED(a,b)"},
        {I("{'match':{'query':'a b','ordered':true,'max_gaps':0}}"), "title:BLOCK(a,b)"},
        {I("{'match':{'query':'a b','max_gaps':2}}"), "title:MAXGAPS/2(UNORDERED(a,b))"},
        {I("{'match':{'query':'a a','ordered':true}}"), "title:REPEAT(a)"},
        {I("{'any_of':{'intervals':[" M("a") "," M("b") "]}}"), "title:or(a,b)"},
        /* a phrase over alternatives of several lengths is one of phrases */
        {I("{'all_of':{'ordered':true,'max_gaps':0,'intervals':[" M(
             "a") ",{'any_of':{'intervals':[" M("b") ",{'match':{'query':'c "
                                                     "d','ordered':true}}]}}]}}"),
         "title:or(BLOCK(a,ORDERED(c,d)),BLOCK(a,b))"},
        {I("{'match':{'query':'a','filter':{'before':" M("b") "}}}"), "title:BEFORE(a,b)"},
        {I("{'match':{'query':''}}"), "MatchNoDocsQuery(\"\")"},
    };
    (void)state;
    query_cases(cases, QD_COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(spans), cmocka_unit_test(intervals)};
    return unit_run(tests);
}
