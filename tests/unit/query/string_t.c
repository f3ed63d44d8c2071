/* string_t.c: the syntaxes of query_string and simple_query_string. Single quotes stand for double
 * ones. */
#include "query_lib.h"

static void classic(void **state)
{
    static const query_case cases[] = {
        {"{'query_string':{'query':'quick brown','default_field':'title'}}",
         "title:quick title:brown"},
        {"{'query_string':{'query':'quick AND brown','default_field':'title'}}",
         "+title:quick +title:brown"},
        {"{'query_string':{'query':'quick OR brown AND fox','default_field':'title'}}",
         "+title:brown +title:fox title:quick"},
        {"{'query_string':{'query':'+quick -brown fox','default_field':'title'}}",
         "+title:quick title:fox -title:brown"},
        {"{'query_string':{'query':'quick NOT brown','default_field':'title'}}",
         "title:quick -title:brown"},
        {"{'query_string':{'query':'!quick','default_field':'title'}}", "#*:* -title:quick"},
        {"{'query_string':{'query':'-quick','default_field':'title'}}", "#*:* -title:quick"},
        {"{'query_string':{'query':'NOT quick','default_field':'title'}}", "#*:* -title:quick"},
        {"{'query_string':{'query':'(quick OR brown) AND fox','default_field':'title'}}",
         "+(title:quick title:brown) +title:fox"},
        {"{'query_string':{'query':'title:quick','default_field':'title'}}", "title:quick"},
        {"{'query_string':{'query':'title:(quick brown)','default_field':'title'}}",
         "title:quick title:brown"},
        {"{'query_string':{'query':'title:\\'quick brown\\'','default_field':'title'}}",
         "title:\"quick brown\""},
        {"{'query_string':{'query':'\\'quick brown\\'~2','default_field':'title'}}",
         "title:\"quick brown\"~2"},
        {"{'query_string':{'query':'\\'quick brown\\'^3','default_field':'title'}}",
         "title:\"quick brown\"^3.0"},
        {"{'query_string':{'query':'quick^2.5','default_field':'title'}}", "title:quick^2.5"},
        {"{'query_string':{'query':'(quick brown)^2','default_field':'title'}}",
         "(title:quick title:brown)^2.0"},
        {"{'query_string':{'query':'quikc~','default_field':'title'}}", "title:quikc~1"},
        {"{'query_string':{'query':'quikc~1','default_field':'title'}}", "title:quikc~1"},
        {"{'query_string':{'query':'quikc~0','default_field':'title'}}", "title:quikc"},
        {"{'query_string':{'query':'quikc~AUTO','default_field':'title'}}", "title:quikc~1"},
        {"{'query_string':{'query':'qui*','default_field':'title'}}", "title:qui*"},
        {"{'query_string':{'query':'*','default_field':'title'}}",
         "FieldExistsQuery [field=title]"},
        {"{'query_string':{'query':'tag:*','default_field':'title'}}",
         "FieldExistsQuery [field=tag]"},
        {"{'query_string':{'query':'q?ick br*wn','default_field':'title'}}",
         "title:q?ick title:br*wn"},
        {"{'query_string':{'query':'*ick','default_field':'title'}}", "title:*ick"},
        {"{'query_string':{'query':'/qu.*k/','default_field':'title'}}", "title:/qu.*k/"},
        {"{'query_string':{'query':'tag:/a|b/','default_field':'title'}}", "tag:/a|b/"},
        {"{'query_string':{'query':'n:[1 TO 5]','default_field':'title'}}", "n:[1 TO 5]"},
        {"{'query_string':{'query':'n:{1 TO 5]','default_field':'title'}}", "n:[2 TO 5]"},
        {"{'query_string':{'query':'n:[1 TO *]','default_field':'title'}}",
         "n:[1 TO 9223372036854775807]"},
        {"{'query_string':{'query':'n:[* TO *]','default_field':'title'}}",
         "FieldExistsQuery [field=n]"},
        {"{'query_string':{'query':'n:>5','default_field':'title'}}",
         "n:[6 TO 9223372036854775807]"},
        {"{'query_string':{'query':'n:>=5','default_field':'title'}}",
         "n:[5 TO 9223372036854775807]"},
        {"{'query_string':{'query':'n:<5','default_field':'title'}}",
         "n:[-9223372036854775808 TO 4]"},
        {"{'query_string':{'query':'n:<=5','default_field':'title'}}",
         "n:[-9223372036854775808 TO 5]"},
        {"{'query_string':{'query':'n:5','default_field':'title'}}", "n:[5 TO 5]"},
        {"{'query_string':{'query':'t:[2020-01-01 TO 2020-02-01}','default_field':'title'}}",
         "t:[1577836800000 TO 1580515199999]"},
        {"{'query_string':{'query':'t:[\\'2020-01-01\\' TO now]','default_field':'title'}}",
         "t:[1577836800000 TO 1600000000000]"},
        {"{'query_string':{'query':'tag:[a TO b]','default_field':'title'}}", "tag:[a TO b]"},
        {"{'query_string':{'query':'_exists_:title','default_field':'title'}}",
         "FieldExistsQuery [field=title]"},
        {"{'query_string':{'query':'_exists_:nope','default_field':'title'}}",
         "MatchNoDocsQuery(\"\")"},
        {"{'query_string':{'query':'nope:x','default_field':'title'}}", "MatchNoDocsQuery(\"\")"},
        {"{'query_string':{'query':'o.\\\\*:x','default_field':'title'}}",
         "query_shard_exception: failed to create query: For input string: \"x\" < "
         "number_format_exception: For input string: \"x\""},
        {"{'query_string':{'query':'t*:x','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [t*:x] < parse_exception: Cannot parse "
         "'t*:x': Encountered \" \":\" \": \"\" at line 1, column 2."},
        {"{'query_string':{'query':'\\\\(quick\\\\)','default_field':'title'}}", "title:quick"},
        {"{'query_string':{'query':'quick\\\\:brown','default_field':'title'}}",
         "title:quick:brown"},
        {"{'query_string':{'query':'tag:a\\\\ b','default_field':'title'}}", "tag:a b"},
        {"{'query_string':{'query':'quick && brown || fox','default_field':'title'}}",
         "+title:quick +title:brown title:fox"},
        {"{'query_string':{'query':'a b AND c d','default_field':'title'}}",
         "+title:b +title:c title:a title:d"},
        {"{'query_string':{'query':'a b c','default_field':'title'}}", "title:a title:b title:c"},
        {"{'query_string':{'query':'+a b c','default_field':'title'}}", "+title:a title:b title:c"},
        {"{'query_string':{'query':'a + b','default_field':'title'}}", "title:a title:b"},
        {"{'query_string':{'query':'a - b','default_field':'title'}}", "title:a title:b"},
        {"{'query_string':{'query':'\\'one\\'','default_field':'title'}}", "title:one"},
        {"{'query_string':{'query':'\\'\\'','default_field':'title'}}", "MatchNoDocsQuery(\"\")"},
        {"{'query_string':{'query':'( )','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [( )] < parse_exception: Cannot parse '( "
         ")': Encountered \" \")\" \") \"\" at line 1, column 2."},
        {"{'query_string':{'query':'()','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [()] < parse_exception: Cannot parse '()': "
         "Encountered \" \")\" \") \"\" at line 1, column 1."},
        {"{'query_string':{'query':'quick AND','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [quick AND] < parse_exception: Cannot parse "
         "'quick AND': Encountered \"<EOF>\" at line 1, column 9."},
        {"{'query_string':{'query':'AND quick','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [AND quick] < parse_exception: Cannot parse "
         "'AND quick': Encountered \" <AND> \"AND \"\" at line 1, column 0."},
        {"{'query_string':{'query':'(quick','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [(quick] < parse_exception: Cannot parse "
         "'(quick': Encountered \"<EOF>\" at line 1, column 6."},
        {"{'query_string':{'query':'quick)','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [quick)] < parse_exception: Cannot parse "
         "'quick)': Encountered \" \")\" \") \"\" at line 1, column 5."},
        {"{'query_string':{'query':'\\'quick','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [\"quick] < parse_exception: Cannot parse "
         "'\"quick': Lexical error at line 1, column 7.  Encountered: <EOF> after prefix "
         "\"\\\"quick\" (in lexical state 2)"},
        {"{'query_string':{'query':'[1 TO','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [[1 TO] < parse_exception: Cannot parse '[1 "
         "TO': Encountered \"<EOF>\" at line 1, column 5."},
        {"{'query_string':{'query':'n:[1 5]','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [n:[1 5]] < parse_exception: Cannot parse "
         "'n:[1 5]': Encountered \" <RANGE_GOOP> \"5 \"\" at line 1, column 5."},
        {"{'query_string':{'query':'n:[1 TO 5','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [n:[1 TO 5] < parse_exception: Cannot parse "
         "'n:[1 TO 5': Encountered \"<EOF>\" at line 1, column 9."},
        {"{'query_string':{'query':'title:','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [title:] < parse_exception: Cannot parse "
         "'title:': Encountered \"<EOF>\" at line 1, column 6."},
        {"{'query_string':{'query':':x','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [:x] < parse_exception: Cannot parse ':x': "
         "Encountered \" \":\" \": \"\" at line 1, column 0."},
        {"{'query_string':{'query':'quick^','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [quick^] < parse_exception: Cannot parse "
         "'quick^': Encountered \"<EOF>\" at line 1, column 6."},
        {"{'query_string':{'query':'quick^x','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [quick^x] < parse_exception: Cannot parse "
         "'quick^x': Lexical error at line 1, column 8.  Encountered: <EOF>"},
        {"{'query_string':{'query':'/abc','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [/abc] < parse_exception: Cannot parse "
         "'/abc': Lexical error at line 1, column 5.  Encountered: <EOF> after prefix \"/abc\" "
         "(in lexical state 2)"},
        {"{'query_string':{'query':'title:AND','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [title:AND] < parse_exception: Cannot parse "
         "'title:AND': Encountered \" <AND> \"AND \"\" at line 1, column 6."},
        {"{'query_string':{'query':'foo\\\\','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [foo\\] < parse_exception: Cannot parse "
         "'foo\\': Lexical error at line 1, column 5.  Encountered: <EOF> (in lexical state 2)"},
        {"{'query_string':{'query':'\\\\u0041bc','default_field':'title'}}", "title:abc"},
        {"{'query_string':{'query':'\\\\u00','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [\\u00] < parse_exception: Cannot parse "
         "'\\u00': Truncated unicode escape sequence."},
        {"{'query_string':{'query':'a:b:c','default_field':'title'}}",
         "query_shard_exception: failed to create query: 'b' is not an IP string literal. < "
         "illegal_argument_exception: 'b' is not an IP string literal."},
        {"{'query_string':{'query':'a/b','default_field':'title'}}",
         "query_shard_exception: Failed to parse query [a/b] < parse_exception: Cannot parse "
         "'a/b': Lexical error at line 1, column 4.  Encountered: <EOF> after prefix \"/b\" (in "
         "lexical state 2)"},
        {"{'query_string':{'query':'TO','default_field':'title'}}", "title:to"},
        {"{'query_string':{'query':'en:the','default_field':'title'}}", "MatchNoDocsQuery(\"\")"},
        {"{'query_string':{'query':'en:the AND quick','default_field':'title'}}", "+title:quick"},
        {"{'query_string':{'query':'en:\\'the the\\'','default_field':'title'}}",
         "MatchNoDocsQuery(\"\")"},
        {"{'query_string':{'query':'syn:ny','default_field':'title'}}",
         "(syn:\"new york\" syn:ny)"},
        {"{'query_string':{'query':'title:Quick*','default_field':'title'}}", "title:quick*"},
        {"{'query_string':{'query':'low:Quick*','default_field':'title'}}", "low:quick*"},
        {"{'query_string':{'query':'tag:Quick*','default_field':'title'}}", "tag:Quick*"},
        {"{'query_string':{'query':'title:Qu?CK','default_field':'title'}}", "title:qu?ck"},
        {"{'query_string':{'query':'n:abc','default_field':'title'}}",
         "query_shard_exception: failed to create query: For input string: \"abc\" < "
         "number_format_exception: For input string: \"abc\""},
        {"{'query_string':{'query':'n:12*','default_field':'title'}}",
         "query_shard_exception: Can only use prefix queries on keyword, text and wildcard fields "
         "- not on [n] which is of type [long]"},
        {"{'query_string':{'query':'ANDROID','default_field':'title'}}", "title:android"},
        {"{'query_string':{'query':'a&&b','default_field':'title'}}", "title:a title:b"},
        {"{'query_string':{'query':'a~b','default_field':'title'}}",
         "query_shard_exception: failed to create query: fuzziness cannot be [b]. < "
         "illegal_argument_exception: fuzziness cannot be [b]. < number_format_exception: For "
         "input string: \"b\""},
        {"{'query_string':{'query':'x AND (y OR (z AND w))','default_field':'title'}}",
         "+title:x +(title:y (+title:z +title:w))"},
        {"{'query_string':{'query':'((((a))))','default_field':'title'}}", "title:a"},
        {"{'query_string':{'query':'quick brown','fields':['title^2','body']}}",
         "((title:quick title:brown)^2.0 | (body:quick body:brown))"},
        {"{'query_string':{'query':'quick "
         "brown','fields':['title','body'],'default_operator':'AND'}}",
         "+((+title:quick +title:brown) | (+body:quick +body:brown))"},
        {"{'query_string':{'query':'quick AND "
         "brown','fields':['title','body'],'default_operator':'and','type':'most_fields'}}",
         "+(title:quick | body:quick)~1.0 +(title:brown | body:brown)~1.0"},
        {"{'query_string':{'query':'quick "
         "brown','fields':['title','body'],'type':'cross_fields','default_operator':'and'}}",
         "+blended(title:quick | body:quick) +blended(title:brown | body:brown)"},
        {"{'query_string':{'query':'a b c "
         "d','default_field':'title','minimum_should_match':'75%'}}",
         "(title:a title:b title:c title:d)~3"},
        {"{'query_string':{'query':'a OR b OR "
         "c','default_field':'title','minimum_should_match':2}}",
         "(title:a title:b title:c)~2"},
        {"{'query_string':{'query':'a OR b c','default_field':'title','default_operator':'AND'}}",
         "+title:c title:a title:b"},
        {"{'query_string':{'query':'\\'quick "
         "brown\\'','fields':['title'],'quote_field_suffix':'.raw'}}",
         "title.raw:quick brown"},
        {"{'query_string':{'query':'\\'quick brown\\'','default_field':'title','phrase_slop':3}}",
         "title:\"quick brown\"~3"},
        {"{'query_string':{'query':'*ick','default_field':'title','allow_leading_wildcard':false}}",
         "query_shard_exception: Failed to parse query [*ick] < parse_exception: Cannot parse "
         "'*ick': '*' or '?' not allowed as first character in WildcardQuery"},
        {"{'query_string':{'query':'quick-bro*','default_field':'title','analyze_wildcard':true}}",
         "title:quick title:bro*"},
        {"{'query_string':{'query':'abc','fields':['n','title'],'lenient':true}}",
         "(MatchNoDocsQuery(\"\") | title:abc)"},
        {"{'query_string':{'query':'abc'}}",
         "(MatchNoDocsQuery(\"\") | MatchNoDocsQuery(\"\") | body:abc | MatchNoDocsQuery(\"\") | "
         "en:abc | MatchNoDocsQuery(\"\") | flat:abc | MatchNoDocsQuery(\"\") | low:abc | "
         "MatchNoDocsQuery(\"\") | o.x:abc | MatchNoDocsQuery(\"\") | split:abc | syn:abc | "
         "MatchNoDocsQuery(\"\") | tag:abc | title:abc | title.raw:abc)"},
        {"{'query_string':{'query':'*'}}", "*:*"},
        {"{'query_string':{'query':'t:2020-01-01','time_zone':'+01:00'}}",
         "t:[1577833200000 TO 1577919599999]"},
        {"{'query_string':{'query':'(a]','escape':true,'default_field':'title'}}", "title:a"},
        {"{'query_string':{'query':'Quick Fox','analyzer':'keyword','default_field':'title'}}",
         "title:Quick Fox"},
        {"{'query_string':{'query':'a','analyzer':'nope'}}",
         "query_shard_exception: [query_string] analyzer [nope] not found"},
        {"{'query_string':{'query':'a','fields':['title'],'default_field':'body'}}",
         "query_shard_exception: failed to create query: Validation Failed: 1: [query_string] "
         "cannot use [fields] parameter in conjunction with [default_field]; < "
         "query_validation_exception: Validation Failed: 1: [query_string] cannot use [fields] "
         "parameter in conjunction with [default_field];"},
        {"{'query_string':{'query':'quikc~','default_field':'title','fuzziness':'1','fuzzy_prefix_"
         "length':2}}",
         "title:quikc~1"},
        {"{'query_string':{'query':'a b','fields':['nope']}}", "MatchNoDocsQuery(\"\")"},
        {"{'query_string':{'query':' ','fields':['title']}}", "MatchNoDocsQuery(\"\")"},
        {"{'query_string':{'query':'a','foo':1}}",
         "parsing_exception: [query_string] query does not support [foo] @1:36"},
        {"{'query_string':{'fields':['title']}}",
         "parsing_exception: [query_string] must be provided with a [query] @1:36"},
    };
    (void)state;
    query_cases(cases, QD_COUNT_OF(cases));
}

