/* look_back.c: traces of numbers that were given twice. See look_back.h. */
#include "engine/look_back.h"
#include "base/vec.h"
#include "engine/commit.h"
#include "engine/document.h"
#include "engine/translog_int.h"
#include "segment/columns.h"
#include "segment/segment.h"
#include <stdio.h>

#define NUMBERS_MAX ((uint64_t)4 << 20)
#define ARENA_MAX ((size_t)256 << 20)
#define DOCS_AT_ONCE 65536u

typedef struct look {
    qd_store *log_store, *segment_store;
    qd_str folder;
    qd_account *account;
    const qd_commit *commit;
    QD_VEC(uint64_t) generations; /* ascending */
    size_t prefix;
    int64_t base;           /* what the kept log has whole begins here */
    QD_VEC(uint64_t) terms; /* of the records from base on that count; 0: there is none */
    int64_t known;          /* the highest checkpoint that was known where the reading stands */
    uint64_t generation;
    uint64_t copied; /* records before this offset were behind the last mark of the one before */
    char *text;
    size_t room;
} look;

static bool found(const look *k)
{
    return k->text[0] != 0;
}

static int collect(void *arg, qd_str name, uint64_t bytes)
{
    look *k = arg;
    uint64_t number;
    (void)bytes;
    if (!qd_str_u64(qd_str_sub(name, k->prefix, name.n), &number)) return 0;
    if (number < k->commit->translog_first) return 0;
    if (qd_vec_reserve(&k->generations, k->account, 1)) return QD_E_NOMEM;
    size_t i = k->generations.n++;
    for (; i > 0 && k->generations.at[i - 1] > number; i--)
        k->generations.at[i] = k->generations.at[i - 1];
    k->generations.at[i] = number;
    return 0;
}

/* The term of a number's place, NULL: it is not compared. Makes room for it. */
static uint64_t *term_at(look *k, int64_t seq_no, int *rc)
{
    uint64_t i = (uint64_t)(seq_no - k->base);
    if (seq_no < k->base || i >= NUMBERS_MAX) return NULL;
    if (i >= k->terms.n) {
        size_t more = i + 1 - k->terms.n;
        if (qd_vec_reserve(&k->terms, k->account, more)) {
            *rc = QD_E_NOMEM;
            return NULL;
        }
        memset(k->terms.at + k->terms.n, 0, more * sizeof *k->terms.at);
        k->terms.n = i + 1;
    }
    qd_assert(k->base + (int64_t)i == seq_no && k->terms.n <= NUMBERS_MAX);
    return &k->terms.at[i];
}

static int take_record(void *arg, const qd_translog_op *op, const qd_translog_location *at,
                       qd_err *err)
{
    look *k = arg;
    int rc = 0;
    int64_t seq_no = (int64_t)op->seq_no;
    qd_assert(at->generation == k->generation); /* what is told names it */
    uint64_t *term = term_at(k, seq_no, &rc);
    if (rc) return qd_err_nomem(err, "numbers of a log");
    if (!term) return 0;
    bool again =
        !*term && at->offset < k->copied; /* the disk has lost what they were copied from */
    if (!found(k) && !again && seq_no <= k->known && *term != op->primary_term) {
        snprintf(k->text, k->room,
                 "operation [%lld] of term %llu stands in generation %llu of its log, begun when "
                 "all up to [%lld] were acknowledged, %s",
                 (long long)seq_no, (unsigned long long)op->primary_term,
                 (unsigned long long)k->generation, (long long)k->known,
                 *term ? "and replaces one of another term"
                       : "and the generations before do not have it");
    }
    *term = op->primary_term;
    return 0;
}

/* What a generation's header makes void of those before it. */
static void take_head(look *k, const translog_head *h)
{
    if (h->trim_below_term) {
        int64_t above = h->trim_above < k->base - 1 ? k->base - 1 : h->trim_above;
        qd_assert(above >= k->base - 1); /* or the first place would lie before the list */
        uint64_t from = (uint64_t)(above + 1 - k->base);
        for (uint64_t i = from; i < k->terms.n; i++) {
            uint64_t term = k->terms.at[i];
            if (!term || term >= h->trim_below_term) continue;
            int64_t seq_no = k->base + (int64_t)i;
            if (!found(k) && seq_no <= k->known) {
                snprintf(k->text, k->room,
                         "generation %llu of its log discards operation [%lld] of term %llu, "
                         "though all up to [%lld] were acknowledged",
                         (unsigned long long)h->generation, (long long)seq_no,
                         (unsigned long long)term, (long long)k->known);
            }
            k->terms.at[i] = 0;
        }
    }
    if (h->checkpoint > k->known) k->known = h->checkpoint;
}

