/* analysis_dump.c: see analysis_dump.h. */
#include "unit/lib/analysis_dump.h"
#include <stdio.h>
#include <string.h>

enum { SETTINGS_MAX = 64, VALUES_MAX = 256 };
static qd_str values[VALUES_MAX];
static qd_analysis_setting settings[SETTINGS_MAX];

static size_t parse(char **argv, int argc)
{
    size_t n = 0, v = 0;
    for (int i = 0; i < argc && n < SETTINGS_MAX; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq) continue;
        char key[512];
        int len = snprintf(key, sizeof key, "analysis.%.*s", (int)(eq - argv[i]), argv[i]);
        qd_analysis_setting *s = &settings[n++];
        *s = (qd_analysis_setting){.key = {qd_memdup(NULL, key, (size_t)len), (size_t)len},
                                   .values = values + v};
        if (strstr(argv[i], "max_ngram_diff") || strstr(argv[i], "max_shingle_diff")) {
            s->key.p += 9;
            s->key.n -= 9;
        }
        char sep = strstr(key, ".pattern") || strstr(key, ".replacement") ? 1
                   : strstr(key, ".synonyms") || strstr(key, ".mappings") ? '|'
                                                                          : ',';
        for (char *p = eq + 1; sep == '|' && *p; p++)
            if (*p == '_') *p = ' ';
        for (char *p = eq + 1; p && v < VALUES_MAX;) {
            char *comma = strchr(p, sep);
            values[v++] = (qd_str){p, comma ? (size_t)(comma - p) : strlen(p)};
            s->nvalues++;
            p = comma ? comma + 1 : NULL;
        }
        s->list = s->nvalues > 1 || sep == '|';
    }
    return n;
}

const qd_analyzer *analysis_dump_chain(char **words, int n, qd_analyzers **as, qd_err *err)
{
    const char *name = "x";
    memset(settings, 0, sizeof settings);
    size_t count = parse(words, n);
    for (int i = 0; i < n; i++)
        if (!strchr(words[i], '=') && words[i][0] != '-') name = words[i];
    int rc = qd_analyzers_make(settings, count, NULL, as, err);
    for (size_t i = 0; i < count; i++) {
        bool shifted = strncmp(settings[i].key.p, "max_", 4) == 0;
        qd_free((char *)(uintptr_t)(settings[i].key.p - (shifted ? 9 : 0)));
    }
    return rc ? NULL : qd_analyzers_get(*as, qd_str_c(name));
}

static void put_term(qd_str t, qd_buf *out)
{
    static const char from[] = "\\\t\n\r", to[] = "\\tnr";
    for (size_t i = 0; i < t.n; i++) {
        const char *at = t.p[i] ? strchr(from, t.p[i]) : NULL;
        if (at) qd_buf_char(out, '\\');
        qd_buf_char(out, at ? to[at - from] : t.p[i]);
    }
}

void analysis_dump_tokens(const qd_tokens *t, bool types, qd_buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        put_term(qd_tokens_term(t, i), out);
        qd_buf_printf(out, "\t%u\t%u\t%u\t%u", t->offset[i].from, t->offset[i].to,
                      qd_tokens_inc(t, i), qd_tokens_length(t, i));
        if (types) qd_buf_printf(out, "\t%s", qd_token_type_name(qd_tokens_type(t, i)));
        qd_buf_char(out, '\n');
    }
    qd_buf_printf(out, "=\t%u\t%u\n", t->end_offset, t->end_inc);
}
