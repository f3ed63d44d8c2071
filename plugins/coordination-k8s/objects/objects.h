/*
 * objects.h: what custom resources and the cluster's state have to do with each other: how the
 * state looks as objects, and what an object asks for. The state is the truth; a spec is a wish,
 * applied when it is newer than status.observedGeneration and not of the cluster's own writing.
 *
 *   wanted.c  from the state to statuses
 *   specs.c   from the state to specs, and objects as the cluster makes them
 *   text.c    JSON as text
 *   judge.c   from an object and the state to the next thing to do
 *
 * Pure: no I/O, no clock, no thread. JSON that is returned is the caller's to release; NULL: no
 * memory.
 */
#ifndef COORDINATION_K8S_OBJECTS_OBJECTS_H
#define COORDINATION_K8S_OBJECTS_OBJECTS_H

#include "format/blob.h"

#define CK_LABEL_ORIGIN "quidditch.io/origin" /* "cluster": made by the cluster, not by a user */
#define CK_OWN_SPEC "quidditch.io/spec"       /* annotation: hash of the spec that we wrote */
#define CK_SHOWN "quidditch.io/shown"         /* annotation: the state of the index that it shows */
#define CK_SHOWN_PARTLY " partly"             /* at its end: not all of it could be shown */
#define CK_DEFAULT_CLUSTER "quidditch"
#define CK_UNREADABLE "unreadable" /* member of an object that is not whole: KUBE_UNREADABLE */

enum { CK_COPIES_MAX = 1000 }; /* in one status */
enum { CK_MESSAGE = 1024, CK_SHOWN_MAX = 200, CK_SHARD_NAME = CK_LABEL + 24 };

/* The answer to GET /_cluster/state?flat_settings=true, taken apart; borrows from state. */
typedef struct ck_truth {
    const cr_heap *heap; /* for texts */
    const json_t *state;
    const json_t *indices, *tables, *nodes; /* by name, by name, by id */
    const char *leader;                     /* id of a node; "" */
    uint64_t revision;
    const char *cluster; /* cluster.name; of the caller */
} ck_truth;
/* 0, or QD_E_CORRUPT when it is no such answer. */
int32_t ck_truth_read(const cr_heap *heap, const json_t *state, const char *cluster, ck_truth *out);

/* --- wanted.c --- */
/* metadata of an index of the state; borrow; NULL: there is none. */
const json_t *ck_truth_index(const ck_truth *t, const char *index);
/* Whether an index is shown: not those of systems, whose names begin with a dot. */
int ck_is_shown(const char *index);
/* An index's setting ("index.uuid"), "" when it has none; borrow. */
const char *ck_setting(const json_t *index, const char *key);
/* "green", "yellow" or "red": of an index, and of all of them. */
const char *ck_index_health(const ck_truth *t, const char *index);
/* The same. */
const char *ck_cluster_health(const ck_truth *t);
/* Whether its copies have no room in one object: then each shard has a QuidditchShard. */
int ck_is_large(const json_t *index);
/* How many shards it has. */
int64_t ck_index_shards(const json_t *index);
/* What a QuidditchShard shows. */
json_t *ck_shard_status(const ck_truth *t, const char *index, int64_t shard);
/* What a QuidditchIndex shows of an index, without conditions and observedGeneration. */
json_t *ck_index_status(const ck_truth *t, const char *index);
/* What the QuidditchCluster shows, likewise. */
json_t *ck_cluster_status(const ck_truth *t);

/* --- specs.c --- */
/* The object's name for an index; taken: the plain one is another cluster's. */
void ck_index_object_name(const char *cluster, const char *index, int taken, char out[CK_LABEL]);
/* The same, for a shard of it. */
void ck_shard_object_name(const char *cluster, const char *index, int64_t shard, int taken,
                          char out[CK_SHARD_NAME]);
/* Which state of an index (as ck_truth_index) that is, for CK_SHOWN. */
void ck_index_shown(const json_t *index, char out[CK_SHOWN_MAX]);
/* The spec that shows an index: is, what GET /{index} tells of it, NULL: shards and replicas alone;
 * had: the spec before, whose other fields stay, NULL: none. */
json_t *ck_index_spec(const ck_truth *t, const char *index, const char *object, const json_t *is,
                      const json_t *had);
