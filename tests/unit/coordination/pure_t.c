/*
 * pure_t.c: the parts of many masters that are pure: messages there and back, which member should
 * vote, who forms and who joins.
 */
#include "unit/unit.h"

#include "unit/coordination/heap.h"
#include <coordination-common/entry.h>
#include <coordination-raft/discover.h>
#include <coordination-raft/policy.h>

#define SECOND 1000000000ll

/* --- messages --- */

static void messages_come_back(void **state)
{
    (void)state;
    cr_bytes b = {.heap = unit_heap()};
    cr_envelope in, e = {.type = CR_SAY_ANSWER,
                         .recoveries = 3,
                         .from = 5,
                         .to = 6,
                         .address = QD_STR("a:1"),
                         .name = QD_STR("name")};
    cr_answering back = {0}, a = {.owner = 1,
                                  .number = 2,
                                  .rc = QD_E_CONFLICT,
                                  .failed = 4,
                                  .waiting = 1,
                                  .revision = 5,
                                  .session = 6,
                                  .ttl_ns = -7,
                                  .token = {8, 9},
                                  .text = QD_STR("why"),
                                  .nmembers = 1};
    a.members[0] = (cr_who){.id = 1, .role = QD_COORD_STANDBY, .alive = 1, .name = QD_STR("x")};
    memset(e.store_id, 9, 16);
    cr_wire_begin(&b, &e);
    cr_wire_answer(&b, &a);
    cr_reader r = {.p = b.p, .n = b.n};
    assert_int_equal(cr_wire_read(&r, &in), 0);
    assert_int_equal(in.from, 5);
    assert_memory_equal(in.store_id, e.store_id, 16);
    assert_int_equal(cr_wire_answer_read(&r, &back), 0);
    assert_int_equal(back.rc, QD_E_CONFLICT);
    assert_int_equal(back.ttl_ns, -7);
    assert_int_equal(back.members[0].alive, 1);
    assert_int_equal(back.token.term, 9);
    /* cut anywhere, it is refused */
    for (size_t n = 0; n < b.n; n++) {
        cr_reader cut = {.p = b.p, .n = n};
        assert_true(cr_wire_read(&cut, &in) != 0 || cr_wire_answer_read(&cut, &back) != 0);
    }
    b.p[4]++; /* a newer version */
    r = (cr_reader){.p = b.p, .n = b.n};
    assert_int_equal(cr_wire_read(&r, &in), QD_E_FORMAT_NEW);
    cr_bytes_free(&b);
    unit_heap_check();
}

static void commands_are_looked_at(void **state)
{
    (void)state;
    cr_writer w;
    qd_coord_change c = {QD_COORD_PUT, 0, QD_STR("k"), QD_STR("v"), 0};
    qd_coord_txn t = {.changes = &c, .nchanges = 1};
    cr_writer_begin(&w, unit_heap());
    cr_write_txn(&w, &t);
    cr_bytes b = cr_command_take(&w);
    cr_reader r = {.p = b.p + 1, .n = b.n - 1};
    assert_true(cr_command_sound(b.p[0], &r));
    for (size_t n = 0; n + 1 < b.n; n++) {
        r = (cr_reader){.p = b.p + 1, .n = n};
        assert_false(cr_command_sound(b.p[0], &r));
    }
    cr_bytes_free(&b);
    c.key = QD_STR("_members/excluded/m1"); /* the store's own */
    cr_write_txn(&w, &t);
    b = cr_command_take(&w);
    r = (cr_reader){.p = b.p + 1, .n = b.n - 1};
    assert_false(cr_command_sound(b.p[0], &r));
    r = (cr_reader){.p = b.p + 1, .n = b.n - 1};
    assert_false(cr_command_sound(CR_PART, &r));
    cr_bytes_free(&b);
    cr_bytes_free(&w.bytes);
    unit_heap_check();
}

/* --- the policy --- */

#define V QD_COORD_VOTER
#define S QD_COORD_STANDBY
static const cr_policy policy = {1000, 30000, 10000};

