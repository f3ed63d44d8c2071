/*
 * sets.c: which members the platform wants: the pods of the StatefulSet that one of them belongs
 * to, by its spec.replicas, read from the quorum of the API server. For a master that is told to
 * stop: does it come back?
 */
#include "k8s.h"

#define SET_TIMEOUT_NS 5000000000ll

struct ck_set {
    ck_set *next;
    cr_consensus *c;
    cr_name name; /* of the command that is answered */
    kube_request request;
    char path[KUBE_PATH_MAX];
    char set[CR_WIRE_NAME_MAX + 1];
};

/* "quidditch-master-2" is of "quidditch-master". 0: it is a name of no such set. */
static size_t set_of(qd_str member)
{
    size_t n = member.n;
    while (n && member.p[n - 1] >= '0' && member.p[n - 1] <= '9') n--;
    if (n == member.n || n < 2 || member.p[n - 1] != '-') return 0;
    return ck_is_label((qd_str){member.p, n - 1}) ? n - 1 : 0;
}

static void end(ck_set *s, const cr_answering *a)
{
    cr_consensus *c = s->c;
    ck_set **link = &c->sets;
    while (*link != s) link = &(*link)->next;
    *link = s->next;
    cr_told(c->store, s->name, a);
    cr_free(c->heap, s);
}

/* The first `replicas` of the set. */
static void answer(ck_set *s, uint32_t replicas)
{
    const cr_heap *heap = s->c->heap;
    uint32_t n = replicas < CR_WIRE_MEMBERS_MAX ? replicas : CR_WIRE_MEMBERS_MAX;
    char(*names)[CR_WIRE_NAME_MAX + 16] = cr_must(heap, (n + 1) * sizeof *names);
    cr_answering *a = cr_must(heap, sizeof *a);
    *a = (cr_answering){.nmembers = n};
    for (uint32_t i = 0; i < n; i++) {
        int len = snprintf(names[i], sizeof names[i], "%s-%u", s->set, i);
        a->members[i] =
            (cr_who){.id = i + 1, .role = QD_COORD_VOTER, .name = {names[i], (size_t)len}};
    }
    end(s, a);
    cr_free(heap, names);
    cr_free(heap, a);
}

static void refuse(ck_set *s, int32_t rc, const char *why)
{
    char text[KUBE_MESSAGE_MAX + 200];
    int n = snprintf(text, sizeof text, "StatefulSet %.60s: %.500s", s->set, why);
    cr_answering *a = cr_must(s->c->heap, sizeof *a);
    const cr_heap *heap = s->c->heap;
    *a = (cr_answering){.rc = rc, .text = {text, (size_t)n}};
    end(s, a);
    cr_free(heap, a);
}

static void on_set(kube_request *r)
{
    ck_set *s = r->user;
    const json_t *spec = json_object_get(r->result.object, "spec");
    const json_t *replicas = json_object_get(spec, "replicas");
    if (r->result.outcome != KUBE_DONE) {
        int32_t rc = kube_result_rc(&r->result);
        refuse(s, rc == QD_E_NOTFOUND || rc == QD_E_SECURITY ? rc : QD_E_TIMEOUT,
               r->result.message);
    } else if (spec && (!replicas || json_is_integer(replicas))) {
        answer(s, replicas ? (uint32_t)json_integer_value(replicas) : 1);
    } else {
        refuse(s, QD_E_NOTFOUND, "it has no number of replicas");
    }
}

void ck_set_ask(cr_consensus *c, cr_name name, qd_str member)
{
    for (const ck_set *s = c->sets; s; s = s->next) /* sent again */
        if (s->name.owner == name.owner && s->name.number == name.number) return;
    size_t n = set_of(member);
    ck_set *s = cr_must(c->heap, sizeof *s);
    *s = (ck_set){.next = c->sets, .c = c, .name = name};
    c->sets = s;
    if (!n || member.n > CR_WIRE_NAME_MAX) {
        refuse(s, QD_E_NOTFOUND, "the name of the member ends with no number of a pod");
        return;
    }
    memcpy(s->set, member.p, n);
    s->request = (kube_request){.method = "GET",
                                .path = s->path,
                                .timeout_ns = SET_TIMEOUT_NS,
                                .repeat = 1,
                                .done = on_set,
                                .user = s};
    int32_t rc =
        kube_path(s->path, "apps", "v1", c->store->home.space, "statefulsets", s->set, NULL, NULL);
    if (!rc) rc = kube_send(c->client, &s->request);
    if (rc) refuse(s, QD_E_TIMEOUT, "too much is being asked of the API server");
}

void ck_sets_cancel(cr_consensus *c)
{
    while (c->sets) {
        ck_set *s = c->sets;
        (void)kube_cancel(&s->request);
        c->sets = s->next;
        cr_free(c->heap, s);
    }
}
