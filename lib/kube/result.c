/* result.c: what an answer means, and paths: see client.h. */
#include "client.h"
#include "lenient.h"
#include <stdio.h>
#include <string.h>

static int32_t outcome_of(int32_t status)
{
    if (status >= 200 && status < 300) return KUBE_DONE;
    if (status >= 400 && status < 500 && status != 408 && status != 429) return KUBE_REFUSED;
    return KUBE_UNKNOWN;
}

/* Copies a member's text, cut at a whole character. */
static void take_text(char *out, size_t room, const json_t *object, const char *key)
{
    const char *p = json_string_value(json_object_get(object, key));
    size_t n = p ? strlen(p) : 0;
    if (n >= room) {
        n = room - 1;
        while (n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80) n--;
    }
    if (n) memcpy(out, p, n);
    out[n] = 0;
}

/* A body that is no Status: its beginning, for people. */
static void take_body(kube_result *out, const kube_exchange *x)
{
    size_t n = x->answer.n < 200 ? x->answer.n : 200, k = 0;
    char text[201];
    for (size_t i = 0; i < n; i++) {
        char ch = x->answer.p[i];
        if (ch >= ' ' && ch < 127) text[k++] = ch;
    }
    text[k] = 0;
    (void)snprintf(out->message, sizeof out->message, "HTTP status %d%s%s", (int)x->status,
                   k ? ": " : "", text);
}

static void read_body(kube_result *out, const kube_exchange *x)
{
    json_error_t error;
    if (x->answer.n) out->object = kube_json(x->answer.p, x->answer.n, &error);
    if (out->object && !json_is_object(out->object)) {
        json_decref(out->object);
        out->object = NULL;
    }
    if (out->outcome == KUBE_DONE) {
        if (out->object) return;
        /* whatever said 200 here, it was no API server: what it stands for is not known */
        out->outcome = KUBE_UNKNOWN;
        (void)snprintf(out->message, sizeof out->message, "the answer is not a JSON object");
        return;
    }
    if (out->object) {
        take_text(out->reason, sizeof out->reason, out->object, "reason");
        take_text(out->message, sizeof out->message, out->object, "message");
    }
    if (!out->message[0]) take_body(out, x);
}

void kube_result_read(kube_result *out, const kube_exchange *x)
{
    memset(out, 0, sizeof *out);
    out->code = x->status;
    out->date_ms = x->date_ms;
    out->retry_after_ns = x->retry_after_ns;
    switch (x->outcome) {
    case KUBE_ANSWERED:
        out->outcome = outcome_of(x->status);
        read_body(out, x);
        return;
    case KUBE_TOO_LARGE:
        out->outcome = outcome_of(x->status);
        if (out->outcome == KUBE_DONE) out->outcome = KUBE_UNKNOWN;
        (void)snprintf(out->message, sizeof out->message, "the answer is larger than %zu bytes",
                       x->answer_max ? x->answer_max : (size_t)KUBE_ANSWER_MAX);
        return;
    default:
        out->outcome = x->outcome == KUBE_NOT_SENT ? KUBE_REFUSED : KUBE_UNKNOWN;
        out->code = 0;
        (void)snprintf(out->message, sizeof out->message, "%s",
                       x->why[0] ? x->why : "there was no answer");
    }
}

int32_t kube_result_rc(const kube_result *r)
{
    if (r->outcome == KUBE_DONE) return 0;
    switch (r->code) {
    case 0:
        return r->attempts ? QD_E_IO : QD_E_TIMEOUT;
    case 401:
    case 403:
        return QD_E_SECURITY;
    case 404:
        return QD_E_NOTFOUND;
    case 409:
        return QD_E_CONFLICT;
    case 410:
        return QD_E_COMPACTED;
    case 429:
        return QD_E_REJECTED;
    case 504:
        return QD_E_TIMEOUT;
    default:
        return r->code >= 400 && r->code < 500 ? QD_E_ARG : QD_E_IO;
    }
}

void kube_result_clear(kube_result *r)
{
    json_decref(r->object);
    r->object = NULL;
}

static const char *metadata(const json_t *object, const char *key)
{
    const char *p = json_string_value(json_object_get(json_object_get(object, "metadata"), key));
    return p ? p : "";
}

const char *kube_object_version(const json_t *object)
{
    return metadata(object, "resourceVersion");
}

const char *kube_object_uid(const json_t *object)
{
    return metadata(object, "uid");
}

const char *kube_object_name(const json_t *object)
{
    return metadata(object, "name");
}

int32_t kube_encode(char *out, size_t room, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const char *p = value; *p; p++) {
        unsigned char ch = (unsigned char)*p;
        int plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || strchr("-._~", ch);
        if (n + (plain ? 1 : 3) >= room) return QD_E_ARG;
        if (plain) {
            out[n++] = (char)ch;
        } else {
            out[n++] = '%';
            out[n++] = hex[ch >> 4];
            out[n++] = hex[ch & 15];
        }
    }
    if (n >= room) return QD_E_ARG;
    out[n] = 0;
    return 0;
}

int32_t kube_path(char out[KUBE_PATH_MAX], const char *group, const char *version, const char *ns,
                  const char *plural, const char *name, const char *sub, const char *query)
{
    char space[256] = "", object[768] = "";
    if (ns && kube_encode(space, sizeof space, ns)) return QD_E_ARG;
    if (name && kube_encode(object, sizeof object, name)) return QD_E_ARG;
    int n =
        snprintf(out, KUBE_PATH_MAX, "%s%s/%s%s%s/%s%s%s%s%s%s%s", group[0] ? "/apis/" : "/api",
                 group, version, ns ? "/namespaces/" : "", space, plural, name ? "/" : "", object,
                 sub ? "/" : "", sub ? sub : "", query && query[0] ? "?" : "", query ? query : "");
    return n < 0 || n >= KUBE_PATH_MAX ? QD_E_ARG : 0;
}
