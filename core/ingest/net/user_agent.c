/* user_agent.c: the processor user_agent: which program on which system asked, by a table of ours.
 */
#include "ingest/ingest_int.h"

enum {
    WANT_NAME = 1,
    WANT_OS = 2,
    WANT_DEVICE = 4,
    WANT_ORIGINAL = 8,
    WANT_VERSION = 16,
    WANT_ALL = 31
};

typedef struct agent {
    qdi_path field, target;
    uint32_t want;
    bool ignore_missing, device_type;
} agent;

/* The first token that is there decides; mobile: the name that it has with "Mobile" behind. */
static const struct browser {
    const char *token, *name, *mobile,
        *version; /* version: behind this token; NULL: behind token */
    bool robot;
} browsers[] = {
    {"Googlebot/", "Googlebot", NULL, NULL, true},
    {"bingbot/", "bingbot", NULL, NULL, true},
    {"DuckDuckBot/", "DuckDuckBot", NULL, NULL, true},
    {"YandexBot/", "YandexBot", NULL, NULL, true},
    {"Baiduspider", "Baiduspider", NULL, "Baiduspider/", true},
    {"AhrefsBot/", "AhrefsBot", NULL, NULL, true},
    {"SemrushBot/", "SemrushBot", NULL, NULL, true},
    {"facebookexternalhit/", "FacebookBot", NULL, NULL, true},
    {"Twitterbot/", "Twitterbot", NULL, NULL, true},
    {"Slackbot", "Slackbot", NULL, "Slackbot ", true},
    {"Applebot/", "Applebot", NULL, NULL, true},
    {"EdgiOS/", "Edge Mobile", NULL, NULL, false},
    {"EdgA/", "Edge Mobile", NULL, NULL, false},
    {"Edg/", "Edge", NULL, NULL, false},
    {"Edge/", "Edge", "Edge Mobile", NULL, false},
    {"OPR/", "Opera", "Opera Mobile", NULL, false},
    {"Opera Mini/", "Opera Mini", NULL, NULL, false},
    {"Opera/", "Opera", NULL, NULL, false},
    {"YaBrowser/", "Yandex Browser", NULL, NULL, false},
    {"SamsungBrowser/", "Samsung Internet", NULL, NULL, false},
    {"Vivaldi/", "Vivaldi", NULL, NULL, false},
    {"UCBrowser/", "UC Browser", NULL, NULL, false},
    {"FxiOS/", "Firefox iOS", NULL, NULL, false},
    {"CriOS/", "Chrome Mobile iOS", NULL, NULL, false},
    {"HeadlessChrome/", "HeadlessChrome", NULL, NULL, false},
    {"Electron/", "Electron", NULL, NULL, false},
    {"SeaMonkey/", "SeaMonkey", NULL, NULL, false},
    {"Thunderbird/", "Thunderbird", NULL, NULL, false},
    {"Firefox/", "Firefox", "Firefox Mobile", NULL, false},
    {"Chromium/", "Chromium", NULL, NULL, false},
    {"Chrome/", "Chrome", "Chrome Mobile", NULL, false},
    {"Android", "Android", NULL, "Android ", false},
    {"Safari/", "Safari", "Mobile Safari", "Version/", false},
    {"MSIE ", "IE", NULL, NULL, false},
    {"Trident/", "IE", NULL, "rv:", false},
    {"curl/", "curl", NULL, NULL, false},
    {"Wget/", "Wget", NULL, NULL, false},
    {"python-requests/", "Python Requests", NULL, NULL, false},
    {"Python-urllib/", "Python-urllib", NULL, NULL, false},
    {"aiohttp/", "Python aiohttp", NULL, NULL, false},
    {"Go-http-client/", "Go-http-client", NULL, NULL, false},
    {"okhttp/", "okhttp", NULL, NULL, false},
    {"Apache-HttpClient/", "Apache-HttpClient", NULL, NULL, false},
    {"Java/", "Java", NULL, NULL, false},
    {"PostmanRuntime/", "PostmanRuntime", NULL, NULL, false},
    {"axios/", "axios", NULL, NULL, false},
};

