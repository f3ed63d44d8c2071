/* core_t.c: the protocol of coordination-k8s, one situation at a time; all of them in random order
 * are in tests/sim/kcore_*.c. */
#include "core_fix.h"

/* --- */

static void a_store_is_formed_once(void **state)
{
    (void)state;
    fix a, b;
    ck_root *r = leader(&a, 1);
    assert_int_equal(r->leader.id, 1);
    assert_int_equal(r->store_id[0], 7);
    begin(&b, 2, CK_FORM_ACTIVE);
    pass(&b, 0);
    ends(&b, CK_GET_ROOT, CK_MISSING);
    ends(&b, CK_CREATE_ROOT, CK_EXISTS);
    get(&b, r);
    ck_core_view v;
    ck_core_look(b.c, &v);
    assert_int_equal(v.role, CK_FOLLOWS);
    assert_int_equal(v.leader, 1);
    ck_root_free(r);
    ck_core_free(b.c);
    finish(&a);
}

static void a_commit_is_told_after_its_put(void **state)
{
    (void)state;
    fix f;
    ck_root *r = leader(&f, 1);
    propose(&f, "one");
    propose(&f, "two");
    pass(&f, 0);
    assert_int_equal(expect(&f, CK_PUT_ROOT)->root->index, 2); /* both in one */
    propose(&f, "three");
    pass(&f, 0);
    assert_int_equal(f.nends + f.applied, 0);
    ck_root_free(r);
    r = put(&f, CK_PUT_ROOT);
    assert_int_equal(f.nends, 2);
    assert_int_equal(f.applied, 2);
    assert_int_equal(expect(&f, CK_PUT_ROOT)->root->index, 3); /* what came meanwhile */
    ck_root_free(r);
    ck_root_free(put(&f, CK_PUT_ROOT));
    assert_string_equal(f.first, "three");
    finish(&f);
}

static void an_unknown_put_is_sent_again_with_its_ids(void **state)
{
    (void)state;
    fix f;
    ck_root *r = leader(&f, 1);
    propose(&f, "one");
    pass(&f, 0);
    ck_root *lost = ck_root_clone(expect(&f, CK_PUT_ROOT)->root);
    ends(&f, CK_PUT_ROOT, CK_UNKNOWN);
    get(&f, r); /* the old one still: that settles nothing */
    assert_int_equal(f.nends, 0);
    assert_int_equal(expect(&f, CK_PUT_ROOT)->root->ids[1], lost->ids[1]);
    ends(&f, CK_PUT_ROOT, CK_CONFLICT); /* the first one landed just before */
    version_of(lost, "u", 999);
    get(&f, lost);
    assert_int_equal(f.nends, 1);
    assert_int_equal(f.ends[0], 0);
    assert_int_equal(f.applied, 1);
    ck_root_free(lost);
    ck_root_free(r);
    finish(&f);
}

static void another_leader_decides_what_is_in_doubt(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        fix f;
        ck_root *r = leader(&f, 1);
        propose(&f, "one");
        pass(&f, 0);
        ck_root *mine = ck_root_clone(expect(&f, CK_PUT_ROOT)->root);
        ends(&f, CK_PUT_ROOT, CK_UNKNOWN);
        ck_root *other = next_root(there ? mine : r, 999, "other", 2);
        propose(&f, "waits");
        get(&f, other);
        assert_int_equal(f.lost, 1);
        assert_int_equal(f.nends, 2);
        assert_int_equal(f.ends[0], QD_E_NOT_LEADER);
        assert_int_equal(f.applied, there ? 2 : 1);
        int committed = 0;
        for (int i = 0; i < 2; i++) committed += f.ends[i] == 0;
        assert_int_equal(committed, there);
        assert_int_equal(ck_core_propose(f.c, &f, (const uint8_t *)"x", 1), QD_E_NOT_LEADER);
        ck_root_free(other);
        ck_root_free(mine);
        ck_root_free(r);
        finish(&f);
    }
}

static void one_refused_entry_fails_alone(void **state)
{
    (void)state;
    fix f;
    ck_root *r = leader(&f, 1);
    propose(&f, "bad");
    propose(&f, "good");
    pass(&f, 0);
    ends(&f, CK_PUT_ROOT, CK_REFUSED); /* both */
    assert_int_equal(f.nends, 0);
    ends(&f, CK_PUT_ROOT, CK_REFUSED); /* the first one alone */
    assert_int_equal(f.nends, 1);
    assert_int_equal(f.ends[0], QD_E_NOSPACE);
    ck_root_free(r);
    r = put(&f, CK_PUT_ROOT);
    assert_int_equal(f.ends[1], 0);
    assert_string_equal(f.first, "good");
    ck_root_free(r);
    finish(&f);
}

