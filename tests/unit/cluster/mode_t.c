/*
 * mode_t.c: the decision at the start, row by row: settings, environment, what a node belongs to ->
 * which store, whose, and why.
 */
#include "cluster/authority/authority.h"
#include "cluster/authority/mode.h"
#include "unit/unit.h"

enum { MASTER = 1, COORDINATION = 2 };
#define A QD_MODE_AUTO
#define M QD_MODE_MASTER
#define K QD_MODE_KUBERNETES
#define RAFT QD_STORE_MASTERS
#define KUBE QD_STORE_KUBERNETES
#define NONE QD_STORE_UNKNOWN

typedef struct row {
    const char *name;
    int roles;
    int asked; /* -1: nothing is set */
    const char *masters, *others;
    bool fallback, account, kubeconfig, learned;
    qd_store_kind record;
    bool folder;
    qd_store_kind claim;
    /* wanted: */
    int mode; /* asked, with the default filled in; -1: refused */
    qd_store_kind store;
    bool own, two, kept;
    const char *why;
} row;

/* clang-format off */
static const row rows[] = {
    /* the default */
    {"nothing at all, all roles", 3, -1, "", "", 0, 0, 0, 0, NONE, 0, NONE, M, RAFT, 1, 0, 0, "coordination.mode is not set: [master]"},
    {"a pod without fallback", 3, -1, "", "", 0, 1, 0, 0, NONE, 0, NONE, M, RAFT, 1, 0, 0, NULL},
    {"fallback off Kubernetes", 3, -1, "", "", 1, 0, 0, 0, NONE, 0, NONE, M, RAFT, 1, 0, 0, NULL},
    {"a pod with fallback", 3, -1, "", "", 1, 1, 0, 0, NONE, 0, NONE, A, KUBE, 1, 0, 0, "no masters are named"},
    {"a kubeconfig with fallback", 2, -1, "", "", 1, 0, 1, 0, NONE, 0, NONE, A, KUBE, 1, 0, 0, "by a kubeconfig"},
    {"masters are named", 2, -1, "m0:9301", "", 0, 0, 0, 0, NONE, 0, NONE, A, RAFT, 0, 0, 0, "coordination.master_addresses is set"},
    {"masters are named, in a pod", 2, -1, "m0:9301", "", 0, 1, 0, 0, NONE, 0, NONE, A, RAFT, 0, 0, 0, "coordination.k8s_fallback is false"},
    {"masters, fallback, off Kubernetes", 2, -1, "m0:9301", "", 1, 0, 0, 0, NONE, 0, NONE, A, RAFT, 0, 0, 0, "it does not run in Kubernetes"},
    {"a master with peers", 1, -1, "", "m0,m1,m2", 0, 0, 0, 0, NONE, 0, NONE, M, RAFT, 1, 0, 0, NULL},
    /* what is asked for */
    {"master, in a pod", 3, M, "", "", 1, 1, 0, 0, NONE, 0, NONE, M, RAFT, 1, 0, 0, "[master] (flag -E)"},
    {"master, coordinating only", 2, M, "m0:9301", "", 1, 1, 0, 0, NONE, 0, NONE, M, RAFT, 0, 0, 0, NULL},
    {"k8s-native, all roles", 3, K, "", "", 0, 1, 0, 0, NONE, 0, NONE, K, KUBE, 1, 0, 0, "[k8s-native] (flag -E)"},
    {"k8s-native, coordinating only", 2, K, "", "", 0, 1, 0, 0, NONE, 0, NONE, K, KUBE, 1, 0, 0, NULL},
    {"k8s-native, master only, named masters do not matter", 1, K, "m0:9301", "", 0, 1, 0, 0, NONE, 0, NONE, K, KUBE, 1, 0, 0, NULL},
    {"k8s-native without access", 2, K, "", "", 0, 0, 0, 0, NONE, 0, NONE, K, KUBE, 1, 0, 0, "neither a service account nor a KUBECONFIG"},
    {"auto with nothing, may be master", 3, A, "", "", 0, 0, 0, 0, NONE, 0, NONE, A, RAFT, 1, 0, 0, NULL},
    /* nodes that only hold data */
    {"data, masters are named", 0, -1, "c0:9302", "", 0, 0, 0, 0, NONE, 0, NONE, A, NONE, 0, 0, 0, "control nodes"},
    {"data, k8s-native", 0, K, "c0:9302", "", 1, 1, 0, 0, NONE, 0, NONE, K, NONE, 0, 0, 0, NULL},
    {"data, both", 0, A, "c0:9302", "", 1, 1, 0, 0, NONE, 0, NONE, A, NONE, 0, 0, 0, NULL},
    {"data, learned addresses", 0, -1, "", "", 0, 0, 0, 1, KUBE, 0, NONE, M, KUBE, 0, 0, 0, NULL},
    {"data, seed hosts", 0, M, "", "m0", 0, 0, 0, 0, NONE, 0, NONE, M, NONE, 0, 0, 0, NULL},
    {"data, nothing", 0, -1, "", "", 0, 0, 0, 0, NONE, 0, NONE, -1, NONE, 0, 0, 0, "no coordination backend available: a node without the role master has to know one"},
    {"data, k8s-native, nothing", 0, K, "", "", 0, 1, 0, 0, NONE, 0, NONE, -1, NONE, 0, 0, 0, "Kubernetes: by the service account"},
    {"coordination, auto, nothing", 2, A, "", "", 0, 0, 0, 0, NONE, 0, NONE, -1, NONE, 0, 0, 0, "no coordination backend available"},
    {"coordination, auto, no fallback", 2, A, "", "", 0, 1, 0, 0, NONE, 0, NONE, -1, NONE, 0, 0, 0, "coordination.k8s_fallback is false"},
    {"coordination, auto, no account", 2, A, "", "", 1, 0, 0, 0, NONE, 0, NONE, -1, NONE, 0, 0, 0, "there is no service account and no KUBECONFIG"},
    {"coordination, master, nothing", 2, M, "", "", 1, 1, 0, 0, NONE, 0, NONE, -1, NONE, 0, 0, 0, "not asked, coordination.mode is [master]"},
    /* both could be: never by this node alone */
    {"both, no claim", 2, A, "m0:9301", "", 1, 1, 0, 0, NONE, 0, NONE, A, RAFT, 0, 1, 0, "the claim in Kubernetes says which one, and is waited for"},
    {"both, a master, no claim", 1, A, "", "m0,m1", 1, 1, 0, 0, NONE, 0, NONE, A, RAFT, 1, 1, 0, NULL},
    {"both, claimed for Kubernetes", 2, A, "m0:9301", "", 1, 1, 0, 0, NONE, 0, KUBE, A, KUBE, 1, 1, 0, "the claim in Kubernetes says [k8s]"},
    {"both, claimed for masters", 2, -1, "m0:9301", "", 1, 0, 1, 0, NONE, 0, RAFT, A, RAFT, 0, 1, 0, "the claim in Kubernetes says [raft]"},
    {"both, but master is asked for", 2, M, "m0:9301", "", 1, 1, 0, 0, NONE, 0, KUBE, M, RAFT, 0, 0, 0, NULL},
    /* what has formed stays */
    {"formed by masters, as asked", 3, M, "", "", 0, 0, 0, 0, RAFT, 1, NONE, M, RAFT, 1, 0, 0, "belongs to a cluster whose state is in the store [raft], epoch 7"},
    {"formed by masters, k8s-native asked", 3, K, "", "", 0, 1, 0, 0, RAFT, 1, NONE, K, RAFT, 1, 0, 1, "qd migrate start --to k8s-native"},
    {"formed by masters, coordination, k8s-native asked", 2, K, "", "", 0, 1, 0, 1, RAFT, 0, NONE, K, RAFT, 0, 0, 1, "qd migrate start --to k8s-native"},
    {"formed by masters, none known any more", 2, K, "", "", 0, 1, 0, 0, RAFT, 0, NONE, -1, NONE, 0, 0, 1, "which only qd migrate changes"},
    {"formed by masters, fallback on, masters gone", 2, A, "m0:9301", "", 1, 1, 0, 1, RAFT, 0, KUBE, A, RAFT, 0, 0, 0, NULL},
    {"formed in Kubernetes, master asked", 2, M, "m0:9301", "", 0, 1, 0, 0, KUBE, 0, NONE, M, KUBE, 1, 0, 1, "qd migrate start --to master"},
    {"formed in Kubernetes, default, masters named", 3, -1, "m0:9301", "", 0, 1, 0, 0, KUBE, 0, NONE, A, KUBE, 1, 0, 0, NULL},
    {"formed in Kubernetes, nothing set any more", 3, -1, "", "", 0, 0, 0, 0, KUBE, 0, NONE, M, KUBE, 1, 0, 0, "store [k8s], epoch 7"},
    {"a master's folder without a record", 3, K, "", "", 0, 1, 0, 0, NONE, 1, NONE, K, RAFT, 1, 0, 1, "lies in its path.data"},
    {"a master's folder, fallback", 3, -1, "", "", 1, 1, 0, 0, NONE, 1, NONE, A, RAFT, 1, 0, 0, NULL},
    {"moved to Kubernetes, the old folder is there", 3, A, "", "", 1, 1, 0, 0, KUBE, 1, NONE, A, KUBE, 1, 0, 0, NULL},
    {"was a master, is none now", 2, -1, "", "", 1, 1, 0, 0, NONE, 1, NONE, A, KUBE, 1, 0, 0, NULL},
};
/* clang-format on */

