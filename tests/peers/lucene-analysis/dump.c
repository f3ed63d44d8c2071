/*
 * dump.c: tokens as Quidditch finds them, in the form of Oracle.java, or (-t) the time it takes.
 *
 *   dump CHAIN [SETTING=VALUE…|BUILT-IN] [-t] [-T] < records > tokens
 *
 * -T leaves the types out of what is asked, so that the block kernel runs (types then print as the
 * oracle's where the chain has only one).
 */
#include "analysis/analysis.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
        *s = (qd_analysis_setting){.key = {strdup(key), (size_t)len}, .values = values + v};
        if (strstr(argv[i], "max_ngram_diff") || strstr(argv[i], "max_shingle_diff")) {
            s->key.p += 9;
            s->key.n -= 9;
        }
        char sep = strstr(key, ".pattern") || strstr(key, ".replacement") ? 1 : strstr(key, ".synonyms") || strstr(key, ".mappings") ? '|' : ',';
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

static char *slurp(size_t *n)
{
    size_t cap = 1 << 20, got;
    char *all = malloc(cap);
    *n = 0;
    while ((got = fread(all + *n, 1, cap - *n, stdin)) > 0)
        if ((*n += got) == cap) all = realloc(all, cap *= 2);
    return all;
}

static void put_term(qd_str t)
{
    for (size_t i = 0; i < t.n; i++) switch (t.p[i]) {
        case '\\':
            fputs("\\\\", stdout);
            break;
        case '\t':
            fputs("\\t", stdout);
            break;
        case '\n':
            fputs("\\n", stdout);
            break;
        case '\r':
            fputs("\\r", stdout);
            break;
        default:
            putchar_unlocked(t.p[i]);
        }
}

static void show(const qd_tokens *t)
{
    for (size_t i = 0; i < t->n; i++) {
        put_term(qd_tokens_term(t, i));
        printf("\t%u\t%u\t%u\t%u\t%s\n", t->offset[i].from, t->offset[i].to, qd_tokens_inc(t, i),
               qd_tokens_length(t, i), qd_token_type_name(qd_tokens_type(t, i)));
    }
    printf("=\t%u\t%u\n", t->end_offset, t->end_inc);
}

int main(int argc, char **argv)
{
    qd_err err;
    qd_err_init(&err);
    qd_analyzers *as = NULL;
    bool timing = false, types = true;
    const char *name = "x";
    size_t n = parse(argv + 2, argc - 2);
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "-t"))
            timing = true;
        else if (!strcmp(argv[i], "-T"))
            types = false;
        else if (!strchr(argv[i], '='))
            name = argv[i];
    }
    if (qd_analyzers_make(settings, n, NULL, &as, &err)) {
        fprintf(stderr, "%s\n", qd_err_reason(&err));
        return 1;
    }
    const qd_analyzer *a = qd_analyzers_get(as, qd_str_c(name));
    qd_analysis *s = qd_analysis_make(NULL, 0);
    if (!a || !s) return fprintf(stderr, "no analyzer %s\n", name), 1;
    size_t len;
    char *all = slurp(&len);
    uint32_t want = timing ? 0 : QD_ANALYZE_OFFSETS | (types ? QD_ANALYZE_TYPES : 0);
    for (int round = 0; round < (timing ? 5 : 1); round++) {
        size_t words = 0;
        clock_t begin = clock();
        for (size_t i = 0, from = 0; i <= len; i++) {
            const char *nul = memchr(all + from, 0, len - from);
            i = nul ? (size_t)(nul - all) : len;
            if (i == len && from == i) break;
            const qd_tokens *t;
            if (qd_analyzer_run(a, s, (qd_str){all + from, i - from}, want, &t, &err)) {
                fprintf(stderr, "%s\n", qd_err_reason(&err));
                return 1;
            }
            if (!timing) show(t);
            words += t->n;
            from = i + 1;
        }
        if (timing)
            printf("%zu words %.2f ns a word\n", words,
                   (double)(clock() - begin) / CLOCKS_PER_SEC * 1e9 / (double)(words ? words : 1));
    }
    free(all);
    qd_analysis_free(s);
    qd_analyzers_unref(as);
    return 0;
}
