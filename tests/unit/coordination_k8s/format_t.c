/*
 * format_t.c: the root object and blobs: what they look like, that they come back as they were, and
 * that whatever is wrong with them is said in words.
 */
#include "format.h"
#include <coordination-k8s/format/root.h>
#include <quidditch/coordination.h>

static char why[CK_WHY];

/* --- base64, names --- */

static void base64_is_exact_and_strict(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text;
    } known[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    static const char *const wrong[] = {"Zg=",  "Zg",   "Z",        "Zh==",    "Zm9=",
                                        "Zg=a", "=Zg=", "Z===",     "====",    "Zm9v\n",
                                        "Zm 9", "Zm-_", "Zg==Zg==", "Zm9vZh=="};
    cr_bytes b = {.heap = unit_heap()};
    char text[16];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i].plain), length = strlen(known[i].text);
        assert_int_equal(ck_base64_length(n), length);
        ck_base64_write((const uint8_t *)known[i].plain, n, text);
        assert_memory_equal(text, known[i].text, length);
        assert_int_equal(ck_base64_read((qd_str){known[i].text, length}, &b), 0);
        assert_int_equal(b.n, n);
        if (n) assert_memory_equal(b.p, known[i].plain, n);
        b.n = 0;
    }
    cr_put(&b, "kept", 4);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(ck_base64_read((qd_str){wrong[i], strlen(wrong[i])}, &b), QD_E_CORRUPT);
        assert_int_equal(b.n, 4);
    }
    cr_bytes_free(&b);
    memory_check();
}

static void names_are_labels(void **state)
{
    (void)state;
    static const struct {
        const char *name, *object;
    } known[] = {{"quidditch", "quidditch"},
                 {"logs-2024", "logs-2024"},
                 {"0", "0"},
                 {"Logs_2024.01", "logs-2024-01-6d2b8e4a97"},
                 {"-a-", "a-"},
                 {"..", ""},
                 {"\xc3\xa9t\xc3\xa9", "t-"},
                 {"", ""}};
    char out[CK_LABEL], again[CK_LABEL], longest[300];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        qd_str name = {known[i].name, strlen(known[i].name)};
        ck_object_name(QD_STR("c"), name, out);
        assert_true(ck_is_label((qd_str){out, strlen(out)}));
        if (ck_is_label(name)) {
            assert_string_equal(out, known[i].name);
            continue;
        }
        size_t slug = strlen(out) - 10;
        assert_int_equal(strspn(out + slug, "0123456789abcdef"), 10);
        if (i != 3) assert_memory_equal(out, known[i].object, slug);
        if (i == 3) assert_memory_equal(out, "logs-2024-01-", slug);
        ck_object_name(QD_STR("d"), name, again); /* another cluster's is another object */
        assert_string_not_equal(out, again);
    }
    memset(longest, 'a', sizeof longest);
    ck_object_name(QD_STR("c"), (qd_str){longest, 63}, out);
    assert_int_equal(strlen(out), 63);
    ck_object_name(QD_STR("c"), (qd_str){longest, 64}, out);
    assert_int_equal(strlen(out), 63);
    assert_true(ck_is_label((qd_str){out, 63}));
    assert_memory_equal(out + 51, "a-", 2);
    ck_object_name(QD_STR("c"), QD_STR("A"), out);
    ck_object_name(QD_STR("c"), QD_STR("A "), again);
    assert_string_not_equal(out, again);
}

static void names_of_blobs_are_read_back(void **state)
{
    (void)state;
    static const char *const wrong[] = {"quidditch",
                                        "quidditch-p",
                                        "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e",
                                        "quidditch-x-e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
                                        "quidditch-p-E3b0c44298fc1c149afbf4c8996fb92427ae41e4",
                                        "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e4-",
                                        "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e4-0",
                                        "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e4-01",
                                        "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e4-x",
                                        "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e4-9999",
                                        "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e45",
                                        "quidditcha-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e4"};
    char name[CK_NAME], root[CK_LABEL];
    ck_hash h = ck_hash_of("", 0), back;
    int kind;
    uint32_t slice;
    ck_blob_name("quidditch", CK_BLOB_PAGE, &h, 0, name);
    assert_string_equal(name, "quidditch-p-e3b0c44298fc1c149afbf4c8996fb92427ae41e4");
    ck_blob_name("quidditch", CK_BLOB_VALUE, &h, 12, name);
    assert_string_equal(name, "quidditch-v-e3b0c44298fc1c149afbf4c8996fb92427ae41e4-12");
    assert_int_equal(ck_name_read("quidditch", (qd_str){name, strlen(name)}, &kind, &back, &slice),
                     0);
    assert_int_equal(kind, CK_BLOB_VALUE);
    assert_int_equal(slice, 12);
    assert_memory_equal(back.b, h.b, 20);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(
            ck_name_read("quidditch", (qd_str){wrong[i], strlen(wrong[i])}, &kind, &back, &slice),
            QD_E_ARG);
    memset(root, 'r', 63);
    root[63] = 0;
    ck_blob_name(root, CK_BLOB_ENTRY, &h, CK_SLICES_MAX - 1, name);
    assert_true(strlen(name) <= 253);
    assert_int_equal(ck_name_read(root, (qd_str){name, strlen(name)}, &kind, &back, &slice), 0);
    assert_int_equal(slice, CK_SLICES_MAX - 1);
}

