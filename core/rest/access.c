/*
 * access.c: see access_int.h. The rules are those of docs/http.md, "Browsers": a Host has to be an
 * address or a name that no stranger can register; a request that has effects has to come from no
 * page, from a page of the same origin, or from one that http.cors.* allows.
 */
#include "analysis/regex/regex.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "rest/access_int.h"
#include "rest/rest_int.h"
#include "runtime/resolve.h"
#include "json/filter.h"
#include <string.h>

#define ORIGIN_MAX 1024u          /* bytes of an Origin that is looked at, and sent back */
#define ORIGIN_STEPS 1000000u     /* of the pattern of origins */
#define NAME_MAX_BYTES 255u       /* of a host name */
#define LINES_MAX ((size_t)16384) /* of lists that the settings give */

/* Names under these are resolved by nobody's public name server: reserved (RFC 2606, 6761, 6762,
 * 8375), kept private by ICANN, or a cluster's own. */
static const char *const private_suffixes[] = {
    ".localhost", ".local", ".internal", ".svc",     ".lan",  ".home.arpa",
    ".home",      ".corp",  ".intranet", ".private", ".test",
};

struct qd_access {
    qd_arena arena;
    QD_VEC(qd_str) hosts;   /* patterns in lower case */
    QD_VEC(qd_str) origins; /* exact */
    qd_regex *pattern;
    bool cors, any_origin, credentials;
    qd_str always, preflight; /* header lines */
};

/* The headers that count, found in one pass. */
typedef struct asked {
    qd_str host[2]; /* two are one too many: each has to be right */
    qd_str origin, site, method;
} asked;

static void find_headers(const qd_http_request *r, asked *out)
{
    *out = (asked){0};
    for (uint32_t i = 0; i < r->nheaders; i++) {
        const qd_http_header *h = &r->headers[i];
        switch (h->name.n) { /* few names have these lengths */
        case 4:
            if (qd_str_ieq(h->name, QD_STR("host"))) out->host[out->host[0].p ? 1 : 0] = h->value;
            break;
        case 6:
            if (qd_str_ieq(h->name, QD_STR("origin"))) out->origin = h->value;
            break;
        case 14:
            if (qd_str_ieq(h->name, QD_STR("sec-fetch-site"))) out->site = h->value;
            break;
        case 29:
            if (qd_str_ieq(h->name, QD_STR("access-control-request-method")))
                out->method = h->value;
            break;
        default:
            break;
        }
    }
}

/* --- settings --- */

