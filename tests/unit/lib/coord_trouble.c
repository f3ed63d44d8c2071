/* coord_trouble.c: see coord_trouble.h. */
#include "unit/lib/coord_trouble.h"
#include "base/str.h"
#include "plugin/conform.h"
#include "unit/unit.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct trouble {
    rig *r;
    const trouble_store *store;
    int kit;
    uint64_t random;
    _Atomic bool stop;
    pthread_t thread;
    int times[TROUBLES];
} trouble;

static const char *const names[TROUBLES] = {"slow",         "gone",        "leader killed",
                                            "stopped",      "cut",         "node cut",
                                            "answers lost", "disk stalls", "history gone"};

static int chance(trouble *t, int below)
{
    uint64_t x = t->random += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return (int)((x ^ (x >> 31)) % (uint64_t)below);
}

/* Ends early when the kit has ended. */
static void rest(trouble *t, int ms)
{
    for (int64_t end = rig_now_ms() + ms; !t->stop && rig_now_ms() < end;) rig_pause(5);
}

/* The leader as a node sees it that the kit does not use; -1: it knows none. */
static int leader_of(trouble *t)
{
    int by = (t->kit + 1 + chance(t, 2)) % 3;
    int leader = rig_leader(t->r, by);
    return leader < 3 ? leader : -1;
}

static void cut(trouble *t, int i, bool on)
{
    rig_isolate(t->r, i, on);
    if (t->store->cut) t->store->cut(t->r, i, on);
}

/* Ends a node without a word, perhaps while what it wrote was on its way, and starts it again; the
 * others may hear that its process is gone. */
static void kill_node(trouble *t, int i, int ms)
{
    if (t->store->cut && chance(t, 2)) {
        t->store->cut(t->r, i, true);
        rest(t, 200);
    }
    cut(t, i, true);
    rig_kill(t->r, i);
    if (chance(t, 2)) rig_tell_gone(t->r, i);
    rest(t, ms);
    cut(t, i, false);
    assert_int_equal(rig_start(t->r, i, RIG_PEERS, t->store->first, QD_COORD_OPEN_BOOTSTRAP), 0);
}

static void one(trouble *t, trouble_kind kind)
{
    const trouble_store *s = t->store;
    int leader = leader_of(t), ms = 100 + chance(t, 1200);
    int victim = leader < 0 ? (t->kit + 1) % 3 : leader;
    switch (kind) {
    case TROUBLE_SLOW:
        s->slow(t->r, true);
        rest(t, ms);
        s->slow(t->r, false);
        break;
    case TROUBLE_GONE:
        s->gone(t->r, t->kit, true);
        rest(t, ms);
        s->gone(t->r, t->kit, false);
        break;
    case TROUBLE_LEADER_KILLED: /* the kit's own node is not its to lose: another one then */
        kill_node(t, victim == t->kit ? (victim + 1) % 3 : victim, ms / 4);
        break;
    case TROUBLE_LEADER_STOPPED:
        rig_freeze(t->r, victim, true);
        rest(t, ms);
        rig_freeze(t->r, victim, false);
        break;
    case TROUBLE_LEADER_CUT:
    case TROUBLE_NODE_CUT:
        victim = kind == TROUBLE_NODE_CUT ? t->kit : victim;
        cut(t, victim, true);
        rest(t, ms);
        cut(t, victim, false);
        break;
    case TROUBLE_ANSWERS_LOST:
        s->answers_lost(t->r, t->kit, leader, true);
        rest(t, ms);
        s->answers_lost(t->r, t->kit, leader, false);
        break;
    case TROUBLE_DISK:
        s->disk(t->r, victim, true);
        rest(t, ms);
        s->disk(t->r, victim, false);
        break;
    default:
        s->history(t->r, t->kit, true);
        rest(t, ms / 4);
        s->history(t->r, t->kit, false);
    }
    t->times[kind]++;
}

