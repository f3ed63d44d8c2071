/*
 * authority_t.c: what a node has acted on: kept over restarts, durable before it is acted on, older
 * states refused with a sentence that names both, damage told as such.
 */
#include "base/hash.h"
#include "cluster/authority/authority.h"
#include "cluster/cluster.h"
#include "lib/coord_memory.h"
#include "unit/unit.h"

/* A disk: the text, how often it was written, and whether it fails. */
typedef struct disk {
    char text[4096];
    size_t n;
    uint32_t writes;
    bool fails;
} disk;

static int disk_read(void *arg, qd_buf *out, qd_err *err)
{
    disk *d = arg;
    if (!d->n) return qd_err_set(err, QD_E_NOTFOUND, "no file");
    return qd_buf_add(out, d->text, d->n);
}

static int disk_write(void *arg, qd_str text, qd_err *err)
{
    disk *d = arg;
    if (d->fails) return qd_err_set(err, QD_E_NOSPACE, "the disk is full");
    memcpy(d->text, text.p, text.n);
    d->n = text.n;
    d->writes++;
    return 0;
}

static qd_authority *open_on(disk *d)
{
    qd_authority *a;
    qd_authority_files files = {disk_read, disk_write, d};
    assert_int_equal(qd_authority_open(&files, &a, NULL), 0);
    return a;
}

static void older_states_are_refused(void **state)
{
    (void)state;
    static disk d;
    qd_err err;
    d = (disk){0};
    qd_err_init(&err);
    qd_authority *a = open_on(&d);
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 1, 5, NULL), 0); /* nothing is known yet */
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 100, true, NULL), 0);
    assert_int_equal(d.writes, 1);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 90, true, NULL), 0); /* nothing new */
    assert_int_equal(d.writes, 1);
    qd_authority_close(a);
    a = open_on(&d);
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 1, 100, NULL), 0);
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 2, 1, NULL), 0); /* a higher epoch */
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 1, 99, &err), QD_E_FENCED);
    assert_non_null(strstr(qd_err_reason(&err), "epoch 1, revision 100"));
    assert_non_null(strstr(qd_err_reason(&err), "epoch 1, revision 99"));
    qd_err_fini(&err);
    /* that store goes on, beyond what this node knows: it is another history */
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 1, 300, NULL), QD_E_FENCED);
    qd_authority_close(a);
    a = open_on(&d);
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 1, 300, &err), QD_E_FENCED);
    qd_err_fini(&err);
    /* a raised epoch is an operator's word */
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 2, 50, NULL), 0);
    assert_int_equal(qd_authority_check(a, QD_STR("u2"), 1, 200, &err), QD_E_FENCED);
    assert_non_null(strstr(qd_err_reason(&err), "[u1]"));
    assert_non_null(strstr(qd_err_reason(&err), "[u2]"));
    qd_err_fini(&err);
    assert_int_equal(qd_authority_check(a, QD_STR(""), 1, 0, &err), QD_E_FENCED);
    assert_non_null(strstr(qd_err_reason(&err), "is empty"));
    qd_err_fini(&err);
    /* the operator says so: once */
    assert_int_equal(qd_authority_accept_older(a, NULL), 0);
    qd_authority_close(a);
    a = open_on(&d);
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 1, 7, NULL), 0);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 7, true, NULL), 0);
    assert_int_equal(qd_authority_check(a, QD_STR("u1"), 1, 6, NULL), QD_E_FENCED);
    qd_authority_close(a);
}

/* Each byte another in turn, then each length that is too short: damage, not a file of its own. */
static void damaged_anywhere(disk *d)
{
    qd_authority_files files = {disk_read, disk_write, d};
    qd_authority *a;
    for (size_t i = 0; i < d->n; i++) {
        char was = d->text[i];
        d->text[i] = was == '1' ? '2' : '1';
        assert_int_equal(qd_authority_open(&files, &a, NULL), QD_E_CORRUPT);
        d->text[i] = was;
    }
    size_t whole = d->n;
    for (d->n = whole - 1; d->n; d->n--)
        assert_int_equal(qd_authority_open(&files, &a, NULL), QD_E_CORRUPT);
    d->n = whole;
}

static void damage_is_not_none(void **state)
{
    (void)state;
    static disk d;
    qd_authority *a;
    d = (disk){0};
    a = open_on(&d);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 100, true, NULL), 0);
    qd_authority_close(a);
    damaged_anywhere(&d);
}

