/*
 * conform_t.c: the conformance suites over implementations at hand: the tier in memory that the
 * engine's tests use, mapped and copying, and a plugin from a file. The suites must also be able to
 * fail: broken variants of the tier are caught.
 */
#include "base/log.h"
#include "base/str.h"
#include "lib/coord_memory.h"
#include "lib/store_adverse.h"
#include "lib/store_crash.h"
#include "plugin/conform.h"
#include "unit/lib/conform_found.h"
#include "unit/unit.h"
#include "json/reader.h"
#include <math.h>
#include <quidditch/operator.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

static store_crash *disk;

static int32_t open_disk(qd_self *self, const qd_storage_config *config, qd_storage **out,
                         qd_err *err)
{
    (void)self;
    (void)config;
    (void)err;
    *out = store_crash_handle(disk);
    return *out ? 0 : QD_E_NOMEM;
}

static void show(void *arg, const char *text)
{
    qd_buf *all = arg;
    qd_buf_printf(all, "%s\n", text);
}

/* What failed, and why: all of it would be cut. */
static void show_failed(const qd_buf *out)
{
    for (const char *at = out->p; (at = strstr(at, "not ok ")) != NULL; at++) {
        const char *end = strchr(at, '\n'), *why = end ? strchr(end + 1, '\n') : NULL;
        print_message("%.*s\n", (int)(why ? why - at : (long)strlen(at)), at);
    }
}

static uint32_t run_suite(uint32_t kind, const char *name, const void *vt, qd_self *self,
                          qd_buf *out)
{
    qd_conform_run run;
    qd_buf_init(out, NULL, 1 << 20);
    qd_conform_begin(&run, qd_env_system(), self, QD_STR("/nowhere"), NULL, 0, show, out);
    qd_conform_kind(&run, kind, name, vt);
    return qd_conform_end(&run);
}

static void check_disk(const store_crash_options *options)
{
    disk = store_crash_make(options);
    qd_storage_vtable vt = *store_crash_vtable(disk);
    vt.open = open_disk;
    qd_buf out;
    uint32_t failures = run_suite(QD_KIND_STORAGE, "memory", &vt, NULL, &out);
    if (failures) show_failed(&out);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
    store_crash_free(disk);
}

static void memory_tier_conforms(void **state)
{
    (void)state;
    check_disk(NULL);
}

static void copying_tier_conforms(void **state)
{
    (void)state;
    check_disk(&(store_crash_options){.copies = true, .late_us = 50});
}

static store_adverse_options trouble;

static int32_t open_adverse(qd_self *self, const qd_storage_config *config, qd_storage **out,
                            qd_err *err)
{
    (void)self, (void)config, (void)err;
    *out = store_adverse_make(store_crash_vtable(disk), store_crash_handle(disk), &trouble);
    return 0;
}

static qd_storage_vtable adverse_table(void)
{
    disk = store_crash_make(&(store_crash_options){.copies = true, .late_us = 50});
    qd_storage_vtable vt = *store_adverse_vtable(true);
    vt.open = open_adverse;
    return vt;
}

/* And the suite sees it at its worst. */
static void adverse_tier_conforms(void **state)
{
    (void)state;
    store_adverse_counts before = store_adverse_counted();
    for (uint64_t seed = 1; seed <= 3; seed++) {
        trouble = (store_adverse_options){.seed = seed, .one_in = 8};
        qd_storage_vtable vt = adverse_table();
        qd_buf out;
        uint32_t failures = run_suite(QD_KIND_STORAGE, "adverse", &vt, NULL, &out);
        if (failures) show_failed(&out);
        assert_int_equal(failures, 0);
        qd_buf_fini(&out);
        store_crash_free(disk);
    }
    store_adverse_counts after = store_adverse_counted();
    assert_true(after.rejected > before.rejected && after.lost > before.lost);
    assert_true(after.torn > before.torn);
}

static void memory_coordination_conforms(void **state)
{
    (void)state;
    coord_memory *store = coord_memory_make(qd_env_system(), "/nowhere");
    coord_memory *second = coord_memory_make(qd_env_system(), "/nowhere/mirror");
    coord_memory_empty(second);
    qd_buf out;
    uint32_t failures =
        run_suite(QD_KIND_COORDINATION, "memory", coord_memory_vtable(), NULL, &out);
    if (failures) show_failed(&out);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
    coord_memory_free(store);
    coord_memory_free(second);
}

/* --- variants with one defect each --- */

static qd_storage_vtable sound;