static cr_step step(const cr_fact *f, uint32_t n)
{
    return cr_policy_step(&policy, f, n, 1, 0);
}

static void voters_become_odd(void **state)
{
    (void)state;
    cr_fact f[6] = {{1, V, 0, 1, 0},  {2, S, 10, 1, 0}, {3, S, 10, 1, 0},
                    {4, S, 10, 1, 0}, {5, S, 10, 1, 0}, {6, S, 10, 1, 0}};
    assert_int_equal(step(f, 1).type, CR_STEP_NONE);
    assert_int_equal(step(f, 2).type, CR_STEP_NONE); /* two of two: one votes */
    uint32_t voters = 1;
    for (int k = 0; k < 10; k++) { /* six: five vote */
        cr_step s = step(f, 6);
        if (s.type == CR_STEP_NONE) break;
        assert_int_equal(s.type, CR_STEP_ROLE);
        assert_int_equal(s.role, V);
        f[s.id - 1].role = V;
        voters++;
    }
    assert_int_equal(voters, 5);
    cr_fact three[4] = {{1, V, 0, 1, 0}, {2, V, 5, 1, 0}, {3, V, 40000, 0, 0}, {4, S, 5, 1, 0}};
    assert_int_equal(step(three, 3).type, CR_STEP_NONE); /* nobody to take its place */
    cr_step s = step(three, 4);
    assert_int_equal(s.id, 4);
    assert_int_equal(s.role, V);
    three[3].role = V;
    s = step(three, 4); /* the silent one goes */
    assert_int_equal(s.id, 3);
    assert_int_equal(s.role, S);
    three[3] = (cr_fact){4, S, 5, 0, 0}; /* has not caught up */
    assert_int_equal(step(three, 4).type, CR_STEP_NONE);
}

static void five_vote_of_seven(void **state)
{
    (void)state;
    cr_fact f[7];
    for (uint32_t i = 0; i < 7; i++) f[i] = (cr_fact){i + 1, V, i ? 5 : 0, 1, 0};
    for (int left = 6; left >= 5; left--) { /* those who stand by already do not keep the others */
        cr_step s = step(f, 7);
        assert_int_equal(s.type, CR_STEP_ROLE);
        assert_int_equal(s.role, S);
        assert_int_not_equal(s.id, 1);
        f[s.id - 1].role = S;
    }
    assert_int_equal(step(f, 7).type, CR_STEP_NONE);
}

static void the_excluded_go_first(void **state)
{
    (void)state;
    cr_fact f[4] = {{1, V, 0, 1, 1}, {2, V, 5, 1, 0}, {3, V, 5, 1, 0}, {4, S, 5, 1, 0}};
    cr_step s = step(f, 4); /* its place is taken before it goes */
    assert_int_equal(s.id, 4);
    f[3].role = V;
    assert_int_equal(step(f, 4).type, CR_STEP_HAND_OVER); /* it leads */
    f[0].excluded = 0;
    f[1].excluded = 1;
    s = step(f, 4);
    assert_int_equal(s.id, 2);
    assert_int_equal(s.role, S);
    cr_fact alone = {1, V, 0, 1, 1};
    assert_int_equal(step(&alone, 1).type, CR_STEP_NONE); /* never the last one */
    cr_fact two[2] = {{1, V, 0, 1, 0}, {2, V, 5, 1, 0}};
    assert_int_equal(cr_policy_step(&policy, two, 2, 1, 500).type, CR_STEP_NONE);
    s = cr_policy_step(&policy, two, 2, 1, 20000);
    assert_int_equal(s.id, 2);
    assert_int_equal(s.role, S);
}

/* --- discovery --- */

typedef struct master {
    cr_search s;
    char name[8], address[8];
    uint8_t store[16];
    int formed;
} master;