/* --- blobs --- */

static json_t *slice_of(int kind, const uint8_t *p, size_t n, uint32_t slice)
{
    ck_hash h = ck_hash_of(p, n);
    json_t *o = ck_blob_write(unit_heap(), &site, kind, &h, p, n, slice);
    assert_non_null(o);
    return o;
}

static void blob_looks_like_this(void **state)
{
    (void)state;
    json_t *o = slice_of(CK_BLOB_VALUE, (const uint8_t *)"value", 5, 0);
    json_t *spec = json_object_get(o, "spec");
    json_t *want = json_loads(
        "{\"apiVersion\":\"quidditch.io/v1\",\"kind\":\"QuidditchState\",\"metadata\":{\"name\":"
        "\"quidditch-v-cd42404d52ad55ccfa9aca4adc828aa5800ad9d3\",\"namespace\":\"default\","
        "\"finalizers\":[\"quidditch.io/data\"],"
        "\"labels\":{\"app.kubernetes.io/managed-by\":\"quidditch\",\"quidditch.io/cluster\":"
        "\"quidditch\",\"quidditch.io/part\":\"value\"}},\"spec\":{\"format\":1,\"cluster\":"
        "\"quidditch\",\"storeId\":\"01020300000000000000000000000000\",\"part\":\"value\","
        "\"sha256\":\"cd42404d52ad55ccfa9aca4adc828aa5800ad9d385a0671fbcbf724118320619\","
        "\"length\":\"5\",\"slice\":0,\"slices\":1}}",
        0, NULL);
    ck_slice s;
    assert_non_null(want);
    assert_int_equal(ck_slice_read(unit_heap(), o, &s, why), 0);
    assert_int_equal(s.bytes.n, 5);
    assert_memory_equal(s.bytes.p, "value", 5);
    cr_bytes_free(&s.bytes);
    assert_true(
        ck_slice_same(unit_heap(), o, CK_BLOB_VALUE, &s.hash, (const uint8_t *)"value", 5, 0, why));
    assert_false(
        ck_slice_same(unit_heap(), o, CK_BLOB_VALUE, &s.hash, (const uint8_t *)"valuE", 5, 0, why));
    json_object_del(spec, "data"); /* that depends on the version of zstd */
    assert_true(json_equal(o, want));
    json_decref(o);
    json_decref(want);
    memory_check();
}

static void blobs_come_back_from_slices(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 4097, CK_SLICE, CK_SLICE + 1, 3 * CK_SLICE - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i];
        uint64_t seed = i + 1;
        uint8_t *p = malloc(n);
        fill(&seed, p, n, 0); /* the worst: does not pack */
        ck_hash h = ck_hash_of(p, n);
        ck_join *j = ck_join_make(unit_heap(), CK_BLOB_ENTRY, &h);
        cr_bytes out;
        for (uint32_t k = ck_blob_slices(n); k-- > 0;) { /* in any order, some of them twice */
            assert_int_equal(ck_join_take(j, &out, why), QD_E_STATE);
            json_t *o = slice_of(CK_BLOB_ENTRY, p, n, k);
            const json_t *data = json_object_get(json_object_get(o, "spec"), "data");
            assert_true(json_string_length(data) <= CK_PART_MAX);
            for (int twice = 0; twice < 2; twice++) assert_int_equal(ck_join_add(j, o, why), 0);
            assert_true(ck_join_has(j, k));
            json_decref(o);
        }
        assert_int_equal(ck_join_take(j, &out, why), 0);
        assert_int_equal(out.n, n);
        assert_memory_equal(out.p, p, n);
        cr_bytes_free(&out);
        ck_join_free(j);
        free(p);
    }
    memory_check();
}

static void other_bytes_are_found(void **state)
{
    (void)state;
    ck_hash h = ck_hash_of("right", 5);
    ck_join *j = ck_join_make(unit_heap(), CK_BLOB_VALUE, &h);
    json_t *o = slice_of(CK_BLOB_VALUE, (const uint8_t *)"wrong", 5, 0);
    cr_bytes out;
    assert_int_equal(ck_join_add(j, o, why), QD_E_CORRUPT);
    assert_non_null(strstr(why, "sha256"));
    char text[65];
    ck_hash_text(&h, text);
    json_object_set_new(json_object_get(o, "spec"), "sha256", json_string(text));
    assert_int_equal(ck_join_add(j, o, why), 0); /* it says the right hash now */
    assert_int_equal(ck_join_take(j, &out, why), QD_E_CORRUPT);
    assert_non_null(strstr(why, text));
    json_decref(o);
    o = slice_of(CK_BLOB_VALUE, (const uint8_t *)"right", 5, 0);
    assert_int_equal(ck_join_add(j, o, why), 0); /* and it can be fetched again */
    assert_int_equal(ck_join_take(j, &out, why), 0);
    cr_bytes_free(&out);
    json_decref(o);
    o = slice_of(CK_BLOB_PAGE, (const uint8_t *)"right", 5, 0);
    assert_int_equal(ck_join_add(j, o, why), QD_E_CORRUPT);
    json_decref(o);
    ck_join_free(j);
    memory_check();
}

