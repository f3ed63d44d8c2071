/* dsl_t.c: queries of the DSL and the trees they become, and the texts of their errors. Single
 * quotes stand for double ones. */
#include "query_lib.h"

static void trees(void **state)
{
    static const query_case cases[] = {
        {"{'match_all':{}}", "*:*"},
        {"{'match_all':{'boost':2}}", "*:*^2.0"},
        {"{'match_none':{}}", "MatchNoDocsQuery(\"\")"},
        {"{'match':{'title':'Quick brown'}}", "title:quick title:brown"},
        {"{'match':{'title':{'query':'Quick Brown Fox','operator':'and'}}}",
         "+title:quick +title:brown +title:fox"},
        {"{'match':{'title':{'query':'a b c d','minimum_should_match':'75%'}}}",
         "(title:a title:b title:c title:d)~3"},
        {"{'match':{'title':{'query':'quick','boost':3}}}", "title:quick^3.0"},
        {"{'match':{'title':{'query':'quikc brwn','fuzziness':'AUTO'}}}",
         "title:quikc~1 title:brwn~1"},
        {"{'match':{'title':{'query':'ab quikc','fuzziness':1,'prefix_length':1}}}",
         "title:ab~1 title:quikc~1"},
        {"{'match':{'en':'the'}}", "MatchNoDocsQuery(\"\")"},
        {"{'match':{'en':{'query':'the','zero_terms_query':'all'}}}", "*:*"},
        {"{'match':{'tag':'Quick Brown'}}", "tag:Quick Brown"},
        {"{'match':{'low':'Quick Brown'}}", "low:quick brown"},
        {"{'match':{'split':'Quick Brown'}}", "split:Quick split:Brown"},
        {"{'match':{'n':12}}", "n:[12 TO 12]"},
        {"{'match':{'n':'12'}}", "n:[12 TO 12]"},
        {"{'match':{'n':1.5}}", "MatchNoDocsQuery(\"\")"},
        {"{'match':{'n':'abc'}}",
         "query_shard_exception: failed to create query: For input string: \"abc\" < "
         "number_format_exception: For input string: \"abc\""},
        {"{'match':{'n':{'query':'abc','lenient':true}}}", "MatchNoDocsQuery(\"\")"},
        {"{'match':{'b':true}}", "b:T"},
        {"{'match':{'nope':'x'}}", "MatchNoDocsQuery(\"\")"},
        {"{'match':{'syn':'fast'}}", "Synonym(syn:quick syn:fast)"},
        {"{'match':{'syn':'in ny city'}}", "syn:in (syn:\"new york\" syn:ny) syn:city"},
        {"{'match':{'syn':{'query':'new york city','operator':'and'}}}",
         "+(syn:ny syn:\"new york\") +syn:city"},
        {"{'match':{'syn':{'query':'ny','auto_generate_synonyms_phrase_query':false}}}",
         "((+syn:new +syn:york) syn:ny)"},
        {"{'match_phrase':{'syn':'in ny city'}}", "syn:\"in new york city\" syn:\"in ny city\""},
        {"{'match_phrase':{'title':'quick brown'}}", "title:\"quick brown\""},
        {"{'match_phrase':{'title':{'query':'quick brown','slop':2}}}", "title:\"quick brown\"~2"},
        {"{'match_phrase':{'en':'quick and the brown'}}", "en:\"quick ? ? brown\""},
        {"{'match_phrase':{'title':'one'}}", "title:one"},
        {"{'match_phrase':{'flat':'a b'}}",
         "query_shard_exception: failed to create query: field:[flat] was indexed without position "
         "data; cannot run PhraseQuery < illegal_state_exception: field:[flat] was indexed without "
         "position data; cannot run PhraseQuery"},
        {"{'match_phrase':{'tag':'a b'}}", "tag:a b"},
        {"{'match_phrase_prefix':{'title':'quick br'}}", "title:\"quick br*\""},
        {"{'match_phrase_prefix':{'tag':'quick br'}}",
         "query_shard_exception: failed to create query: Can only use phrase prefix queries on "
         "text fields - not on [tag] which is of type [keyword] < illegal_argument_exception: Can "
         "only use phrase prefix queries on text fields - not on [tag] which is of type [keyword]"},
        {"{'match_bool_prefix':{'title':'quick br'}}", "title:quick title:br*"},
        {"{'match_bool_prefix':{'title':'br'}}", "title:br*"},
        {"{'multi_match':{'query':'quick fox','fields':['title^2','body']}}",
         "((title:quick title:fox)^2.0 | (body:quick body:fox))"},
        {"{'multi_match':{'query':'quick fox','fields':['title','body'],'type':'most_fields'}}",
         "((title:quick title:fox) | (body:quick body:fox))~1.0"},
        {"{'multi_match':{'query':'quick "
         "fox','fields':['title^2','body'],'type':'cross_fields','operator':'and'}}",
         "+blended(title:quick^2.0 | body:quick) +blended(title:fox^2.0 | body:fox)"},
        {"{'multi_match':{'query':'quick fox','fields':['title','en'],'type':'cross_fields'}}",
         "((title:quick title:fox) | (en:quick en:fox))"},
        {"{'multi_match':{'query':'quick fox','fields':['title','body'],'type':'phrase'}}",
         "(title:\"quick fox\" | body:\"quick fox\")"},
        {"{'multi_match':{'query':'quick "
         "fo','fields':['title','body'],'type':'phrase_prefix','tie_breaker':0.3}}",
         "(title:\"quick fo*\" | body:\"quick fo*\")~0.3"},
        {"{'multi_match':{'query':'quick fo','fields':['title','body'],'type':'bool_prefix'}}",
         "((title:quick title:fo*) | (body:quick body:fo*))~1.0"},
        {"{'multi_match':{'query':'12','fields':['t*']}}",
         "(t:[12 TO 12] | tag:12 | title:12 | title.raw:12)"},
        {"{'multi_match':{'query':'abc','fields':['n','title']}}",
         "query_shard_exception: failed to create query: For input string: \"abc\" < "
         "number_format_exception: For input string: \"abc\""},
        {"{'multi_match':{'query':'abc','fields':['o.*']}}",
         "query_shard_exception: failed to create query: For input string: \"abc\" < "
         "number_format_exception: For input string: \"abc\""},
        {"{'multi_match':{'query':'7'}}",
         "(MatchNoDocsQuery(\"\") | MatchNoDocsQuery(\"\") | body:7 | d:[4619567317775286272 TO "
         "4619567317775286272] | en:7 | f:[1088421888 TO 1088421888] | flat:7 | i:[7 TO 7] | low:7 "
         "| n:[7 TO 7] | o.x:7 | o.y:[7 TO 7] | split:7 | syn:7 | t:[7 TO 7] | tag:7 | title:7 | "
         "title.raw:7)"},
        {"{'has_child':{'type':'c','query':{'match_all':{}}}}",
         "query_shard_exception: [has_child] no join field has been configured"},
        {"{'has_parent':{'parent_type':'p','query':{'match_all':{}},'ignore_unmapped':true}}",
         "MatchNoDocsQuery(\"\")"},
        {"{'term':{'tag':'X'}}", "tag:X"},
        {"{'term':{'low':'XyZ'}}", "low:xyz"},
        {"{'term':{'title':'Quick'}}", "title:Quick"},
        {"{'term':{'tag':{'value':'a*B','case_insensitive':true}}}", "tag:a\\*B (ignore case)"},
        {"{'term':{'n':5}}", "n:[5 TO 5]"},
        {"{'term':{'n':5.5}}", "MatchNoDocsQuery(\"\")"},
        {"{'term':{'i':99999999999}}", "MatchNoDocsQuery(\"\")"},
        {"{'term':{'d':1.5}}", "d:[4609434218613702656 TO 4609434218613702656]"},
        {"{'term':{'b':'true'}}", "b:T"},
        {"{'term':{'b':'T'}}",
         "query_shard_exception: failed to create query: Can't parse boolean value [T], expected "
         "[true] or [false] < illegal_argument_exception: Can't parse boolean value [T], expected "
         "[true] or [false]"},
        {"{'term':{'t':'2020-01-01'}}", "t:[1577836800000 TO 1577923199999]"},
        {"{'term':{'t':'2020'}}", "t:[1577836800000 TO 1577923199999]"},
        {"{'term':{'a':'10.0.0.0/8'}}", "a:[10.0.0.0 TO 10.255.255.255]"},
        {"{'term':{'a':'::1'}}", "a:[::1 TO ::1]"},
        {"{'term':{'n':'abc'}}", "query_shard_exception: failed to create query: For input string: "
                                 "\"abc\" < number_format_exception: For input string: \"abc\""},
        {"{'term':{'_id':'1'}}", "_id:(1)"},
        {"{'term':{'_index':'id*'}}", "*:*"},
        {"{'term':{'_index':'other'}}", "MatchNoDocsQuery(\"\")"},
        {"{'terms':{'tag':['a','b']}}", "(tag:a b)"},
        {"{'terms':{'n':[1,2,'3']}}", "ConstantScore(n:[1 TO 1] n:[2 TO 2] n:[3 TO 3])"},
        {"{'terms':{'a':['1.2.3.4','10.0.0.0/8']}}",
         "ConstantScore(a:[1.2.3.4 TO 1.2.3.4] a:[10.0.0.0 TO 10.255.255.255])"},
        {"{'terms':{'tag':[]}}", "MatchNoDocsQuery(\"\")"},
        {"{'terms':{'_id':['a','b'],'boost':2}}", "_id:(a b)^2.0"},
        {"{'range':{'n':{'gte':1,'lt':5}}}", "n:[1 TO 4]"},
        {"{'range':{'n':{'gt':1.2}}}", "n:[2 TO 9223372036854775807]"},
        {"{'range':{'tag':{'gte':'a','lt':'b'}}}", "tag:[a TO b}"},
        {"{'range':{'t':{'gte':'now-1d/d','lt':'now/d'}}}", "t:[1599868800000 TO 1599955199999]"},
        {"{'range':{'t':{'gte':'2020-01-01','lte':'2020-01-31','time_zone':'+01:00'}}}",
         "t:[1577833200000 TO 1580511599999]"},
        {"{'range':{'t':{'gte':'01/02/2020','format':'dd/MM/yyyy'}}}",
         "t:[1580515200000 TO 9223372036854775807]"},
        {"{'range':{'a':{'gte':'10.0.0.0','lt':'10.0.1.0'}}}", "a:[10.0.0.0 TO 10.0.0.255]"},
        {"{'range':{'n':{'from':1,'to':3,'include_lower':false,'include_upper':true,'boost':2}}}",
         "n:[2 TO 3]^2.0"},
        {"{'range':{'n':{}}}", "FieldExistsQuery [field=n]"},
        {"{'range':{'n':{'gte':null}}}", "FieldExistsQuery [field=n]"},
        {"{'exists':{'field':'title'}}", "FieldExistsQuery [field=title]"},
        {"{'exists':{'field':'body'}}", "(_field_names:body)"},
        {"{'exists':{'field':'tag'}}", "FieldExistsQuery [field=tag]"},
        {"{'exists':{'field':'dark'}}", "MatchNoDocsQuery(\"\")"},
        {"{'exists':{'field':'o'}}",
         "ConstantScore(FieldExistsQuery [field=o.x] FieldExistsQuery [field=o.y])"},
        {"{'exists':{'field':'nope'}}", "MatchNoDocsQuery(\"\")"},
        {"{'prefix':{'tag':'ab'}}", "tag:ab*"},
        {"{'prefix':{'low':'AB'}}", "low:ab*"},
        {"{'prefix':{'title':{'value':'ab','rewrite':'top_terms_5','boost':2}}}", "title:ab*^2.0"},
        {"{'prefix':{'n':'1'}}", "query_shard_exception: Can only use prefix queries on keyword, "
                                 "text and wildcard fields - not on [n] which is of type [long]"},
        {"{'wildcard':{'low':'A*B?\\\\*C'}}", "low:a*b?\\*c"},
        {"{'wildcard':{'tag':{'value':'a*','case_insensitive':true}}}", "tag:a* (ignore case)"},
        {"{'regexp':{'tag':'a.*b'}}", "tag:/a.*b/"},
        {"{'regexp':{'tag':{'value':'a','flags':'INTERVAL|ANYSTRING'}}}", "tag:/a/"},
        {"{'fuzzy':{'tag':'quikc'}}", "tag:quikc~1"},
        {"{'fuzzy':{'tag':{'value':'quikc','fuzziness':'1','transpositions':false}}}",
         "tag:quikc~1"},
        {"{'fuzzy':{'n':'5'}}",
         "query_shard_exception: failed to create query: Can only use fuzzy queries on keyword and "
         "text fields - not on [n] which is of type [long] < illegal_argument_exception: Can only "
         "use fuzzy queries on keyword and text fields - not on [n] which is of type [long]"},
        {"{'ids':{'values':['1','2']}}", "_id:(1 2)"},
        {"{'ids':{'values':[]}}", "MatchNoDocsQuery(\"\")"},
        {"{'bool':{}}", "*:*"},
        {"{'bool':{'must':[{'term':{'tag':'a'}},{'term':{'tag':'b'}}],'filter':{'term':{'n':1}},'"
         "should':[{'term':{'tag':'c'}}],'must_not':[{'term':{'tag':'d'}}]}}",
         "+tag:a +tag:b tag:c #n:[1 TO 1] -tag:d"},
        {"{'bool':{'should':[{'term':{'tag':'a'}},{'term':{'tag':'b'}},{'term':{'tag':'c'}}],'"
         "minimum_should_match':2}}",
         "(tag:a tag:b tag:c)~2"},
        {"{'bool':{'should':[{'term':{'tag':'a'}},{'term':{'tag':'b'}}],'minimum_should_match':'-1'"
         "}}",
         "tag:a tag:b"},
        {"{'bool':{'must_not':[{'term':{'tag':'a'}}]}}", "#*:* -tag:a"},
        {"{'bool':{'must_not':[{'term':{'tag':'a'}}],'adjust_pure_negative':false}}", "-tag:a"},
        {"{'bool':{'must':null}}", "*:*"},
        {"{'constant_score':{'filter':{'term':{'tag':'a'}},'boost':1.5}}",
         "ConstantScore(tag:a)^1.5"},
        {"{'dis_max':{'queries':[{'term':{'tag':'a'}},{'match':{'title':'x "
         "y'}}],'tie_breaker':0.7}}",
         "(tag:a | (title:x title:y))~0.7"},
    };
    (void)state;
    query_cases(cases, QD_COUNT_OF(cases));
}