static void simple(void **state)
{
    static const query_case cases[] = {
        {"{'simple_query_string':{'query':'quick brown','fields':['title']}}",
         "title:quick title:brown"},
        {"{'simple_query_string':{'query':'quick + brown','fields':['title']}}",
         "+title:quick +title:brown"},
        {"{'simple_query_string':{'query':'quick | brown','fields':['title']}}",
         "title:quick title:brown"},
        {"{'simple_query_string':{'query':'quick -brown','fields':['title']}}",
         "title:quick (*:* -title:brown)"},
        {"{'simple_query_string':{'query':'-quick','fields':['title']}}", "*:* -title:quick"},
        {"{'simple_query_string':{'query':'--quick','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'\\'quick brown\\'','fields':['title']}}",
         "title:\"quick brown\""},
        {"{'simple_query_string':{'query':'\\'quick brown\\'~2','fields':['title']}}",
         "title:\"quick brown\"~2"},
        {"{'simple_query_string':{'query':'qui*','fields':['title']}}", "title:qui*"},
        {"{'simple_query_string':{'query':'quikc~','fields':['title']}}", "title:quikc~2"},
        {"{'simple_query_string':{'query':'quikc~1','fields':['title']}}", "title:quikc~1"},
        {"{'simple_query_string':{'query':'quikc~9','fields':['title']}}", "title:quikc~2"},
        {"{'simple_query_string':{'query':'quikc~x','fields':['title']}}", "title:quikc"},
        {"{'simple_query_string':{'query':'(quick | brown) + fox','fields':['title']}}",
         "+(title:quick title:brown) +title:fox"},
        {"{'simple_query_string':{'query':'(quick','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'quick)','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'\\'quick','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'()','fields':['title']}}", "MatchNoDocsQuery(\"\")"},
        {"{'simple_query_string':{'query':'\\'\\'','fields':['title']}}", "MatchNoDocsQuery(\"\")"},
        {"{'simple_query_string':{'query':'+ quick','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'| quick','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'quick + brown | fox','fields':['title']}}",
         "(+title:quick +title:brown) title:fox"},
        {"{'simple_query_string':{'query':'quick | brown + fox','fields':['title']}}",
         "+(title:quick title:brown) +title:fox"},
        {"{'simple_query_string':{'query':'quick\\\\*','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'\\\\(quick','fields':['title']}}", "title:quick"},
        {"{'simple_query_string':{'query':'*','fields':['title']}}", "*:*"},
        {"{'simple_query_string':{'query':'**','fields':['title']}}", "title:**"},
        {"{'simple_query_string':{'query':'a*b*','fields':['title']}}", "title:a*b*"},
        {"{'simple_query_string':{'query':'quick~2 brown','fields':['title']}}",
         "title:quick~2 title:brown"},
        {"{'simple_query_string':{'query':'\\'a b\\'~','fields':['title']}}", "title:\"a b\""},
        {"{'simple_query_string':{'query':'','fields':['title']}}", "MatchNoDocsQuery(\"\")"},
        {"{'simple_query_string':{'query':'   ','fields':['title']}}", "MatchNoDocsQuery(\"\")"},
        {"{'simple_query_string':{'query':'+|-','fields':['title']}}", "MatchNoDocsQuery(\"\")"},
        {"{'simple_query_string':{'query':'a -\\'b c\\'','fields':['title']}}",
         "title:a (*:* -title:\"b c\")"},
        {"{'simple_query_string':{'query':'a + -b','fields':['title']}}",
         "+title:a +(*:* -title:b)"},
        {"{'simple_query_string':{'query':'~','fields':['title']}}", "MatchNoDocsQuery(\"\")"},
        {"{'simple_query_string':{'query':'((a | b) + (c | d)) | e','fields':['title']}}",
         "(+(title:a title:b) +(title:c title:d)) title:e"},
        {"{'simple_query_string':{'query':'a AND b','fields':['title']}}",
         "title:a title:and title:b"},
        {"{'simple_query_string':{'query':'quick "
         "brown','fields':['title^2','body'],'default_operator':'and'}}",
         "+(title:quick^2.0 | body:quick)~1.0 +(title:brown^2.0 | body:brown)~1.0"},
        {"{'simple_query_string':{'query':'qui* quikc~1','fields':['title','tag']}}",
         "(title:qui* | tag:qui*)~1.0 (title:quikc~1 | tag:quikc~1)~1.0"},
        {"{'simple_query_string':{'query':'qui* -x (y','fields':['title'],'flags':'NONE'}}",
         "title:qui title:x title:y"},
        {"{'simple_query_string':{'query':'qui* | x','fields':['title'],'flags':'OR|AND'}}",
         "title:qui title:x"},
        {"{'simple_query_string':{'query':'qui* | x','fields':['title'],'flags':'FOO'}}",
         "illegal_argument_exception: Unknown simple_query_string flag [FOO]"},
        {"{'simple_query_string':{'query':'a b c','fields':['title'],'minimum_should_match':'2'}}",
         "(title:a title:b title:c)~2"},
        {"{'simple_query_string':{'query':'abc','fields':['n']}}",
         "query_shard_exception: failed to create query: For input string: \"abc\" < "
         "number_format_exception: For input string: \"abc\""},
        {"{'simple_query_string':{'query':'abc','fields':['n'],'lenient':true}}",
         "MatchNoDocsQuery(\"\")"},
        {"{'simple_query_string':{'query':'7 + x'}}",
         "+(MatchNoDocsQuery(\"\") | MatchNoDocsQuery(\"\") | body:7 | d:[4619567317775286272 TO "
         "4619567317775286272] | en:7 | f:[1088421888 TO 1088421888] | flat:7 | i:[7 TO 7] | low:7 "
         "| n:[7 TO 7] | o.x:7 | o.y:[7 TO 7] | split:7 | syn:7 | t:[7 TO 7] | tag:7 | title:7 | "
         "title.raw:7)~1.0 +(MatchNoDocsQuery(\"\") | MatchNoDocsQuery(\"\") | body:x | "
         "MatchNoDocsQuery(\"\") | en:x | MatchNoDocsQuery(\"\") | flat:x | MatchNoDocsQuery(\"\") "
         "| low:x | MatchNoDocsQuery(\"\") | o.x:x | MatchNoDocsQuery(\"\") | split:x | syn:x | "
         "MatchNoDocsQuery(\"\") | tag:x | title:x | title.raw:x)~1.0"},
        {"{'simple_query_string':{'query':'\\'a "
         "b\\'','fields':['title'],'quote_field_suffix':'.raw'}}",
         "title.raw:a b"},
        {"{'simple_query_string':{'query':'Quick-Bro*','fields':['title'],'analyze_wildcard':true}"
         "}",
         "title:quick title:bro*"},
        {"{'simple_query_string':{'query':'a','foo':1}}",
         "parsing_exception: [simple_query_string] unsupported field [foo] @1:43"},
        {"{'simple_query_string':{'fields':['title']}}",
         "parsing_exception: [simple_query_string] query text missing @1:43"},
        {"{'simple_query_string':{'query':'a','fields':'title'}}",
         "parsing_exception: [simple_query_string] unsupported field [fields] @1:46"},
        {"{'simple_query_string':{'query':['a']}}",
         "parsing_exception: [simple_query_string] query does not support [query] @1:33"},
    };
    (void)state;
    query_cases(cases, QD_COUNT_OF(cases));
}