static qd_mode_input input_of(const row *r, qd_mode_claim *claim)
{
    *claim = (qd_mode_claim){.in_charge = r->claim, .epoch = 1};
    return (qd_mode_input){
        .asked = r->asked < 0 ? QD_MODE_AUTO : (qd_mode)r->asked,
        .asked_set = r->asked >= 0,
        .asked_by = QD_STR("flag -E"),
        .fallback = r->fallback,
        .master = r->roles & MASTER,
        .coordination = r->roles & COORDINATION,
        .masters = qd_str_c(r->masters),
        .others = qd_str_c(r->others),
        .learned = r->learned,
        .account = r->account ? QD_STR("/token") : QD_STR(""),
        .kubeconfig = r->kubeconfig ? QD_STR("/kube/config") : QD_STR(""),
        .record = r->record,
        .epoch = 7,
        .folder = r->folder,
        .claim = r->claim ? claim : NULL,
    };
}

static bool said(const qd_mode_decision *d, const char *what)
{
    bool found = false;
    for (uint32_t i = 0; i < d->n; i++) found |= strstr(d->why[i], what) != NULL;
    return found;
}

static bool as_wanted(const row *r, int rc, const qd_mode_decision *d, const char *refusal)
{
    if (r->mode < 0) return rc == QD_E_CONFIG && strstr(refusal, r->why);
    return rc == 0 && (int)d->asked == r->mode && d->store == r->store && d->own == r->own &&
           d->claim == r->two && d->kept == r->kept && (!r->why || said(d, r->why)) && d->n;
}

