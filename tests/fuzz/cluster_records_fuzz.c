/*
 * cluster_records_fuzz.c: records of the cluster's state as the coordination store gives them back:
 * those of a shard, and those of an index with its mapping (behind the first NUL). What is read is
 * written and read again, and says the same.
 */
#include "cluster/state/index_meta.h"
#include "cluster/state/shard_meta.h"
#include "json/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void shard(qd_str record)
{
    qd_arena arena;
    qd_shard_meta m, again;
    qd_err err;
    qd_json_writer w, w2;
    qd_buf b, b2;
    qd_err_init(&err);
    qd_arena_init(&arena, NULL, 0);
    qd_buf_init(&b, NULL, 1 << 26);
    qd_buf_init(&b2, NULL, 1 << 26);
    if (qd_shard_meta_decode(record, &arena, &m, &err) == 0) {
        qd_json_writer_init(&w, &b, false);
        qd_shard_meta_encode(&m, &w);
        int rc = qd_shard_meta_decode(qd_buf_view(&b), &arena, &again, &err);
        qd_assert(rc == 0);
        qd_json_writer_init(&w2, &b2, false);
        qd_shard_meta_encode(&again, &w2);
        qd_assert(b.n == b2.n && memcmp(b.p, b2.p, b.n) == 0);
    } else {
        qd_assert(qd_err_reason(&err)[0]);
    }
    qd_buf_fini(&b);
    qd_buf_fini(&b2);
    qd_err_fini(&err);
    qd_arena_fini(&arena);
}

static void index_of(qd_str text)
{
    const char *nul = memchr(text.p, 0, text.n);
    qd_str record = {text.p, nul ? (size_t)(nul - text.p) : text.n}, mapping = {"{}", 2};
    if (nul) mapping = (qd_str){nul + 1, text.n - record.n - 1};
    char hash[65];
    qd_index_meta *m;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_index_meta_peek(record, hash, &err);
    qd_assert(rc == 0 || qd_err_reason(&err)[0]);
    qd_err_fini(&err);
    if (qd_index_meta_decode(record, mapping, NULL, &m, &err) == 0) {
        qd_json_writer w;
        qd_buf b;
        qd_buf_init(&b, NULL, 1 << 26);
        qd_json_writer_init(&w, &b, false);
        qd_index_meta_encode(m, &w);
        qd_assert(qd_buf_status(&b) == 0 && b.n);
        qd_index_meta_unref(m);
        qd_buf_fini(&b);
    } else {
        qd_assert(qd_err_reason(&err)[0]);
    }
    qd_err_fini(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    qd_str rest = {(const char *)data + 1, size - 1};
    if (data[0] & 1)
        shard(rest);
    else
        index_of(rest);
    return 0;
}
