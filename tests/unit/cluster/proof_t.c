/* proof_t.c: which masters a node of no cluster may take for its own while it cannot ask more. */
#include "base/str.h"
#include "cluster/authority/handover.h"
#include "cluster/authority/proof.h"
#include "lib/coord_memory.h"
#include "unit/unit.h"

static coord_memory *m;
static qd_coord_store *s;

static void put(const char *key, const char *value)
{
    qd_coord_change c = {.type = value ? QD_COORD_PUT : QD_COORD_DELETE,
                         .key = qd_str_c(key),
                         .value = qd_str_c(value ? value : "")};
    assert_int_equal(qd_coord_commit(s, NULL, 0, &c, 1, 5000, NULL, NULL, NULL), 0);
}

static qd_proof look(void)
{
    qd_proof p;
    assert_int_equal(qd_proof_read(s, 5000, &p, NULL), 0);
    return p;
}

static void step(uint32_t action, uint64_t epoch)
{
    qd_coord_authority a = {.action = action, .epoch = epoch};
    assert_int_equal(qd_coord_authority_step(s, &a, 5000, NULL), 0);
}

static void only_what_is_in_use_is_proof(void **state)
{
    (void)state;
    qd_proof p = look();
    assert_false(qd_proof_holds(&p));
    assert_string_equal(p.uuid, "");
    put("cluster/uuid", "abc");
    p = look();
    assert_string_equal(p.uuid, "abc");
    assert_true(p.active);
    assert_false(qd_proof_holds(&p)); /* formed, and empty */
    put("name/books", "1234");
    p = look();
    assert_true(p.indices);
    assert_true(qd_proof_holds(&p));
    put("name/books", NULL);
    put(QD_HANDOVER_PLAN, "{\"to\":\"k8s-native\",\"abort\":false,\"epoch\":0,\"keep\":true}");
    p = look();
    assert_false(qd_proof_holds(&p)); /* planned; nothing has been made there */
    put(QD_HANDOVER_PLAN,
        "{\"to\":\"k8s-native\",\"abort\":false,\"epoch\":2,\"keep\":true,\"peer\":\"0a\"}");
    p = look();
    assert_true(p.mirror);
    assert_true(qd_proof_holds(&p));
    put(QD_HANDOVER_PLAN, "{damaged");
    p = look();
    assert_false(qd_proof_holds(&p));
    put("name/books", "1234");
    step(QD_COORD_SEAL, p.epoch);
    p = look();
    assert_false(p.active); /* another store takes over */
    assert_false(qd_proof_holds(&p));
}

static void one_that_does_not_answer_is_none(void **state)
{
    (void)state;
    qd_proof p;
    qd_err err;
    qd_err_init(&err);
    coord_memory_off(m, true, false);
    assert_int_equal(qd_proof_read(s, 50, &p, &err), QD_E_NO_COORDINATION);
    assert_false(qd_proof_holds(&p));
    qd_err_fini(&err);
    coord_memory_off(m, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_in_use_is_proof),
        cmocka_unit_test(one_that_does_not_answer_is_none),
    };
    m = coord_memory_make(qd_env_system(), "masters");
    qd_coord_config c = {.struct_size = sizeof c, .path = QD_STR("masters")};
    if (qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &c, &s, NULL)) return 1;
    int rc = unit_run(tests);
    qd_coord_close(s);
    coord_memory_free(m);
    return rc;
}