static char *repeated(const char *head, const char *part, size_t n, const char *tail)
{
    qd_buf b;
    size_t len;
    qd_buf_init(&b, NULL, 64 << 20);
    (void)!qd_buf_c(&b, head);
    for (size_t i = 0; i < n; i++) (void)!qd_buf_c(&b, part);
    (void)!qd_buf_c(&b, tail);
    return qd_buf_take(&b, &len);
}

/* Hostile texts end in an error or a small tree, not in a deep stack or quadratic time. */
static void hostile(void **state)
{
    static const char *const parts[] = {"(",   ")",     "a+b|", "-",      "a~ ", "\\\"",
                                        "a* ", "\\\\(", "+a ",  "a AND ", "x:(", "NOT ",
                                        "[",   "^",     "a:b:", "\\\\"};
    static const char *const kinds[] = {"query_string", "simple_query_string"};
    (void)state;
    for (size_t k = 0; k < QD_COUNT_OF(kinds); k++)
        for (size_t i = 0; i < QD_COUNT_OF(parts); i++) {
            char head[128];
            query_index x;
            query_index_open(&x);
            snprintf(head, sizeof head, "{\"%s\":{\"fields\":[\"title\"],\"query\":\"", kinds[k]);
            char *json = repeated(head, parts[i], 100000, "\"}}");
            assert_non_null(query_text(&x, json));
            qd_free(json);
            query_index_close(&x);
        }
}

