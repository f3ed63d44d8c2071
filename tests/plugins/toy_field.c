/*
 * toy_field.c: the type "toy_money", numbers that hits show as "1.50 EUR", and "toy_plain", the
 * same without show. Some numbers are shown badly: 13 is refused, 14 takes 5 s, 15 leaves an object
 * open, 16 has no end, 17 is nothing, 18 two values, 19 closes what it has not opened.
 * With the setting `slow` the checks of both take 5 s.
 */
#include <quidditch/field.h>
#include <quidditch/plugin.h>
#include <time.h>

static const qd_svc_json *json;
static int64_t slow;
static const qd_svc_err *errors;

static int32_t check(const qd_field_conf *conf, qd_err *err)
{
    struct timespec nap = {slow ? 5 : 0, 0};
    (void)conf;
    (void)err;
    while (nanosleep(&nap, &nap)) continue;
    return 0;
}

/* A number, or an array of them. */
static int32_t each(qd_json_in *in, int32_t (*fn)(void *arg, double v, qd_err *), void *arg,
                    qd_err *err)
{
    qd_jev ev;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type == QD_JEV_INT || ev.type == QD_JEV_FLOAT) return fn(arg, ev.number, err);
    if (ev.type != QD_JEV_ARRAY) return qd_plug_fail(errors, err, QD_E_ARG, "a sum is a number");
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type != QD_JEV_ARRAY_END) {
        if (ev.type != QD_JEV_INT && ev.type != QD_JEV_FLOAT)
            return qd_plug_fail(errors, err, QD_E_ARG, "a sum is a number");
        if ((rc = fn(arg, ev.number, err))) return rc;
    }
    return rc;
}

static int32_t to_sink(void *arg, double v, qd_err *err)
{
    const qd_field_sink *sink = (const qd_field_sink *)arg;
    return sink->f64(sink, v, err);
}

static int32_t parse(const qd_field_conf *conf, qd_json_in *in, const qd_field_sink *sink,
                     qd_err *err)
{
    (void)conf;
    return each(in, to_sink, (void *)(uintptr_t)sink, err);
}

static void put(qd_json_out *out, uint32_t type, qd_str text)
{
    qd_jev ev;
    memset(&ev, 0, sizeof ev);
    ev.type = type;
    ev.text = text;
    json->put(out, &ev);
}

static int32_t show_one(void *arg, double v, qd_err *err)
{
    qd_json_out *out = (qd_json_out *)arg;
    struct timespec nap = {5, 0};
    char text[64];
    int n = snprintf(text, sizeof text, "%.2f EUR", v);
    qd_str s = {text, (size_t)n};
    switch ((int)v) {
    case 13:
        return qd_plug_fail(errors, err, QD_E_ARG, "13 is not shown");
    case 14:
        while (nanosleep(&nap, &nap)) continue;
        break;
    case 15:
        put(out, QD_JEV_OBJECT, s);
        return 0;
    case 16:
        for (int i = 0; i < 1000000; i++) put(out, QD_JEV_STRING, s);
        return 0;
    case 17:
        return 0;
    case 18:
        put(out, QD_JEV_STRING, s);
        put(out, QD_JEV_NULL, s);
        return 0;
    case 19:
        put(out, QD_JEV_ARRAY_END, s);
        put(out, QD_JEV_ARRAY, s);
        return 0;
    }
    put(out, QD_JEV_STRING, s);
    return 0;
}

static int32_t show(const qd_field_conf *conf, qd_json_in *in, qd_json_out *out, qd_err *err)
{
    (void)conf;
    return each(in, show_one, out, err);
}

static int32_t show_column(const qd_field_conf *conf, const qd_field_column_value *values,
                           uint32_t n, qd_json_out *out, qd_err *err)
{
    int32_t rc = 0;
    (void)conf;
    for (uint32_t i = 0; i < n && rc == 0; i++) rc = show_one(out, values[i].f64, err);
    return rc;
}

static const qd_field_vtable money = {QD_VTABLE(qd_field_vtable, FIELD, QD_FIELD_F64),
                                      NULL,
                                      0,
                                      0,
                                      check,
                                      parse,
                                      NULL,
                                      show,
                                      show_column};
/* A table as older headers have it: it ends before show. */
static qd_field_vtable plain = {QD_VTABLE(qd_field_vtable, FIELD, QD_FIELD_F64),
                                NULL,
                                0,
                                0,
                                check,
                                parse,
                                NULL,
                                show,
                                show_column};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    const qd_svc_conf *confs = (const qd_svc_conf *)host->service(self, QD_SERVICE_CONF, 0);
    confs->i64(self, "slow", &slow);
    plain.head.struct_size = offsetof(qd_field_vtable, show);
    int32_t rc = host->provide(self, QD_KIND_FIELD, "toy_money", &money, err);
    return rc ? rc : host->provide(self, QD_KIND_FIELD, "toy_plain", &plain, err);
}

static const qd_plugin_conf settings[] = {
    {.key = "slow", .type = QD_PCONF_BOOL, .value = "false", .help = "Sleep in check."},
    {.key = NULL}};

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "toy-field", "0.1.0", "",  QD_BUILD_ID, NULL,
                                 settings,          init,        NULL,    NULL};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("toy-field", "0.1.0", 0, 1, QD_NOTE_FOR(FIELD))