/* --- the root --- */

static void same_root(const ck_root *a, const ck_root *b)
{
    assert_string_equal(a->uid, b->uid);
    assert_string_equal(a->version, b->version);
    assert_memory_equal(a->store_id, b->store_id, 16);
    assert_memory_equal(a->history_id, b->history_id, 16);
    assert_int_equal(a->recoveries, b->recoveries);
    assert_int_equal(a->writes, b->writes);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->revision, b->revision);
    assert_int_equal(a->shown, b->shown);
    assert_int_equal(a->leader.id, b->leader.id);
    assert_int_equal(a->leader.term, b->leader.term);
    assert_string_equal(a->leader.name, b->leader.name);
    assert_string_equal(a->leader.address, b->leader.address);
    assert_int_equal(a->nspeakers, b->nspeakers);
    for (uint32_t i = 0; i < a->nspeakers; i++) {
        assert_int_equal(a->speakers[i].id, b->speakers[i].id);
        assert_string_equal(a->speakers[i].name, b->speakers[i].name);
        assert_string_equal(a->speakers[i].address, b->speakers[i].address);
    }
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->checkpoint, b->checkpoint);
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
    assert_memory_equal(a->pages, b->pages, sizeof a->pages);
    assert_int_equal(a->ntail, b->ntail);
    for (uint32_t i = 0; i < a->ntail; i++) {
        const ck_entry *x = a->tail[i], *y = b->tail[i];
        assert_int_equal(x->index, y->index);
        assert_int_equal(x->term, y->term);
        assert_int_equal(x->id, y->id);
        assert_int_equal(x->n, y->n);
        assert_int_equal(x->large, y->large);
        if (x->large) {
            assert_true(ck_hash_same(&x->hash, &y->hash));
        } else {
            assert_string_equal(x->text, y->text);
            assert_memory_equal(x->bytes, y->bytes, x->n);
        }
    }
}

static ck_root *read_back(const json_t *o)
{
    ck_root *r = NULL;
    why[0] = 0;
    if (ck_root_read(unit_heap(), o, &r, why)) fail_msg("%s", why);
    return r;
}

static void root_looks_like_this(void **state)
{
    (void)state;
    const cr_heap *h = unit_heap();
    static uint8_t large[5000];
    uint64_t seed = 1;
    ck_root *r = ck_root_make(h);
    memset(r->store_id, 0xab, 16);
    memset(r->history_id, 0xcd, 16);
    r->state = QD_COORD_ACTIVE;
    r->epoch = 3;
    r->revision = 18446744073709551615ull;
    r->leader.id = 7;
    r->leader.term = 2;
    memcpy(r->leader.name, "n", 2);
    memcpy(r->leader.address, "h:1", 4);
    fill(&seed, large, sizeof large, 0);
    ck_root_push(r, ck_entry_make(h, 1, 1, 0x0807060504030201, (const uint8_t *)"entry", 5));
    ck_root_push(r, ck_entry_make(h, 2, 2, 255, large, sizeof large));
    ck_hash_text(&r->tail[1]->hash, why);
    json_t *spec = ck_root_write(r, &site);
    char *text = malloc(10000), *want = malloc(10000);
    text[json_dumpb(spec, text, 9999, JSON_COMPACT)] = 0;
    char zeros[4097];
    memset(zeros, 'A', 4096);
    zeros[4096] = 0;
    snprintf(want, 10000,
             "{\"format\":1,\"minor\":1,\"cluster\":\"quidditch\","
             "\"storeId\":\"abababababababababababababababab\","
             "\"historyId\":\"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\",\"recoveries\":\"0\","
             "\"writes\":\"0\",\"state\":\"active\",\"epoch\":\"3\",\"revision\":"
             "\"18446744073709551615\","
             "\"shown\":\"0\",\"leader\":{\"id\":\"7\",\"term\":\"2\",\"name\":\"n\",\"address\":"
             "\"h:1\"},\"index\":\"2\",\"checkpoint\":\"0\",\"ids\":\"AQIDBAUGBwj/AAAAAAAAAA==\","
             "\"pages\":\"%s\",\"tail\":[{\"term\":\"1\",\"data\":\"ZW50cnk=\"},"
             "{\"term\":\"2\",\"sha256\":\"%s\",\"length\":\"5000\"}]}",
             zeros, why);
    assert_string_equal(text, want);
    free(text);
    free(want);
    json_decref(spec);
    ck_root_free(r);
    memory_check();
}

static void roots_come_back(void **state)
{
    (void)state;
    uint64_t rounds = unit_rounds(60);
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        uint64_t s = seed * 7919;
        ck_root *r = sample_root(seed, dice(&s) % 700, 1 + dice(&s) % 6000), *c = ck_root_clone(r);
        json_t *o = ck_root_object(r, &site);
        ck_root *back = read_back(o);
        same_root(r, back);
        same_root(r, c);
        assert_string_equal(back->cluster, "quidditch");
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(o, "metadata"), "resourceVersion")),
            "4711");
        ck_root_free(r);
        ck_root_free(c);
        json_decref(o);
        ck_root_free(back);
    }
    memory_check();
}

