/*
 * lines.c: lines of a file for several threads, and their fields. One thread at a time
 * reads; what it takes is copied into memory of its own, so that parsing runs without the lock.
 */
#include "main/bench/lines.h"
#include "runtime/file.h"
#include "runtime/sync.h"

#define BLOCK_BYTES (1u << 20)
#define BATCH_BYTES (16u << 20) /* a batch with more takes no further line */
#define LINE_BYTES_MAX (1u << 30)
#define SLACK 128u

struct qd_bench_lines {
    qd_mutex lock;
    qd_file_in *file;
    char *block;
    size_t at, have;
    bool ended;
    uint64_t handed, limit;
};

int qd_bench_lines_open(const char *path, uint64_t limit, qd_bench_lines **out, qd_err *err)
{
    qd_bench_lines *l = qd_calloc(NULL, sizeof *l);
    if (!l) return qd_err_nomem(err, "input");
    l->limit = limit;
    qd_mutex_init(&l->lock);
    l->block = qd_alloc(NULL, BLOCK_BYTES);
    int rc = l->block ? qd_file_in_open(path, &l->file, err) : qd_err_nomem(err, "input");
    if (rc)
        qd_bench_lines_close(l);
    else
        *out = l;
    return rc;
}

void qd_bench_lines_close(qd_bench_lines *l)
{
    if (!l) return;
    qd_file_in_close(l->file);
    qd_free(l->block);
    qd_mutex_fini(&l->lock);
    qd_free(l);
}

static int room(qd_bench_batch *b, size_t more, uint64_t line, qd_err *err)
{
    size_t need = b->n + more + SLACK, from = b->lines ? b->ends[b->lines - 1] : 0;
    if (need - from > LINE_BYTES_MAX)
        return qd_err_set(err, QD_E_LIMIT, "line %llu: over 1 GiB long", (unsigned long long)line);
    if (need > b->cap) {
        size_t cap = need * 2 > 4u << 20 ? need * 2 : 4u << 20;
        char *grown = qd_realloc(NULL, b->text, cap);
        if (!grown) return qd_err_nomem(err, "lines");
        b->text = grown;
        b->cap = cap;
    }
    if (b->lines == b->ends_cap) {
        uint32_t cap = b->ends_cap ? b->ends_cap * 2 : 1024;
        size_t *ends = qd_realloc(NULL, b->ends, cap * sizeof *ends);
        if (!ends) return qd_err_nomem(err, "lines");
        b->ends = ends;
        b->ends_cap = cap;
    }
    return 0;
}

static int fill(qd_bench_lines *l, qd_err *err)
{
    int64_t got = qd_file_in_read(l->file, l->block, BLOCK_BYTES, err);
    l->at = 0;
    l->have = got > 0 ? (size_t)got : 0;
    l->ended = got <= 0;
    return got < 0 ? (int)got : 0;
}

static void end_line(qd_bench_lines *l, qd_bench_batch *b)
{
    b->ends[b->lines++] = b->n;
    l->handed++;
}

/* One line into the batch; *more false at the end of the file. */
static int take_line(qd_bench_lines *l, qd_bench_batch *b, bool *more, qd_err *err)
{
    size_t start = b->n;
    for (;;) {
        int rc = l->at == l->have && !l->ended ? fill(l, err) : 0;
        if (!rc) rc = room(b, l->have - l->at, l->handed + 1, err);
        if (rc) return rc;
        if (l->ended) {
            *more = false;
            if (b->n > start) end_line(l, b); /* a last line without its end */
            return 0;
        }
        const char *from = l->block + l->at, *nl = memchr(from, '\n', l->have - l->at);
        size_t n = nl ? (size_t)(nl - from) : l->have - l->at;
        memcpy(b->text + b->n, from, n);
        b->n += n;
        l->at += n + (nl != NULL);
        if (!nl) continue;
        end_line(l, b);
        return 0;
    }
}

int qd_bench_lines_take(qd_bench_lines *l, qd_bench_batch *b, uint32_t most, qd_err *err)
{
    int rc = 0;
    bool more = true;
    b->n = 0;
    b->lines = 0;
    qd_mutex_lock(&l->lock);
    b->first = l->handed + 1;
    while (!rc && more && b->lines < most && l->handed < l->limit && b->n < BATCH_BYTES)
        rc = take_line(l, b, &more, err);
    qd_mutex_unlock(&l->lock);
    return rc;
}

qd_str qd_bench_batch_line(const qd_bench_batch *b, uint32_t i, size_t *slack)
{
    size_t from = i ? b->ends[i - 1] : 0;
    *slack = b->cap - b->ends[i];
    return (qd_str){b->text + from, b->ends[i] - from};
}

void qd_bench_batch_fini(qd_bench_batch *b)
{
    qd_free(b->text);
    qd_free(b->ends);
    *b = (qd_bench_batch){0};
}

bool qd_bench_line_blank(qd_str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (!strchr(" \t\r", line.p[i]) || !line.p[i]) return false;
    return true;
}

/* The value of a key that is asked for; of another kind than it should be: as if it wasn't there,
 * but for an id. */
static int read_value(qd_json_reader *r, qd_json_event ev, bool id, qd_bench_doc *out, qd_err *err)
{
    qd_str text = r->text;
    if (ev != QD_JSON_STRING && (id || ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) &&
        qd_json_raw(r, &text))
        return qd_json_fail(r, err);
    if (id) {
        out->id = text;
        out->has_id = true;
    } else if (ev == QD_JSON_STRING || ev == QD_JSON_NUMBER) {
        out->body = text;
    }
    return 0;
}

int qd_bench_line_read(qd_json_reader *r, qd_str line, size_t slack, bool only_id,
                       qd_bench_doc *out, qd_err *err)
{
    qd_json_event ev;
    int rc = 0;
    *out = (qd_bench_doc){0};
    qd_json_reader_init_slack(r, line, slack, 0, 0);
    if (qd_json_next(r) != QD_JSON_OBJECT)
        return r->event == QD_JSON_ERROR || r->event == QD_JSON_EOF
                   ? qd_json_fail(r, err)
                   : qd_err_set(err, QD_E_XCONTENT, "a document is an object");
    while (!rc && (ev = qd_json_next(r)) > 0) {
        if (ev != QD_JSON_KEY) continue; /* the object's end */
        bool id = qd_str_is(r->text, "id");
        bool body = !only_id && (qd_str_is(r->text, "body") || qd_str_is(r->text, "text"));
        if (!id && !body) {
            if (qd_json_skip(r)) return qd_json_fail(r, err);
            continue;
        }
        if ((ev = qd_json_next(r)) < 0) break;
        rc = read_value(r, ev, id, out, err);
        if (only_id) return rc;
    }
    return rc ? rc : r->event == QD_JSON_ERROR ? qd_json_fail(r, err) : 0;
}