static void every_row_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(rows); i++) {
        qd_mode_decision d;
        qd_mode_claim claim;
        qd_err err;
        qd_err_init(&err);
        qd_mode_input in = input_of(&rows[i], &claim);
        int rc = qd_mode_decide(&in, &d, &err);
        if (!as_wanted(&rows[i], rc, &d, qd_err_reason(&err))) {
            print_message("# %s: %d %s, store %s, own %d, claim %d, kept %d\n", rows[i].name, rc,
                          qd_mode_name(d.asked), qd_store_kind_name(d.store), d.own, d.claim,
                          d.kept);
            for (uint32_t k = 0; k < d.n; k++) print_message("#   %s\n", d.why[k]);
            fail_msg("%s: %s", rows[i].name, qd_err_reason(&err));
        }
        qd_err_fini(&err);
    }
}

/* Whoever is asked answers at the third attempt, or never. */
typedef struct claims {
    int asked, answers_at, rc, waited, patience;
    qd_store_kind in_charge;
} claims;

static int claim(void *arg, const qd_mode_input *in, qd_mode_claim *out, qd_err *err)
{
    claims *c = arg;
    (void)in;
    if (++c->asked < c->answers_at) return qd_err_set(err, c->rc, "nobody answers");
    *out = (qd_mode_claim){.in_charge = c->in_charge, .epoch = 1};
    return 0;
}

