/* @NAME@: a REST route on the node's main port: GET /_@NAME@/{name} greets, ?upper=true loudly. */
#include <quidditch/plugin.h>
#include <quidditch/route.h>

static const qd_svc_json *json;

static void put(qd_json_out *out, uint32_t type, qd_str text)
{
    qd_jev e;
    memset(&e, 0, sizeof e);
    e.type = type;
    e.text = text;
    json->put(out, &e);
}

static int32_t handle(qd_self *self, const qd_route_request *r, qd_route_answer *a, qd_err *err)
{
    qd_str upper =
        qd_plug_option(r->params + r->nparts, r->nparams - r->nparts, "upper", QD_STR("false"));
    (void)self;
    (void)err;
    put(a->json, QD_JEV_OBJECT, QD_STR(""));
    put(a->json, QD_JEV_KEY, qd_plug_is(upper, "true") ? QD_STR("HELLO") : QD_STR("hello"));
    put(a->json, QD_JEV_STRING, r->params[0].value);
    put(a->json, QD_JEV_OBJECT_END, QD_STR(""));
    return 0;
}

static const qd_route routes[] = {
    {"GET", "/_@NAME@/{name}", "upper", "Greets whom the path names", QD_ROUTE_READ, 0},
};
static const qd_route_vtable table = {QD_VTABLE(qd_route_vtable, ROUTE, 0), routes, 1,
                                      sizeof(qd_route), handle};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    if (!json) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_ROUTE, "@NAME@", &table, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};
QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(ROUTE))
