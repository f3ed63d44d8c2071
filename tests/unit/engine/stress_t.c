/*
 * stress_t.c: one shard under 8 writers, 4 getters and 3 threads that refresh, flush and merge, on
 * 100 ids. The history of each id is checked: every get and every conditional write is
 * linearisable. SEED and STRESS_OPS say which run and how long; under TSan in the long suite.
 */
#include "unit/engine/engine_model.h"

enum { WRITERS = 8, GETTERS = 4, ACTORS = WRITERS + GETTERS, CHURNERS = 3, NAMES = 100 };

typedef struct event {
    int id, value;
    bool write, there; /* there: written, or found */
    uint64_t begin, end;
    int64_t seq_no;   /* of the state written or seen; below 0: seen as absent, number unknown */
    int64_t expected; /* of a conditional write: the number it replaced; below 0: unconditional */
} event;

typedef struct actor {
    qd_engine *e;
    uint64_t seed;
    _Atomic uint64_t *clock;
    _Atomic bool *stop;
    event *events;
    int n, max, failed;
    bool writes;
    int64_t seen[NAMES]; /* the number last seen of each id; 0: none */
    uint64_t conflicts;
} actor;

static void read_one(actor *a, event *v)
{
    char name[16];
    qd_arena arena;
    qd_engine_doc doc;
    int n = snprintf(name, sizeof name, "id%d", v->id);
    qd_arena_init(&arena, NULL, 0);
    a->failed = qd_engine_get(a->e, (qd_str){name, (size_t)n}, true, true, &arena, &doc, NULL);
    v->there = doc.found;
    v->seq_no = doc.found || doc.version ? doc.seq_no : -1;
    v->value = doc.found ? atoi(doc.source.p + 9) : 0;
    a->seen[v->id] = doc.found ? doc.seq_no : 0;
    qd_arena_fini(&arena);
}

/* A write, or one on condition that what was last seen is still there: a conflict is no event. */
static bool write_one(actor *a, event *v, qd_prng *r)
{
    char name[16], source[64];
    qd_engine_result res;
    bool on_condition = a->seen[v->id] > 0 && qd_prng_below(r, 2) == 0;
    v->there = qd_prng_below(r, 4) != 0;
    v->expected = on_condition ? a->seen[v->id] : -1;
    int n = snprintf(name, sizeof name, "id%d", v->id),
        m = snprintf(source, sizeof source, "{\"value\":%d}", v->value);
    qd_engine_op op = {
        .delete = !v->there,
        .id = {name, (size_t)n},
        .source = {source, (size_t)m},
        .version = -1,
        .if_seq_no = on_condition ? v->expected : QD_SEQ_NO_UNASSIGNED,
        .if_primary_term = 1,
        .auto_id_ms = -1,
    };
    int rc = qd_engine_apply(a->e, (uint32_t)v->id, &op, &res, NULL);
    a->seen[v->id] = 0;
    if (rc == QD_E_VERSION_CONFLICT && on_condition) {
        a->conflicts++;
        return false;
    }
    a->failed = rc;
    v->seq_no = res.seq_no;
    return true;
}

static void act(void *arg)
{
    actor *a = arg;
    qd_prng r;
    qd_prng_init(&r, a->seed);
    while (a->n < a->max && !a->failed) {
        event *v = &a->events[a->n];
        *v = (event){.id = (int)qd_prng_below(&r, NAMES), .expected = -1};
        v->write = a->writes && qd_prng_below(&r, 5) != 0; /* writers look now and then */
        v->value = (int)(a->seed % 100 * 1000000 + (uint64_t)a->n);
        v->begin = atomic_fetch_add(a->clock, 1);
        bool counts = true;
        if (v->write) {
            counts = write_one(a, v, &r);
        } else {
            read_one(a, v);
        }
        v->end = atomic_fetch_add(a->clock, 1);
        a->n += counts;
    }
}

static void churn_all(void *arg)
{
    actor *a = arg;
    for (uint64_t n = 0; !atomic_load(a->stop) && !a->failed; n++) {
        bool did;
        a->failed = qd_engine_refresh(a->e, NULL);
        if (n % 5 == 4 && !a->failed) a->failed = qd_engine_flush(a->e, false, NULL);
        if (n % 2 == 0 && !a->failed) a->failed = qd_engine_merge_step(a->e, &did, NULL);
        if (n % 23 == 22 && !a->failed) {
            a->failed = qd_engine_force_merge(a->e, 1, false, NULL, NULL);
        }
    }
}

/* The write whose state a get saw; NULL: the empty beginning. */
static const event *seen_write(const event *g, const event *of, int n, bool *known)
{
    *known = g->seq_no >= 0;
    for (int i = 0; i < n && *known; i++) {
        if (of[i].write && of[i].seq_no == g->seq_no) return &of[i];
    }
    return NULL;
}