static int32_t commit_twice_ok(qd_storage *st, qd_str name, uint64_t size, qd_storage_put **out,
                               const qd_storage_call *call)
{
    (void)sound.remove(st, &name, 1, NULL, NULL); /* replaces what must not be replaced */
    return sound.put_begin(st, name, size, out, call);
}

static int32_t short_reads(qd_storage_object *o, qd_storage_read *r)
{
    qd_storage_range one = r->ranges[0];
    if (r->nranges == 1) return sound.read_v(o, r);
    (void)one;
    r->nranges--; /* forgets the last range */
    return sound.read_v(o, r);
}

static int32_t suffix_from_the_front(qd_storage_object *o, qd_storage_read *r)
{
    if (!(r->flags & QD_STORAGE_READ_SUFFIX) || r->ranges->len < 2) return sound.read_v(o, r);
    r->flags = 0;
    r->object_len = 70000;
    return sound.read_v(o, r);
}

static int32_t any_length(qd_storage *st, qd_str name, uint64_t known, qd_storage_object **out,
                          uint64_t *len, const qd_storage_call *call)
{
    int32_t rc = sound.object_open(st, name, QD_STORAGE_LEN_UNKNOWN, out, len, call);
    if (rc == 0 && known != QD_STORAGE_LEN_UNKNOWN) *len = known;
    return rc;
}

static int32_t list_all(qd_storage *st, qd_storage_list *l, const qd_storage_call *call)
{
    qd_storage_list all = *l;
    all.prefix = QD_STR("");
    int32_t rc = sound.list(st, &all, call);
    l->nentries = all.nentries;
    l->more = all.more;
    return rc;
}

/* Begins behind the name that follows the cursor. */
static int32_t list_with_gaps(qd_storage *st, qd_storage_list *l, const qd_storage_call *call)
{
    char name[256];
    qd_storage_stat one;
    qd_storage_list first = *l, rest = *l;
    if (!l->start_after.n) return sound.list(st, l, call);
    first.limit = 1;
    first.entries = &one;
    first.names = name;
    int32_t rc = sound.list(st, &first, call);
    if (rc == 0 && first.nentries) rest.start_after = one.name;
    if (rc == 0) rc = sound.list(st, &rest, call);
    l->nentries = rest.nentries;
    l->more = rest.more;
    return rc;
}

static int32_t list_no_folders(qd_storage *st, qd_storage_list *l, const qd_storage_call *call)
{
    l->flags = 0;
    return sound.list(st, l, call);
}

static int32_t list_ends_early(qd_storage *st, qd_storage_list *l, const qd_storage_call *call)
{
    int32_t rc = sound.list(st, l, call);
    l->more = 0;
    return rc;
}

static int32_t removes_one(qd_storage *st, const qd_str *names, uint32_t n, uint32_t *removed,
                           const qd_storage_call *call)
{
    return n == 0 || n > QD_STORAGE_NAMES_MAX ? QD_E_ARG
                                              : sound.remove(st, names, 1, removed, call);
}

static int32_t publishes_anyhow(qd_storage *st, qd_str name, const void *data, size_t len,
                                qd_str expected, char *tag, const qd_storage_call *call)
{
    (void)expected;
    return sound.publish(st, name, data, len, tag, call);
}

/* Looks first and publishes then, not both at once. */
static int32_t publishes_late(qd_storage *st, qd_str name, const void *data, size_t len,
                              qd_str expected, char *tag, const qd_storage_call *call)
{
    qd_storage_stat is;
    int32_t rc = sound.stat(st, name, &is, NULL);
    if (rc && rc != QD_E_NOTFOUND) return rc;
    if (!qd_str_is(expected, rc ? "" : is.tag)) return QD_E_CONFLICT;
    sched_yield();
    return sound.publish(st, name, data, len, tag, call);
}

static int32_t gets_no_tag(qd_storage *st, qd_str name, void *dst, size_t cap, size_t *len,
                           char *tag, const qd_storage_call *call)
{
    if (tag) tag[0] = 0;
    return sound.get(st, name, dst, cap, len, NULL, call);
}

static int32_t commits_anything(qd_storage_put *p, uint32_t flags, const qd_storage_sum *sum,
                                const qd_storage_call *call)
{
    (void)sum;
    return sound.put_commit(p, flags, NULL, call);
}

static int32_t copies_by_moving(qd_storage *st, qd_str from, qd_str to, const qd_storage_call *call)
{
    return sound.rename(st, from, to, call);
}

static int32_t never_late(qd_storage *st, qd_str name, qd_storage_stat *out,
                          const qd_storage_call *call)
{
    const qd_storage_call other = {.struct_size = sizeof other,
                                   .task = call ? call->task : NULL,
                                   .err = call ? call->err : NULL};
    return sound.stat(st, name, out, &other);
}