/* The same, and what CK_SHOWN says of it; is too large, or NULL: without it. */
json_t *ck_shown_spec(const ck_truth *t, const char *index, const char *object, const json_t *is,
                      const json_t *had, char shown[CK_SHOWN_MAX]);
/* Puts a spec into an object, with its annotations; takes it over. shown NULL: as it is. */
void ck_spec_put(const cr_heap *heap, json_t *object, json_t *spec, const char *shown);
/* A new object for an index. before: of one that comes back under its name {"spec", "labels",
 * "annotations", "settled": its spec was applied}, or NULL. */
json_t *ck_index_object(const ck_truth *t, const char *space, const char *index, const char *name,
                        const json_t *is, const json_t *before);
/* A new QuidditchShard. */
json_t *ck_shard_object(const ck_truth *t, const char *space, const char *index, int64_t shard,
                        const char *name);
/* Hash of the spec of an object of that name as CK_OWN_SPEC has it: in a copy under another name it
 * is a wish. */
void ck_spec_hash(const cr_heap *heap, const char *name, const json_t *spec, char out[65]);

/* --- text.c --- */
/* Adds it as text, numbers as an API server writes them. */
void ck_json_put(cr_bytes *out, const json_t *v);

/* --- judge.c --- */
/* Which index, of which cluster, an object is of: as first seen, else as its spec says. borrow. */
const char *ck_object_index(const json_t *object);
/* The same. */
const char *ck_object_cluster(const json_t *object);
/* metadata.generation; 0: none. */
int64_t ck_object_generation(const json_t *object);
/* 1 when it is being deleted. */
int ck_object_ends(const json_t *object);
/* Whether it is known which index it is of: not of one that could not be read. */
int ck_object_has_index(const json_t *object);
/* Whether the cluster made it, and not a user. */
int ck_object_is_clusters(const json_t *object);
/* Which shard a QuidditchShard is of. */
int64_t ck_object_shard(const json_t *object);
/* 1 when its spec was judged, and accepted. */
int ck_object_settled(const json_t *object);

/* What became of a wish. */
typedef struct ck_verdict {
    int64_t generation; /* of the object; 0: none yet */
    int accepted;
    char reason[64], message[CK_MESSAGE];
} ck_verdict;

/* Sets it; texts that are too long are cut. */
void ck_verdict_set(ck_verdict *v, int64_t generation, int accepted, const char *reason,
                    const char *message);
/* Texts about what was refused as one. */
void ck_refusals(const json_t *texts, char out[CK_MESSAGE]);

enum {
    CK_DO_NOTHING,
    CK_DO_WISH,   /* ask the cluster for `steps`, in order */
    CK_DO_STATUS, /* PUT body to the status */
    CK_DO_PUT,    /* PUT body */
    CK_DO_FOLLOW, /* ask for `steps`, put what they tell as spec into body, PUT that */
    CK_DO_RETAIN, /* PUT body, without finalizer: the object goes, the data stay */
    CK_DO_ERASE,  /* delete the index, unless the namespace ends */
    CK_DO_DROP    /* delete the object, which has no finalizer */
};
typedef struct ck_judgement {
    int what;
    json_t *body;  /* make */
    json_t *steps; /* make: [{"action", "params", "body"}]; of the first also "apart": the steps in
                      its place when it is refused, "refused": texts of what was refused already */
    int decided;   /* `verdict` is new */
    ck_verdict verdict;
} ck_judgement;

typedef struct ck_case {
    const json_t *object;
    const ck_truth *truth;
    const char *holder;        /* the object that has the index, NULL: this one */
    int gone;                  /* that the index is missing is certain */
    int namespace_ends;        /* as found out for an object that is being deleted */
    const ck_verdict *verdict; /* the last one, generation 0: none */
    const char *now;           /* RFC 3339 */
} ck_case;
/* The next thing to do for a QuidditchIndex. out is filled; its JSON: ck_judgement_clear. */
void ck_judge_index(const ck_case *in, ck_judgement *out);
/* The same for the QuidditchCluster of this cluster. */
void ck_judge_cluster(const ck_case *in, ck_judgement *out);
/* The same for a QuidditchShard that the cluster made. */
void ck_judge_shard(const ck_case *in, ck_judgement *out);
/* Releases JSON. */
void ck_judgement_clear(ck_judgement *j);
/* "illegal_argument_exception" as a reason: "IllegalArgumentException". */
void ck_reason_of(const char *type, char out[64]);

#endif
