/*
 * home.h: what coordination-k8s keeps beside the shell (store.h): where the API server is, what
 * this node has acted on, the state cut into pages, and the control nodes it hears of. Part of
 * store.h, included there alone.
 */
#ifndef COORDINATION_K8S_HOME_H
#define COORDINATION_K8S_HOME_H

#include "config.h"
#include "format/page.h"
#include "transport.h"

#define CR_HOME_NAME "coordination-k8s"
#define CR_HOME_FLAGS (QD_COORD_LINEARIZABLE | QD_COORD_AUTHORITY | QD_COORD_EXTERNAL)
/* Requests at once, each with a connection that is kept: objects being read and written, and room
 * for the root and the Lease. */
#define CK_CONNECTIONS 28
#define CK_HEARD_NS 4000000000ll /* a control node that was silent for so long is not counted */

/* What this node has acted on; on disk before it acts (record.c). */
typedef struct ck_record {
    uint8_t store_id[16]; /* zeros: nothing yet */
    uint64_t epoch, index;
} ck_record;

/* A control node that was heard from. */
typedef struct ck_other {
    uint64_t id;
    int64_t heard_ns;
    char name[CR_WIRE_NAME_MAX + 1], address[CR_WIRE_ADDRESS_MAX + 1];
} ck_other;

typedef struct cr_home {
    /* as configured; texts owned, NULL: not given */
    char *space_wanted, *kubeconfig, *context, *api_server, *token_file, *ca_file;
    int64_t lease_ns, renew_ns, retry_ns;
    kube_config api; /* api.c */
    kube_sources from;
    char space[CK_LABEL]; /* namespace */
    char root[CK_LABEL], lease[CK_NAME];
    ck_site site;
    ck_record record;
    uint64_t record_number; /* of its last writing */
    int lock_fd, record_fd;
    ck_pages *pages; /* the rows of now */
    ck_other others[CR_WIRE_MEMBERS_MAX];
    uint32_t nothers;
    int64_t said_ns;
    struct ck_projections *projections; /* NULL: none */
    int projections_wanted;
    int looks;  /* the state is only read: nothing is created, nothing led */
    int checks; /* only read where the API is, as open does: nothing is opened */
    int claims; /* a root that this node creates says which of two stores forms the cluster */
    char trouble[900]; /* what the API server last refused, or why it is silent; empty: nothing */
} cr_home;

struct qd_coord;

/* --- api.c: the API server; a file of its own, for which tests have another --- */
/* Finds it: in the pod, or by kubeconfig; fills home.api and home.space. QD_E_CONFIG... */
int32_t ck_api_open(struct qd_coord *c, qd_err *err);
/* Frees what open made. */
void ck_api_close(struct qd_coord *c);
/* A transport to it on a loop, the store's or that of custom resources; NULL: err tells. */
kube_transport *ck_api_connect(struct qd_coord *c, uv_loop_t *loop, const kube_env *env,
                               kube_error *err);

/* --- consensus_k8s.c --- */
/* 1 when the root was created to be in charge, 0 when it waits for another store. */
int ck_root_forms(const struct qd_coord *c);

/* --- record.c --- */
/* Locks the folder and reads the record. No folder: nothing is kept. */
int32_t ck_record_open(struct qd_coord *c, qd_err *err);
/* Writes it, if it is above the one that is there: on disk when this returns. 0 or QD_E_IO. */
int32_t ck_record_put(struct qd_coord *c, const uint8_t store_id[16], uint64_t epoch,
                      uint64_t index);
void ck_record_close(struct qd_coord *c);

/* --- plugin.c --- */
struct qd_svc_action;
/* The host's actions; NULL: it has none. */
const struct qd_svc_action *ck_actions_of(const cr_plugin *p);

/* --- home.c --- */
/* A control node spoke. */
void ck_heard(struct qd_coord *c, uint64_t id, qd_str name, qd_str address);
/* Something is in the way of leading or following; said now and then while it lasts. NULL: nothing
 * any more. */
void ck_trouble(struct qd_coord *c, const char *text);

#endif