/* At most five speak; who leads, and who came back, have a place. */
static void who_speaks_is_counted(void **state)
{
    (void)state;
    ck_root *r = ck_root_make(unit_heap());
    assert_true(ck_root_speaks(r, 77)); /* of before there were any: everybody */
    for (uint64_t i = 1; i <= CK_SPEAKERS; i++) {
        char name[8] = {'n', (char)('0' + i), 0};
        ck_root_speaker_add(r, i, name, name, 0);
    }
    assert_int_equal(r->nspeakers, CK_SPEAKERS);
    assert_false(ck_root_speaks(r, 77));
    ck_root_speaker_add(r, 77, "n9", "n9", 2); /* in place of one */
    assert_true(ck_root_speaks(r, 77) && !ck_root_speaks(r, 2));
    ck_root_speaker_add(r, 78, "n9", "n9", 1); /* its next life, in place of itself */
    assert_true(ck_root_speaks(r, 78) && ck_root_speaks(r, 1) && !ck_root_speaks(r, 77));
    ck_root_speaker_add(r, 79, "n8", "n8", 77); /* in place of one that is none: of the last */
    assert_true(ck_root_speaks(r, 79) && !ck_root_speaks(r, 78));
    assert_int_equal(r->nspeakers, CK_SPEAKERS);
    ck_root_speaker_drop(r, 79);
    ck_root_speaker_drop(r, 79);
    assert_int_equal(r->nspeakers, CK_SPEAKERS - 1);
    ck_root_free(r);
    memory_check();
}

/* One root after another: what both have is there once. */
static void entries_that_are_known_are_shared(void **state)
{
    (void)state;
    static uint8_t large[5000];
    uint64_t seed = 1;
    fill(&seed, large, sizeof large, 0);
    ck_root *r = sample_root(5, 4, 40), *back = NULL;
    ck_root_push(r, ck_entry_make(r->heap, 5, r->leader.term, 77, large, sizeof large));
    json_t *o = ck_root_object(r, &site);
    assert_int_equal(ck_root_read_after(r->heap, o, r, &back, why), 0);
    for (uint32_t i = 0; i < r->ntail; i++) assert_ptr_equal(back->tail[i], r->tail[i]);
    same_root(r, back);
    ck_root_free(back);
    json_decref(o);
    /* the last two were another leader's: same place, other ids; then the same id, another text */
    ck_root *other = ck_root_clone(r);
    other->ids[4] = r->ids[4] + 1;
    other->ids[5] = 78;
    o = ck_root_object(other, &site);
    json_t *tail = json_object_get(json_object_get(o, "spec"), "tail");
    json_array_set_new(tail, 1, json_pack("{s:s,s:s}", "term", "1", "data", "ZW50cnk="));
    assert_int_equal(ck_root_read_after(r->heap, o, r, &back, why), 0);
    assert_ptr_equal(back->tail[0], r->tail[0]);
    assert_memory_equal(back->tail[1]->bytes, "entry", 5);
    assert_ptr_equal(back->tail[2], r->tail[2]);
    assert_ptr_not_equal(back->tail[3], r->tail[3]);
    assert_int_equal(back->tail[3]->id, r->ids[4] + 1);
    assert_null(back->tail[4]->bytes);
    ck_root_free(back);
    ck_root_free(other);
    ck_root_free(r);
    json_decref(o);
    memory_check();
}

/* kubectl delete takes nothing away: each object has our finalizer; none is added to one that is
 * marked already, which the server would refuse. */
static void objects_have_a_finalizer(void **state)
{
    (void)state;
    ck_root *r = sample_root(3, 5, 100);
    json_t *o = ck_root_object(r, &site), *meta = json_object_get(o, "metadata");
    json_t *theirs = json_pack("[s]", "theirs"), *both = json_pack("[s,s]", "theirs", CK_FINALIZER);
    json_t *ours = json_pack("[s]", CK_FINALIZER);
    assert_true(json_equal(json_object_get(meta, "finalizers"), ours));
    json_object_set(meta, "finalizers", theirs);
    ck_root *back = read_back(o);
    json_t *again = ck_root_object(back, &site);
    assert_true(
        json_equal(json_object_get(json_object_get(again, "metadata"), "finalizers"), both));
    json_decref(again);
    ck_root_free(back);
    json_object_set_new(meta, "deletionTimestamp", json_string("2026-01-01T00:00:00Z"));
    back = read_back(o);
    again = ck_root_object(back, &site);
    assert_true(
        json_equal(json_object_get(json_object_get(again, "metadata"), "finalizers"), theirs));
    json_decref(again);
    ck_root_free(back);
    ck_root_free(r);
    json_decref(o);
    json_decref(ours);
    json_decref(theirs);
    json_decref(both);
    memory_check();
}

