/* mode.c: the decision at the start. See mode.h and the table in docs/coordination.md. */
#include "cluster/authority/mode.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const mode_names[] = {"auto", "master", "k8s-native"};
static const char *const kind_names[] = {"unknown", "raft", "k8s"};

const char *qd_mode_name(qd_mode m)
{
    return mode_names[m];
}

qd_mode qd_mode_parse(qd_str text)
{
    for (size_t i = 0; i < QD_COUNT_OF(mode_names); i++)
        if (qd_str_ieq(text, qd_str_c(mode_names[i]))) return (qd_mode)i;
    return QD_MODE_AUTO;
}

qd_mode qd_mode_of(qd_store_kind k)
{
    return (qd_mode)k; /* in the same order */
}

qd_store_kind qd_store_of(qd_mode m)
{
    return (qd_store_kind)m;
}

const char *qd_store_kind_name(qd_store_kind k)
{
    return kind_names[k];
}

qd_store_kind qd_store_kind_parse(qd_str text)
{
    for (size_t i = QD_STORE_MASTERS; i < QD_COUNT_OF(kind_names); i++)
        if (qd_str_is(text, kind_names[i])) return (qd_store_kind)i;
    return QD_STORE_UNKNOWN;
}

static void why(qd_mode_decision *d, const char *format, ...) QD_PRINTF(2, 3);
static void why(qd_mode_decision *d, const char *format, ...)
{
    va_list ap;
    if (d->n == QD_MODE_REASONS) return;
    va_start(ap, format);
    vsnprintf(d->why[d->n++], sizeof d->why[0], format, ap);
    va_end(ap);
}

static bool reaches_kubernetes(const qd_mode_input *in)
{
    return in->account.n || in->kubeconfig.n;
}

static bool knows_masters(const qd_mode_input *in)
{
    return in->masters.n || in->others.n || in->learned;
}

/* May `auto` use Kubernetes? */
static bool may_fall_back(const qd_mode_input *in)
{
    return in->fallback && reaches_kubernetes(in);
}

static void tell_tried(const qd_mode_input *in, qd_mode_decision *d)
{
    char masters[200], kubernetes[240];
    if (in->masters.n || in->others.n)
        snprintf(masters, sizeof masters, "masters at [%.*s]",
                 QD_STR_ARG(in->masters.n ? in->masters : in->others));
    else
        snprintf(masters, sizeof masters, "%s",
                 in->learned ? "masters that an earlier run has learned"
                             : "masters: none is named (coordination.master_addresses, "
                               "MASTER_ADDRESSES)");
    if (d->asked == QD_MODE_MASTER)
        snprintf(kubernetes, sizeof kubernetes, "Kubernetes: not asked, coordination.mode is [%s]",
                 qd_mode_name(d->asked));
    else if (reaches_kubernetes(in))
        snprintf(kubernetes, sizeof kubernetes, "Kubernetes: by %s [%.*s]%s",
                 in->account.n ? "the service account" : "the kubeconfig",
                 QD_STR_ARG(in->account.n ? in->account : in->kubeconfig),
                 d->asked == QD_MODE_AUTO && !in->fallback
                     ? ", not asked, coordination.k8s_fallback is false"
                     : "");
    else
        snprintf(kubernetes, sizeof kubernetes,
                 "Kubernetes: there is no service account and no KUBECONFIG%s",
                 in->fallback ? "" : ", and coordination.k8s_fallback is false");
    snprintf(d->tried, sizeof d->tried, "%s; %s", masters, kubernetes);
}

/* Rule of the default: `auto` where there is something to find, else this node's own masters. */
static void take_wish(const qd_mode_input *in, qd_mode_decision *d)
{
    d->asked = in->asked;
    if (in->asked_set) {
        why(d, "coordination.mode is [%s] (%.*s)", qd_mode_name(in->asked),
            QD_STR_ARG(in->asked_by));
        return;
    }
    bool found = in->masters.n || may_fall_back(in);
    d->asked = found ? QD_MODE_AUTO : QD_MODE_MASTER;
    why(d, "coordination.mode is not set: [%s], as %s", qd_mode_name(d->asked),
        in->masters.n ? "coordination.master_addresses is set"
        : found       ? "coordination.k8s_fallback is on and the Kubernetes API can be reached"
                      : "neither coordination.master_addresses nor coordination.k8s_fallback with "
                        "access to Kubernetes is there");
}

/* The node belongs to a cluster: only a migration moves it to another store. */
static bool formed(const qd_mode_input *in, qd_mode_decision *d)
{
    d->store = in->record;
    if (in->record) {
        why(d, "this node belongs to a cluster whose state is in the store [%s], epoch %llu",
            qd_store_kind_name(in->record), (unsigned long long)in->epoch);
    } else if (in->folder && in->master) {
        d->store = QD_STORE_MASTERS;
        why(d, "this node is a master of a store that lies in its path.data");
    }
    if (!d->store) return false;
    d->kept = in->asked_set && d->asked != QD_MODE_AUTO && d->asked != qd_mode_of(d->store);
    if (d->kept)
        why(d,
            "the setting [%s] waits: a cluster that has formed changes its store only by qd "
            "migrate start --to %s; until then the store [%s] is kept",
            qd_mode_name(d->asked), qd_mode_name(d->asked), qd_store_kind_name(d->store));
    return true;
}

