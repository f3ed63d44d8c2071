/* @NAME@: a field type, {"type": "@SYMBOL@"}. A value is a string or an array of strings; each
 * becomes a term in lower case. Put your own reading into parse; QD_FIELD_PART and its functions
 * give the type bytes of its own in each segment (see the example flat-vectors). */
#include <quidditch/field.h>
#include <quidditch/plugin.h>

static const qd_svc_json *json;
static const qd_svc_err *errors;

/* A parameter: {"type": "@SYMBOL@", "most": 3}. */
enum { PARAM_MOST };
static const qd_field_param params[] = {
    {"most", QD_FIELD_PARAM_INT, QD_FIELD_PARAM_UPDATE, "100", NULL, 1, 1000},
    {NULL, 0, 0, NULL, NULL, 0, 0}};

static int32_t check(const qd_field_conf *conf, qd_err *err)
{
    (void)conf; /* each parameter is of its type and within its bounds */
    (void)err;
    return 0;
}

static int32_t one_term(qd_str text, const qd_field_sink *sink, qd_err *err)
{
    char lower[256];
    qd_str term = {lower, text.n};
    if (text.n > sizeof lower)
        return qd_plug_fail(errors, err, QD_E_ARG, "a value has at most %zu bytes", sizeof lower);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return sink->term(sink, term, err);
}

static int32_t parse(const qd_field_conf *conf, qd_json_in *in, const qd_field_sink *sink,
                     qd_err *err)
{
    qd_jev ev;
    int64_t n = 0, most = conf->values[PARAM_MOST].i64;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type == QD_JEV_STRING) return one_term(ev.text, sink, err);
    if (ev.type != QD_JEV_ARRAY)
        return qd_plug_fail(errors, err, QD_E_ARG, "a string is wanted, or an array of strings");
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_STRING) {
        if (++n > most)
            return qd_plug_fail(errors, err, QD_E_ARG, "at most %lld values are allowed",
                                (long long)most);
        if ((rc = one_term(ev.text, sink, err))) return rc;
    }
    if (rc) return rc;
    return ev.type == QD_JEV_ARRAY_END
               ? 0
               : qd_plug_fail(errors, err, QD_E_ARG, "an array holds strings only");
}

static const qd_field_vtable vtable = {QD_VTABLE(qd_field_vtable, FIELD, QD_FIELD_TERMS),
                                       params,
                                       sizeof(qd_field_param),
                                       0,
                                       check,
                                       parse,
                                       NULL,
                                       NULL,
                                       NULL};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!json || !errors) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_FIELD, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(FIELD))