static qd_str option(const qd_frontend_config *c, const char *key)
{
    for (uint32_t i = 0; i < c->noptions; i++) {
        if (qd_str_is(c->options[i].key, key)) return c->options[i].value;
    }
    return (qd_str){NULL, 0};
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int add_hosts(qd_access *a, qd_str list, qd_err *err)
{
    for (qd_str rest = list; rest.n;) {
        qd_str word = qd_str_trim(qd_str_split(&rest, ','));
        if (word.n == 0) continue;
        char *p = qd_arena_bytes(&a->arena, word.n);
        if (!p) return qd_err_nomem(err, "names of the node");
        for (size_t i = 0; i < word.n; i++) p[i] = lower(word.p[i]);
        if (qd_vec_push(&a->hosts, NULL, ((qd_str){p, word.n})))
            return qd_err_nomem(err, "names of the node");
    }
    return 0;
}

/* "Name: a, b\r\n" of a list of the settings; nothing where it is empty. */
static int list_line(qd_buf *out, const char *name, const char *key, qd_str list, qd_err *err)
{
    bool first = true;
    for (qd_str rest = list; rest.n;) {
        qd_str word = qd_str_trim(qd_str_split(&rest, ','));
        if (word.n == 0) continue;
        for (size_t i = 0; i < word.n; i++) {
            if ((unsigned char)word.p[i] <= ' ' || (unsigned char)word.p[i] >= 0x7f) {
                return qd_err_set(err, QD_E_ARG,
                                  "[http.%s] holds what cannot stand in a header: [%.*s]", key,
                                  QD_STR_ARG(word));
            }
        }
        (void)qd_buf_c(out, first ? name : ", ");
        (void)qd_buf_str(out, word);
        first = false;
    }
    if (!first) (void)qd_buf_c(out, "\r\n");
    return 0;
}

/* The value of a list, or its default where nothing is set. */
static qd_str list_of(const qd_frontend_config *c, const char *key, const char *standard)
{
    qd_str v = option(c, key);
    return v.p ? v : qd_str_c(standard);
}

static int cors_lines(qd_access *a, const qd_frontend_config *c, qd_err *err)
{
    qd_buf b;
    qd_buf_init(&b, NULL, LINES_MAX);
    qd_str age = list_of(c, "cors.max-age", "1728000");
    if (a->credentials) (void)qd_buf_c(&b, "access-control-allow-credentials: true\r\n");
    size_t shared = b.n;
    int rc = list_line(&b, "access-control-expose-headers: ", "cors.expose-headers",
                       list_of(c, "cors.expose-headers", "X-elastic-product"), err);
    if (!rc && !qd_buf_status(&b)) {
        a->always = qd_arena_str(&a->arena, qd_buf_view(&b));
        b.n = shared;
    }
    if (!rc)
        rc = list_line(&b, "access-control-allow-methods: ", "cors.allow-methods",
                       list_of(c, "cors.allow-methods", "OPTIONS,HEAD,GET,POST,PUT,DELETE"), err);
    if (!rc)
        rc = list_line(&b, "access-control-allow-headers: ", "cors.allow-headers",
                       list_of(c, "cors.allow-headers",
                               "X-Requested-With,Content-Type,Content-Length,Authorization,Accept,"
                               "User-Agent,X-Elastic-Client-Meta"),
                       err);
    if (!rc) rc = list_line(&b, "access-control-max-age: ", "cors.max-age", age, err);
    if (!rc && qd_buf_status(&b))
        rc = qd_err_set(err, QD_E_ARG, "the lists of http.cors.* are longer than %zu bytes",
                        LINES_MAX);
    if (!rc) a->preflight = qd_arena_str(&a->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    if (!rc && (!a->always.p || !a->preflight.p)) rc = qd_err_nomem(err, "http.cors");
    return rc;
}

/* "*", "/pattern/", or origins separated by commas. */
static int read_origins(qd_access *a, qd_str v, qd_err *err)
{
    if (qd_str_is(v, "*")) {
        a->any_origin = true;
        return 0;
    }
    if (v.n >= 2 && v.p[0] == '/' && v.p[v.n - 1] == '/') {
        qd_str text = qd_arena_printf(&a->arena, "\\A(?:%.*s)\\z", (int)(v.n - 2), v.p + 1);
        if (!text.p) return qd_err_nomem(err, "http.cors.allow-origin");
        int rc = qd_regex_compile(text, 0, &a->pattern, err);
        return rc ? qd_err_wrap(err, rc, "[http.cors.allow-origin] is no pattern: [%.*s]",
                                QD_STR_ARG(v))
                  : 0;
    }
    for (qd_str rest = v; rest.n;) {
        qd_str word = qd_str_trim(qd_str_split(&rest, ','));
        if (word.n == 0) continue;
        qd_str kept = qd_arena_str(&a->arena, word);
        if (!kept.p || qd_vec_push(&a->origins, NULL, kept))
            return qd_err_nomem(err, "http.cors.allow-origin");
    }
    return 0;
}

int qdi_access_make(const qd_frontend_config *c, qd_access **out, qd_err *err)
{
    qd_access *a = qd_calloc(NULL, sizeof *a);
    if (!a) return qd_err_nomem(err, "names of the node");
    qd_arena_init(&a->arena, NULL, 0);
    int rc = add_hosts(a, option(c, "own_names"), err);
    if (!rc) rc = add_hosts(a, option(c, "allowed_hosts"), err);
    a->cors = qd_str_is(option(c, "cors.enabled"), "true");
    a->credentials = qd_str_is(option(c, "cors.allow-credentials"), "true");
    if (!rc && a->cors) rc = read_origins(a, qd_str_trim(option(c, "cors.allow-origin")), err);
    if (!rc && a->cors) rc = cors_lines(a, c, err);
    if (rc) {
        qdi_access_free(a);
        a = NULL;
    }
    *out = a;
    return rc;
}

void qdi_access_free(qd_access *a)
{
    if (!a) return;
    qd_vec_fini(&a->hosts);
    qd_vec_fini(&a->origins);
    qd_regex_free(a->pattern);
    qd_arena_fini(&a->arena);
    qd_free(a);
}

/* --- names --- */

static bool all_digits(qd_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    }
    return true;
}

/* Host without its port: an IPv6 address stands in brackets. */
static bool name_of(qd_str host, qd_str *name)
{
    ptrdiff_t end;
    *name = host;
    if (host.n && host.p[0] == '[') {
        if ((end = qd_str_find(host, ']')) < 0) return false;
        *name = qd_str_sub(host, 0, (size_t)end + 1);
    } else if ((end = qd_str_find(host, ':')) >= 0) {
        *name = qd_str_sub(host, 0, (size_t)end);
    }
    qd_str port = qd_str_sub(host, name->n, host.n);
    return port.n == 0 || (port.p[0] == ':' && all_digits(qd_str_sub(port, 1, port.n)));
}

/* An address has no owner who could let it lead elsewhere. A zone (RFC 6874) is the machine's. */
static bool is_address(qd_str name)
{
    qd_addr a;
    ptrdiff_t zone;
    if (name.p[0] != '[') return qd_addr_parse(name, 0, &a);
    name = qd_str_sub(name, 1, name.n - 2);
    if ((zone = qd_str_find(name, '%')) > 0) name = qd_str_sub(name, 0, (size_t)zone);
    return qd_str_find(name, ':') >= 0 && qd_addr_parse(name, 0, &a);
}

static bool is_name(qd_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
            return false;
    }
    return true;
}

