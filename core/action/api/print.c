/* print.c: the table of APIs as text. See print.h. */
#include "action/api/print.h"
#include "action/action.h"
#include <string.h>

static bool selected(const qd_api *a, qd_str filter)
{
    return !filter.n || qd_str_find_str(qd_str_c(a->name), filter) >= 0 ||
           qd_str_find_str(qd_str_c(a->paths), filter) >= 0;
}

/* The next of a list, with what stands around it; a view is read twice by QD_STR_ARG. */
static void next_of(qd_buf *out, qd_str *rest, char sep, const char *before, const char *behind)
{
    qd_str one = qd_str_split(rest, sep);
    (void)qd_buf_printf(out, "%s%.*s%s", before, QD_STR_ARG(one), behind);
}

static void methods(qd_buf *out, const qd_api *a)
{
    for (qd_str rest = qd_str_c(a->methods); rest.p;) {
        (void)qd_buf_str(out, qd_str_split(&rest, '|'));
        if (rest.p) (void)qd_buf_c(out, ", ");
    }
    if (a->flags & QD_API_HEAD) (void)qd_buf_c(out, ", HEAD");
}

int qd_apis_print_list(qd_str filter, qd_buf *out)
{
    for (uint32_t i = 0; i < qd_apis_n; i++) {
        const qd_api *a = &qd_apis[i];
        if (!selected(a, filter)) continue;
        (void)qd_buf_printf(out, "%s: %s\n", a->name, a->help);
        for (qd_str rest = qd_str_c(a->paths); rest.p;) {
            (void)qd_buf_c(out, "    ");
            methods(out, a);
            next_of(out, &rest, ';', "  ", "\n");
        }
        if (a->params[0]) (void)qd_buf_printf(out, "    ?%s\n", a->params);
    }
    return qd_buf_status(out);
}

static void group(qd_buf *out, qd_str name)
{
    bool any = false;
    for (uint32_t i = 0; i < qd_apis_n; i++) {
        const qd_api *a = &qd_apis[i];
        ptrdiff_t dot = qd_str_find(qd_str_c(a->name), '.');
        qd_str own = dot < 0 ? QD_STR("documents and searches")
                             : qd_str_sub(qd_str_c(a->name), 0, (size_t)dot);
        if (!qd_str_eq(own, name)) continue;
        if (!any) {
            (void)qd_buf_printf(out,
                                "\n## %.*s\n\n| API | methods and paths | body | parameters |\n"
                                "| --- | --- | --- | --- |\n",
                                QD_STR_ARG(name));
        }
        any = true;
        (void)qd_buf_printf(out, "| **%s**: %s | ", a->name, a->help);
        methods(out, a);
        for (qd_str rest = qd_str_c(a->paths); rest.p;) {
            next_of(out, &rest, ';', "<br>`", "`");
        }
        (void)qd_buf_printf(out, " | %s | ",
                            a->flags & QD_API_BODY_REQUIRED
                                ? a->flags & QD_API_NDJSON ? "NDJSON" : "JSON"
                            : a->flags & QD_API_BODY ? "JSON, optional"
                                                     : "-");
        for (qd_str rest = qd_str_c(a->params); rest.n;) {
            next_of(out, &rest, ',', "", "");
            if (!rest.p) break;
            (void)qd_buf_c(out, ", ");
        }
        (void)qd_buf_c(out, " |\n");
    }
}

int qd_apis_print_markdown(qd_buf *out)
{
    (void)qd_buf_c(
        out, "# REST API\n\n"
             "This page lists every endpoint of the REST API, its body and its parameters, for "
             "authors of clients\nand for operators who check whether a request of theirs is "
             "served. `qd api --markdown` prints it from the\ntable `core/action/api/api.def`, "
             "which also routes requests and rejects unknown parameters. A running node\nanswers "
             "an endpoint that is not listed here with 400 or 405, as Elasticsearch does.\n\n"
             "Every endpoint also accepts `pretty`, `human`, `error_trace`, `filter_path`, "
             "`format` (json, yaml) and,\nfor a body in the URL, `source` with "
             "`source_content_type`. The node accepts the listed parameters\nalso "
             "where they have no effect. [search-api.md](search-api.md) explains searches, "
             "[query.md](query.md) the query DSL,\n[aggregations.md](aggregations.md) "
             "aggregations, and [compatibility.md](compatibility.md) which product clients "
             "see.\n");
    for (uint32_t i = 0; i < qd_apis_n; i++) {
        ptrdiff_t dot = qd_str_find(qd_str_c(qd_apis[i].name), '.');
        qd_str name = dot < 0 ? QD_STR("documents and searches")
                              : qd_str_sub(qd_str_c(qd_apis[i].name), 0, (size_t)dot);
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++) {
            ptrdiff_t d = qd_str_find(qd_str_c(qd_apis[k].name), '.');
            seen = qd_str_eq(d < 0 ? QD_STR("documents and searches")
                                   : qd_str_sub(qd_str_c(qd_apis[k].name), 0, (size_t)d),
                             name);
        }
        if (!seen) group(out, name);
    }
    return qd_buf_status(out);
}
