/* values.c: checks of what configuration files say: see config_int.h. */
#include "config_int.h"
#include <string.h>

static int32_t digit(char ch)
{
    if (ch >= 'A' && ch <= 'Z') return ch - 'A';
    if (ch >= 'a' && ch <= 'z') return ch - 'a' + 26;
    if (ch >= '0' && ch <= '9') return ch - '0' + 52;
    return ch == '+' ? 62 : ch == '/' ? 63 : -1;
}

int32_t kube_base64(const kube_env *env, const char *text, char **out, size_t *n)
{
    size_t len = strlen(text), k = 0;
    uint32_t bits = 0, have = 0, pads = 0;
    char *p = kube_alloc(env, len / 4 * 3 + 4);
    if (!p) return QD_E_NOMEM;
    for (const char *at = text; *at; at++) {
        if (strchr(" \t\r\n", *at)) continue;
        int32_t d = digit(*at);
        if (*at == '=' && have % 4 >= 2 && pads < 2) {
            pads++;
            continue;
        }
        if (d < 0 || pads) goto bad;
        bits = bits << 6 | (uint32_t)d;
        if (++have % 4) continue;
        p[k++] = (char)(bits >> 16);
        p[k++] = (char)(bits >> 8);
        p[k++] = (char)bits;
    }
    if (have % 4 == 1 || (pads && (have + pads) % 4)) goto bad;
    if (have % 4 == 2) p[k++] = (char)(bits >> 4);
    if (have % 4 == 3) {
        p[k++] = (char)(bits >> 10);
        p[k++] = (char)(bits >> 2);
    }
    p[k] = 0;
    *out = p;
    *n = k;
    return 0;
bad:
    kube_free(env, p);
    return QD_E_PARSE;
}

int32_t kube_printable(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~') return 0;
    return text[0] != 0;
}

int32_t kube_token_trim(char *token)
{
    size_t n = strlen(token), i = 0;
    while (n && strchr(" \t\r\n", token[n - 1])) n--;
    token[n] = 0;
    while (token[i] && strchr(" \t\r\n", token[i])) i++;
    if (i) memmove(token, token + i, n - i + 1);
    return kube_printable(token) ? 0 : QD_E_PARSE;
}

/* Whether what stands behind the host is a port, nothing, or a path. */
static int32_t port_and_path(const char *p)
{
    uint32_t port = 0, digits = 0;
    if (*p == ':') {
        for (p++; *p >= '0' && *p <= '9' && digits < 6; p++, digits++)
            port = port * 10 + (uint32_t)(*p - '0');
        if (!digits || port == 0 || port > 65535) return 0;
    }
    return *p == 0 || *p == '/';
}

const char *kube_server_check(char *server)
{
    const char *p = server;
    size_t n = strlen(server);
    if (!kube_printable(server)) return "it is empty or has blanks in it";
    if (strpbrk(server, "?#@\\\"<>{}")) return "an address has none of ? # @ and quotes in it";
    if (strncmp(p, "https://", 8) == 0)
        p += 8;
    else if (strncmp(p, "http://", 7) == 0)
        p += 7;
    else
        return "it has to begin with https:// or http://";
    if (*p == '[') {
        size_t k = strspn(p + 1, "0123456789abcdefABCDEF:.%");
        if (k < 2 || p[k + 1] != ']') return "between brackets stands an IPv6 address";
        p += k + 2;
    } else {
        size_t k = strcspn(p, ":/[]");
        if (k == 0) return "it names no host";
        p += k;
    }
    if (!port_and_path(p)) return "behind the host stands a port from 1 to 65535, or a path";
    while (n && server[n - 1] == '/') server[--n] = 0;
    return NULL;
}

void kube_secret_free(const kube_env *env, char *secret)
{
    if (!secret) return;
    explicit_bzero(secret, strlen(secret));
    kube_free(env, secret);
}