/* What a conditional write replaced was the state right before it. */
static void check_condition(const event *v, const event *of, int n)
{
    int64_t before = -1;
    for (int k = 0; k < n && v->expected >= 0; k++) {
        if (of[k].write && of[k].seq_no < v->seq_no && of[k].seq_no > before) before = of[k].seq_no;
    }
    if (v->expected >= 0 && before != v->expected) {
        fail_msg("id%d: %lld was written on condition of %lld, but %lld was there", v->id,
                 (long long)v->seq_no, (long long)v->expected, (long long)before);
    }
}

/*
 * Writes of an id are ordered by their numbers. The history is linearisable if that order agrees
 * with time, each get saw a state that had begun to be written and was not replaced before the get
 * began, and a later get saw no older state.
 */
static void check_id(const event *of, int n)
{
    for (int i = 0; i < n; i++) {
        const event *v = &of[i];
        int64_t least = -1; /* the newest state surely there when v began */
        for (int k = 0; k < n; k++) {
            if (of[k].end < v->begin && of[k].seq_no > least) least = of[k].seq_no;
        }
        if (v->write) {
            if (v->seq_no <= least) fail_msg("id%d: write %d out of order", v->id, v->value);
            check_condition(v, of, n);
            continue;
        }
        bool known;
        const event *w = seen_write(v, of, n, &known);
        if (known) {
            if (!w)
                fail_msg("id%d: seen number %lld was never written", v->id, (long long)v->seq_no);
            if (w->there != v->there || (w->there && w->value != v->value)) {
                fail_msg("id%d: number %lld seen as %d", v->id, (long long)v->seq_no, v->value);
            }
            if (w->begin > v->end) fail_msg("id%d: seen before it was written", v->id);
            if (v->seq_no < least) {
                fail_msg("id%d: stale: saw %lld, %lld was there", v->id, (long long)v->seq_no,
                         (long long)least);
            }
        } else { /* absent without a number: some deletion not older than `least`, or the beginning
                  */
            bool possible = least < 0;
            for (int k = 0; k < n && !possible; k++) {
                possible =
                    of[k].write && !of[k].there && of[k].seq_no >= least && of[k].begin < v->end;
            }
            if (!possible) fail_msg("id%d: seen as absent", v->id);
        }
    }
}

static int by_id(const void *a, const void *b)
{
    const event *x = a, *y = b;
    return x->id != y->id ? x->id - y->id : x->begin < y->begin ? -1 : 1;
}

static uint64_t number(const char *name, uint64_t normal)
{
    const char *v = getenv(name);
    return v ? strtoull(v, NULL, 10) : normal;
}

static void gets_and_conditions_are_linearisable(void **state)
{
    qd_thread *t[ACTORS + CHURNERS];
    actor *a = calloc(ACTORS + CHURNERS, sizeof *a);
    _Atomic uint64_t clock = 1;
    _Atomic bool stop = false;
    int max = (int)number("STRESS_OPS", 8000), n = 0;
    uint64_t seed = number("SEED", 1), conflicts = 0;
    qd_store *s;
    qd_engine *e;
    store_crash *d = store_crash_make(NULL);
    assert_int_equal(store_crash_open(d, &s, NULL), 0);
    qd_engine_config c = config(s);
    c.slots = 4;
    c.settings.durability = QD_DURABILITY_ASYNC; /* races, not syncs */
    if (*state) by_length(&c);
    c.settings.gc_deletes_ms = 5; /* tombstones go while others look */
    assert_int_equal(qd_engine_create(&c, &e, NULL), 0);
    event *all = calloc((size_t)max * ACTORS, sizeof *all);
    for (int i = 0; i < ACTORS + CHURNERS; i++) {
        a[i] = (actor){.e = e,
                       .seed = seed * 100 + (uint64_t)i + 1,
                       .clock = &clock,
                       .stop = &stop,
                       .events = i < ACTORS ? all + i * max : NULL,
                       .writes = i < WRITERS,
                       .max = max};
        assert_int_equal(qd_thread_start(qd_env_system(), "actor", i < ACTORS ? act : churn_all,
                                         &a[i], &t[i], NULL),
                         0);
    }
    for (int i = 0; i < ACTORS + CHURNERS; i++) {
        if (i == ACTORS) atomic_store(&stop, true);
        qd_thread_join(qd_env_system(), t[i]);
        assert_int_equal(a[i].failed, 0);
        n += a[i].n;
        conflicts += a[i].conflicts;
    }
    assert_int_equal(n, max * ACTORS);
    qsort(all, (size_t)n, sizeof *all, by_id);
    for (int i = 0; i < n;) {
        int k = i;
        while (k < n && all[k].id == all[i].id) k++;
        check_id(all + i, k - i);
        i = k;
    }
    print_message("# seed %llu: %d operations, %llu conflicts\n", (unsigned long long)seed, n,
                  (unsigned long long)conflicts);
    free(all);
    free(a);
    qd_engine_close(e, true);
    qd_store_close(s);
    store_crash_free(d);
}

int main(void)
{
    qd_log_level_set(NULL, QD_LOG_OFF);
    static int ordered;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_and_conditions_are_linearisable),
        {"merges put documents into another order", gets_and_conditions_are_linearisable, NULL,
         NULL, &ordered},
    };
    return unit_run(tests);
}
