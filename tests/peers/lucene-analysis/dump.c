/*
 * dump.c: tokens as Quidditch finds them, in the form of Oracle.java, or (-t) the time it takes.
 *
 *   dump CHAIN SETTING=VALUE…|BUILT-IN [-t] [-T] < records > tokens
 *
 * -T leaves the types out, so that the block kernel runs. Records are parted by NUL.
 */
#include "unit/lib/analysis_dump.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static char *slurp(size_t *n)
{
    size_t cap = 1 << 20, got;
    char *all = malloc(cap);
    *n = 0;
    while ((got = fread(all + *n, 1, cap - *n, stdin)) > 0)
        if ((*n += got) == cap) all = realloc(all, cap *= 2);
    return all;
}

int main(int argc, char **argv)
{
    qd_err err;
    qd_err_init(&err);
    qd_analyzers *as = NULL;
    bool timing = false, types = true;
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "-t"))
            timing = true;
        else if (!strcmp(argv[i], "-T"))
            types = false;
    }
    const qd_analyzer *a = analysis_dump_chain(argv + 2, argc - 2, &as, &err);
    qd_analysis *s = qd_analysis_make(NULL, 0);
    if (!a || !s) return fprintf(stderr, "%s\n", qd_err_reason(&err)), 1;
    size_t len;
    char *all = slurp(&len);
    qd_buf out;
    qd_buf_init(&out, NULL, (size_t)1 << 30);
    uint32_t want = timing ? 0 : QD_ANALYZE_OFFSETS | (types ? QD_ANALYZE_TYPES : 0);
    for (int round = 0; round < (timing ? 5 : 1); round++) {
        size_t words = 0;
        clock_t begin = clock();
        for (size_t i = 0, from = 0; i <= len; i++) {
            const char *nul = memchr(all + from, 0, len - from);
            i = nul ? (size_t)(nul - all) : len;
            if (i == len && from == i) break;
            const qd_tokens *t;
            if (qd_analyzer_run(a, s, (qd_str){all + from, i - from}, want, &t, &err))
                return fprintf(stderr, "%s\n", qd_err_reason(&err)), 1;
            words += t->n;
            from = i + 1;
            if (timing) continue;
            qd_buf_reset(&out);
            analysis_dump_tokens(t, types, &out);
            fwrite(out.p, 1, out.n, stdout);
        }
        if (timing)
            printf("%zu words %.2f ns a word\n", words,
                   (double)(clock() - begin) / CLOCKS_PER_SEC * 1e9 / (double)(words ? words : 1));
    }
    free(all);
    qd_buf_fini(&out);
    qd_analysis_free(s);
    qd_analyzers_unref(as);
    return 0;
}