static void errors(void **state)
{
    static const query_case cases[] = {
        {"{}", "illegal_argument_exception: query malformed, empty clause found at [1:2]"},
        {"[]", "parsing_exception: [_na] query malformed, must start with start_object @1:1"},
        {"{'foo':{}}", "parsing_exception: unknown query [foo] @1:8 < "
                       "named_object_not_found_exception: [1:8] unknown field [foo]"},
        {"{'matchh':{'title':'x'}}",
         "parsing_exception: unknown query [matchh] did you mean any of [match, match_all]? @1:11 "
         "< named_object_not_found_exception: [1:11] unknown field [matchh]"},
        {"{'match':[]}",
         "parsing_exception: [match] query malformed, no start_object after query name @1:10"},
        {"{'match':'x'}",
         "parsing_exception: [match] query malformed, no start_object after query name @1:10"},
        {"{'match':{}}", "parsing_exception: No text specified for text query @1:11"},
        {"{'match':{'title':{'query':['a']}}}",
         "parsing_exception: [match] unknown token [START_ARRAY] after [query] @1:28"},
        {"{'match':{'title':['a']}}",
         "illegal_argument_exception: Expected text at 1:19 but found START_ARRAY"},
        {"{'match':{'title':null}}", "parsing_exception: No text specified for text query @1:23"},
        {"{'match':{'title':{'query':'a','foo':1}}}",
         "parsing_exception: [match] query does not support [foo] @1:38"},
        {"{'match':{'title':'a','body':'b'}}", "parsing_exception: [match] query doesn't support "
                                               "multiple fields, found [title] and [body] @1:30"},
        {"{'match':{'title':{'query':'a','operator':'xor'}}}",
         "illegal_argument_exception: No enum constant org.elasticsearch.index.query.Operator.XOR"},
        {"{'match':{'title':{'query':'a','zero_terms_query':'some'}}}",
         "parsing_exception: Unsupported zero_terms_query value [some] @1:51"},
        {"{'match':{'title':{'query':'a','fuzziness':'3'}}}",
         "illegal_argument_exception: Valid edit distances are [0, 1, 2] but was [3]"},
        {"{'match':{'title':{'query':'a','fuzziness':'AUTO:5'}}}",
         "parse_exception: failed to find low and high distance values"},
        {"{'match':{'title':{'query':'a','fuzziness':'AUTO:a,b'}}}",
         "parse_exception: failed to parse [AUTO:a,b] as a \"auto:int,int\" < "
         "number_format_exception: For input string: \"a\""},
        {"{'match':{'title':{'query':'a','boost':-1}}}",
         "illegal_argument_exception: negative [boost] are not allowed in [-1.0], use a value "
         "between 0 and 1 to deboost"},
        {"{'match':{'title':{'query':'a','boost':1e39}}}",
         "illegal_argument_exception: boost must be a positive float, got Infinity"},
        {"{'match':{'title':{'query':'a','boost':'NaN'}}}",
         "illegal_argument_exception: boost must be a positive float, got NaN"},
        {"{'match':{'title':{'query':'a','boost':'x'}}}",
         "number_format_exception: For input string: \"x\""},
        {"{'match':{'title':{'query':'a','max_expansions':0}}}",
         "illegal_argument_exception: [match] requires maxExpansions to be positive."},
        {"{'match':{'title':{'query':'a','prefix_length':-1}}}",
         "illegal_argument_exception: [match] requires prefix length to be non-negative."},
        {"{'match':{'title':{'query':'a','analyzer':'nope'}}}",
         "query_shard_exception: [match] analyzer [nope] not found"},
        {"{'match':{'title':{'query':'a b','minimum_should_match':'x'}}}",
         "query_shard_exception: failed to create query: For input string: \"x\" < "
         "number_format_exception: For input string: \"x\""},
        {"{'match':{'title':{'query':'a','lenient':'maybe'}}}",
         "illegal_argument_exception: Failed to parse value [maybe] as only [true] or [false] are "
         "allowed."},
        {"{'match':{'title':{'query':'a','lenient':1}}}",
         "x_content_parse_exception: [1:42] Current token (VALUE_NUMBER_INT) not of boolean type"},
        {"{'match':{'title':'a'},'term':{'tag':'b'}}",
         "parsing_exception: [match] malformed query, expected [END_OBJECT] but found [FIELD_NAME] "
         "@1:24"},
        {"{'term':{'tag':['a']}}",
         "parsing_exception: [term] query does not support array of values @1:16"},
        {"{'term':{'tag':{'value':['a']}}}",
         "parsing_exception: [term] query does not support arrays for value - use a bool query "
         "with multiple term clauses in the should section or use a Terms query if scoring is not "
         "required @1:25"},
        {"{'term':{'tag':{'values':'a'}}}",
         "parsing_exception: [term] query does not support [values] @1:26"},
        {"{'term':{'tag':'a','low':'b'}}", "parsing_exception: [term] query doesn't support "
                                           "multiple fields, found [tag] and [low] @1:26"},
        {"{'term':{}}", "illegal_argument_exception: field name is null or empty"},
        {"{'term':{'tag':{}}}", "illegal_argument_exception: value cannot be null"},
        {"{'terms':{}}", "parsing_exception: [terms] query requires a field name, followed by "
                         "array of terms or a document lookup specification @1:11"},
        {"{'terms':{'tag':'a'}}", "parsing_exception: [terms] query does not support [tag] @1:17"},
        {"{'terms':{'tag':['a'],'low':['b']}}",
         "parsing_exception: [terms] query does not support multiple fields @1:29"},
        {"{'terms':{'tag':[null]}}", "parsing_exception: No value specified for terms query @1:18"},
        {"{'terms':{'tag':{'index':'x','id':'1','path':'p'}}}",
         "parsing_exception: [terms] lookup of terms in another document is not supported here, "
         "field [tag] needs an array of terms @1:49"},
        {"{'terms':{'tag':{'index':'x','path':'p'}}}", "illegal_argument_exception: Required [id]"},
        {"{'terms':{'tag':{'index':'x','id':'1','path':'p','x':1}}}",
         "x_content_parse_exception: [1:50] [terms_lookup] unknown field [x]"},
        {"{'range':{'n':5}}", "parsing_exception: [range] query does not support [n] @1:15"},
        {"{'range':{'n':{'bigger':5}}}",
         "parsing_exception: [range] query does not support [bigger] @1:25"},
        {"{'range':{'n':{'gte':1},'i':{'gte':2}}}",
         "parsing_exception: [range] query doesn't support multiple fields, found [n] and [i] "
         "@1:29"},
        {"{'range':{'t':{'gte':'nonsense'}}}",
         "parse_exception: failed to parse date field [nonsense] with format "
         "[strict_date_optional_time||epoch_millis]: [failed to parse date field [nonsense] with "
         "format [strict_date_optional_time||epoch_millis]] < illegal_argument_exception: failed "
         "to parse date field [nonsense] with format [strict_date_optional_time||epoch_millis] < "
         "date_time_parse_exception: Failed to parse with all enclosed parsers"},
        {"{'range':{'t':{'gte':'now+1q'}}}",
         "parse_exception: unit [q] not supported for date math [+1q]"},
        {"{'range':{'t':{'gte':'2020-01-01','time_zone':'Mars/Phobos'}}}",
         "illegal_argument_exception: java.time.zone.ZoneRulesException: Unknown time-zone ID: "
         "Mars/Phobos < zone_rules_exception: Unknown time-zone ID: Mars/Phobos"},
        {"{'range':{'t':{'gte':'2020-01-01','format':'qqqqq'}}}",
         "illegal_argument_exception: Invalid format: [qqqqq]: Unknown pattern letter: q"},
        {"{'range':{'n':{'gte':1,'relation':'disjoint'}}}",
         "illegal_argument_exception: [range] query does not support relation [disjoint]"},
        {"{'range':{'n':{'gte':1,'relation':'foo'}}}",
         "illegal_argument_exception: foo is not a valid relation"},
        {"{'range':{'a':{'gte':'x'}}}",
         "query_shard_exception: failed to create query: 'x' is not an IP string literal. < "
         "illegal_argument_exception: 'x' is not an IP string literal."},
        {"{'exists':{}}", "parsing_exception: [exists] must be provided with a [field] @1:12"},
        {"{'exists':{'field':'a','x':1}}",
         "parsing_exception: [exists] query does not support [x] @1:28"},
        {"{'exists':{'field':['a']}}",
         "parsing_exception: [exists] unknown token [START_ARRAY] after [field] @1:20"},
        {"{'prefix':{'tag':{'value':'a','rewrite':'foo'}}}",
         "query_shard_exception: failed to create query: Failed to parse rewrite_method [foo] < "
         "illegal_argument_exception: Failed to parse rewrite_method [foo]"},
        {"{'prefix':{'tag':{'value':'a','x':'foo'}}}",
         "parsing_exception: [prefix] query does not support [x] @1:35"},
        {"{'prefix':{'tag':['a']}}",
         "illegal_argument_exception: Expected text at 1:18 but found START_ARRAY"},
        {"{'regexp':{'tag':{'value':'a','flags':'FOO'}}}",
         "illegal_argument_exception: Unknown regexp flag [FOO]"},
        {"{'fuzzy':{'tag':{'value':'a','max_expansions':0}}}",
         "illegal_argument_exception: maxExpansions must be positive"},
        {"{'bool':{'musst':[]}}", "x_content_parse_exception: [1:10] [bool] unknown field [musst] "
                                  "did you mean any of [must, mustNot]?"},
        {"{'bool':{'must':'x'}}", "x_content_parse_exception: [1:17] [bool] must doesn't support "
                                  "values of type: VALUE_STRING"},
        {"{'bool':{'must':[{}]}}",
         "x_content_parse_exception: [1:19] [bool] failed to parse field [must] < "
         "illegal_argument_exception: query malformed, empty clause found at [1:19]"},
        {"{'bool':{'must':[{'foo':{}}]}}",
         "x_content_parse_exception: [1:25] [bool] failed to parse field [must] < "
         "parsing_exception: unknown query [foo] < named_object_not_found_exception: [1:25] "
         "unknown field [foo]"},
        {"{'bool':{'must':[{'bool':{'filter':[{'match':{'title':{'query':['x']}}}]}}]}}",
         "x_content_parse_exception: [1:64] [bool] failed to parse field [must] < "
         "x_content_parse_exception: [1:64] [bool] failed to parse field [filter] < "
         "parsing_exception: [match] unknown token [START_ARRAY] after [query]"},
        {"{'bool':{'must':[1]}}",
         "x_content_parse_exception: [1:19] [bool] failed to parse field [must] < "
         "parsing_exception: [_na] query malformed, must start with start_object"},
        {"{'bool':{'should':[],'minimum_should_match':'x'}}", "*:*"},
        {"{'bool':{'should':[{'match_all':{}}],'minimum_should_match':'x'}}",
         "query_shard_exception: failed to create query: For input string: \"x\" < "
         "number_format_exception: For input string: \"x\""},
        {"{'bool':{'boost':'abc'}}",
         "x_content_parse_exception: [1:18] [bool] failed to parse field [boost] < "
         "number_format_exception: For input string: \"abc\""},
        {"{'ids':{'values':[{}]}}",
         "parsing_exception: [1:19] [ids] failed to parse field [values] @1:19 < "
         "x_content_parse_exception: [1:19] [ids] failed to parse field [values] < "
         "illegal_argument_exception: Expected text at 1:19 but found START_OBJECT"},
        {"{'ids':{'types':'a'}}", "parsing_exception: [1:9] [ids] unknown field [types] @1:17 < "
                                  "x_content_parse_exception: [1:9] [ids] unknown field [types]"},
        {"{'match_all':{'x':1}}",
         "parsing_exception: [1:15] [match_all] unknown field [x] @1:19 < "
         "x_content_parse_exception: [1:15] [match_all] unknown field [x]"},
        {"{'constant_score':{}}",
         "parsing_exception: [constant_score] requires a 'filter' element @1:20"},
        {"{'constant_score':{'filter':[]}}",
         "parsing_exception: unexpected token [START_ARRAY] @1:29"},
        {"{'constant_score':{'query':{'match_all':{}}}}",
         "parsing_exception: [constant_score] query does not support [query] @1:28"},
        {"{'dis_max':{}}",
         "parsing_exception: [dis_max] requires 'queries' field with at least one clause @1:13"},
        {"{'dis_max':{'queries':[]}}",
         "parsing_exception: [_na] query malformed, must start with start_object @1:24"},
        {"{'dis_max':{'x':1}}", "parsing_exception: [dis_max] query does not support [x] @1:17"},
        {"{'multi_match':{'fields':['a']}}",
         "parsing_exception: No text specified for multi_match query @1:31"},
        {"{'multi_match':{'query':'a','type':'foo'}}",
         "parse_exception: failed to parse [multi_match] query type [foo]. unknown type."},
        {"{'multi_match':{'query':'a','fields':['title'],'type':'phrase','fuzziness':1}}",
         "parsing_exception: Fuzziness not allowed for type [phrase] @1:77"},
        {"{'multi_match':{'query':'a','fields':['title'],'type':'bool_prefix','slop':1}}",
         "parsing_exception: [slop] not allowed for type [bool_prefix] @1:77"},
        {"{'multi_match':{'query':'a','fields':['title^-1']}}",
         "illegal_argument_exception: negative [boost] are not allowed in [-1.0], use a value "
         "between 0 and 1 to deboost"},
        {"{'query_string':{'query':'a^9999999999999999999999999999999999999999','fields':['title']}"
         "}",
         "query_shard_exception: failed to create query: boost must be a positive float, got "
         "Infinity < illegal_argument_exception: boost must be a positive float, got Infinity"},
        {"{'multi_match':{'query':'a','fields':['title^1e39']}}",
         "illegal_argument_exception: boost must be a positive float, got Infinity"},
        {"{'multi_match':{'query':'a','fields':['title^x']}}",
         "number_format_exception: For input string: \"x\""},
        {"{'multi_match':{'query':'a','foo':1}}",
         "parsing_exception: [multi_match] query does not support [foo] @1:35"},
        {"{'multi_match':{'query':{}}}",
         "parsing_exception: [multi_match] unknown token [START_OBJECT] after [query] @1:25"},
        {"{'nested':{'path':'o','query':{'match_all':{}}}}",
         "query_shard_exception: failed to create query: [nested] nested object under path [o] is "
         "not of nested type < illegal_state_exception: [nested] nested object under path [o] is "
         "not of nested type"},
        {"{'nested':{'path':'no','query':{'match_all':{}}}}",
         "query_shard_exception: failed to create query: [nested] failed to find nested object "
         "under "
         "path [no] < illegal_state_exception: [nested] failed to find nested object under path "
         "[no]"},
        {"{'nested':{'query':{'match_all':{}}}}",
         "illegal_argument_exception: [nested] requires 'path' field"},
        {"{'nested':{'path':'o'}}", "illegal_argument_exception: [nested] requires 'query' field"},
        {"{'nested':{'path':'o','score_mode':'x'}}",
         "illegal_argument_exception: No score mode for child query [x] found"},
        {"{'function_scor':{}}",
         "parsing_exception: unknown query [function_scor] did you mean [function_score]? "
         "@1:18 < named_object_not_found_exception: [1:18] unknown field "
         "[function_scor]"},
        {"{'script':{}}", "parsing_exception: script must be provided with a [script] query @1:12"},
        {"{'script':{'script':{'lang':'groovy','source':'1'}}}",
         "illegal_argument_exception: script_lang not supported [groovy]"},
        {"{'script_score':{'query':{'match_all':{}}}}",
         "illegal_argument_exception: Required [script] @1:42"},
        {"{'function_score':{'functions':[{}]}}",
         "parsing_exception: failed to parse function_score query. an entry in functions list is "
         "missing a function. @1:34"},
        {"{'function_score':{'score_mode':'x'}}",
         "illegal_argument_exception: illegal score_mode [x] @1:33"},
        {"{'match':{'dark':'x'}}",
         "query_shard_exception: failed to create query: Cannot search on field [dark] since it is "
         "not indexed. < illegal_argument_exception: Cannot search on field [dark] since it is not "
         "indexed."},
    };
    (void)state;
    query_cases(cases, QD_COUNT_OF(cases));
}