static bool waits(void *arg, const qd_err *why)
{
    claims *c = arg;
    assert_string_equal(qd_err_reason(why), "nobody answers");
    return ++c->waited < c->patience;
}

static void claims_are_waited_for(void **state)
{
    (void)state;
    qd_mode_input both = {.fallback = true,
                          .coordination = true,
                          .masters = QD_STR("m0:9301"),
                          .account = QD_STR("/token")};
    qd_mode_decision d;
    qd_err err;
    qd_err_init(&err);
    claims c = {.answers_at = 3,
                .rc = QD_E_NO_COORDINATION,
                .patience = 100,
                .in_charge = QD_STORE_KUBERNETES};
    qd_mode_claims from = {claim, &c};
    assert_int_equal(qd_mode_settle(&both, &from, waits, &c, &d, &err), 0);
    assert_int_equal(d.store, QD_STORE_KUBERNETES);
    assert_int_equal(c.asked, 3);
    assert_int_equal(c.waited, 2);
    /* it cannot be read, and masters in charge are proof */
    qd_mode_claim proof = {
        .in_charge = QD_STORE_MASTERS, .epoch = 3, .uuid = "abc", .by_masters = true};
    both.claim = &proof;
    assert_int_equal(qd_mode_decide(&both, &d, &err), 0);
    assert_int_equal(d.store, QD_STORE_MASTERS);
    assert_true(d.settled);
    assert_string_equal(d.uuid, "abc");
    assert_non_null(strstr(d.why[d.n - 2], "the claim cannot be read"));
    both.claim = NULL;
    /* the node stops */
    c = (claims){.answers_at = 1000, .rc = QD_E_TIMEOUT, .patience = 5};
    assert_int_equal(qd_mode_settle(&both, &from, waits, &c, &d, &err), QD_E_CANCELLED);
    assert_int_equal(c.waited, 5);
    qd_err_fini(&err);
    /* forbidden: waiting does not help */
    c = (claims){.answers_at = 1000, .rc = QD_E_PERMISSION, .patience = 5};
    assert_int_equal(qd_mode_settle(&both, &from, waits, &c, &d, &err), QD_E_PERMISSION);
    assert_string_equal(qd_err_reason(&err), "nobody answers");
    assert_int_equal(c.waited, 0);
    qd_err_fini(&err);
    /* off Kubernetes, and of a node that belongs to a cluster, nobody is asked */
    c = (claims){.answers_at = 1};
    both.account = QD_STR("");
    assert_int_equal(qd_mode_settle(&both, &from, waits, &c, &d, &err), 0);
    both.account = QD_STR("/token");
    both.record = QD_STORE_MASTERS;
    assert_int_equal(qd_mode_settle(&both, &from, waits, &c, &d, &err), 0);
    assert_int_equal(c.asked, 0);
    assert_int_equal(d.store, QD_STORE_MASTERS);
}

static void names_are_read_back(void **state)
{
    (void)state;
    for (int m = QD_MODE_AUTO; m <= QD_MODE_KUBERNETES; m++)
        assert_int_equal(qd_mode_parse(qd_str_c(qd_mode_name((qd_mode)m))), m);
    for (int k = QD_STORE_UNKNOWN; k <= QD_STORE_KUBERNETES; k++)
        assert_int_equal(qd_store_kind_parse(qd_str_c(qd_store_kind_name((qd_store_kind)k))), k);
    assert_int_equal(qd_store_kind_parse(QD_STR("")), QD_STORE_UNKNOWN);
    assert_int_equal(qd_mode_of(QD_STORE_KUBERNETES), QD_MODE_KUBERNETES);
    assert_int_equal(qd_mode_of(QD_STORE_MASTERS), QD_MODE_MASTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table),
        cmocka_unit_test(claims_are_waited_for),
        cmocka_unit_test(names_are_read_back),
    };
    return unit_run(tests);
}
