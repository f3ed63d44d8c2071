/*
 * json.c: how fast documents and bulk bodies are read, up to the events that a document writer
 * gets: structure, UTF-8, escapes and keys given twice are checked, numbers are not converted.
 *
 *   json FILE.jsonl [SECONDS]
 *
 * Two passes over the file in memory, by turns, each as often as fits into half of the time: its
 * lines as documents, and as a bulk body with an action before each. GB (10^9 bytes) a second of
 * this thread's CPU time, the best pass; and bytes a token, which is what makes files differ.
 */
#include "json/reader.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct text {
    char *p;
    size_t n, lines, tokens;
    double best;
} text;

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "json: %s\n", what);
    exit(1);
}

static text file(const char *name)
{
    text t = {0};
    FILE *f = fopen(name, "rb");
    if (!f || fseek(f, 0, SEEK_END)) die(name);
    long n = ftell(f);
    rewind(f);
    t.n = (size_t)n;
    t.p = malloc(t.n + 1);
    if (n <= 0 || !t.p || fread(t.p, 1, t.n, f) != t.n) die(name);
    fclose(f);
    if (t.p[t.n - 1] != '\n') t.p[t.n++] = '\n';
    return t;
}

/* The lines of t behind actions that name an id. */
static text bulk(const text *t)
{
    text b = {0};
    size_t room = 0;
    for (size_t i = 0; i < t->n; i++) room += t->p[i] == '\n' ? 64 : 1;
    b.p = malloc(room + t->n);
    if (!b.p) die("memory");
    size_t id = 0;
    for (const char *p = t->p, *end = t->p + t->n; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        b.n += (size_t)sprintf(b.p + b.n, "{\"index\":{\"_id\":\"%zu\"}}\n", id++);
        memcpy(b.p + b.n, p, (size_t)(nl + 1 - p));
        b.n += (size_t)(nl + 1 - p);
        p = nl + 1;
    }
    return b;
}

static void pass(text *t, qd_json_reader *r)
{
    size_t tokens = 0, bytes = 0, lines = 0;
    double begun = cpu_s();
    for (const char *p = t->p, *end = t->p + t->n; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        int event;
        qd_json_reader_init_slack(r, (qd_str){p, (size_t)(nl - p)}, (size_t)(end - nl),
                                  QD_JSON_STRICT_KEYS, 0);
        while ((event = (int)qd_json_next(r)) > 0) {
            tokens++;
            if (event >= QD_JSON_KEY) bytes += r->text.n;
        }
        if (event < 0) die("a line that is no JSON");
        p = nl + 1;
        lines++;
    }
    double gb_s = (double)t->n / (cpu_s() - begun) / 1e9;
    if (gb_s > t->best) t->best = gb_s;
    t->tokens = tokens;
    t->lines = lines;
    if (bytes == 0) die("no text");
}

int main(int argc, char **argv)
{
    if (argc < 2) die("usage: head of tests/bench/json.c");
    double until = cpu_s() + (argc > 2 ? atof(argv[2]) : 4);
    text docs = file(argv[1]), body = bulk(&docs);
    qd_json_reader r = QD_JSON_READER(NULL);
    do {
        pass(&docs, &r);
        pass(&body, &r);
    } while (cpu_s() < until);
    qd_json_reader_fini(&r);
    printf("{\"documents_gb_s\":%.3f,\"bulk_gb_s\":%.3f,\"lines\":%zu,\"bytes\":%zu,"
           "\"bytes_a_token\":%.1f}\n",
           docs.best, body.best, docs.lines, docs.n, (double)docs.n / (double)docs.tokens);
    free(docs.p);
    free(body.p);
    return 0;
}