static void begin(master *m, int i, int n)
{
    memset(m, 0, sizeof *m);
    snprintf(m->name, sizeof m->name, "m%d", i + 1);
    snprintf(m->address, sizeof m->address, "m%d:1", i + 1);
    m->s.id = 100 + (uint64_t)i;
    m->s.incarnation = 1000 + (uint64_t)i;
    memcpy(m->s.name, m->name, sizeof m->name);
    memcpy(m->s.address, m->address, sizeof m->address);
    m->s.nfirst = (uint32_t)n;
    for (int k = 0; k < n; k++) snprintf(m->s.first[k].name, 8, "m%u", (unsigned)(k + 1) % 100u);
    for (int k = 0; k < n; k++)
        if (k == i) m->s.first[k].incarnation = m->s.incarnation;
}

/* `from` tells `to` what it is. */
static void tell(master *to, const master *from, int64_t now)
{
    cr_info *i = calloc(1, sizeof *i);
    cr_envelope e = {.type = CR_SAY_INFO,
                     .from = from->s.id,
                     .name = qd_plug_str(from->name),
                     .address = qd_plug_str(from->address)};
    memcpy(e.store_id, from->store, 16);
    i->incarnation = from->s.incarnation;
    i->pristine = !from->formed;
    memcpy(i->promised, from->s.promised, 16);
    for (uint32_t k = 0; k < from->s.nfirst; k++)
        i->first[i->nfirst++] = qd_plug_str(from->s.first[k].name);
    if (from->formed)
        for (uint64_t id = 100; id < 103; id++)
            i->members[i->nmembers++] = (cr_who){.id = id, .role = V};
    cr_search_take(&to->s, &e, i, QD_STR(""), now);
    free(i);
}

static cr_decision *decide(master *m, int64_t now)
{
    static cr_decision d;
    cr_search_decide(&m->s, now, &d);
    return &d;
}

static void promise(master *to, const master *from, const cr_decision *d, int expected)
{
    cr_envelope e = {.type = CR_SAY_FORM, .from = from->s.id, .name = qd_plug_str(from->name)};
    memcpy(e.store_id, d->store_id, 16);
    assert_int_equal(cr_search_promise(&to->s, &e, &d->forming), expected);
}

static void one_forms_when_all_promised(void **state)
{
    (void)state;
    master m[3];
    for (int i = 0; i < 3; i++) begin(&m[i], i, 3);
    tell(&m[0], &m[1], SECOND);
    assert_int_equal(decide(&m[0], SECOND)->type, CR_GO_WAIT);
    assert_non_null(strstr(decide(&m[0], SECOND)->why, "waiting for [m3]"));
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            if (i != k) tell(&m[i], &m[k], SECOND);
    assert_int_equal(decide(&m[1], SECOND)->type, CR_GO_WAIT); /* not the one who decides */
    cr_decision d = *decide(&m[0], SECOND);
    assert_int_equal(d.type, CR_GO_PROPOSE);
    promise(&m[1], &m[0], &d, 1);
    promise(&m[2], &m[0], &d, 1);
    tell(&m[0], &m[1], SECOND);
    assert_int_equal(decide(&m[0], SECOND)->type, CR_GO_PROPOSE); /* one is missing */
    tell(&m[0], &m[2], SECOND);
    assert_int_equal(decide(&m[0], SECOND)->type, CR_GO_FORM);
    m[0].formed = 1;
    memcpy(m[0].store, d.store_id, 16);
    tell(&m[1], &m[0], SECOND);
    assert_int_equal(decide(&m[1], SECOND)->type, CR_GO_PROMISED);
    /* one that came back under another id is no member: it has to ask */
    begin(&m[2], 2, 3);
    m[2].s.id = 777;
    tell(&m[2], &m[0], SECOND);
    cr_decision *j = decide(&m[2], 2 * SECOND);
    assert_int_equal(j->type, CR_GO_WAIT);
    assert_non_null(strstr(j->why, "recover --unsafe"));
    /* what was heard long ago does not count */
    assert_int_equal(decide(&m[1], 60 * SECOND)->type, CR_GO_WAIT);
}