static void what_others_wrote_is_kept(void **state)
{
    (void)state;
    ck_root *r = sample_root(3, 5, 100);
    json_t *o = ck_root_object(r, &site), *spec = json_object_get(o, "spec");
    json_t *meta = json_object_get(o, "metadata");
    json_object_set_new(spec, "minor", json_integer(9));
    json_object_set_new(spec, "newer", json_pack("{s:[i,i]}", "a", 1, 2));
    json_object_set_new(spec, "claim", json_pack("{s:s}", "inCharge", "k8s"));
    json_object_set_new(meta, "finalizers", json_pack("[s,s]", "theirs", "quidditch.io/data"));
    json_object_set_new(meta, "annotations", json_pack("{s:s}", "who", "somebody"));
    json_object_set_new(json_object_get(meta, "labels"), "team", json_string("search"));
    json_object_set_new(meta, "deletionTimestamp", json_string("2026-01-01T00:00:00Z"));
    ck_root *back = read_back(o), *clone = ck_root_clone(back);
    assert_true(back->deleting);
    assert_int_equal(back->minor, 9);
    ck_root_free(back);
    json_object_del(meta, "deletionTimestamp");
    json_t *again = ck_root_object(clone, &site);
    assert_true(json_equal(o, again));
    ck_root_free(clone);
    ck_root_free(r);
    json_decref(o);
    json_decref(again);
    memory_check();
}

static void newer_formats_are_refused_in_words(void **state)
{
    (void)state;
    ck_root *r = sample_root(3, 5, 100), *back = NULL;
    json_t *o = ck_root_object(r, &site);
    json_object_set_new(json_object_get(o, "spec"), "format", json_integer(2));
    assert_int_equal(ck_root_read(unit_heap(), o, &back, why), QD_E_FORMAT_NEW);
    assert_string_equal(why, "spec.format is 2, this version of the program reads up to 1: it was "
                             "written by a newer one");
    json_object_set_new(json_object_get(o, "spec"), "format", json_integer(0));
    assert_int_equal(ck_root_read(unit_heap(), o, &back, why), QD_E_CORRUPT);
    json_decref(o);
    o = slice_of(CK_BLOB_VALUE, (const uint8_t *)"v", 1, 0);
    json_object_set_new(json_object_get(o, "spec"), "format", json_integer(7));
    ck_slice s;
    assert_int_equal(ck_slice_read(unit_heap(), o, &s, why), QD_E_FORMAT_NEW);
    assert_non_null(strstr(why, "newer"));
    json_decref(o);
    ck_root_free(r);
    memory_check();
}

/* Reads what was garbled, root or slice; 0: it was taken. */
static int32_t try_read(const json_t *o, int root)
{
    ck_root *r = NULL;
    ck_slice s;
    why[0] = 0;
    int32_t rc =
        root ? ck_root_read(unit_heap(), o, &r, why) : ck_slice_read(unit_heap(), o, &s, why);
    if (rc && !why[0]) fail_msg("no sentence for %d", rc);
    if (rc == 0 && root) ck_root_free(r);
    if (rc == 0 && !root) cr_bytes_free(&s.bytes);
    return rc;
}

/* Fields that may be absent, and those whose text may be any. */
static int is_one(const char *name, const char *const *of)
{
    while (*of && strcmp(*of, name)) of++;
    return *of != NULL;
}
static const char *const optional[] = {
    "metadata", "minor",           "claim",      "newer",     "uid",         "labels",   "name",
    "address",  "resourceVersion", "finalizers", "namespace", "annotations", "speakers", NULL};