/* As a later version would write it: its own members behind ours, and a hash of it all. */
static void what_a_later_version_wrote_is_read(void **state)
{
    (void)state;
    static disk d;
    static const char more[] = ",\n  \"zones\" : [\n    \"a\"\n  ],\n  ";
    qd_authority_record r;
    qd_authority *a;
    d = (disk){0};
    a = open_on(&d);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 3, 100, true, NULL), 0);
    qd_authority_close(a);
    d.n -= 2; /* "\n}" */
    memcpy(d.text + d.n, more, sizeof more);
    d.n += sizeof more - 1;
    d.n +=
        (size_t)snprintf(d.text + d.n, sizeof d.text - d.n, "\"checksum_of_all\" : \"%016llx\"\n}",
                         (unsigned long long)qd_xxh3(d.text, d.n));
    a = open_on(&d);
    qd_authority_get(a, &r);
    assert_string_equal(r.uuid, "u1");
    assert_true(r.epoch == 3 && r.revision == 100);
    qd_authority_close(a);
    damaged_anywhere(&d);
    /* what this version notes it writes in its own way */
    a = open_on(&d);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 3, 101, true, NULL), 0);
    qd_authority_close(a);
    a = open_on(&d);
    qd_authority_get(a, &r);
    assert_true(r.revision == 101);
    qd_authority_close(a);
}

/* As it was before records named starts and the store: `checksum` covers what is there. */
static void what_an_earlier_version_wrote_is_read(void **state)
{
    (void)state;
    static disk d;
    qd_authority_record r;
    static const char sums[] = "u1/2/7/0";
    d = (disk){0};
    d.n =
        (size_t)snprintf(d.text, sizeof d.text,
                         "{\n  \"cluster_uuid\" : \"u1\",\n  \"epoch\" : 2,\n  \"revision\" : 7,\n"
                         "  \"refused\" : false,\n  \"accept_older\" : false,\n"
                         "  \"checksum\" : \"%016llx\"\n}",
                         (unsigned long long)qd_xxh3(sums, sizeof sums - 1));
    qd_authority *a = open_on(&d);
    qd_authority_get(a, &r);
    assert_true(r.epoch == 2 && r.revision == 7 && r.store == QD_STORE_UNKNOWN);
    qd_authority_close(a);
}

static void a_note_is_durable_or_fails(void **state)
{
    (void)state;
    static disk d;
    d = (disk){.fails = true};
    qd_authority *a = open_on(&d);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 5, true, NULL), QD_E_NOSPACE);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 6, false, NULL), 0);
    d.fails = false;
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 6, true, NULL), 0); /* what is owed */
    assert_int_equal(d.writes, 1);
    qd_authority_close(a);
}

static int open_cluster(const char *store, bool control, qd_authority *a, qd_coord_store **s,
                        qd_cluster **out, qd_err *err)
{
    qd_coord_config c = {.struct_size = sizeof c, .path = qd_str_c(store)};
    assert_int_equal(qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &c, s, NULL), 0);
    qd_cluster_config k = {.env = qd_env_system(),
                           .store = *s,
                           .name = QD_STR("test"),
                           .self = {.id = QD_STR("node-a"),
                                    .name = QD_STR("a"),
                                    .roles = QD_STR("dm"),
                                    .version = QD_STR("1.0.0")},
                           .data = true,
                           .control = control,
                           .authority = a,
                           .session_ttl_ms = 30000,
                           .timeout_ms = 120000};
    int rc = qd_cluster_open(&k, out, err);
    if (rc) {
        *out = NULL;
        qd_coord_close(*s);
    }
    return rc;
}