static int32_t never_cancelled(qd_storage *st, qd_str name, const void *data, size_t len, char *tag,
                               const qd_storage_call *call)
{
    const qd_storage_call other = {.struct_size = sizeof other,
                                   .deadline_ns = call ? call->deadline_ns : 0,
                                   .err = call ? call->err : NULL};
    return sound.publish(st, name, data, len, tag, &other);
}

/* Takes the piece and says that it was too late. */
static int32_t late_but_taken(qd_storage_put *p, const void *data, size_t len,
                              const qd_storage_call *call)
{
    int32_t rc = sound.put_write(p, data, len, call);
    if (rc == QD_E_TIMEOUT) (void)!sound.put_write(p, data, len, NULL);
    return rc;
}

static int32_t forgetful_truncate(qd_storage_log *log, uint64_t len, const qd_storage_call *call)
{
    (void)log;
    (void)len;
    (void)call;
    return 0;
}

static bool is_caught(const qd_storage_vtable *vt, const char *test)
{
    unit_may_leak(true);
    qd_buf out;
    (void)run_suite(QD_KIND_STORAGE, "broken", vt, NULL, &out);
    bool found = conform_found(&out, test);
    qd_buf_fini(&out);
    unit_may_leak(false);
    return found;
}

static void caught(const qd_storage_vtable *vt, const char *test)
{
    bool found = is_caught(vt, test);
    if (!found) print_message("not caught by \"%s\"\n", test);
    assert_true(found);
}

#define BROKEN(slot, by, test)                                                                     \
    do {                                                                                           \
        unit_may_leak(true);                                                                       \
        disk = store_crash_make(NULL);                                                             \
        unit_may_leak(false);                                                                      \
        sound = *store_crash_vtable(disk);                                                         \
        sound.open = open_disk;                                                                    \
        qd_storage_vtable vt = sound;                                                              \
        vt.slot = (by);                                                                            \
        caught(&vt, (test));                                                                       \
    } while (0)

static void broken_tiers_are_caught(void **state)
{
    (void)state;
    BROKEN(put_begin, commit_twice_ok, "objects are never replaced");
    BROKEN(read_v, short_reads, "vectored reads fill exactly their ranges");
    BROKEN(log_truncate, forgetful_truncate, "a truncated log goes on there");
    BROKEN(put_commit, commits_anything, "what differs from its sum is refused");
    BROKEN(copy, copies_by_moving, "copies inside the tier");
    BROKEN(stat, never_late, "calls past their deadline do nothing");
    BROKEN(publish, never_cancelled, "calls of a cancelled task do nothing");
    BROKEN(put_write, late_but_taken, "calls past their deadline do nothing");
}

static void broken_names_are_caught(void **state)
{
    (void)state;
    BROKEN(list, list_all, "lists are sorted and whole");
    BROKEN(list, list_with_gaps, "a cursor finds each name once");
    BROKEN(list, list_ends_early, "a cursor finds each name once");
    BROKEN(list, list_no_folders, "a list can stop at folders");
    BROKEN(remove, removes_one, "many names are removed at once");
}

static void broken_reads_are_caught(void **state)
{
    (void)state;
    BROKEN(read_v, suffix_from_the_front, "suffix reads tell end and length");
    BROKEN(object_open, any_length, "objects open with a known length");
}

static void broken_tags_are_caught(void **state)
{
    (void)state;
    BROKEN(publish_if, publishes_anyhow, "publish on a condition");
    BROKEN(publish_if, publishes_late, "one of many conditional publishes wins");
    BROKEN(get, gets_no_tag, "publish on a condition");
}

/* Threads of the suite share the dice, so that one run may be lucky; ten are not. */
static void broken_trouble(uint32_t mutant, const char *test)
{
    bool found = false;
    for (uint64_t seed = 1; seed <= 10 && !found; seed++) {
        trouble = (store_adverse_options){.seed = seed, .one_in = 2, .mutants = mutant};
        qd_storage_vtable vt = adverse_table();
        found = is_caught(&vt, test);
    }
    if (!found) print_message("not caught by \"%s\"\n", test);
    assert_true(found);
}

/* Trouble that the contract does not allow. */
static void broken_second_tries_are_caught(void **state)
{
    (void)state;
    broken_trouble(STORE_ADVERSE_REJECTS_LATE, "publish on a condition");
    broken_trouble(STORE_ADVERSE_TAKES_PIECES, "objects are whole or absent");
    broken_trouble(STORE_ADVERSE_SHOWS_TORN, "objects are whole or absent");
    broken_trouble(STORE_ADVERSE_COMMITS_ONCE, "many names are removed at once");
    broken_trouble(STORE_ADVERSE_APPENDS_TWICE, "log syncs from many threads");
    broken_trouble(STORE_ADVERSE_STALE_FOR_EVER, "a cursor finds each name once");
}