/* Each field of an object, and of those in it: missing, and in place of it this and that. */
static void garble(const json_t *whole, json_t *o, int root, int depth)
{
    static const char *const texts[] = {"null",
                                        "true",
                                        "-1",
                                        "1.5",
                                        "99999999999",
                                        "\"\"",
                                        "\"x\"",
                                        "[]",
                                        "{}",
                                        "[null]",
                                        "\"18446744073709551616\"",
                                        "\"007\"",
                                        "\"a\\u0000b\"",
                                        "\"AAAA\"",
                                        "\"////\""};
    const char *names[40];
    size_t n = 0;
    const char *name;
    json_t *value;
    json_object_foreach(o, name, value) names[n++] = name;
    for (size_t i = 0; i < n; i++) {
        json_t *was = json_incref(json_object_get(o, names[i]));
        char *kept = strcpy(malloc(strlen(names[i]) + 1), names[i]);
        json_object_del(o, kept);
        int32_t rc = try_read(whole, root);
        int needed = !is_one(kept, optional) && (root || strcmp(kept, "cluster"));
        if (needed && depth < 2) {
            if (rc != QD_E_CORRUPT) fail_msg("%s is missing, but: %d", kept, rc);
            if (!strstr(why, kept)) fail_msg("%s is missing, but: %s", kept, why);
        }
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            json_object_set_new(o, kept,
                                json_loads(texts[k], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
            (void)try_read(whole, root);
        }
        for (size_t cut = 0; json_is_string(was) && cut < json_string_length(was);
             cut += 1 + cut / 7) {
            json_object_set_new(o, kept, json_stringn(json_string_value(was), cut));
            (void)try_read(whole, root);
        }
        json_object_set_new(o, kept, was);
        if (json_is_object(was)) garble(whole, was, root, depth + 1);
        for (size_t k = 0; json_is_array(was) && k < json_array_size(was); k++)
            if (json_is_object(json_array_get(was, k)))
                garble(whole, json_array_get(was, k), root, depth + 2);
        names[i] = NULL;
        free(kept);
    }
}

static void whatever_is_wrong_is_said(void **state)
{
    (void)state;
    ck_root *r = sample_root(5, 6, 5000);
    r->claim = json_pack("{s:i}", "epoch", 1);
    json_t *o = ck_root_object(r, &site);
    garble(o, o, 1, 0);
    assert_int_equal(try_read(o, 1), 0); /* it is as it was */
    json_decref(o);
    ck_root_free(r);
    o = slice_of(CK_BLOB_PAGE, (const uint8_t *)"some bytes, some bytes, some bytes", 34, 0);
    garble(o, o, 0, 0);
    assert_int_equal(try_read(o, 0), 0);
    json_decref(o);
    assert_int_equal(try_read(NULL, 1), QD_E_CORRUPT);
    memory_check();
}

/* Fields that are each right, but not together. */
static void fields_that_contradict_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *field, *value, *says;
    } cases[] = {{"index", "\"99\"", "spec.ids"},
                 {"index", "\"3\"", "spec.shown"},
                 {"index", "\"1\"", "spec.shown"},
                 {"checkpoint", "\"5\"", "spec.tail"},
                 {"checkpoint", "\"9\"", "spec.checkpoint"},
                 {"shown", "\"7\"", "spec.shown"},
                 {"state", "\"asleep\"", "spec.state"},
                 {"epoch", "7", "spec.epoch"},
                 {"ids", "\"AAAA\"", "spec.ids"},
                 {"pages", "\"AAAA\"", "spec.pages"},
                 {"tail", "[]", "spec.tail"},
                 {"tail", "[1,2,3,4,5,6]", "entry 1"},
                 {"leader", "{\"id\":\"7\",\"term\":\"0\"}", "spec.leader.term"},
                 {"leader", "{\"id\":\"0\",\"term\":\"0\"}", "has the term"},
                 {"claim", "[]", "spec.claim"}};
    ck_root *r = sample_root(5, 6, 300);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *o = ck_root_object(r, &site);
        json_object_set_new(json_object_get(o, "spec"), cases[i].field,
                            json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(try_read(o, 1), QD_E_CORRUPT);
        if (!strstr(why, cases[i].says)) fail_msg("%s: %s", cases[i].field, why);
        json_decref(o);
    }
    json_t *o = ck_root_object(r, &site);
    json_object_set_new(o, "kind", json_string("ConfigMap"));
    assert_int_equal(try_read(o, 1), QD_E_CORRUPT);
    assert_string_equal(why, "it is a ConfigMap of quidditch.io/v1, not a QuidditchState of "
                             "quidditch.io/v1");
    json_decref(o);
    ck_root_free(r);
    memory_check();
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    ck_root *r = sample_root(5, 6, 5000), *back;
    r->extra = json_pack("{s:{s:i}}", "newer", "a", 1);
    r->claim = json_pack("{s:i}", "epoch", 1);
    json_t *whole = ck_root_object(r, &site), *o = NULL;
    json_object_set_new(json_object_get(whole, "metadata"), "finalizers", json_pack("[s]", "f"));
    for (long i = 1; !o; i++) {
        json_fail = i;
        o = ck_root_object(r, &site);
    }
    json_fail = 0;
    json_decref(o);
    back = NULL;
    for (long i = 1; !back; i++) {
        json_fail = i;
        int32_t rc = ck_root_read(unit_heap(), whole, &back, why);
        json_fail = 0;
        assert_true(rc == 0 || rc == QD_E_NOMEM);
    }
    ck_root_free(back);
    o = NULL;
    ck_hash h = ck_hash_of("v", 1);
    for (long i = 1; !o; i++) {
        json_fail = i;
        o = ck_blob_write(unit_heap(), &site, CK_BLOB_VALUE, &h, (const uint8_t *)"v", 1, 0);
    }
    json_fail = 0;
    json_decref(o);
    json_decref(whole);
    ck_root_free(r);
    memory_check();
}

/* --- sizes --- */