/* Is it the node that a client with this Host meant, whatever name servers say? */
static bool known_host(const qd_access *a, qd_str host)
{
    char text[NAME_MAX_BYTES];
    qd_str name;
    if (!name_of(host, &name)) return false;
    if (name.n == 0) return host.n == 0; /* a request to no name: no browser makes it */
    if (name.n > sizeof text) return false;
    if ((name.p[0] == '[' || (name.p[0] >= '0' && name.p[0] <= '9')) && is_address(name))
        return true;
    if (name.p[name.n - 1] == '.') name.n--;
    for (size_t i = 0; i < name.n; i++) text[i] = lower(name.p[i]);
    name.p = text;
    if (is_name(name)) {
        if (qd_str_find(name, '.') < 0) return true; /* none is to be had in the public DNS */
        for (size_t i = 0; i < QD_COUNT_OF(private_suffixes); i++) {
            if (qd_str_ends(name, qd_str_c(private_suffixes[i]))) return true;
        }
    }
    for (size_t i = 0; i < a->hosts.n; i++) {
        if (qd_json_simple_match(a->hosts.at[i], name)) return true;
    }
    return false;
}

/* The error of a request that is refused for what a header says. */
static int refused(const char *header, qd_str value, qd_err *err)
{
    qd_err_detail_str(err, "header", qd_str_c(header));
    if (value.n > ORIGIN_MAX) value.n = ORIGIN_MAX;
    if (qd_utf8_valid(value, NULL)) qd_err_detail_str(err, "value", value);
    return QD_E_SECURITY;
}

static qd_str shown(qd_str value)
{
    return value.n > NAME_MAX_BYTES || !qd_utf8_valid(value, NULL) ? QD_STR("...") : value;
}

static int check_host(const qd_access *a, const asked *q, qd_err *err)
{
    for (size_t i = 0; i < QD_COUNT_OF(q->host); i++) {
        qd_str host = q->host[i];
        if (!host.p || known_host(a, host)) continue;
        qd_str text = shown(host);
        qd_err_set(
            err, QD_E_SECURITY,
            "[Host: %.*s] is no name of this node: addresses, names without a dot, private "
            "ones (.local, .internal, .svc, ...), its own and those of http.allowed_hosts are "
            "taken",
            QD_STR_ARG(text));
        return refused("Host", host, err);
    }
    return 0;
}

/* --- origins --- */

/* Is the page from the node itself? Scheme aside, its origin is the Host it was loaded by. */
static bool same_origin(qd_str origin, qd_str host)
{
    ptrdiff_t at = qd_str_find_str(origin, QD_STR("://"));
    return at > 0 && host.n && qd_str_ieq(qd_str_sub(origin, (size_t)at + 3, origin.n), host);
}

static bool allowed_origin(const qd_access *a, qd_str origin, qd_arena *arena)
{
    uint64_t budget = ORIGIN_STEPS;
    uint32_t caps[2];
    if (origin.n > ORIGIN_MAX) return false;
    if (a->any_origin) return true;
    for (size_t i = 0; i < a->origins.n; i++) {
        if (qd_str_eq(a->origins.at[i], origin)) return true;
    }
    if (!a->pattern || !qd_utf8_valid(origin, NULL)) return false;
    void *work = qd_arena_alloc(arena, qd_regex_work(a->pattern));
    return work && qd_regex_find(a->pattern, work, origin, 0, 1, caps, &budget) == 1;
}