static void a_promise_ends_with_who_asked(void **state)
{
    (void)state;
    master m[3];
    for (int i = 0; i < 3; i++) begin(&m[i], i, 3);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            if (i != k) tell(&m[i], &m[k], SECOND);
    cr_decision d = *decide(&m[0], SECOND);
    promise(&m[1], &m[0], &d, 1);
    /* m1 ends and comes back; its first list is void, the next one counts */
    begin(&m[0], 0, 3);
    m[0].s.id = 555;
    m[0].s.incarnation = 5550;
    m[0].s.first[0].incarnation = 5550;
    tell(&m[1], &m[0], SECOND);
    tell(&m[2], &m[0], SECOND);
    (void)decide(&m[1], SECOND);
    static const uint8_t none[16];
    assert_memory_equal(m[1].s.promised, none, 16);
    tell(&m[0], &m[1], SECOND);
    tell(&m[0], &m[2], SECOND);
    cr_decision again = *decide(&m[0], SECOND);
    assert_int_equal(again.type, CR_GO_PROPOSE);
    assert_memory_not_equal(again.store_id, d.store_id, 16);
    promise(&m[1], &m[0], &again, 1);
    promise(&m[1], &m[0], &d, 0); /* not with its id */
}

static void wrong_lists_are_told(void **state)
{
    (void)state;
    master m[3];
    for (int i = 0; i < 3; i++) begin(&m[i], i, 3);
    snprintf(m[1].s.first[2].name, 8, "m9");
    const char *list = "m2 at m2:1 names other cluster.initial_master_nodes (or RAFT_PEERS) than "
                       "this node: give all masters the same list";
    char and_one[256];
    snprintf(and_one, sizeof and_one,
             "%s; waiting for [m3], but no address is given to look at: set "
             "discovery.seed_hosts",
             list);
    tell(&m[0], &m[1], SECOND);
    cr_decision *d = decide(&m[0], SECOND);
    assert_string_equal(d->why, and_one);
    tell(&m[0], &m[2], SECOND);
    d = decide(&m[0], SECOND);
    assert_int_equal(d->type, CR_GO_WAIT);
    assert_true(d->trouble);
    assert_string_equal(d->why, list);
    /* two of one name */
    begin(&m[1], 1, 3);
    memcpy(m[1].name, "m1", 3);
    tell(&m[0], &m[1], SECOND);
    d = decide(&m[0], SECOND);
    assert_true(d->trouble);
    assert_non_null(strstr(d->why, "has the name of this node, [m1]"));
}

/* Forming under any order of messages, losses of them, and ends of processes: of all stores that
 * ever were, at most one ever had a majority of its members. */
typedef struct forming_model {
    master m[3];
    cr_forming kept[3]; /* of the promise */
    uint64_t ids[64][3];
    uint8_t store[64][16];
    int stores, alive[64]; /* had a majority once */
    uint64_t random, next_id;
} forming_model;

static uint64_t chance(forming_model *f, uint64_t below)
{
    f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
    return (f->random >> 33) % below;
}

static int store_of(forming_model *f, const uint8_t id[16])
{
    for (int i = 0; i < f->stores; i++)
        if (memcmp(f->store[i], id, 16) == 0) return i;
    return -1;
}

/* How many of its members are in it. */
static int members_in(const forming_model *f, int store)
{
    int n = 0;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3 && f->m[i].formed; k++)
            n +=
                memcmp(f->m[i].store, f->store[store], 16) == 0 && f->m[i].s.id == f->ids[store][k];
    return n;
}

static void enter(forming_model *f, int i, const uint8_t id[16], const cr_forming *list)
{
    int at = store_of(f, id);
    if (at < 0) {
        assert_true(f->stores < 64);
        at = f->stores++;
        memcpy(f->store[at], id, 16);
        for (int k = 0; k < 3; k++) f->ids[at][k] = list->members[k].id;
    }
    f->m[i].formed = 1;
    memcpy(f->m[i].store, id, 16);
    if (members_in(f, at) >= 2) f->alive[at] = 1;
}

