/*
 * ingest.c: what pipelines cost a document: one evaluation of an `if`, and a pipeline of five
 * processors with grok. The cost of a condition is that of a hundred processors that it skips, less
 * that of the document without them. Prints the median of the rounds.
 */
#include "ingest/ingest.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 9
#define DOCS 20000
#define CONDITIONS 100

static qd_account account;
static qd_ingest_settings settings;

static const char source[] =
    "{\"message\":\"203.0.113.7 - frank [10/Oct/2024:13:55:36 +0000] \\\"GET /a/b.html "
    "HTTP/1.1\\\" "
    "200 2326 \\\"-\\\" \\\"Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 "
    "Firefox/131.0\\\"\",\"event\":{\"dataset\":\"web.access\",\"kind\":\"event\"},"
    "\"host\":{\"name\":\"h1\",\"os\":{\"name\":\"linux\"}},\"level\":\"info\",\"status\":200,"
    "\"duration\":12.5,\"tags\":[\"a\",\"b\",\"c\"],\"agent\":{\"type\":\"beat\",\"version\":\"8."
    "1\"}}";

static qd_ingest_pipeline *none(void *arg, qd_str id)
{
    (void)arg;
    (void)id;
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of this thread: other work of the machine counts less. */
static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of the processor a document. */
static double measure(const char *pipeline)
{
    double took[ROUNDS];
    qd_ingest_pipeline *p;
    qd_ingest_run *run;
    qd_ingest_calls calls = {.find = none};
    qd_ingest_doc doc = {.index = QD_STR("i"), .id = QD_STR("1"), .source = QD_STR(source)}, out;
    qd_arena a;
    qd_err err;
    qd_err_init(&err);
    qd_arena_init(&a, &account, 0);
    if (qd_ingest_compile(&settings, QD_STR("p"), qd_str_c(pipeline), &p, &err) ||
        qd_ingest_run_open(&settings, &calls, &run, &err)) {
        fprintf(stderr, "%s\n", qd_err_reason(&err));
        exit(1);
    }
    for (int k = 0; k < ROUNDS; k++) {
        double from = cpu_ns();
        for (int i = 0; i < DOCS; i++) {
            if (qd_ingest_begin(run, &doc, &err) || qd_ingest_apply(run, p, &err) ||
                qd_ingest_end(run, &a, &out, &err)) {
                fprintf(stderr, "%s\n", qd_err_reason(&err));
                exit(1);
            }
            qd_arena_reset(&a);
        }
        took[k] = (cpu_ns() - from) / DOCS;
    }
    qd_ingest_run_close(run);
    qd_ingest_unref(p);
    qd_arena_fini(&a);
    qsort(took, ROUNDS, sizeof took[0], by_value);
    return took[ROUNDS / 2];
}

static double with_conditions(const char *condition)
{
    qd_buf b;
    qd_buf_init(&b, NULL, 1 << 20);
    (void)qd_buf_c(&b, "{\"processors\":[");
    for (int k = 0; k < CONDITIONS; k++)
        (void)qd_buf_printf(&b, "%s{\"fail\":{\"if\":\"%s\",\"message\":\"x\"}}", k ? "," : "",
                            condition);
    (void)qd_buf_c(&b, "]}");
    double ns = measure(qd_buf_view(&b).p);
    qd_buf_fini(&b);
    return ns;
}

int main(void)
{
    static const char *const conditions[] = {"ctx.level == 'debug'",
                                             "ctx.event?.kind == 'metric'",
                                             "ctx.host?.os?.name == 'windows' && ctx.status > 10",
                                             "ctx.status > 400",
                                             "ctx.tags.contains('z')",
                                             "ctx.containsKey('none')"};
    static const char five[] =
        "{\"processors\":[{\"grok\":{\"field\":\"message\",\"patterns\":[\"%{COMBINEDAPACHELOG}\"]}"
        "},"
        "{\"date\":{\"field\":\"timestamp\",\"formats\":[\"dd/MMM/yyyy:HH:mm:ss Z\"]}},"
        "{\"convert\":{\"field\":\"response\",\"type\":\"integer\"}},"
        "{\"set\":{\"if\":\"ctx.response >= "
        "200\",\"field\":\"event.outcome\",\"value\":\"success\"}},"
        "{\"remove\":{\"field\":[\"message\",\"timestamp\"]}}]}";
    qd_account_init(&account, "bench", NULL, 0);
    settings = (qd_ingest_settings){
        .account = &account, .env = qd_env_system(), .data_path = QD_STR("/nowhere")};
    double bare = measure("{\"processors\":[]}");
    printf("a document of %zu bytes read and written: %.0f ns\n", sizeof source - 1, bare);
    for (size_t k = 0; k < QD_COUNT_OF(conditions); k++)
        printf("if \"%s\": %.0f ns\n", conditions[k],
               (with_conditions(conditions[k]) - bare) / CONDITIONS);
    double ns = measure(five);
    printf("grok, date, convert, set with if, remove: %.2f us a document, %.0f documents/s\n",
           ns / 1000, 1e9 / ns);
    return 0;
}
