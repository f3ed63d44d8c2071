/* fetch_t.c: objects that are read, when other nodes give them or nobody does: a damaged one of
 * another node is asked for again, what was overtaken is not waited for. */
#include "core_fix.h"

static uint8_t large[300 << 10];

/* A root of somebody else's, its last entry an object of its own. */
static ck_root *with_large_entry(uint8_t fill)
{
    fix a;
    memset(large, fill, sizeof large);
    ck_root *r = leader(&a, 1), *n = next_root(r, 900, NULL, 0);
    ck_root_push(n, ck_entry_make(unit_heap(), 1, n->leader.term, 4711, large, sizeof large));
    ck_root_free(r);
    r = read_back(n);
    ck_root_free(n);
    ck_core_free(a.c);
    return r;
}

/* The object of the blob that is asked for, of these bytes. */
static json_t *object_of_bytes(const ck_ask *a, const uint8_t *p, size_t n)
{
    return ck_blob_write(unit_heap(), &site, a->blob.kind, &a->blob.hash, p, n, a->blob.slice);
}

static void came(fix *f, const uint8_t *p, size_t n, int by_peer)
{
    ck_ask *a = expect(f, CK_BLOB_GET);
    json_t *o = object_of_bytes(a, p, n);
    answer(f, a, &(ck_answer){.outcome = CK_OK, .object = o, .by_peer = by_peer});
    json_decref(o);
}

static void what_another_node_gives_is_no_damage(void **state)
{
    (void)state;
    fix f;
    ck_root *r = with_large_entry(3);
    uint8_t *other = calloc(1, sizeof large);
    follower(&f, 2, r);
    came(&f, other, sizeof large, 1); /* other bytes under its name */
    assert_string_equal(f.failed, "");
    assert_int_equal(f.applied, 0);
    assert_null(find(&f, CK_BLOB_GET)); /* not at once */
    pass(&f, S);
    came(&f, large, 100, 1); /* another length */
    pass(&f, S);
    ck_ask *a = expect(&f, CK_BLOB_GET);
    json_t *o = json_object();
    answer(&f, a, &(ck_answer){.outcome = CK_OK, .object = o, .by_peer = 1});
    json_decref(o);
    assert_string_equal(f.failed, "");
    pass(&f, 2 * S);
    came(&f, large, sizeof large, 1);
    assert_int_equal(f.applied, 1);
    ck_root_free(r);
    finish(&f);
    /* of the API's it is damage */
    r = with_large_entry(3);
    follower(&f, 2, r);
    came(&f, other, sizeof large, 0);
    assert_non_null(strstr(f.failed, "SHA-256"));
    free(other);
    ck_root_free(r);
    finish(&f);
}

/* Of a blob that takes several objects one slice is wrong: which one does not show. */
static void a_wrong_slice_is_found_when_all_are_there(void **state)
{
    (void)state;
    enum { N = 1000 << 10 };
    fix f, a;
    uint8_t *p = malloc(N), *wrong = malloc(N);
    for (uint32_t i = 0; i < N; i++) p[i] = (uint8_t)(i * 31 + i / 977);
    memcpy(wrong, p, N);
    wrong[CK_SLICE + 5] ^= 1;
    ck_root *r = leader(&a, 1), *n = next_root(r, 900, NULL, 0);
    ck_root_push(n, ck_entry_make(unit_heap(), 1, n->leader.term, 4711, p, N));
    ck_root_free(r);
    r = read_back(n);
    follower(&f, 2, r);
    came(&f, wrong, N, 0);
    while (find(&f, CK_BLOB_GET)) came(&f, wrong, N, find(&f, CK_BLOB_GET)->blob.slice == 1);
    assert_string_equal(f.failed, "");
    pass(&f, S);
    while (find(&f, CK_BLOB_GET)) came(&f, p, N, 1);
    assert_int_equal(f.applied, 1);
    free(p);
    free(wrong);
    ck_root_free(n);
    ck_root_free(r);
    ck_core_free(f.c);
    finish(&a);
}

/* A checkpoint of one page, or two. */
static ck_root *checkpoint(const ck_root *r, uint64_t version, const char *one, const char *two)
{
    ck_hash pages[CK_PAGES] = {{{0}}};
    ck_root *n = next_root(r, version, "entry", 0);
    pages[0] = ck_hash_of(one, strlen(one));
    if (two) pages[1] = ck_hash_of(two, strlen(two));
    ck_root_checkpoint(n, n->index, pages);
    return n;
}

static void a_load_that_stands_still_goes_to_the_newest_root(void **state)
{
    (void)state;
    fix a, f;
    ck_root *first = leader(&a, 1), *r = checkpoint(first, 901, "one", "two");
    follower(&f, 2, r);
    assert_int_equal(f.loads, 1);
    ck_root *n = checkpoint(r, 902, "three", NULL);
    see(&f, n);
    pass(&f, 2 * S);
    assert_int_equal(f.loads, 1); /* it may be slow */
    ck_ask *ask = expect(&f, CK_BLOB_GET);
    ck_hash h = ask->blob.hash, one = ck_hash_of("one", 3);
    came(&f, (const uint8_t *)(ck_hash_same(&h, &one) ? "one" : "two"), 3, 1);
    pass(&f, 2 * S);
    assert_int_equal(f.loads, 1); /* something came */
    ends(&f, CK_BLOB_GET, CK_FAILED);
    pass(&f, 2 * S);
    assert_int_equal(f.loads, 2);
    came(&f, (const uint8_t *)"three", 5, 1);
    assert_int_equal(f.applied, n->index);
    assert_int_equal(f.loaded, 2);
    assert_null(find(&f, CK_BLOB_GET));
    /* without a newer one it is waited for */
    ck_root *m = checkpoint(n, 903, "four", NULL);
    ck_root_free(first);
    first = checkpoint(m, 904, "five", NULL);
    see(&f, first);
    for (int i = 0; i < 20; i++) {
        pass(&f, 5 * S);
        if (find(&f, CK_BLOB_GET)) ends(&f, CK_BLOB_GET, CK_FAILED);
    }
    assert_int_equal(f.loads, 3);
    ck_root_free(first);
    ck_root_free(r);
    ck_root_free(n);
    ck_root_free(m);
    ck_core_free(f.c);
    finish(&a);
}

/* The entry's place is in a checkpoint by now: its object is asked for no more. */
static void what_a_checkpoint_passed_is_not_asked_for(void **state)
{
    (void)state;
    fix f;
    ck_root *r = with_large_entry(4);
    follower(&f, 2, r);
    ck_root *n = checkpoint(r, 902, "one", NULL);
    ends(&f, CK_BLOB_GET, CK_FAILED);
    see(&f, n);
    came(&f, (const uint8_t *)"one", 3, 1);
    assert_int_equal(f.applied, n->index);
    for (int i = 0; i < 10; i++) {
        pass(&f, 5 * S);
        assert_null(find(&f, CK_BLOB_GET));
    }
    ck_root_free(r);
    ck_root_free(n);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_node_gives_is_no_damage),
        cmocka_unit_test(a_wrong_slice_is_found_when_all_are_there),
        cmocka_unit_test(a_load_that_stands_still_goes_to_the_newest_root),
        cmocka_unit_test(what_a_checkpoint_passed_is_not_asked_for),
    };
    return unit_run(tests);
}