static void a_root_never_grows_over_its_limit(void **state)
{
    (void)state;
    uint64_t rounds = unit_rounds(40);
    uint8_t *bytes = malloc(8000);
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        uint64_t s = seed * 31;
        ck_root *r = sample_root(seed, 400, 50);
        size_t length = 1 + dice(&s) % 7000;
        memset(r->leader.name, '\n', CK_TEXT - 1); /* the worst: six bytes each */
        memset(r->leader.address, '"', CK_TEXT - 1);
        r->recoveries = r->writes = r->epoch = r->revision = r->leader.id = UINT64_MAX;
        r->leader.term = 10000000000000000000ull;
        r->extra = json_pack("{s:s}", "newer", "field");
        for (int more = 1; more;) {
            size_t n = 1 + dice(&s) % length;
            fill(&s, bytes, n, 0);
            ck_entry *e =
                ck_entry_make(unit_heap(), r->index + 1, r->leader.term, dice(&s) | 1, bytes, n);
            more = ck_root_room(r, &site, e);
            if (!more) {
                ck_entry_drop(e);
                break;
            }
            ck_root_push(r, e);
            json_t *spec = ck_root_write(r, &site);
            size_t is = text_length(spec), said = ck_root_size(r, &site);
            json_decref(spec);
            assert_true(is <= said && said <= CK_ROOT_MAX);
            if (said - is > 700 + 60 * (size_t)r->ntail)
                fail_msg("seed %llu: %zu bytes, %zu told", (unsigned long long)seed, is, said);
        }
        assert_true(ck_root_full(r)); /* a checkpoint was wanted before it was full */
        ck_root_checkpoint(r, r->index, r->pages);
        assert_int_equal(r->ntail, 0);
        assert_false(ck_root_full(r));
        ck_root_free(r);
    }
    free(bytes);
    memory_check();
}

static void entries_stand_where_they_fit(void **state)
{
    (void)state;
    const cr_heap *h = unit_heap();
    uint8_t *p = malloc(1 << 20);
    uint64_t seed = 9;
    fill(&seed, p, 1 << 20, 0);
    ck_entry *e = ck_entry_make(h, 1, 1, 1, p, CK_INLINE_MAX), *loaded, *moved;
    assert_false(e->large);
    ck_entry_drop(e);
    e = ck_entry_make(h, 8, 1, 1, p, CK_INLINE_MAX + 1);
    assert_true(e->large);
    assert_int_equal(ck_entry_loaded(e, p, CK_INLINE_MAX, &loaded, why), QD_E_CORRUPT);
    assert_int_equal(ck_entry_loaded(e, p + 1, CK_INLINE_MAX + 1, &loaded, why), QD_E_CORRUPT);
    assert_non_null(strstr(why, "entry 8"));
    assert_int_equal(ck_entry_loaded(e, p, CK_INLINE_MAX + 1, &loaded, why), 0);
    assert_memory_equal(loaded->bytes, p, CK_INLINE_MAX + 1);
    moved = ck_entry_moved(loaded, 12, 5);
    assert_int_equal(moved->index, 12);
    assert_int_equal(moved->term, 5);
    assert_int_equal(moved->id, 1);
    assert_memory_equal(moved->bytes, p, CK_INLINE_MAX + 1);
    ck_entry_drop(moved);
    ck_entry_drop(loaded);
    ck_entry_drop(e);
    memset(p, 'x', 1 << 20);
    e = ck_entry_make(h, 1, 1, 1, p, CK_INLINE_BYTES); /* packs well */
    assert_true(e->packed && !e->large && e->text_len < 200);
    ck_entry_drop(e);
    e = ck_entry_make(h, 1, 1, 1, p, CK_INLINE_BYTES + 1);
    assert_true(e->large);
    ck_entry_drop(e);
    free(p);
    memory_check();
}

/* --- one root after another --- */

static void ids_tell_what_became_of_an_entry(void **state)
{
    (void)state;
    ck_root *r = sample_root(11, 0, 1);
    for (uint64_t i = 1; i <= 600; i++) {
        ck_entry *e = ck_entry_make(unit_heap(), i, 1, 1000 + i, (const uint8_t *)"x", 1);
        if (!ck_root_room(r, &site, e)) ck_root_checkpoint(r, r->index - 10, r->pages);
        assert_true(ck_root_room(r, &site, e));
        ck_root_push(r, e);
    }
    assert_int_equal(ck_root_has(r, 600, 1600), 1);
    assert_int_equal(ck_root_has(r, 600, 1601), 0);
    assert_int_equal(ck_root_has(r, 601, 1601), 0);
    assert_int_equal(ck_root_has(r, 345, 1345), 1);
    assert_int_equal(ck_root_has(r, 344, 1344), -1);
    assert_int_equal(ck_root_find(r, 1345), 345);
    assert_int_equal(ck_root_find(r, 1344), 0);
    assert_int_equal(ck_root_find(r, 1600), 600);
    assert_null(ck_root_entry(r, r->checkpoint));
    assert_null(ck_root_entry(r, 601));
    assert_int_equal(ck_root_entry(r, 600)->index, 600);
    assert_int_equal(ck_root_entry(r, r->checkpoint + 1)->index, r->checkpoint + 1);
    ck_entry *e = ck_entry_make(unit_heap(), 600, 1, 1600, (const uint8_t *)"x", 1);
    ck_root_entry_set(r, e);
    assert_ptr_equal(ck_root_entry(r, 600), e);
    ck_root_entry_set(r, ck_entry_make(unit_heap(), 601, 1, 1, (const uint8_t *)"x", 1));
    ck_root_free(r);
    memory_check();
}