/* minimum_should_match of so many clauses; -1: refused. */
static void minimum(void **state)
{
    static const struct {
        const char *spec;
        uint32_t optional;
        int32_t want;
    } cases[] = {
        {"2", 5, 2},           {"-2", 5, 3},          {"75%", 4, 3},         {"75%", 5, 3},
        {"-25%", 4, 3},        {"-25%", 5, 4},        {"2<75%", 2, 2},       {"2<75%", 4, 3},
        {"2<-25%", 4, 3},      {"3<-25% 9<-3", 3, 3}, {"3<-25% 9<-3", 8, 6}, {"3<-25% 9<-3", 12, 9},
        {"7", 3, 7},           {"-7", 3, 0},          {"0", 3, 0},           {"100%", 3, 3},
        {"-100%", 3, 0},       {" 2 < 50% ", 4, 2},   {"x", 3, -1},          {"", 3, -1},
        {"1.5", 3, -1},        {"x%", 3, -1},         {"2<", 3, -1},         {"50%x", 4, -1},
        {"99999999999", 4, -1}};
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        uint32_t got = 0;
        int rc = qd_minimum_should_match(qd_str_c(cases[i].spec), cases[i].optional, &got, NULL);
        if ((rc ? -1 : (int32_t)got) != cases[i].want)
            fail_msg("%s of %u: %d", cases[i].spec, cases[i].optional, rc ? -1 : (int)got);
    }
}

