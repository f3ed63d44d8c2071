/* features.c: what works here of Elasticsearch and OpenSearch, for people. See print.h. */
#include "action/api/known.h"
#include "action/api/print.h"
#include "aggs/aggs.h"
#include "analysis/analysis.h"
#include "ingest/ingest.h"
#include "mapping/field.h"
#include "query/operators.h"

static bool char_filter(qd_str name)
{
    return qd_analysis_type_known(QD_STAGE_CHAR_FILTER, name);
}

static bool tokenizer(qd_str name)
{
    return qd_analysis_type_known(QD_STAGE_TOKENIZER, name);
}

static bool token_filter(qd_str name)
{
    return qd_analysis_type_known(QD_STAGE_FILTER, name);
}

static bool analyzer(qd_str name)
{
    return qd_analysis_type_known(QD_STAGE_ANALYZER, name);
}

/* Objects are no rows of the table of types: they have no values. */
static bool field_type(qd_str name)
{
    return qd_str_is(name, "object") || qd_str_is(name, "nested") || qd_field_type_known(name);
}

/* hybrid is no row of the table of queries: it stands at the top of a search alone. */
static bool query(qd_str name)
{
    return qd_str_is(name, "hybrid") || qd_query_type_known(name);
}

static const struct {
    const char *title;
    bool (*works)(qd_str name);
} kinds[QD_KNOWN_KINDS] = {
    [QD_KNOWN_QUERY] = {"Queries", query},
    [QD_KNOWN_AGGREGATION] = {"Aggregations", qd_aggs_type_known},
    [QD_KNOWN_FIELD_TYPE] = {"Field types", field_type},
    [QD_KNOWN_PROCESSOR] = {"Processors of ingest pipelines", qd_ingest_type_known},
    [QD_KNOWN_CHAR_FILTER] = {"Character filters", char_filter},
    [QD_KNOWN_TOKENIZER] = {"Tokenizers", tokenizer},
    [QD_KNOWN_TOKEN_FILTER] = {"Token filters", token_filter},
    [QD_KNOWN_ANALYZER] = {"Analyzers", analyzer},
};

/* What a name that works leaves out. */
static const char *left_out(qd_known_kind kind, qd_str name)
{
    static const struct {
        qd_known_kind kind;
        const char *name, *what;
    } parts[] = {
#define QD_KNOWN_PART(kind, name, what) {QD_KNOWN_##kind, #name, what},
#include "action/api/known_parts.def"
#undef QD_KNOWN_PART
    };
    for (size_t i = 0; i < QD_COUNT_OF(parts); i++)
        if (parts[i].kind == kind && qd_str_is(name, parts[i].name)) return parts[i].what;
    return NULL;
}

static const char *products(uint32_t set)
{
    return set == QD_KNOWN_BOTH ? "both" : set == QD_KNOWN_ES ? "Elasticsearch" : "OpenSearch";
}

static void write_name(const qd_known *k, qd_buf *out)
{
    qd_str name = qd_str_c(k->name);
    bool analysis = k->kind >= QD_KNOWN_CHAR_FILTER;
    const char *not = left_out(k->kind, name),
               *instead = analysis ? qd_analysis_instead(name) : NULL;
    (void)qd_buf_printf(out, "| `%s` | %s | ", k->name, products(k->products));
    if (kinds[k->kind].works(name))
        (void)qd_buf_printf(out, not ? "in part, without %s |\n" : "works |\n", not );
    else
        (void)qd_buf_printf(out, instead ? "refused: %s |\n" : "refused |\n", instead);
}

/* How much of an API works: of all its paths and methods. */
static void count(const char *name, size_t from, uint32_t *works, uint32_t *all)
{
    *works = *all = 0;
    for (size_t i = from; qd_known_api_at(i) && strcmp(qd_known_api_at(i)->name, name) == 0; i++)
        for (qd_str paths = qd_str_c(qd_known_api_at(i)->paths); paths.p;) {
            qd_str path = qd_str_split(&paths, ';');
            for (qd_str methods = qd_str_c(qd_known_api_at(i)->methods); methods.p; ++*all)
                *works += qd_known_api_works(qd_str_split(&methods, '|'), path);
        }
}

/* The methods and paths of an API, those that are not here behind "not". */
static void write_missing(const char *name, size_t from, qd_buf *out)
{
    const char *before = "in part, not ";
    for (size_t i = from; qd_known_api_at(i) && strcmp(qd_known_api_at(i)->name, name) == 0; i++)
        for (qd_str paths = qd_str_c(qd_known_api_at(i)->paths); paths.p;) {
            qd_str path = qd_str_split(&paths, ';');
            for (qd_str methods = qd_str_c(qd_known_api_at(i)->methods); methods.p;) {
                qd_str method = qd_str_split(&methods, '|');
                if (qd_known_api_works(method, path)) continue;
                (void)qd_buf_printf(out, "%s`%.*s %.*s`", before, QD_STR_ARG(method),
                                    QD_STR_ARG(path));
                before = ", ";
            }
        }
}

static void write_apis(qd_buf *out)
{
    const char *done = "";
    (void)qd_buf_c(
        out, "\n## APIs\n\nBy the names that the specifications of both products give them.\n\n"
             "| API | known to | here |\n|---|---|---|\n");
    for (size_t i = 0; qd_known_api_at(i); i++) {
        const qd_known_api *k = qd_known_api_at(i);
        uint32_t works, all;
        if (strcmp(k->name, done) == 0) continue;
        done = k->name;
        count(k->name, i, &works, &all);
        (void)qd_buf_printf(out, "| `%s` | %s | ", k->name, products(k->products));
        if (!works)
            (void)qd_buf_c(out, "refused");
        else if (works == all)
            (void)qd_buf_c(out, "works");
        else
            write_missing(k->name, i, out);
        (void)qd_buf_c(out, " |\n");
    }
}

int qd_features_print_markdown(qd_buf *out)
{
    (void)qd_buf_c(
        out,
        "# Features\n\nWhat works here of Elasticsearch 8.19 and 9.2 and of OpenSearch 2.19 and "
        "3.3. "
        "`qd features --markdown` prints this page from the tables\nof the product. A request that "
        "names something refused gets an error with that name; what works in part refuses the rest "
        "by "
        "name, too.\nThe parameters of each API are in [rest.md](rest.md).\n");
    int kind = -1;
    for (size_t i = 0; qd_known_at(i); i++) {
        const qd_known *k = qd_known_at(i);
        if ((int)k->kind != kind)
            (void)qd_buf_printf(out, "\n## %s\n\n| name | known to | here |\n|---|---|---|\n",
                                kinds[k->kind].title);
        kind = (int)k->kind;
        write_name(k, out);
    }
    write_apis(out);
    return qd_buf_status(out);
}

int qd_features_print_list(qd_str filter, qd_buf *out)
{
    for (size_t i = 0; qd_known_at(i); i++)
        if (!filter.n || qd_str_find_str(qd_str_c(qd_known_at(i)->name), filter) >= 0) {
            (void)qd_buf_printf(out, "%s: ", kinds[qd_known_at(i)->kind].title);
            write_name(qd_known_at(i), out);
        }
    return qd_buf_status(out);
}