/* Nothing has formed, and both stores could be used. */
static void claimed(const qd_mode_input *in, qd_mode_decision *d)
{
    d->claim = true;
    if (in->claim && in->claim->in_charge) {
        d->settled = true;
        snprintf(d->uuid, sizeof d->uuid, "%s", in->claim->uuid);
        d->store = in->claim->in_charge;
        if (in->claim->by_masters)
            why(d,
                "masters and Kubernetes are both configured; the claim cannot be read, and masters "
                "are in charge of the cluster [%s], epoch %llu",
                d->uuid, (unsigned long long)in->claim->epoch);
        else
            why(d,
                "masters and Kubernetes are both there: the claim in Kubernetes says [%s], epoch "
                "%llu",
                qd_store_kind_name(d->store), (unsigned long long)in->claim->epoch);
        return;
    }
    d->store = QD_STORE_MASTERS;
    why(d, "masters and Kubernetes are both configured, and no cluster has formed that this node "
           "knows of: the claim in Kubernetes says which one, and is waited for, since a node that "
           "chose by itself could form a second cluster");
}

static void choose(const qd_mode_input *in, qd_mode_decision *d)
{
    if (d->asked != QD_MODE_AUTO) {
        d->store = d->asked == QD_MODE_MASTER ? QD_STORE_MASTERS : QD_STORE_KUBERNETES;
    } else if (!may_fall_back(in)) {
        d->store = QD_STORE_MASTERS;
        why(d, "masters, as %s",
            !in->fallback ? "coordination.k8s_fallback is false"
                          : "there is neither a service account nor a KUBECONFIG: it does not "
                            "run in Kubernetes");
    } else if (knows_masters(in)) {
        claimed(in, d);
    } else {
        d->store = QD_STORE_KUBERNETES;
        why(d, "no masters are named, and the Kubernetes API can be reached by %s",
            in->account.n ? "a service account" : "a kubeconfig");
    }
}

/* A node that asks control nodes has to know one. */
static int check_known(const qd_mode_input *in, const qd_mode_decision *d, qd_err *err)
{
    if (knows_masters(in)) return 0;
    return qd_err_set(err, QD_E_CONFIG,
                      "no coordination backend available: a node without the role master has to "
                      "know one: set coordination.master_addresses (or MASTER_ADDRESSES)%s. "
                      "Tried: %s",
                      d->kept ? "; the cluster it belongs to has masters, which only qd migrate "
                                "changes"
                              : "",
                      d->tried);
}

/* Of a control node, one that holds a store if its mode gives it one. */
static int decide_control(const qd_mode_input *in, qd_mode_decision *d, qd_err *err)
{
    if (!d->formed) choose(in, d);
    d->own = in->master || d->store == QD_STORE_KUBERNETES;
    if (d->store == QD_STORE_KUBERNETES && !reaches_kubernetes(in))
        why(d, "there is neither a service account nor a KUBECONFIG to reach Kubernetes with");
    if (d->own) return 0;
    why(d, "this node has not the role master: it asks the masters");
    return check_known(in, d, err);
}

int qd_mode_decide(const qd_mode_input *in, qd_mode_decision *out, qd_err *err)
{
    memset(out, 0, sizeof *out);
    take_wish(in, out);
    tell_tried(in, out);
    out->formed = formed(in, out);
    if (in->master || in->coordination) return decide_control(in, out, err);
    why(out, "this node has neither the role master nor coordination: it asks the control nodes at "
             "coordination.master_addresses, which tell where the state is");
    return check_known(in, out, err);
}

int qd_mode_settle(const qd_mode_input *in, const qd_mode_claims *claims,
                   bool (*waiting)(void *arg, const qd_err *why), void *arg, qd_mode_decision *out,
                   qd_err *err)
{
    qd_mode_claim claim;
    qd_mode_input with = *in;
    for (;;) {
        qd_err why;
        int rc = qd_mode_decide(&with, out, err);
        if (rc || !out->claim || with.claim || !claims) return rc;
        claim = (qd_mode_claim){0};
        qd_err_init(&why);
        rc = claims->claim(claims->arg, in, &claim, &why);
        bool again = rc == QD_E_NO_COORDINATION || rc == QD_E_TIMEOUT;
        bool goes_on = !again || waiting(arg, &why);
        if (rc && !again) qd_err_copy(err, &why);
        qd_err_fini(&why);
        if (!goes_on)
            return qd_err_set(err, QD_E_CANCELLED, "stopped before the claim could be read");
        if (rc && !again) return rc;
        if (!rc) with.claim = &claim;
    }
}