static const struct os {
    const char *token, *name, *version;
    bool behind; /* the version stands behind the token */
} systems[] = {
    {"Windows NT 10.0", "Windows", "10", false},
    {"Windows NT 6.3", "Windows", "8.1", false},
    {"Windows NT 6.2", "Windows", "8", false},
    {"Windows NT 6.1", "Windows", "7", false},
    {"Windows NT 6.0", "Windows", "Vista", false},
    {"Windows NT 5.1", "Windows", "XP", false},
    {"Windows Phone ", "Windows Phone", NULL, true},
    {"Windows", "Windows", NULL, false},
    {"iPhone OS ", "iOS", NULL, true},
    {"CPU OS ", "iOS", NULL, true},
    {"Mac OS X ", "Mac OS X", NULL, true},
    {"Macintosh", "Mac OS X", NULL, false},
    {"Android ", "Android", NULL, true},
    {"Android", "Android", NULL, false},
    {"CrOS ", "Chrome OS", NULL, false},
    {"Ubuntu", "Ubuntu", NULL, false},
    {"Fedora", "Fedora", NULL, false},
    {"FreeBSD", "FreeBSD", NULL, false},
    {"OpenBSD", "OpenBSD", NULL, false},
    {"Linux", "Linux", NULL, false},
};

static int make(qdi_build *b, void *config, qd_err *err)
{
    static const char *const names[] = {"name", "os", "device", "original", "version"};
    agent *c = config;
    qd_str *properties, file;
    uint32_t n;
    bool ecs;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", QD_STR("user_agent"), &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_bool(b, "extract_device_type", false, &c->device_type, err);
    if (!rc) rc = qdi_arg_bool(b, "ecs", true, &ecs, err);
    if (!rc) rc = qdi_arg_str_opt(b, "regex_file", &file, err);
    if (!rc) rc = qdi_arg_strs(b, "properties", false, false, &properties, &n, err);
    if (rc) return rc;
    if (!ecs) return qdi_arg_fail(b, "ecs", err, "[false] is not supported");
    if (file.p)
        return qdi_arg_fail(b, "regex_file", err, "files of regular expressions are not supported");
    c->want = n ? 0 : WANT_ALL;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = 0;
        while (i < QD_COUNT_OF(names) && !qd_str_ieq(properties[k], qd_str_c(names[i]))) i++;
        if (i == QD_COUNT_OF(names))
            return qdi_arg_fail(
                b, "properties", err,
                "illegal property value [%.*s]. valid values are [NAME, OS, DEVICE, "
                "ORIGINAL, VERSION]",
                QD_STR_ARG(properties[k]));
        c->want |= 1u << i;
    }
    return 0;
}

/* Digits, dots and underscores behind a token. */
static qd_str version_behind(qd_str text, const char *token)
{
    ptrdiff_t at = qd_str_find_str(text, qd_str_c(token));
    if (at < 0) return (qd_str){NULL, 0};
    qd_str rest = qd_str_sub(text, (size_t)at + strlen(token), text.n);
    size_t n = 0;
    while (n < rest.n &&
           ((rest.p[n] >= '0' && rest.p[n] <= '9') || rest.p[n] == '.' || rest.p[n] == '_'))
        n++;
    while (n && (rest.p[n - 1] == '.' || rest.p[n - 1] == '_')) n--;
    return n ? qd_str_sub(rest, 0, n) : (qd_str){NULL, 0};
}

static bool has(qd_str text, const char *token)
{
    return qd_str_find_str(text, qd_str_c(token)) >= 0;
}

static const struct browser *browser_of(qd_str text)
{
    for (size_t k = 0; k < QD_COUNT_OF(browsers); k++) {
        if (has(text, browsers[k].token)) return &browsers[k];
    }
    return NULL;
}

static bool put(qd_ingest_run *r, qd_iv *map, const char *key, qd_iv v)
{
    qd_iv *at = qd_iv_put(&r->arena, map, qd_str_c(key));
    if (at) *at = v;
    return at != NULL;
}