/* A text of n repetitions between two ends. */
static char *repeated(const char *head, const char *part, size_t n, const char *middle,
                      const char *back, const char *tail)
{
    qd_buf b;
    size_t len;
    qd_buf_init(&b, NULL, 64 << 20);
    (void)!qd_buf_c(&b, head);
    for (size_t i = 0; i < n; i++) (void)!qd_buf_c(&b, part);
    (void)!qd_buf_c(&b, middle);
    for (size_t i = 0; i < n; i++) (void)!qd_buf_c(&b, back);
    (void)!qd_buf_c(&b, tail);
    return qd_buf_take(&b, &len);
}

static const char *innermost(query_index *x, const char *json)
{
    const char *text = query_text(x, json), *at = text, *last = text;
    while ((at = strstr(last, " < "))) last = at + 3;
    return last;
}

/* What would blow a stack or a planner is refused. */
static void bounds(void **state)
{
    query_index x;
    (void)state;
    query_index_open(&x);
    char *deep = repeated("", "{\"bool\":{\"must\":", 29, "{\"match_all\":{}}", "}}", "");
    assert_string_equal(query_text(&x, deep)[0] == '+' ? "+" : query_text(&x, deep), "+");
    qd_free(deep);
    deep = repeated("", "{\"bool\":{\"must\":", 31, "{\"match_all\":{}}", "}}", "");
    assert_string_equal(innermost(&x, deep),
                        "illegal_argument_exception: The nested depth of the query exceeds the "
                        "maximum nested depth for queries set in "
                        "[indices.query.bool.max_nested_depth]");
    qd_free(deep);
    deep = repeated("", "{\"bool\":{\"must\":", 10000, "{\"match_all\":{}}", "}}", "");
    assert_non_null(strstr(query_text(&x, deep), "x_content_parse_exception"));
    qd_free(deep);
    deep = repeated("{\"terms\":{\"tag\":", "[", 100000, "", "]", "}}");
    assert_non_null(strstr(query_text(&x, deep), "exception"));
    qd_free(deep);
    char *wide = repeated("{\"bool\":{\"should\":[{\"match_all\":{}}", ",{\"match_all\":{}}", 1023,
                          "", "", "]}}");
    assert_null(strstr(query_text(&x, wide), "exception"));
    qd_free(wide);
    wide = repeated("{\"bool\":{\"should\":[{\"match_all\":{}}", ",{\"match_all\":{}}", 1024, "",
                    "", "]}}");
    assert_string_equal(query_text(&x, wide),
                        "query_shard_exception: failed to create query: maxClauseCount is set to "
                        "1024 < too_many_clauses: maxClauseCount is set to 1024");
    qd_free(wide);
    wide = repeated("{\"match\":{\"title\":\"", "a ", 1025, "", "", "\"}}");
    assert_non_null(strstr(query_text(&x, wide), "too_many_clauses"));
    qd_free(wide);
    wide = repeated("{\"terms\":{\"n\":[1", ",2", 5000, "", "", "]}}");
    assert_null(strstr(query_text(&x, wide), "exception"));
    qd_free(wide);
    wide = repeated("{\"terms\":{\"tag\":[\"a\"", ",\"b\"", 65536, "", "", "]}}");
    assert_non_null(strstr(query_text(&x, wide), "The number of terms [65537] used in the Terms"));
    qd_free(wide);
    wide = repeated("{\"regexp\":{\"tag\":\"", "a", 1001, "", "", "\"}}");
    assert_non_null(strstr(query_text(&x, wide), "The length of regex [1001] used in the Regexp"));
    qd_free(wide);
    query_index_close(&x);
}