static int head_of(look *k, uint64_t generation, translog_head *head, qd_err *err)
{
    char name[TRANSLOG_NAME_MAX];
    uint8_t bytes[TRANSLOG_HEADER];
    qd_store_log *log;
    size_t got = 0;
    qd_str file = qdi_translog_name(k->folder, generation, name, sizeof name);
    int rc = qd_store_log_open(k->log_store, file, false, &log, err);
    if (rc) return rc;
    rc = qd_store_log_read(log, 0, bytes, sizeof bytes, &got, err);
    qd_store_log_close(log);
    if (!rc && got < sizeof bytes) rc = QD_E_TRANSLOG_CORRUPT;
    return rc ? rc
              : qdi_translog_header_check(bytes, k->commit->translog_uuid, generation, name, head,
                                          err);
}

/* Copies end with the first mark. */
static int find_copies(look *k, const translog_head *head, qd_store_log *log, const char *name,
                       uint64_t durable, qd_err *err)
{
    translog_found f;
    k->copied = 0;
    if (!head->before_durable) return 0;
    int rc = qdi_translog_read_all(log, name, k->generation, durable, k->commit->translog_uuid,
                                   k->account, NULL, NULL, &f, err);
    qd_assert(rc || f.first_mark < f.end); /* it stands in what is good */
    k->copied = f.first_mark ? f.first_mark : UINT64_MAX;
    return rc;
}

static int take_generation(look *k, const translog_head *head, uint64_t durable, qd_err *err)
{
    char name[TRANSLOG_NAME_MAX];
    qd_store_log *log;
    translog_found f;
    qd_str file = qdi_translog_name(k->folder, k->generation, name, sizeof name);
    int rc = qd_store_log_open(k->log_store, file, false, &log, err);
    if (rc) return rc;
    rc = find_copies(k, head, log, name, durable, err);
    if (!rc)
        rc = qdi_translog_read_all(log, name, k->generation, durable, k->commit->translog_uuid,
                                   k->account, take_record, k, &f, err);
    qd_store_log_close(log);
    qd_assert(rc || f.records <= f.end);
    if (!rc && f.checkpoint > k->known) k->known = f.checkpoint;
    return rc;
}

static int look_at_log(look *k, qd_err *err)
{
    char prefix[TRANSLOG_NAME_MAX];
    int len = snprintf(prefix, sizeof prefix, "%.*s/translog-", QD_STR_ARG(k->folder));
    k->prefix = (size_t)len;
    int rc = qd_store_list(k->log_store, (qd_str){prefix, (size_t)len}, collect, k, err);
    for (size_t i = 0; i < k->generations.n && !rc; i++) {
        bool last = i + 1 == k->generations.n;
        translog_head head, next = {.before_durable = 0};
        k->generation = k->generations.at[i];
        qd_assert(k->generation >= k->commit->translog_first);
        qd_assert(i == 0 || k->generations.at[i - 1] <= k->generation); /* later ones win */
        rc = head_of(k, k->generation, &head, err);
        if (rc == QD_E_TRANSLOG_CORRUPT && last) { /* its creation was cut short */
            if (err) qd_err_fini(err);
            return 0;
        }
        /* numbers of another history mean other operations */
        if (rc || memcmp(head.history, k->commit->history_uuid, 16) != 0) {
            k->terms.n = 0;
            k->known = -1;
            continue;
        }
        take_head(k, &head);
        if (!last && head_of(k, k->generations.at[i + 1], &next, NULL)) next.before_durable = 0;
        rc = take_generation(k, &head, next.before_durable, err);
    }
    return rc;
}

/* --- segments -------------------------------------------------------------------------------- */

