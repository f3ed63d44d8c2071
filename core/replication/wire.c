/* wire.c: requests and replies between copies as bytes. See wire_int.h. */
#include "engine/seq_no.h"
#include "replication/wire_int.h"

/* A number of an operation, -1: none. */
static int64_t seq_no_of(qd_body_reader *r, const char *field)
{
    int64_t n = qd_read_zigzag(r, field);
    if (qd_seq_no_sound(n)) return n;
    qd_body_reader_fail(r, field, "is out of range");
    return -1;
}

void repl_request_write(qd_writer *w, const repl_request *q)
{
    /* as when read */
    qd_assert(qd_seq_no_sound_from(q->first) && q->term <= INT64_MAX);
    qd_assert(qd_seq_no_sound(q->global) && qd_seq_no_sound(q->max));
    qd_assert(qd_seq_no_sound(q->persisted));
    qd_write_c(w, q->uuid);
    qd_write_varint(w, q->shard);
    qd_write_c(w, q->aid);
    qd_write_c(w, q->by);
    qd_write_varint(w, q->term);
    qd_write_varint(w, q->flags);
    qd_write_zigzag(w, q->global);
    qd_write_varint(w, q->sent_ns);
    qd_write_varint(w, q->peer);
    qd_write_varint(w, q->number);
    qd_write_varint(w, q->part);
    qd_write_zigzag(w, q->first);
    qd_write_zigzag(w, q->max);
    qd_write_zigzag(w, q->persisted);
    qd_write_varint(w, q->open_term);
    qd_write_varint(w, q->open_generation);
    qd_write_raw(w, q->history, sizeof q->history);
}

/* What is left behind the head. */
static qd_str tail_of(qd_body_reader *r)
{
    size_t n = qd_body_reader_left(r);
    return qd_read_raw(r, "tail", n);
}

static void history_of(qd_body_reader *r, uint8_t out[16])
{
    qd_str h = qd_read_raw(r, "history", 16);
    if (h.n == 16) memcpy(out, h.p, 16);
}

int repl_request_read(qd_str bytes, uint16_t version, repl_request *q, qd_err *err)
{
    qd_body_reader r;
    *q = (repl_request){0};
    qd_body_reader_init(&r, bytes, "request between copies of a shard", version);
    qd_read_text(&r, "uuid", q->uuid, sizeof q->uuid);
    q->shard = (uint32_t)qd_read_varint_max(&r, "shard", UINT32_MAX);
    qd_read_text(&r, "copy", q->aid, sizeof q->aid);
    qd_read_text(&r, "sender", q->by, sizeof q->by);
    q->term = qd_read_varint_max(&r, "term", INT64_MAX);
    q->flags = (uint32_t)qd_read_varint_max(&r, "flags", UINT32_MAX);
    q->global = seq_no_of(&r, "global checkpoint");
    q->sent_ns = qd_read_varint(&r, "sent");
    q->peer = qd_read_varint(&r, "peer");
    q->number = qd_read_varint_max(&r, "number", INT64_MAX);
    q->part = (uint32_t)qd_read_varint_max(&r, "part", UINT32_MAX);
    q->first = qd_read_zigzag(&r, "first");
    q->max = seq_no_of(&r, "max");
    q->persisted = seq_no_of(&r, "persisted");
    q->open_term = qd_read_varint(&r, "publication term");
    q->open_generation = qd_read_varint(&r, "publication generation");
    history_of(&r, q->history);
    q->tail = tail_of(&r);
    if (!qd_seq_no_sound_from(q->first)) qd_body_reader_fail(&r, "first", "is out of range");
    return qd_body_reader_end(&r, err);
}

void repl_reply_write(qd_writer *w, const repl_reply *a)
{
    qd_assert(a->verdict <= REPL_FAILED && a->term <= INT64_MAX);
    qd_assert(qd_seq_no_sound(a->persisted) && qd_seq_no_sound(a->max));
    qd_assert(qd_seq_no_sound(a->global));
    qd_write_u8(w, (uint8_t)a->verdict);
    qd_write_varint(w, a->term);
    qd_write_varint(w, a->flags);
    qd_write_zigzag(w, a->persisted);
    qd_write_zigzag(w, a->max);
    qd_write_zigzag(w, a->global);
    qd_write_varint(w, a->peer);
    qd_write_raw(w, a->history, sizeof a->history);
    qd_write_c(w, a->why);
}

int repl_reply_read(qd_str bytes, uint16_t version, repl_reply *a, qd_err *err)
{
    qd_body_reader r;
    *a = (repl_reply){0};
    qd_body_reader_init(&r, bytes, "answer between copies of a shard", version);
    uint8_t verdict = qd_read_u8(&r, "verdict");
    if (verdict > REPL_FAILED) qd_body_reader_fail(&r, "verdict", "is none that is known");
    a->verdict = (repl_verdict)verdict;
    a->term = qd_read_varint_max(&r, "term", INT64_MAX);
    a->flags = (uint32_t)qd_read_varint_max(&r, "flags", UINT32_MAX);
    a->persisted = seq_no_of(&r, "persisted");
    a->max = seq_no_of(&r, "max");
    a->global = seq_no_of(&r, "global checkpoint");
    a->peer = qd_read_varint(&r, "peer");
    history_of(&r, a->history);
    qd_read_text(&r, "reason", a->why, sizeof a->why);
    a->tail = tail_of(&r);
    return qd_body_reader_end(&r, err);
}