static void names_and_now(void **state)
{
    query_index x;
    qd_query_built b;
    (void)state;
    query_index_open(&x);
    qd_str json = QD_STR("{\"bool\":{\"_name\":\"all\",\"must\":[{\"match\":{\"title\":{\"query\":"
                         "\"a b\",\"_name\":\"m\"}}},{\"range\":{\"t\":{\"gte\":\"now\"}}}]}}");
    assert_int_equal(qd_query_parse(&x.c, json, &b, NULL), 0);
    assert_true(b.uncacheable);
    assert_int_equal(b.nnamed, 2);
    assert_true(qd_str_is(b.named[0].name, "m") && qd_str_is(b.named[1].name, "all"));
    assert_int_equal(b.named[0].node->kind, QD_NATIVE_BOOL);
    json = QD_STR("{\"range\":{\"n\":{\"gte\":1}}}");
    assert_int_equal(qd_query_parse(&x.c, json, &b, NULL), 0);
    assert_false(b.uncacheable);
    query_index_close(&x);
}

/* Errors within a larger body name its lines and columns. */
static void position_in_body(void **state)
{
    query_index x;
    qd_json_node *tree;
    qd_query_built b;
    qd_err e;
    (void)state;
    query_index_open(&x);
    qd_err_init(&e);
    qd_str body = QD_STR("{\n \"query\": {\n  \"foo\": {}\n }\n}");
    assert_int_equal(qd_json_parse(&x.arena, body, 0, &tree, NULL), 0);
    assert_int_equal(qd_query_parse_node(&x.c, qd_json_get(tree, "query"), body, &b, &e),
                     QD_E_PARSE);
    assert_string_equal(e.details[0].value, "3");
    assert_string_equal(e.details[1].value, "10");
    qd_err_fini(&e);
    query_index_close(&x);
}