static int plan(const qd_segment *s, const char *name, uint32_t from, uint32_t to, qd_reads *r,
                qd_arena *arena, qd_column_reader **out, qd_err *err)
{
    uint32_t field = qd_segment_field_find(s, qd_str_c(name));
    const qd_column *c =
        field == QD_FIELD_NONE ? NULL : qd_columns_get(qd_segment_columns(s), field);
    *out = NULL;
    return c ? qd_column_plan(c, from, to, r, arena, out, err) : 0;
}

static int value(qd_column_reader *rd, uint32_t doc, int64_t *out, qd_err *err)
{
    const int64_t *v;
    uint32_t n = 0;
    int rc = qd_column_values(rd, doc, &v, &n, err);
    *out = !rc && n ? v[0] : -1;
    return rc;
}

static int compare(look *k, const qd_segment *s, uint32_t from, uint32_t to, qd_err *err)
{
    qd_arena arena;
    qd_column_reader *number, *term;
    qd_assert(from < to && to <= qd_segment_docs(s));
    qd_arena_init(&arena, k->account, ARENA_MAX);
    qd_reads *r = qd_reads_make(&arena, k->account);
    int rc = r ? 0 : qd_err_nomem(err, "numbers of a segment");
    if (!rc) rc = plan(s, QD_FIELD_NAME_SEQ_NO, from, to, r, &arena, &number, err);
    if (!rc) rc = plan(s, QD_FIELD_NAME_PRIMARY_TERM, from, to, r, &arena, &term, err);
    if (!rc) rc = qd_reads_fetch(r, err);
    for (uint32_t doc = from; doc < to && !rc && number && term && !found(k); doc++) {
        int64_t seq_no, is;
        rc = value(number, doc, &seq_no, err);
        if (!rc) rc = value(term, doc, &is, err);
        uint64_t i = (uint64_t)(seq_no - k->base);
        if (rc || seq_no < k->base || is < 1 || i >= k->terms.n) continue;
        qd_assert(i < NUMBERS_MAX);
        uint64_t logged = k->terms.at[i];
        if (!logged || logged == (uint64_t)is) continue;
        snprintf(k->text, k->room,
                 "operation [%lld] is of term %llu in its log and of term %llu in segment [%.*s]",
                 (long long)seq_no, (unsigned long long)logged, (unsigned long long)is,
                 QD_STR_ARG(qd_segment_name(s)));
    }
    if (r) qd_reads_release(r);
    qd_arena_fini(&arena);
    return rc;
}

static int look_at_segment(look *k, const qd_commit_segment *c, qd_err *err)
{
    char name[TRANSLOG_NAME_MAX];
    qd_segment *s;
    int n = snprintf(name, sizeof name, "%.*s/seg-", QD_STR_ARG(k->folder));
    for (int i = 0; i < 16; i++) n += snprintf(name + n, sizeof name - (size_t)n, "%02x", c->id[i]);
    int rc = qd_segment_open(k->segment_store, (qd_str){name, (size_t)n}, k->account, &s, err);
    if (rc) return rc;
    uint32_t docs = qd_segment_docs(s);
    for (uint32_t at = 0; at < docs && !rc && !found(k); at += DOCS_AT_ONCE) {
        rc = compare(k, s, at, docs - at > DOCS_AT_ONCE ? at + DOCS_AT_ONCE : docs, err);
    }
    qd_segment_unref(s);
    return rc;
}

int qd_engine_look_back(qd_store *logs, qd_store *segments, qd_str folder, qd_account *account,
                        char *text, size_t room, qd_err *err)
{
    qd_arena arena;
    qd_commit commit;
    look k = {.log_store = logs,
              .segment_store = segments,
              .folder = folder,
              .account = account,
              .commit = &commit,
              .known = -1};
    k.text = text;
    k.room = room;
    text[0] = 0;
    qd_arena_init(&arena, account, ARENA_MAX);
    int rc = qd_commit_read(logs, folder, &arena, &commit, err);
    if (!rc) {
        k.base = commit.operations_from < 0 ? 0 : commit.operations_from;
        rc = look_at_log(&k, err);
        /* without a record in the log there is nothing to compare with */
        for (uint32_t i = 0; i < commit.n && !rc && k.terms.n && !found(&k); i++) {
            rc = look_at_segment(&k, &commit.segments[i], err);
        }
    }
    qd_vec_fini(&k.generations);
    qd_vec_fini(&k.terms);
    qd_arena_fini(&arena);
    return rc;
}