/* The masters' store is replaced by an empty one: nobody forms a second cluster in it. */
static void an_emptied_store_is_not_obeyed(void **state)
{
    (void)state;
    static disk d;
    qd_coord_store *s;
    qd_cluster *c;
    qd_err err;
    d = (disk){0};
    qd_err_init(&err);
    coord_memory *m = coord_memory_make(qd_env_system(), "old");
    qd_authority *a = open_on(&d);
    assert_int_equal(open_cluster("old", true, a, &s, &c, &err), 0);
    qd_cluster_close(c);
    qd_coord_close(s);
    coord_memory_free(m);
    m = coord_memory_make(qd_env_system(), "new");
    assert_int_equal(open_cluster("new", true, a, &s, &c, &err), QD_E_FENCED);
    assert_non_null(strstr(qd_err_reason(&err), "is empty"));
    qd_err_fini(&err);
    assert_int_equal(qd_authority_accept_older(a, NULL), 0);
    if (open_cluster("new", true, a, &s, &c, &err)) fail_msg("%s", qd_err_reason(&err));
    qd_cluster_close(c);
    qd_coord_close(s);
    qd_authority_close(a);
    coord_memory_free(m);
}

/* Starts that end before the cluster knows of them do not make the folder an old copy, however
 * many; the copy of the folder from before is one. */
static void many_starts_that_failed_are_no_old_copy(void **state)
{
    (void)state;
    static disk d, copy;
    d = (disk){0};
    qd_authority *a = open_on(&d);
    assert_int_equal(qd_authority_live(a, QD_STR("s0"), QD_STR(""), NULL), 0);
    copy = d;
    assert_int_equal(qd_authority_live(a, QD_STR("s1"), QD_STR("s0"), NULL), 0);
    for (uint32_t i = 2; i < 3 * QD_AUTHORITY_LIVES; i++) {
        char life[16];
        int n = snprintf(life, sizeof life, "s%u", i);
        qd_authority_close(a);
        a = open_on(&d);
        assert_true(qd_authority_remembers(a, QD_STR("s1")));
        assert_int_equal(qd_authority_live(a, (qd_str){life, (size_t)n}, QD_STR("s1"), NULL), 0);
        assert_true(qd_authority_remembers(a, (qd_str){life, (size_t)n}));
    }
    assert_true(qd_authority_remembers(a, QD_STR("s1")));
    assert_false(qd_authority_remembers(a, QD_STR("s2")));
    qd_authority_close(a);
    a = open_on(&copy);
    assert_false(qd_authority_remembers(a, QD_STR("s1")));
    qd_authority_close(a);
}

/* Which store, and since when; records of builds that did not tell are read as before. */
static void the_store_is_named_and_since_when(void **state)
{
    (void)state;
    static disk d;
    qd_authority_record r;
    qd_env *env = qd_env_system();
    d = (disk){0};
    qd_authority *a = open_on(&d);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 5, true, NULL), 0);
    assert_null(strstr(d.text, "store"));
    qd_authority_close(a);
    a = open_on(&d);
    qd_authority_get(a, &r);
    assert_int_equal(r.store, QD_STORE_UNKNOWN);
    int64_t before = qd_env_wall_ms(env);
    qd_authority_store(a, env, QD_STORE_UNKNOWN); /* nobody has told yet */
    qd_authority_store(a, env, QD_STORE_KUBERNETES);
    qd_authority_close(a);
    a = open_on(&d);
    qd_authority_get(a, &r);
    assert_int_equal(r.store, QD_STORE_KUBERNETES);
    assert_true(r.since_ms >= before && r.since_ms <= qd_env_wall_ms(env));
    int64_t since = r.since_ms;
    uint32_t writes = d.writes;
    qd_authority_store(a, env, QD_STORE_KUBERNETES); /* nothing new */
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 1, 6, true, NULL), 0);
    qd_authority_get(a, &r);
    assert_int_equal(r.since_ms, since);
    assert_int_equal(d.writes, writes + 1);
    while (qd_env_wall_ms(env) == since) qd_env_sleep_ns(env, 1000000);
    assert_int_equal(qd_authority_note(a, QD_STR("u1"), 2, 7, true, NULL), 0); /* a new epoch */
    qd_authority_get(a, &r);
    assert_true(r.since_ms > since);
    qd_authority_close(a);
    damaged_anywhere(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_states_are_refused),
        cmocka_unit_test(damage_is_not_none),
        cmocka_unit_test(what_a_later_version_wrote_is_read),
        cmocka_unit_test(what_an_earlier_version_wrote_is_read),
        cmocka_unit_test(a_note_is_durable_or_fails),
        cmocka_unit_test(many_starts_that_failed_are_no_old_copy),
        cmocka_unit_test(an_emptied_store_is_not_obeyed),
        cmocka_unit_test(the_store_is_named_and_since_when),
    };
    return unit_run(tests);
}