static void restart(forming_model *f, int i)
{
    master old = f->m[i];
    begin(&f->m[i], i, 3);
    f->m[i].s.id = old.formed ? old.s.id : f->next_id++;
    f->m[i].s.incarnation = f->m[i].s.first[i].incarnation = f->next_id++;
    f->m[i].formed = old.formed;
    memcpy(f->m[i].store, old.store, 16);
}

/* As tell, with the store's true members. */
static void tell_all(forming_model *f, int to, int from, int64_t now)
{
    cr_info *i = calloc(1, sizeof *i);
    master *x = &f->m[from];
    cr_envelope e = {.type = CR_SAY_INFO,
                     .from = x->s.id,
                     .name = qd_plug_str(x->name),
                     .address = qd_plug_str(x->address)};
    int at = x->formed ? store_of(f, x->store) : -1;
    memcpy(e.store_id, x->store, 16);
    i->incarnation = x->s.incarnation;
    i->pristine = !x->formed;
    memcpy(i->promised, x->s.promised, 16);
    for (uint32_t k = 0; k < 3; k++) i->first[i->nfirst++] = qd_plug_str(x->s.first[k].name);
    for (int k = 0; at >= 0 && k < 3; k++)
        i->members[i->nmembers++] = (cr_who){.id = f->ids[at][k], .role = V};
    cr_search_take(&f->m[to].s, &e, i, QD_STR(""), now);
    free(i);
}

static void act(forming_model *f, int i, int64_t now)
{
    cr_decision *d = decide(&f->m[i], now);
    if (f->m[i].formed) return;
    switch (d->type) {
    case CR_GO_PROPOSE:
        for (int k = 0; k < 3; k++) {
            cr_envelope e = {
                .type = CR_SAY_FORM, .from = f->m[i].s.id, .name = qd_plug_str(f->m[i].name)};
            memcpy(e.store_id, d->store_id, 16);
            if (k == i || f->m[k].formed || chance(f, 3) == 0) continue; /* lost */
            if (cr_search_promise(&f->m[k].s, &e, &d->forming)) f->kept[k] = d->forming;
        }
        break;
    case CR_GO_FORM:
        enter(f, i, d->store_id, &d->forming);
        break;
    case CR_GO_PROMISED:
        enter(f, i, d->store_id, &f->kept[i]);
        break;
    case CR_GO_RESUME:
        enter(f, i, d->store_id, NULL);
        break;
    default:
        break;
    }
}

static void there_is_one_store(void **state)
{
    (void)state;
    int formed = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        forming_model *f = calloc(1, sizeof *f);
        f->random = seed;
        f->next_id = 10000;
        for (int i = 0; i < 3; i++) begin(&f->m[i], i, 3);
        uint64_t ends = chance(f, 3) ? 4 + chance(f, 60) : 1000000; /* how seldom one ends */
        int64_t now = SECOND;
        for (int k = 0; k < 400; k++) {
            int a = (int)chance(f, 3), b = (a + 1 + (int)chance(f, 2)) % 3;
            now += (int64_t)chance(f, 200000000);
            if (chance(f, ends) == 0)
                restart(f, a);
            else if (chance(f, 3))
                tell_all(f, a, b, now);
            else
                act(f, a, now);
        }
        int alive = 0;
        for (int k = 0; k < f->stores; k++) alive += f->alive[k];
        if (alive > 1) print_message("# seed %llu\n", (unsigned long long)seed);
        assert_true(alive <= 1);
        formed += alive;
        free(f);
    }
    print_message("# %d of 3000 formed\n", formed);
    assert_true(formed > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_back),
        cmocka_unit_test(commands_are_looked_at),
        cmocka_unit_test(voters_become_odd),
        cmocka_unit_test(five_vote_of_seven),
        cmocka_unit_test(the_excluded_go_first),
        cmocka_unit_test(one_forms_when_all_promised),
        cmocka_unit_test(a_promise_ends_with_who_asked),
        cmocka_unit_test(wrong_lists_are_told),
        cmocka_unit_test(there_is_one_store),
    };
    return unit_run(tests);
}