static int32_t txn_without_compares(qd_coord *c, qd_coord_txn *t)
{
    t->ncompares = 0;
    return coord_memory_vtable()->txn(c, t);
}

static int32_t txn_without_id(qd_coord *c, qd_coord_txn *t)
{
    qd_env_random(qd_env_system(), t->id, sizeof t->id);
    return coord_memory_vtable()->txn(c, t);
}

static int32_t txn_without_token(qd_coord *c, qd_coord_txn *t)
{
    t->token.term = 0;
    return coord_memory_vtable()->txn(c, t);
}

static int32_t range_without_limit(qd_coord *c, qd_coord_range *r)
{
    r->limit = 0;
    return coord_memory_vtable()->range(c, r);
}

/* Each breach of the contract is found by the test that is about it. */
static void broken_stores_are_caught(void **state)
{
    (void)state;
    static const struct {
        int32_t (*txn)(qd_coord *c, qd_coord_txn *t);
        int32_t (*range)(qd_coord *c, qd_coord_range *r);
        const char *found;
    } cases[] = {
        {txn_without_compares, NULL, "compares guard changes"},
        {txn_without_id, NULL, "request ids work once"},
        {txn_without_token, NULL, "elections hand out rising terms"},
        {NULL, range_without_limit, "ranges are sorted and cut"},
    };
    unit_may_leak(true); /* a failed test keeps its results */
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        coord_memory *store = coord_memory_make(qd_env_system(), "/nowhere");
        coord_memory *second = coord_memory_make(qd_env_system(), "/nowhere/mirror");
        coord_memory_empty(second);
        qd_coord_vtable vt = *coord_memory_vtable();
        if (cases[i].txn) vt.txn = cases[i].txn;
        if (cases[i].range) vt.range = cases[i].range;
        qd_buf out;
        assert_true(run_suite(QD_KIND_COORDINATION, "broken", &vt, NULL, &out) > 0);
        assert_true(conform_found(&out, cases[i].found));
        qd_buf_fini(&out);
        coord_memory_free(store);
    }
    unit_may_leak(false);
}

static void a_filter_from_a_file_conforms(void **state)
{
    (void)state;
    qd_str name = QD_STR("toy-good"), folder = QD_STR(TOY_DIR);
    qd_plugin_host *h;
    qd_plugin_host_config config = {.env = qd_env_system(),
                                    .paths = &folder,
                                    .npaths = 1,
                                    .build_tree = true,
                                    .allow = &name,
                                    .nallow = 1};
    qd_log_level_set(NULL, QD_LOG_OFF);
    assert_int_equal(qd_plugin_host_open(&config, &h, NULL), 0);
    assert_int_equal(qd_plugin_host_load(h, NULL), 0);
    qd_self *self;
    const void *vt = qd_plugin_find(h, QD_KIND_TOKEN_FILTER, name, &self);
    assert_non_null(vt);
    qd_buf out;
    uint32_t failures = run_suite(QD_KIND_TOKEN_FILTER, "toy-good", vt, self, &out);
    /* The toy takes any option: the suite says so, and nothing else. */
    assert_int_equal(failures, 1);
    assert_non_null(strstr(out.p, "not ok 4 - unknown options are refused"));
    qd_buf_fini(&out);
    qd_plugin_host_close(h);
}

/* --- operators -------------------------------------------------------------------------------- */

/* What an operator over every third document does wrong. */
typedef enum flaw {
    SOUND,
    GOES_BACK,    /* documents of a block fall */
    GOES_BEYOND,  /* one is not in the segment */
    NO_NUMBER,    /* a score */
    ABOVE_BOUND,  /* a score */
    FORGETS_FROM, /* begins at document 0 again */
    NOT_THE_SAME, /* scores depend on where it begins */
    ADDS,         /* the second phase adds a document */
    EXPLAINS_ELSE /* another score than it gave */
} flaw;
static flaw its_flaw;

struct qd_operator_iter {
    uint32_t begun, max_doc;
};

static int32_t thirds_parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    static const int nothing;
    (void)ctx;
    *out = &nothing;
    if (qd_json_next(r) != QD_JSON_OBJECT || qd_json_next(r) != QD_JSON_OBJECT_END)
        return r->event == QD_JSON_ERROR ? qd_json_fail(r, err)
                                         : qd_err_set(err, QD_E_PARSE, "wants an empty object");
    return 0;
}