static bool put_os(qd_ingest_run *r, qd_iv *out, qd_str text, const struct os **found)
{
    qd_iv os = {.kind = QD_IV_MAP};
    size_t k = 0;
    while (k < QD_COUNT_OF(systems) && !has(text, systems[k].token)) k++;
    *found = k < QD_COUNT_OF(systems) ? &systems[k] : NULL;
    if (!*found) return true;
    qd_str version =
        (*found)->behind ? version_behind(text, (*found)->token) : qd_str_c((*found)->version);
    qd_str name = qd_str_c((*found)->name), full = name;
    if (version.n) {
        version = qd_arena_str(&r->arena, version);
        if (!version.p) return false;
        for (size_t i = 0; i < version.n; i++) {
            if (version.p[i] == '_') ((char *)(uintptr_t)version.p)[i] = '.';
        }
        full = qd_arena_printf(&r->arena, "%.*s %.*s", QD_STR_ARG(name), QD_STR_ARG(version));
        if (!full.p) return false;
    }
    bool ok = put(r, &os, "name", QD_IV_STRING(name));
    if (ok && version.n) ok = put(r, &os, "version", QD_IV_STRING(version));
    if (ok) ok = put(r, &os, "full", QD_IV_STRING(full));
    return ok && (!out || put(r, out, "os", os));
}

/* "; MODEL Build/" of Android, or what Apple's devices are called. */
static qd_str device_of(qd_str text, const struct browser *b, const struct os *os)
{
    if (b && b->robot) return QD_STR("Spider");
    if (has(text, "iPhone")) return QD_STR("iPhone");
    if (has(text, "iPad")) return QD_STR("iPad");
    if (os && qd_str_is(QD_STR("Mac OS X"), os->name)) return QD_STR("Mac");
    ptrdiff_t end = qd_str_find_str(text, QD_STR(" Build/"));
    if (end < 0) return has(text, "Android") ? QD_STR("Generic Smartphone") : QD_STR("Other");
    size_t from = (size_t)end;
    while (from && text.p[from - 1] != ';') from--;
    return qd_str_trim(qd_str_sub(text, from, (size_t)end - from));
}

static const char *type_of(qd_str text, const struct browser *b)
{
    if (b && b->robot) return "Robot";
    if (has(text, "iPad") || has(text, "Tablet")) return "Tablet";
    if (has(text, "Mobile") || has(text, "iPhone")) return "Phone";
    if (has(text, "Windows NT") || has(text, "Macintosh") || has(text, "X11")) return "Desktop";
    return "Other";
}

static bool fill(const agent *c, qd_ingest_run *r, qd_str text, qd_iv *out)
{
    const struct browser *b = browser_of(text);
    const struct os *os;
    const char *name = !b ? "Other" : b->mobile && has(text, "Mobile") ? b->mobile : b->name;
    qd_str version =
        b ? version_behind(text, b->version ? b->version : b->token) : (qd_str){NULL, 0};
    bool ok = true;
    if (c->want & WANT_ORIGINAL) ok = put(r, out, "original", QD_IV_STRING(text));
    if (ok && (c->want & WANT_NAME)) ok = put(r, out, "name", QD_IV_STRING(qd_str_c(name)));
    if (ok && (c->want & WANT_VERSION) && version.n)
        ok = put(r, out, "version", QD_IV_STRING(version));
    if (ok) ok = put_os(r, c->want & WANT_OS ? out : NULL, text, &os);
    if (ok && (c->want & WANT_DEVICE)) {
        qd_iv device = {.kind = QD_IV_MAP};
        ok = put(r, &device, "name", QD_IV_STRING(device_of(text, b, os)));
        if (ok && c->device_type)
            ok = put(r, &device, "type", QD_IV_STRING(qd_str_c(type_of(text, b))));
        if (ok) ok = put(r, out, "device", device);
    }
    return ok;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const agent *c = config;
    qd_iv *v = qdi_path_look(r, &c->field), out = {.kind = QD_IV_MAP};
    int rc = 0;
    if (c->ignore_missing && (!v || v->kind == QD_IV_NULL)) return 0;
    if (!v && (rc = qdi_path_get(r, &c->field, &v, err))) return rc;
    if (v->kind == QD_IV_NULL)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] is null, cannot parse user-agent.",
                          QD_STR_ARG(c->field.full));
    if (v->kind != QD_IV_STR) return qdi_cannot_cast(&c->field, v, "java.lang.String", err);
    if (!fill(c, r, v->s, &out)) return qdi_run_nomem(err);
    return qdi_path_set(r, &c->target, out, err);
}

const qdi_processor_type qdi_processor_user_agent = {"user_agent", sizeof(agent), .make = make,
                                                     .run = run};