static int count_leaf(void *arg, const qd_node *leaf, float boost)
{
    qd_buf *b = arg;
    const char *kind = leaf->kind == QD_NATIVE_TERM      ? "term"
                       : leaf->kind == QD_NATIVE_PHRASE  ? "phrase"
                       : leaf->kind == QD_NATIVE_PATTERN ? "pattern"
                                                         : "other";
    return qd_buf_printf(b, "%s^%g ", kind, (double)boost);
}

static void leaves(void **state)
{
    query_index x;
    qd_query_built built;
    qd_buf b;
    (void)state;
    query_index_open(&x);
    qd_buf_init(&b, NULL, 1024);
    qd_str json =
        QD_STR("{\"bool\":{\"must\":{\"match\":{\"title\":\"one\"}},\"filter\":{\"prefix\":"
               "{\"tag\":\"a\"}},\"must_not\":{\"term\":{\"tag\":\"no\"}},\"should\":["
               "{\"match_phrase\":{\"title\":{\"query\":\"a b\",\"boost\":3}}}],"
               "\"boost\":2}}");
    assert_int_equal(qd_query_parse(&x.c, json, &built, NULL), 0);
    assert_int_equal(qd_node_each_leaf(built.root, count_leaf, &b), 0);
    assert_string_equal(b.p, "term^2 phrase^6 pattern^2 ");
    qd_buf_fini(&b);
    query_index_close(&x);
}

