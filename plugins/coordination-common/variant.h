/*
 * variant.h: deliberately broken variants of the core, for the simulation to find. They are in no
 * build but that of the tests with CR_VARIANTS: elsewhere CR_BROKEN is 0.
 */
#ifndef COORDINATION_COMMON_VARIANT_H
#define COORDINATION_COMMON_VARIANT_H

enum {
    CR_SOUND,
    CR_BAD_COMMIT_OLD_TERM,     /* entries of old terms are committed by counting */
    CR_BAD_COUNT_NOT_DURABLE,   /* the leader counts its own entries before they are durable */
    CR_BAD_ANSWER_NOT_DURABLE,  /* a follower's answer counts what is not yet durable */
    CR_BAD_SPEAK_BEFORE_HARD,   /* messages do not wait for term and vote */
    CR_BAD_VOTE_TWICE,          /* two votes in one term */
    CR_BAD_VOTE_FOR_SHORTER,    /* votes for a log that lacks entries */
    CR_BAD_NO_PREVIOUS_CHECK,   /* appends without a look at the entry before */
    CR_BAD_MEMBERS_PENDING,     /* a change of members while another is under way */
    CR_BAD_MEMBERS_OLD_TERM,    /* a change of members before an entry of the term is committed */
    CR_BAD_MEMBERS_NOT_UNDONE,  /* members that were cut off the log stay in force */
    CR_BAD_READ_WITHOUT_ROUND,  /* reads are answered at once */
    CR_BAD_READ_OLD_TERM,       /* reads before an entry of the term is committed */
    CR_BAD_READ_OLD_ROUND,      /* a read joins a round that began before it */
    CR_BAD_SNAPSHOT_KEEPS_LOG,  /* a log that contradicts the snapshot stays */
    CR_BAD_COMMIT_BEYOND_MATCH, /* a follower takes the leader's commit for entries not compared */
    CR_BAD_STANDBY_COUNTS,      /* standbys count for the majority */
    CR_BAD_TERM_FORGOTTEN,      /* a restart begins in term 0 */
    CR_BAD_INSTALL_OLD,         /* a snapshot is installed though the log has passed it */
    CR_BAD_WAL_NO_SYNC,         /* acknowledged before the log's sync */
    CR_BAD_WAL_TORN_TAIL,       /* a batch is read though its checksum is wrong */
    CR_BAD_WAL_MISSING_SEGMENT, /* a gap in the segments is read over */
    CR_BAD_WAL_HARD_LOST,       /* term and vote are not written */
    CR_BAD_WAL_MARK_IGNORED,    /* an end before what the mark says is taken */
    CR_BAD_WAL_NAMES,           /* a new segment's name is not synced */
    CR_BAD_WAL_ERROR_RETRIED,   /* after a failed sync it goes on as if nothing were */
    CR_BAD_WAL_TAIL_UNSYNCED,   /* what is read at an opening is taken as durable */
    CR_BAD_WAL_TAIL_BELIEVED,   /* it is synced, but not written once more */
    CR_BAD_LIFE_IGNORED,        /* an old copy of a folder is let in */
    CR_VARIANTS_END,
    /* of what stands around the core, for the simulation of a whole cluster */
    CR_BAD_SESSION_NO_GRACE = 64, /* a new leader goes on with deadlines of before */
    CR_BAD_SESSION_NEVER,         /* no session expires */
    CR_BAD_ROUND_NOT_ASKED,       /* a leader confirms reads and renewals by itself */
    CR_BAD_READ_LOCAL,            /* a follower answers reads by what it has */
    CR_BAD_RENEWAL_APPLIED,       /* renewals count when the leader's disk has what came before */
    CR_BAD_WATCH_GAP,     /* a watch begins behind what was forgotten, and does not say so */
    CR_BAD_SURE_BY_CLOCK, /* a leader's own clock is enough for renewals */
    CR_SHELL_END
};

#ifdef CR_VARIANTS
extern int cr_variant;
#define CR_BROKEN(v) (cr_variant == (v))
#else
#define CR_BROKEN(v) 0
#endif

#endif