/* Every allocation may fail: an error comes back and nothing is lost. */
static void no_memory(void **state)
{
    static const char *const jsons[] = {
        "{\"query_string\":{\"query\":\"a b AND (c OR tag:d*) NOT n:[1 TO 2] \\\"x y\\\"~2^3 e~\","
        "\"fields\":[\"ti*\",\"body^2\"],\"minimum_should_match\":\"50%\"}}",
        "{\"simple_query_string\":{\"query\":\"a + (b | -c*) d~1 \\\"x y\\\"~2\",\"fields\":["
        "\"title\",\"body\"]}}"};
    query_index x;
    (void)state;
    query_index_open(&x);
    for (size_t i = 0; i < QD_COUNT_OF(jsons); i++)
        for (uint64_t n = 1;; n++) {
            qd_query_built b;
            qd_err e;
            qd_arena_reset(&x.arena);
            qd_err_init(&e);
            (void)qd_mem_fail_at(n, true);
            int rc = qd_query_parse(&x.c, qd_str_c(jsons[i]), &b, &e);
            uint64_t seen = qd_mem_fail_at(0, false);
            if (seen < n && rc) fail_msg("%s: %s", jsons[i], qd_err_reason(&e));
            qd_err_fini(&e);
            if (seen < n) break;
            assert_int_not_equal(rc, 0);
        }
    query_index_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classic),
        cmocka_unit_test(simple),
        cmocka_unit_test(hostile),
        cmocka_unit_test(no_memory),
    };
    return unit_run(tests);
}