/* The lines that let a script of the origin read the answer. */
static int allow_lines(const qd_access *a, qd_str origin, bool preflight, qd_buf *lines,
                       qd_err *err)
{
    bool all = a->any_origin && !a->credentials; /* with credentials "*" would mean nobody */
    if (!qd_buf_reserve(lines, origin.n + a->preflight.n + a->always.n + 64))
        return qd_err_nomem(err, "http.cors");
    (void)qd_buf_c(lines, "access-control-allow-origin: ");
    (void)qd_buf_str(lines, all ? QD_STR("*") : origin);
    (void)qd_buf_c(lines, all ? "\r\n" : "\r\nvary: Origin\r\n");
    return qd_buf_str(lines, preflight ? a->preflight : a->always);
}

/* A request with an Origin while http.cors is on: *allowed with its lines, or refused, unless it is
 * the node's own. */
static int check_cors(const qd_access *a, const asked *q, bool preflight, qd_arena *arena,
                      qd_buf *lines, bool *allowed, qd_err *err)
{
    *allowed = allowed_origin(a, q->origin, arena);
    if (*allowed) return allow_lines(a, q->origin, preflight, lines, err);
    if (!preflight && same_origin(q->origin, q->host[0])) return 0;
    qd_str text = shown(q->origin);
    qd_err_set(err, QD_E_SECURITY, "[Origin: %.*s] is not allowed by http.cors.allow-origin",
               QD_STR_ARG(text));
    return refused("Origin", q->origin, err);
}

/* What a scroll holds on to stays for as long as its request says, and counts against
 * search.max_open_scroll_context. */
static bool keeps_context(const rest_match *m)
{
    for (uint32_t i = m->nparts; i < m->nparams; i++) {
        if (qd_str_is(m->params[i].key, "scroll")) return true;
    }
    return false;
}

static bool has_effects(const rest_match *m, qd_str method)
{
    const qd_api *api = m ? m->api : NULL;
    if (!api || qd_str_is(method, "OPTIONS")) return false;
    if (api->flags & QD_API_SAFE) return keeps_context(m);
    return strcmp(api->methods, "GET") != 0 && strcmp(api->methods, "HEAD") != 0;
}

/* A change asked for by a page of another site. Where a browser says how the site stands to the
 * target (Sec-Fetch-Site), that counts: a proxy may have rewritten Host. */
static int check_change(const asked *q, const qd_http_request *r, qd_err *err)
{
    const char *header = "Origin";
    qd_str value = q->origin;
    if (q->site.n) {
        if (qd_str_ieq(q->site, QD_STR("same-origin")) || qd_str_ieq(q->site, QD_STR("none")))
            return 0;
        header = "Sec-Fetch-Site";
        value = q->site;
    } else if (!value.n || same_origin(value, q->host[0])) {
        return 0;
    }
    qd_str text = shown(value);
    qd_err_set(err, QD_E_SECURITY,
               "[%.*s %.*s] changes something and was sent by a page of another site [%s: %.*s], "
               "which http.cors.enabled and http.cors.allow-origin do not allow",
               QD_STR_ARG(r->method), QD_STR_ARG(r->path), header, QD_STR_ARG(text));
    return refused(header, value, err);
}

int qdi_access_check(const qd_access *a, const qd_http_request *r, const rest_match *m,
                     qd_arena *arena, qd_buf *lines, bool *preflight, qd_err *err)
{
    asked q;
    find_headers(r, &q);
    *preflight = false;
    bool probe = m && m->api && (m->api->flags & QD_API_PROBE);
    int rc = probe ? 0 : check_host(a, &q, err);
    if (rc || (!q.origin.n && !q.site.n)) return rc;
    if (a->cors && q.origin.n) {
        bool asks = q.method.n && qd_str_is(r->method, "OPTIONS");
        bool allowed;
        if ((rc = check_cors(a, &q, asks, arena, lines, &allowed, err))) return rc;
        *preflight = asks;
        if (allowed) return 0; /* the origin may do what a page of the node may */
    }
    return has_effects(m, r->method) ? check_change(&q, r, err) : 0;
}