/* Every allocation may fail: an error comes back and nothing is lost. */
static void no_memory(void **state)
{
    static const char json[] =
        "{\"bool\":{\"must\":[{\"match\":{\"syn\":\"in ny city\"}},{\"terms\":{\"n\":[1,2]}}],"
        "\"filter\":[{\"multi_match\":{\"query\":\"a b\",\"fields\":[\"t*\"]}}],\"should\":["
        "{\"wildcard\":{\"low\":\"A*\"}},{\"bogus\":{}}]}}";
    query_index x;
    (void)state;
    query_index_open(&x);
    for (uint64_t n = 1;; n++) {
        qd_query_built b;
        qd_err e;
        qd_arena_reset(&x.arena);
        qd_err_init(&e);
        (void)qd_mem_fail_at(n, true);
        int rc = qd_query_parse(&x.c, QD_STR(json), &b, &e);
        uint64_t seen = qd_mem_fail_at(0, false);
        assert_true(rc < 0);
        qd_err_fini(&e);
        if (seen < n) break;
    }
    query_index_close(&x);
}

static void types_of_fields(void **state)
{
    (void)state;
    static const char fields[] =
        "{\"properties\":{\"only\":{\"type\":\"match_only_text\"},\"bin\":{\"type\":\"binary\"},"
        "\"fixed\":{\"type\":\"constant_keyword\",\"value\":\"Blue\"},"
        "\"free\":{\"type\":\"constant_keyword\"},\"ul\":{\"type\":\"unsigned_long\"},"
        "\"ver\":{\"type\":\"version\"},\"other\":{\"type\":\"alias\",\"path\":\"title\"},"
        "\"nanos\":{\"type\":\"date_nanos\"}}}";
    static const query_case cases[] = {
        {"{'match_phrase':{'only':'a b'}}", "SourcePhrase(only:\"a b\")"},
        {"{'match_phrase':{'other':'a b'}}", "title:\"a b\""},
        {"{'term':{'fixed':'Blue'}}", "*:*"},
        {"{'terms':{'fixed':['red','Bl*']}}", "*:*"},
        {"{'range':{'ver':{'gte':'1.0','lt':'2'}}}", "ver:[1.0 TO 2}"},
        {"{'prefix':{'ver':'1.'}}", "ver:1.*"},
        {"{'range':{'nanos':{'gte':'1970-01-01T00:00:00.000000001Z','lt':'1970-01-01T00:00:01Z'}}}",
         "nanos:[1 TO 999999999]"},
        {"{'match':{'only':'a b'}}", "(only:a) (only:b)"},
        {"{'match_phrase_prefix':{'only':'a'}}", "ConstantScore(#(only:a*))"},
        {"{'exists':{'field':'fixed'}}", "*:*"},
        {"{'exists':{'field':'free'}}", "MatchNoDocsQuery(\"\")"},
        {"{'term':{'fixed':'red'}}", "MatchNoDocsQuery(\"\")"},
        {"{'range':{'fixed':{'gt':'Blue'}}}", "MatchNoDocsQuery(\"\")"},
        {"{'term':{'bin':'AA=='}}",
         "query_shard_exception: Binary fields do not support searching"},
        {"{'term':{'ul':18446744073709551615}}", "ul:[9223372036854775807 TO 9223372036854775807]"},
        {"{'term':{'ul':-1}}", "MatchNoDocsQuery(\"\")"},
        {"{'term':{'ver':'1.0'}}", "ver:1.0"},
    };
    query_cases_with(fields, cases, QD_COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees),           cmocka_unit_test(errors),
        cmocka_unit_test(minimum),         cmocka_unit_test(bounds),
        cmocka_unit_test(names_and_now),   cmocka_unit_test(position_in_body),
        cmocka_unit_test(leaves),          cmocka_unit_test(no_memory),
        cmocka_unit_test(types_of_fields),
    };
    return unit_run(tests);
}