static int32_t thirds_open(const qd_query_ctx *ctx, const void *query, const qd_segment_view *view,
                           int32_t scores, qd_operator_iter **out, qd_err *err)
{
    static qd_operator_iter it;
    (void)ctx, (void)query, (void)scores, (void)err;
    it = (qd_operator_iter){UINT32_MAX, view->max_doc};
    *out = &it;
    return 0;
}

static float thirds_score(const qd_operator_iter *it, uint32_t doc)
{
    if (its_flaw == NO_NUMBER && doc == 300) return NAN;
    if (its_flaw == ABOVE_BOUND && doc == 300) return 9;
    return 1 + (float)(doc % 4) + (its_flaw == NOT_THE_SAME && it->begun ? 0.5f : 0);
}

static int32_t thirds_next(qd_operator_iter *it, uint32_t from, float min_score, qd_doc_block *out,
                           qd_err *err)
{
    (void)min_score, (void)err;
    if (it->begun == UINT32_MAX) it->begun = from;
    if (its_flaw == FORGETS_FROM && from == it->begun) from = 0;
    for (uint32_t d = (from + 2) / 3 * 3; d < it->max_doc && out->n < QD_OPERATOR_BLOCK; d += 3) {
        out->docs[out->n] = d;
        out->scores[out->n++] = thirds_score(it, d);
    }
    if (its_flaw == GOES_BACK && out->n > 9) out->docs[9] = out->docs[8] - 1;
    if (its_flaw == GOES_BEYOND && !out->n) out->docs[out->n++] = it->max_doc;
    return 0;
}

static float thirds_bound(qd_operator_iter *it, uint32_t from, uint32_t to)
{
    (void)it, (void)from, (void)to;
    return 5;
}

static int32_t thirds_match(qd_operator_iter *it, float min_score, qd_doc_block *io, qd_err *err)
{
    (void)min_score, (void)err;
    for (uint32_t i = 0; i < io->n; i++) io->scores[i] = thirds_score(it, io->docs[i]);
    if (its_flaw == ADDS && io->n) io->docs[io->n - 1]++;
    return 0;
}

static int32_t thirds_explain(qd_operator_iter *it, uint32_t doc, const qd_explain_sink *to,
                              qd_err *err)
{
    return to->line(to, 0, (double)thirds_score(it, doc) + (its_flaw == EXPLAINS_ELSE), 0,
                    QD_STR("a third"), err);
}

static void thirds_close(qd_operator_iter *it)
{
    (void)it;
}

static const qd_operator_vtable thirds = {
    .head = QD_VTABLE(qd_operator_vtable, OPERATOR,
                      QD_OPERATOR_ITERATES | QD_OPERATOR_SCORES | QD_OPERATOR_MAX_SCORE |
                          QD_OPERATOR_TWO_PHASE | QD_OPERATOR_EXPLAINS),
    .parse = thirds_parse,
    .open_iter = thirds_open,
    .next_block = thirds_next,
    .max_score = thirds_bound,
    .close_iter = thirds_close,
    .match_block = thirds_match,
    .explain = thirds_explain};

/* Each flaw is found, and nothing in an operator without one. */
static void flaws_of_operators_are_found(void **state)
{
    static const qd_pair sample = {{"query", 5}, {"{}", 2}};
    (void)state;
    for (flaw f = SOUND; f <= EXPLAINS_ELSE; f++) {
        qd_conform_run run;
        qd_buf out;
        its_flaw = f;
        qd_buf_init(&out, NULL, 1 << 20);
        qd_conform_begin(&run, qd_env_system(), NULL, QD_STR("/nowhere"), &sample, 1, show, &out);
        qd_conform_kind(&run, QD_KIND_OPERATOR, "thirds", &thirds);
        uint32_t failures = qd_conform_end(&run);
        if ((failures != 0) != (f != SOUND)) fail_msg("flaw %d: %s", (int)f, out.p);
        qd_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flaws_of_operators_are_found),
        cmocka_unit_test(memory_tier_conforms),
        cmocka_unit_test(copying_tier_conforms),
        cmocka_unit_test(adverse_tier_conforms),
        cmocka_unit_test(broken_second_tries_are_caught),
        cmocka_unit_test(memory_coordination_conforms),
        cmocka_unit_test(broken_tiers_are_caught),
        cmocka_unit_test(broken_names_are_caught),
        cmocka_unit_test(broken_reads_are_caught),
        cmocka_unit_test(broken_tags_are_caught),
        cmocka_unit_test(broken_stores_are_caught),
        cmocka_unit_test(a_filter_from_a_file_conforms),
    };
    return unit_run(tests);
}