static void *run(void *arg)
{
    trouble *t = arg;
    trouble_kind order[TROUBLES];
    for (int i = 0; i < TROUBLES; i++) order[i] = (trouble_kind)i;
    for (int i = TROUBLES - 1; i > 0; i--) {
        int k = chance(t, i + 1);
        trouble_kind was = order[i];
        order[i] = order[k];
        order[k] = was;
    }
    for (int i = 0; !t->stop; i++) {
        one(t, i < TROUBLES ? order[i] : (trouble_kind)chance(t, TROUBLES));
        rest(t, chance(t, 600));
    }
    return NULL;
}

static void line(void *arg, const char *text)
{
    if (getenv("RIG_LOG")) fprintf(stderr, "# kit: %s\n", text);
    qd_buf_printf(arg, "%s\n", text);
}

/* What the kit has to say, as comments: its checks are not those of this program. */
static void as_comment(qd_str text)
{
    while (text.n) {
        qd_str one = qd_str_split(&text, '\n');
        print_message("# %.*s\n", QD_STR_ARG(one));
    }
}

uint32_t trouble_conforms(rig *r, const trouble_store *store, int kit, uint64_t seed, int seconds)
{
    /* the rig knows where its store is; the kit wants to be told that there is one */
    static const qd_pair where = {QD_STR("k8s.namespace"), QD_STR("default")};
    trouble t = {.r = r, .store = store, .kit = kit, .random = seed * 0x2545f4914f6cdd1dull};
    qd_conform_run k;
    qd_buf out;
    int64_t began = rig_now_ms();
    qd_buf_init(&out, NULL, 1 << 20);
    qd_conform_begin(&k, qd_env_system(), NULL, QD_STR("/nowhere"), &where, 1, line, &out);
    k.c.seconds = (uint32_t)seconds;
    assert_int_equal(pthread_create(&t.thread, NULL, run, &t), 0);
    qd_conform_kind(&k, QD_KIND_COORDINATION, store->name, rig_conform_vtable(r, kit));
    t.stop = true;
    pthread_join(t.thread, NULL);
    uint32_t failures = qd_conform_end(&k);
    int kinds = 0;
    print_message("# %s, seed %llu: %d s;", store->name, (unsigned long long)seed,
                  (int)((rig_now_ms() - began) / 1000));
    for (int i = 0; i < TROUBLES; i++) {
        print_message(" %s %d%s", names[i], t.times[i], i + 1 < TROUBLES ? "," : "\n");
        kinds += t.times[i] > 0;
    }
    if (failures) as_comment(qd_buf_view(&out));
    qd_buf_fini(&out);
    /* on a fast machine the kit ends before it has met all; other seeds meet the others */
    if (failures == 0) assert_true(kinds >= TROUBLES / 2);
    return failures;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

void trouble_seeds(int seeds, uint32_t (*failures)(uint64_t seed, int seconds))
{
    uint64_t first = number("SEED", 1), n = number("SEEDS", (uint64_t)seeds);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(failures(first + i, (int)number("SECONDS_EACH", 3)), 0);
}

void trouble_defects(const trouble_defect *defects, size_t n, void (*choose)(int mutant),
                     uint32_t (*failures)(uint64_t seed, int seconds))
{
    uint64_t wanted = number("DEFECTS", 1), seeds = number("SEEDS", 20), first = number("SEED", 1);
    size_t missed = 0;
    for (size_t d = 0; d < n && d < wanted; d++) {
        uint64_t seed = first;
        bool found = false;
        choose(defects[d].mutant);
        for (; !found && seed < first + seeds; seed++)
            found = failures(seed, (int)number("SECONDS_EACH", 10)) > 0;
        choose(0);
        missed += !found;
        print_message("# %s: %s after %llu schedules\n", defects[d].what,
                      found ? "found" : "NOT FOUND", (unsigned long long)(seed - first));
    }
    assert_int_equal(missed, 0);
}