static void change_and_compare(const ck_root *known, int field, int by, int want)
{
    ck_root *came = ck_root_clone(known);
    memcpy(came->version, "4712", 5);
    uint64_t *fields[] = {&came->recoveries, &came->epoch,      &came->leader.term, &came->revision,
                          &came->shown,      &came->checkpoint, &came->writes};
    *fields[field] += (uint64_t)(int64_t)by;
    why[0] = 0;
    assert_int_equal(ck_root_follows(known, came, why), want);
    assert_int_equal(why[0] != 0, want == CK_STALE || want == CK_FOREIGN);
    ck_root_free(came);
}

/* A store that was handed over and becomes a mirror once more begins at revision 0. */
static void a_mirror_begins_anew(void **state)
{
    (void)state;
    ck_root *old = sample_root(13, 40, 50), *r = ck_root_clone(old);
    memcpy(r->version, "4713", 5);
    ck_root_push(r, ck_entry_make(unit_heap(), 41, r->leader.term, 99, (const uint8_t *)"x", 1));
    old->revision = 190;
    r->revision = 0;
    assert_int_equal(ck_root_follows(old, r, why), CK_FOREIGN);
    r->epoch++;
    assert_int_equal(ck_root_follows(old, r, why), CK_NEXT);
    assert_int_equal(ck_root_follows(r, old, why), CK_STALE);
    ck_root_free(old);
    ck_root_free(r);
    memory_check();
}

static void later_roots_are_told_from_earlier_ones(void **state)
{
    (void)state;
    ck_root *old = sample_root(13, 40, 50), *r = ck_root_clone(old);
    old->recoveries = r->recoveries = old->writes = r->writes = 2;
    ck_root_checkpoint(old, 5, old->pages);
    ck_root_checkpoint(r, 5, r->pages);
    assert_int_equal(ck_root_follows(old, r, why), CK_SAME);
    for (int field = 0; field < 7; field++) {
        change_and_compare(old, field, 1, CK_NEXT);
        change_and_compare(old, field, -1, CK_STALE);
    }
    memcpy(r->version, "4713", 5);
    assert_int_equal(ck_root_follows(old, r, why), CK_NEXT); /* the claim changed, or a label */
    ck_root_push(r, ck_entry_make(unit_heap(), 41, r->leader.term, 99, (const uint8_t *)"x", 1));
    assert_int_equal(ck_root_follows(old, r, why), CK_NEXT);
    assert_int_equal(ck_root_follows(r, old, why), CK_STALE);
    assert_string_equal(why, "the root object has index 40, but 41 was seen already");

    r->leader.term--; /* more of one and less of another: not one history */
    assert_int_equal(ck_root_follows(old, r, why), CK_FOREIGN);
    assert_non_null(strstr(why, "index 41 after 40, but term"));
    r->leader.term++;
    r->ids[40]++; /* another entry 40 */
    assert_int_equal(ck_root_follows(old, r, why), CK_FOREIGN);
    assert_non_null(strstr(why, "another entry 40"));
    r->ids[40]--;
    r->history_id[3]++;
    assert_int_equal(ck_root_follows(old, r, why), CK_FOREIGN);
    assert_non_null(strstr(why, "historyId"));
    r->recoveries++; /* a forced one */
    assert_int_equal(ck_root_follows(old, r, why), CK_NEXT);
    r->store_id[3]++;
    assert_int_equal(ck_root_follows(old, r, why), CK_FOREIGN);
    assert_non_null(strstr(why, "storeId"));
    r->store_id[3]--;
    r->uid[3]++;
    assert_int_equal(ck_root_follows(old, r, why), CK_FOREIGN);
    assert_non_null(strstr(why, r->uid));
    assert_non_null(strstr(why, old->uid));
    ck_root_free(r);

    r = ck_root_make(unit_heap()); /* nothing is known yet */
    assert_int_equal(ck_root_follows(r, old, why), CK_NEXT);
    ck_root_free(r);
    ck_root_free(old);
    memory_check();
}

int main(void)
{
    json_count();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_exact_and_strict),
        cmocka_unit_test(names_are_labels),
        cmocka_unit_test(names_of_blobs_are_read_back),
        cmocka_unit_test(blob_looks_like_this),
        cmocka_unit_test(blobs_come_back_from_slices),
        cmocka_unit_test(other_bytes_are_found),
        cmocka_unit_test(root_looks_like_this),
        cmocka_unit_test(roots_come_back),
        cmocka_unit_test(who_speaks_is_counted),
        cmocka_unit_test(entries_that_are_known_are_shared),
        cmocka_unit_test(what_others_wrote_is_kept),
        cmocka_unit_test(objects_have_a_finalizer),
        cmocka_unit_test(newer_formats_are_refused_in_words),
        cmocka_unit_test(whatever_is_wrong_is_said),
        cmocka_unit_test(fields_that_contradict_each_other),
        cmocka_unit_test(without_memory_nothing_is_left),
        cmocka_unit_test(a_root_never_grows_over_its_limit),
        cmocka_unit_test(entries_stand_where_they_fit),
        cmocka_unit_test(ids_tell_what_became_of_an_entry),
        cmocka_unit_test(later_roots_are_told_from_earlier_ones),
        cmocka_unit_test(a_mirror_begins_anew),
    };
    return unit_run(tests);
}