static void a_refusal_does_not_settle_what_was_sent_before(void **state)
{
    (void)state;
    for (int landed = 0; landed < 2; landed++) {
        fix f;
        ck_root *r = leader(&f, 1);
        propose(&f, "one");
        pass(&f, 0);
        ck_root *mine = ck_root_clone(expect(&f, CK_PUT_ROOT)->root);
        ends(&f, CK_PUT_ROOT, CK_UNKNOWN);
        get(&f, r);
        ends(&f, CK_PUT_ROOT, CK_REFUSED);
        assert_int_equal(f.nends, 0);
        pass(&f, 3 * S);
        assert_int_equal(expect(&f, CK_PUT_ROOT)->root->index, 0); /* one without it */
        if (landed) {
            ends(&f, CK_PUT_ROOT, CK_CONFLICT);
            version_of(mine, "u", 999);
            get(&f, mine);
        } else
            ck_root_free(put(&f, CK_PUT_ROOT));
        assert_int_equal(f.nends, 1);
        assert_int_equal(f.ends[0], landed ? 0 : QD_E_NOSPACE);
        ck_root_free(mine);
        ck_root_free(r);
        finish(&f);
    }
}

static void a_silent_leader_is_followed_after_its_lease(void **state)
{
    (void)state;
    fix a, f;
    ck_root *r = leader(&a, 1);
    follower(&f, 2, r);
    ck_lease l = {.uid = "l", .version = "5", .holder = 1, .term = 1};
    pass(&f, 0);
    answer(&f, expect(&f, CK_LEASE_GET), &(ck_answer){.outcome = CK_OK, .lease = &l});
    pass(&f, 14 * S);
    assert_null(find(&f, CK_LEASE_GET));
    pass(&f, 1500 * MS);
    memcpy(l.version, "6", 2); /* it is alive: only the watch was silent */
    answer(&f, expect(&f, CK_LEASE_GET), &(ck_answer){.outcome = CK_OK, .lease = &l});
    pass(&f, 14 * S);
    assert_null(find(&f, CK_PUT_ROOT));
    pass(&f, 1500 * MS);
    answer(&f, expect(&f, CK_LEASE_GET), &(ck_answer){.outcome = CK_OK, .lease = &l});
    assert_string_equal(expect(&f, CK_PUT_ROOT)->root->version, r->version); /* a CAS */
    ck_root *won = put(&f, CK_PUT_ROOT);
    assert_int_equal(won->leader.id, 2);
    assert_int_equal(f.term, 2);
    assert_false(ck_core_sure(f.c, f.now));
    see(&a, won);
    assert_int_equal(a.lost, 1);
    ck_root_free(won);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

/* Of a lease that lasts longer than this node's own. */
static void a_longer_lease_is_waited_for(void **state)
{
    (void)state;
    fix a, f;
    ck_root *r = leader(&a, 1);
    follower(&f, 2, r);
    ck_lease l = {.uid = "l", .version = "5", .holder = 1, .term = 1, .duration_ns = 30 * S};
    pass(&f, 0);
    answer(&f, expect(&f, CK_LEASE_GET), &(ck_answer){.outcome = CK_OK, .lease = &l});
    pass(&f, 29 * S);
    assert_null(find(&f, CK_LEASE_GET));
    pass(&f, 1500 * MS);
    answer(&f, expect(&f, CK_LEASE_GET), &(ck_answer){.outcome = CK_OK, .lease = &l});
    ck_root_free(put(&f, CK_PUT_ROOT));
    assert_int_equal(f.term, 2);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

static void a_dead_leader_is_followed_at_once(void **state)
{
    (void)state;
    fix a, f;
    ck_root *r = leader(&a, 1);
    follower(&f, 2, r);
    ck_core_gone(f.c, 3, f.now); /* somebody else */
    pass(&f, 0);
    assert_null(find(&f, CK_PUT_ROOT));
    ck_core_gone(f.c, 1, f.now);
    pass(&f, 0);
    ck_root_free(put(&f, CK_PUT_ROOT));
    assert_int_equal(f.term, 2);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

static void a_clean_stop_gives_root_and_lease_up(void **state)
{
    (void)state;
    fix a, f;
    ck_root *r = leader(&a, 1);
    follower(&f, 2, r);
    assert_true(ck_core_sure(a.c, a.now));
    ck_core_resign(a.c);
    assert_false(ck_core_sure(a.c, a.now));
    pass(&a, 0);
    assert_null(find(&a, CK_LEASE_PUT)); /* whoever reads it may lead: the root comes first */
    ck_root *given = put(&a, CK_PUT_ROOT);
    assert_int_equal(given->leader.id, 0);
    pass(&a, 0);
    assert_int_equal(expect(&a, CK_LEASE_PUT)->lease.holder, 0);
    assert_false(ck_core_resigned(a.c));
    lease(&a);
    assert_true(ck_core_resigned(a.c));
    see(&f, given);
    pass(&f, 300 * MS);
    ck_root_free(put(&f, CK_PUT_ROOT));
    assert_int_equal(f.term, 2);
    ck_root_free(given);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

static void sure_counts_from_the_sending_and_after_a_write(void **state)
{
    (void)state;
    fix f;
    begin(&f, 1, CK_FORM_ACTIVE);
    pass(&f, 0);
    ends(&f, CK_GET_ROOT, CK_MISSING);
    ck_root_free(put(&f, CK_CREATE_ROOT));
    uint64_t sent = f.now;
    while (find(&f, CK_LEASE_GET)) ends(&f, CK_LEASE_GET, CK_MISSING);
    pass(&f, 3 * S); /* the answer takes its time */
    lease(&f);
    assert_false(ck_core_sure(f.c, f.now)); /* a candidate may have read the lease before */
    ck_root_free(put(&f, CK_PUT_ROOT));
    assert_true(ck_core_sure(f.c, sent + 12 * S - 1));
    assert_false(ck_core_sure(f.c, sent + 12 * S));
    pass(&f, sent + 10 * S - f.now);
    lease(&f); /* renewed while it counts: no write is needed */
    assert_null(find(&f, CK_PUT_ROOT));
    assert_true(ck_core_sure(f.c, sent + 22 * S - 1));
    finish(&f);
}

static void a_read_waits_for_a_get_that_begins_after_it(void **state)
{
    (void)state;
    fix a, f;
    ck_root *r = leader(&a, 1);
    follower(&f, 2, r);
    assert_int_equal(ck_core_read(f.c, &f), 0);
    pass(&f, 0);
    assert_int_equal(ck_core_read(f.c, &f), 0); /* one GET is out already: too late for it */
    pass(&f, 0);
    get(&f, r);
    assert_int_equal(f.nreads, 1);
    ck_root *n = next_root(r, 999, "new", 0);
    get(&f, n);
    assert_int_equal(f.nreads, 2);
    assert_int_equal(f.applied, 1);
    ck_root_free(n);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

static void old_roots_are_dropped_others_end_it(void **state)
{
    (void)state;
    fix a, f;
    ck_root *r = leader(&a, 1), *n = next_root(r, 999, "new", 0);
    follower(&f, 2, n);
    see(&f, r); /* from a cache */
    assert_int_equal(f.applied, 1);
    assert_string_equal(f.failed, "");
    ck_root *other = ck_root_clone(n);
    version_of(other, "another", 1000);
    see(&f, other); /* a cache may be wrong: the quorum is asked */
    assert_string_equal(f.failed, "");
    get(&f, other);
    assert_non_null(strstr(f.failed, "uid"));
    ck_core_free(f.c);
    follower(&f, 2, n);
    ck_core_root_look(f.c);
    pass(&f, 0);
    get(&f, r); /* the quorum never goes back: a backup was restored */
    assert_string_not_equal(f.failed, "");
    ck_core_free(f.c);
    memset(known, 9, sizeof known);
    follower(&f, 2, r);
    memset(known, 0, sizeof known);
    assert_non_null(strstr(f.failed, "another store"));
    ck_root_free(other);
    ck_root_free(n);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

/* An object as the server has it. */
static json_t *object_of(const ck_ask *a, const char *version)
{
    json_t *o = ck_blob_write(unit_heap(), &site, a->blob.kind, &a->blob.hash, a->bytes, a->nbytes,
                              a->blob.slice);
    json_object_set_new(json_object_get(o, "metadata"), "uid", json_string("b"));
    json_object_set_new(json_object_get(o, "metadata"), "resourceVersion", json_string(version));
    return o;
}

static void an_object_that_is_there_is_touched(void **state)
{
    (void)state;
    fix f;
    char text[9000];
    ck_root *r = leader(&f, 1);
    uint64_t x = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        text[i] = (char)(x >> 20);
    }
    assert_int_equal(ck_core_propose(f.c, &f, (const uint8_t *)text, sizeof text), 0);
    pass(&f, 0);
    assert_null(find(&f, CK_PUT_ROOT));
    json_t *o = object_of(expect(&f, CK_BLOB_CREATE), "31");
    ends(&f, CK_BLOB_CREATE, CK_EXISTS);
    answer(&f, expect(&f, CK_BLOB_GET), &(ck_answer){.outcome = CK_OK, .object = o});
    assert_string_equal(expect(&f, CK_BLOB_TOUCH)->version, "31");
    ends(&f, CK_BLOB_TOUCH, CK_MISSING); /* a collector was faster: from the start */
    assert_null(find(&f, CK_PUT_ROOT));
    ends(&f, CK_BLOB_CREATE, CK_OK);
    ck_root_free(r);
    r = put(&f, CK_PUT_ROOT);
    assert_int_equal(f.applied, 1);
    assert_true(r->tail[0]->large);
    json_decref(o);
    ck_root_free(r);
    finish(&f);
}

/* A server that counts less writes than the root has seen has another store. */
static void an_object_in_an_older_store_ends_it(void **state)
{
    (void)state;
    fix f;
    static uint8_t large[300 << 10];
    ck_root *r = leader(&f, 1);
    assert_int_equal(ck_core_propose(f.c, &f, large, sizeof large), 0);
    pass(&f, 0);
    answer(&f, expect(&f, CK_BLOB_CREATE), &(ck_answer){.outcome = CK_OK, .version = "7"});
    assert_non_null(strstr(f.failed, "exchanged for an older one"));
    assert_null(find(&f, CK_PUT_ROOT));
    ck_root_free(r);
    finish(&f);
}

/* Each look shows another root, as the leader goes on; what it names is not there. */
static void an_object_that_stays_away_is_lost_whatever_is_written(void **state)
{
    (void)state;
    fix a, f;
    static uint8_t large[300 << 10];
    ck_root *r = leader(&a, 1), *n = next_root(r, 900, NULL, 0);
    ck_root_push(n, ck_entry_make(unit_heap(), 1, n->leader.term, 4711, large, sizeof large));
    ck_root_free(r);
    r = read_back(n);
    follower(&f, 2, r);
    for (uint64_t look = 1; look <= 5; look++) {
        ends(&f, CK_BLOB_GET, CK_MISSING);
        assert_string_equal(f.failed, "");
        ck_root_free(n);
        n = r;
        r = next_root(n, 900 + look, "more", 0);
        pass(&f, 300 * MS);
        get(&f, r);
    }
    ends(&f, CK_BLOB_GET, CK_MISSING);
    assert_non_null(strstr(f.failed, "is missing"));
    assert_int_equal(f.applied, 0);
    ck_root_free(n);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

/* Who follows may load what the root before named. */
static void young_objects_are_not_collected(void **state)
{
    (void)state;
    fix f;
    ck_root *r = leader(&f, 1);
    const int64_t date = 2000000000;
    pass(&f, 0);
    while (!find(&f, CK_BLOB_LIST)) {
        pass(&f, 5 * S);
        while (find(&f, CK_LEASE_PUT)) lease(&f);
        while (find(&f, CK_GET_ROOT)) get(&f, r);
    }
    ck_listed all[2] = {{.uid = "young", .version = "8", .written = date - 1799},
                        {.uid = "old", .version = "9", .written = date - 1801}};
    for (int i = 0; i < 2; i++) all[i].blob = (ck_blob){.kind = CK_BLOB_PAGE, .hash = {{1}}};
    answer(&f, find(&f, CK_BLOB_LIST),
           &(ck_answer){.outcome = CK_OK, .listed = all, .nlisted = 2, .date = date});
    assert_null(find(&f, CK_BLOB_DELETE)); /* before the root was read behind the list */
    get(&f, r);
    ck_ask *gone = expect(&f, CK_BLOB_DELETE);
    assert_string_equal(gone->uid, "old");
    assert_string_equal(gone->version, "9");
    ends(&f, CK_BLOB_DELETE, CK_OK);
    assert_null(find(&f, CK_BLOB_DELETE));
    ck_root_free(r);
    finish(&f);
}

static void writes_of_the_root_are_paced(void **state)
{
    (void)state;
    fix f;
    ck_root_free(leader(&f, 1));
    uint32_t n = 0;
    for (; n < 700; n++) {
        propose(&f, "x");
        pass(&f, 0);
        if (find(&f, CK_FREEZE)) ends(&f, CK_FREEZE, CK_FAILED);
        if (!find(&f, CK_PUT_ROOT)) break;
        ck_root *r = put(&f, CK_PUT_ROOT);
        int full = r->ntail > 200;
        ck_root_free(r);
        if (!full) continue;
        pass(&f, 2 * S);
        static ck_checkpoint p;
        p = (ck_checkpoint){.index = f.applied};
        answer(&f, expect(&f, CK_FREEZE), &(ck_answer){.outcome = CK_OK, .checkpoint = &p});
        ck_root_free(put(&f, CK_PUT_ROOT));
    }
    assert_in_range(n, 590, 680);
    propose(&f, "y");
    pass(&f, 0);
    assert_null(find(&f, CK_PUT_ROOT));
    pass(&f, 150 * MS);
    ck_root *r = put(&f, CK_PUT_ROOT); /* both */
    assert_int_equal(f.nends, n + 2);
    ck_root_free(r);
    finish(&f);
}

static void after_a_quiet_time_there_is_as_much_patience(void **state)
{
    (void)state;
    fix f;
    ck_root *r = leader(&f, 1);
    f.now += 30 * S; /* nothing was due, so there was no turn */
    propose(&f, "one");
    assert_int_equal(ck_core_read(f.c, &f), 0);
    pass(&f, 0);
    pass(&f, 9 * S);
    assert_int_equal(f.nends + f.nreads, 0);
    ck_root_free(r);
    ck_root_free(put(&f, CK_PUT_ROOT));
    assert_int_equal(f.ends[0], 0);
    assert_int_equal(f.nreads, 1);
    propose(&f, "two");
    pass(&f, 0);
    pass(&f, 11 * S);
    assert_int_equal(f.ends[1], QD_E_UNKNOWN_OUTCOME); /* it was sent */
    finish(&f);
}

static void an_idle_node_asks_little(void **state)
{
    (void)state;
    fix a;
    ck_root *r = leader(&a, 1);
    uint32_t before = a.asked, of_lease = 0;
    for (int i = 0; i < 3000; i++) { /* 10 minutes */
        pass(&a, 200 * MS);
        while (find(&a, CK_LEASE_PUT)) {
            lease(&a);
            of_lease++;
        }
        if (find(&a, CK_GET_ROOT)) get(&a, r);
        if (find(&a, CK_BLOB_LIST)) ends(&a, CK_BLOB_LIST, CK_OK);
    }
    assert_in_range(of_lease, 55, 65);
    assert_in_range(a.asked - before - of_lease, 1, 50);
    assert_true(ck_core_sure(a.c, a.now));
    ck_root_free(r);
    finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_is_formed_once),
        cmocka_unit_test(a_commit_is_told_after_its_put),
        cmocka_unit_test(an_unknown_put_is_sent_again_with_its_ids),
        cmocka_unit_test(another_leader_decides_what_is_in_doubt),
        cmocka_unit_test(one_refused_entry_fails_alone),
        cmocka_unit_test(a_refusal_does_not_settle_what_was_sent_before),
        cmocka_unit_test(a_silent_leader_is_followed_after_its_lease),
        cmocka_unit_test(a_longer_lease_is_waited_for),
        cmocka_unit_test(a_dead_leader_is_followed_at_once),
        cmocka_unit_test(a_clean_stop_gives_root_and_lease_up),
        cmocka_unit_test(sure_counts_from_the_sending_and_after_a_write),
        cmocka_unit_test(a_read_waits_for_a_get_that_begins_after_it),
        cmocka_unit_test(old_roots_are_dropped_others_end_it),
        cmocka_unit_test(an_object_that_is_there_is_touched),
        cmocka_unit_test(an_object_in_an_older_store_ends_it),
        cmocka_unit_test(an_object_that_stays_away_is_lost_whatever_is_written),
        cmocka_unit_test(young_objects_are_not_collected),
        cmocka_unit_test(writes_of_the_root_are_paced),
        cmocka_unit_test(after_a_quiet_time_there_is_as_much_patience),
        cmocka_unit_test(an_idle_node_asks_little),
    };
    return unit_run(tests);
}
