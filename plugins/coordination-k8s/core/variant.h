/*
 * variant.h: deliberately broken variants of the core, for the simulation to find. They are in no
 * build but that of the tests with CK_VARIANTS: elsewhere CK_BROKEN is 0.
 */
#ifndef COORDINATION_K8S_VARIANT_H
#define COORDINATION_K8S_VARIANT_H

enum {
    CK_SOUND,
    CK_BAD_TAKEOVER_NO_CAS,    /* a candidate writes over whatever root came meanwhile */
    CK_BAD_ANSWER_EARLY,       /* committed is told when the PUT is sent */
    CK_BAD_FAILED_BY_READ,     /* the old version after an unknown outcome: told "never" */
    CK_BAD_REFUSED_SETTLES,    /* a refused retry is taken to settle the PUT before it */
    CK_BAD_IDS_IGNORED,        /* after a conflict nothing is looked for, it is put again */
    CK_BAD_NEW_ID,             /* a retry under a new id */
    CK_BAD_COLLECT_NO_VERSION, /* objects are deleted whatever version they have */
    CK_BAD_COLLECT_ONGOING,    /* the collector does not look at what is being written */
    CK_BAD_COLLECT_OLD_ROOT,   /* the collector goes by the root that it knows */
    CK_BAD_NO_TOUCH,           /* an object that is there already is taken as it is */
    CK_BAD_NO_CREATE_AGAIN,    /* one that went before the touch is taken to be there */
    CK_BAD_BLOBS_LATE,         /* the root is put before its objects were created */
    CK_BAD_STALE_TAKEN,        /* what a watch says is taken though it is old */
    CK_BAD_READ_SHARED,        /* a read joins a GET that began before it */
    CK_BAD_READ_LOCAL,         /* a leader answers reads without a GET */
    CK_BAD_SURE_LONG,          /* the lease counts from its answer, for as long as others wait */
    CK_BAD_SURE_NO_WRITE,      /* the lease counts without a write of the root after it */
    CK_BAD_TAKEOVER_NO_LOOK,   /* a candidate does not read the lease before it takes over */
    CK_BAD_TAIL_CUT_EARLY,     /* a checkpoint cuts entries that its pages do not hold */
    CK_BAD_RESTORE_SKIPPED,    /* a follower behind the tail goes on with the tail */
    CK_BAD_PEER_DAMAGE,        /* wrong bytes of another node are taken for damage of the state */
    CK_VARIANTS_END
};

#ifdef CK_VARIANTS
extern int ck_variant;
#define CK_BROKEN(v) (ck_variant == (v))
#else
#define CK_BROKEN(v) 0
#endif

#endif
